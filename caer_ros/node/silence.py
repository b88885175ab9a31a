"""How long nobody has been followed, in the time that the images live in."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from rclpy.clock import ROSClock

if TYPE_CHECKING:
    from rclpy.node import Node


class Silence:
    """Time since the last image that was followed.

    The ROS clock counts where it is simulated (``use_sim_time``) and somebody publishes ``/clock``: a bag that is
    paused or slow is not silent. Otherwise the steady clock counts, also when a bag has ended and its clock is gone.

    Args:
        node: the node whose clock and names apply.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clock_topic = node.resolve_topic_name("/clock")
        self.end()

    def end(self) -> None:
        """An image was followed: count from now."""
        self._steady = monotonic()
        self._ros_ns = self._now_ns()

    def longer_than(self, seconds: float) -> bool:
        """Has it lasted for more than ``seconds``?"""
        steady = monotonic() - self._steady > seconds
        clock = self._node.get_clock()
        if not (isinstance(clock, ROSClock) and clock.ros_time_is_active):
            return steady
        now_ns = self._now_ns()
        if not 0 < self._ros_ns <= now_ns:  # /clock has only begun, or has jumped back
            self._ros_ns = now_ns
        simulated = (now_ns - self._ros_ns) * 1e-9 > seconds
        if steady == simulated:
            return steady
        return simulated if self._node.count_publishers(self._clock_topic) else steady

    def _now_ns(self) -> int:
        now_ns: int = self._node.get_clock().now().nanoseconds
        return now_ns
