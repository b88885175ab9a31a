"""A mailbox of one: the newest image wins, so what is published never lags behind what the camera sees."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hands the newest item from one thread to another and counts those that were replaced unread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self.drops = 0
        """Items that were replaced unread since the start."""
        self._closed = False

    def put(self, item: T) -> None:
        """Leave an item; one that was not taken yet is dropped."""
        with self._condition:
            self.drops += self._item is not None
            self._item = item
            self._condition.notify()

    def take(self, timeout: float) -> T | None:
        """The newest item, or None when none came within ``timeout`` seconds or the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            return item

    def pause(self, seconds: float) -> None:
        """Wait ``seconds`` without taking anything; at most until the mailbox is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """Wake whoever waits; the mailbox stays closed."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed
