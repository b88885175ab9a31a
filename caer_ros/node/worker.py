"""The thread that processes images, so that the executor always has time to take the newest one."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from math import inf
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
        handle: called in the thread with each item taken.
        idle: called in the thread when no item came for a while.

    Both have to catch their own errors.
    """

    def __init__(self, handle: Callable[[T], None], idle: Callable[[], None]) -> None:
        self.mailbox: Mailbox[T] = Mailbox()
        self.max_rate = 0.0
        """Items a second at most; 0 is no limit."""
        self._handle = handle
        self._idle = idle
        self._jobs: deque[_Job] = deque()
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
        """Run ``job`` while no item is in work, and return when that is done. Raises what the job raises."""
        waiting = _Job(job)
        self._jobs.append(waiting)
        while not waiting.done.wait(TICK):
            if not self._thread.is_alive():
                self._run_jobs()
        if waiting.error:
            raise waiting.error

    def _run(self) -> None:
        started = -inf
        while not self.mailbox.closed:
            self._run_jobs()
            early = started + 1.0 / self.max_rate - monotonic() if self.max_rate else 0.0
            if early > 0:
                self.mailbox.pause(min(early, TICK))  # in slices: jobs and a new rate do not wait
                continue
            item = self.mailbox.take(TICK)
            if item is None:
                self._idle()
            else:
                started = monotonic()
                self._handle(item)

    def _run_jobs(self) -> None:
        while True:
            try:
                job = self._jobs.popleft()
            except IndexError:
                return
            try:
                job.run()
            except Exception as error:
                job.error = error
            finally:
                job.done.set()


@dataclass
class _Job:
    run: Callable[[], None]
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
