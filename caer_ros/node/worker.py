"""The thread that processes images, so that the executor always has time to take the newest one."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from caer_ros.node.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
TICK = 0.2
"""Seconds after which the worker looks for jobs when no item comes."""


class Worker(Generic[T]):
    """Takes items from a mailbox one by one, and runs jobs between two of them.

    Args:
        handle: called in the thread with each item taken; has to catch its own errors.
        idle: called in the thread when no item came for a while.
    """

    def __init__(self, handle: Callable[[T], None], idle: Callable[[], None]) -> None:
        self.mailbox: Mailbox[T] = Mailbox()
        self.max_rate = 0.0
        """Items a second at most; 0 is no limit."""
        self._handle = handle
        self._idle = idle
        self._jobs: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._thread = threading.Thread(target=self._run, name="perception", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the item in hand, and run the jobs that are left. Nothing is lost."""
        self.mailbox.close()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._run_jobs()

    def between_items(self, job: Callable[[], None]) -> None:
        """Run ``job`` while no item is in work, and return when that is done."""
        done = threading.Event()
        self._jobs.append((job, done))
        while not done.wait(TICK):
            if not self._thread.is_alive():
                self._run_jobs()

    def _run(self) -> None:
        started = 0.0
        while not self.mailbox.closed:
            self._run_jobs()
            if self.max_rate:
                self.mailbox.pause(started + 1.0 / self.max_rate - monotonic())
            item = self.mailbox.take(TICK)
            if item is None:
                self._idle()
            else:
                started = monotonic()
                self._handle(item)

    def _run_jobs(self) -> None:
        while True:
            try:
                job, done = self._jobs.popleft()
            except IndexError:
                return
            try:
                job()
            finally:
                done.set()
