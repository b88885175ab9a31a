"""The source's time and ours: when a frame is due, and which stamp it carries."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CLOCK_PERIOD_S = 0.01


class Pacer:
    """Maps the source's clock onto the steady clock, and waits."""

    def __init__(self, rate: float, tick: Callable[[int], None] | None = None) -> None:
        """``tick(stamp_ns)`` is called with the source's time at least every ``CLOCK_PERIOD_S`` while waiting."""
        self.rate = rate
        self.tick = tick
        self.origin: tuple[int, float] | None = None
        self.due = 0.0

    def wait(self, stamp_ns: int) -> float:
        """Sleep until ``stamp_ns`` is due, not at all when that is past. Returns when it was due, steady seconds.

        The first stamp is due at once, and after ``start_over`` a period after the last one.
        """
        if self.origin is None:
            self.origin = (stamp_ns, self.due or time.monotonic())
        first_ns, start = self.origin
        self.due = start + (stamp_ns - first_ns) * 1e-9 / self.rate
        while (left := self.due - time.monotonic()) > 0:
            if self.tick:
                self.tick(max(first_ns, stamp_ns - int(left * self.rate * 1e9)))
                left = min(left, CLOCK_PERIOD_S)
            time.sleep(left)
        if self.tick:
            self.tick(stamp_ns)
        return self.due

    def start_over(self, period_ns: int) -> None:
        """The next stamp, whatever it is, is due ``period_ns`` of the source's time after the last one."""
        self.origin = None
        self.due += period_ns * 1e-9 / self.rate


class Restamper:
    """Gives a recorded stamp the time of its first sending; other topics' messages of the same stamp share it."""

    REMEMBERED = 64

    def __init__(self, now: Callable[[], int]) -> None:
        """``now()`` returns the ROS clock in nanoseconds."""
        self._now = now
        self._given: OrderedDict[int, tuple[int, set[str]]] = OrderedDict()

    def __call__(self, stamp_ns: int, topic: str) -> int:
        """The stamp to send on ``topic`` for ``stamp_ns``."""
        given, topics = self._given.get(stamp_ns, (0, {topic}))
        if topic in topics:  # a new moment: the first of its stamp, or a stamp that comes again
            given, topics = self._now(), set()
            self._given[stamp_ns] = (given, topics)
            self._given.move_to_end(stamp_ns)
            if len(self._given) > self.REMEMBERED:
                self._given.popitem(last=False)
        topics.add(topic)
        return given
