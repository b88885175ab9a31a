"""Is an image in order? Image stamps judged one after the other, as cameras and looping bags really send them."""

from __future__ import annotations

from enum import Enum

JUMP_BACK_NS = 1_000_000_000
"""A stamp older than the newest by at least this is a new beginning; by less, it is late."""
LATE_STREAK = 5
"""So many late images in a row, each newer than the last, are a new beginning too (a bag loop under a second)."""


class Order(Enum):
    """What a stamp means for the images before it."""

    IN_ORDER = "in order"
    UNSTAMPED = "unstamped"
    LATE = "late"
    JUMPED_BACK = "jumped back"


class Timeline:
    """The stamps seen so far. Counts in image time only, never in the wall clock."""

    def __init__(self) -> None:
        self._newest_ns: int | None = None
        self._late: list[int] = []

    def admit(self, stamp_ns: int) -> Order:
        """Judge the next image's stamp (nanoseconds; 0 = the camera sets none) and remember it."""
        if stamp_ns <= 0:
            return Order.UNSTAMPED
        if self._newest_ns is None or stamp_ns > self._newest_ns:
            order = Order.IN_ORDER
        elif self._newest_ns - stamp_ns >= JUMP_BACK_NS or self._streak(stamp_ns):
            order = Order.JUMPED_BACK
        else:
            return Order.LATE
        self._newest_ns = stamp_ns
        self._late.clear()
        return order

    def behind(self, stamp_ns: int) -> float:
        """Seconds by which ``stamp_ns`` is older than the newest admitted one; 0 when it is not."""
        return max(0.0, ((self._newest_ns or 0) - stamp_ns) * 1e-9)

    def _streak(self, stamp_ns: int) -> bool:
        if self._late and stamp_ns <= self._late[-1]:
            self._late.clear()
        self._late.append(stamp_ns)
        return len(self._late) >= LATE_STREAK
