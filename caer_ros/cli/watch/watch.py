"""Show what a running node sees: a live table, or one JSON object for each message.

With --json each line is {"type": "emotions" or "status", "message": ...}, with the fields of
PersonEmotionArray and PerceptionStatus as they are; NaN, which means "not predicted", is null.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import positive, whole
from caer_ros.cli.console.ros_node import ros_node

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from rclpy.node import Node
    from rclpy.qos import QoSProfile
    from rich.console import Group

    from caer_ros.msg import PerceptionStatus, PersonEmotionArray

RATE_OVER_S = 3.0
"""The rate shown is that of the messages of the last seconds."""

PATIENCE_S = 3.0
"""Discovery takes up to so long; only then is it worth saying why nothing comes."""


class WatchError(Exception):
    """Too little came; says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer watch``."""
    parser.add_argument("--node", default="/emotion", help="the node to watch (default: %(default)s)")
    parser.add_argument("--count", type=whole, metavar="N", help="end after N messages on ~/emotions")
    parser.add_argument("--timeout", type=positive, metavar="SECONDS", help="end after SECONDS; fail when nothing came")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of the table")


def run(args: argparse.Namespace) -> int:
    """Watch until the count, the timeout or Ctrl-C. Raises WatchError when less came than was asked for."""
    wanted = 1 if args.count is None else args.count
    with ros_node("caer_watch", args.ros_arguments) as node:
        watcher = Watcher(node, args.node, json_lines if args.json else None)
        if args.json:
            watcher.spin(args.count, args.timeout)
        else:
            watch_live(watcher, args.count, args.timeout)
        if watcher.received < wanted:
            raise WatchError(watcher.explain(wanted, args.timeout))
    return 0


class Watcher:
    """Receives a node's messages and keeps the last of each."""

    def __init__(self, node: Node, name: str, show: Callable[[str, Any], None] | None = None) -> None:
        """Subscribe to the topics of the node ``name``; ``show(type, message)`` is called with each message."""
        from rclpy.event_handler import SubscriptionEventCallbacks
        from rclpy.qos import DurabilityPolicy, QoSProfile

        from caer_ros.msg import PerceptionStatus, PersonEmotionArray

        self.node = node
        self.name = name if name.startswith("/") else f"/{name}"
        self.message: PersonEmotionArray | None = None
        self.status: PerceptionStatus | None = None
        self.received = 0
        self._show = show
        self._times: deque[float] = deque(maxlen=1000)
        # Reliable, as the node offers: no line of --json is missing.
        self.topics: dict[str, QoSProfile] = {
            f"{self.name}/emotions": QoSProfile(depth=10),
            f"{self.name}/status": QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
        }
        emotions, status = self.topics
        # An incompatible QoS is explained by ``reason``, not by a warning across the table.
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        node.create_subscription(
            PersonEmotionArray, emotions, self._on_emotions, self.topics[emotions], event_callbacks=quiet
        )
        node.create_subscription(PerceptionStatus, status, self._on_status, self.topics[status], event_callbacks=quiet)

    def spin(self, count: int | None, seconds: float | None) -> None:
        """Receive until ``count`` messages have come or ``seconds`` are over; None is without end."""
        import rclpy

        end = math.inf if seconds is None else time.monotonic() + seconds
        while (count is None or self.received < count) and (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self.node, timeout_sec=min(left, 0.1))

    def rate(self) -> float:
        """Messages per second over the last ``RATE_OVER_S`` seconds."""
        since = time.monotonic() - RATE_OVER_S
        return sum(1 for moment in self._times if moment > since) / RATE_OVER_S

    def explain(self, wanted: int, seconds: float) -> str:
        """Say that fewer than ``wanted`` messages came in ``seconds``, and why."""
        return f"{self.received} of {wanted} messages on {self.name}/emotions within {seconds:g} s: {self.reason()}"

    def reason(self) -> str:
        """Why no message comes, as far as can be seen from here."""
        from rclpy.qos import QoSCompatibility, qos_check_compatible

        topic = next(iter(self.topics))
        publishers = self.node.get_publishers_info_by_topic(topic)
        if not publishers:
            nodes = sorted(
                "/".join((space.rstrip("/"), name)) for name, space in self.node.get_node_names_and_namespaces()
            )
            others = ", ".join(name for name in nodes if name != self.node.get_fully_qualified_name()) or "none"
            if self.name in nodes:
                return f"{self.name} runs and publishes no such topic; was it configured?"
            return f"no node {self.name}; nodes there: {others}; compare ROS_DOMAIN_ID, and give --node"
        for publisher in publishers:
            if publisher.topic_type != "caer_ros/msg/PersonEmotionArray":
                return f"that topic carries {publisher.topic_type}, not caer_ros/msg/PersonEmotionArray"
            compatibility, why = qos_check_compatible(publisher.qos_profile, self.topics[topic])
            if compatibility == QoSCompatibility.ERROR:
                return f"its QoS does not fit: {why}"
        if self.status is None:
            return "its publisher is there and silent"
        from caer_ros.cli.watch.live_table import STATE_WORDS

        word, _ = STATE_WORDS.get(self.status.state, (str(self.status.state), ""))
        return f"{self.name} is {word}" + (f": {self.status.reason}" if self.status.reason else "")

    def _on_emotions(self, message: PersonEmotionArray) -> None:
        self.message = message
        self.received += 1
        self._times.append(time.monotonic())
        if self._show:
            self._show("emotions", message)

    def _on_status(self, status: PerceptionStatus) -> None:
        self.status = status
        if self._show:
            self._show("status", status)


def watch_live(watcher: Watcher, count: int | None, seconds: float | None) -> None:
    """Show the table until the end; it stays on the screen. While nothing comes, show why."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from caer_ros.cli.watch.live_table import view

    started = time.monotonic()

    def picture() -> Group:
        shown = view(watcher.message, watcher.status, watcher.rate())
        if watcher.received or time.monotonic() < started + PATIENCE_S:
            return shown
        return Group(shown, Text(watcher.reason(), style="yellow"))

    with Live(get_renderable=picture, refresh_per_second=8) as live:
        watcher.spin(count, seconds)
        live.refresh()


def json_lines(kind: str, message: object) -> None:
    """Print one message as one line."""
    print(json.dumps({"type": kind, "message": as_plain(message)}), flush=True)


def as_plain(value: Any) -> Any:
    """A ROS message as dicts, lists and numbers; NaN and infinities, which JSON lacks, as None."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: as_plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, (str, bool)):
        return value
    if hasattr(value, "__iter__"):
        return [as_plain(item) for item in value]
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None
