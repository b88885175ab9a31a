"""Sends the frames of a source through a node, each when it is due, and counts what it sent."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rclpy.duration import Duration
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from caer_ros.cli.console.ros_node import message_class
from caer_ros.cli.play.image_messages import ConversionError, converted, image_message, resized
from caer_ros.cli.play.pacing import Pacer, Restamper
from caer_ros.recordings.sources import CAMERA_INFO, note
from caer_ros.recordings.stamps import StampError, stamp_of, with_stamp

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from rclpy.node import Node
    from rclpy.publisher import Publisher

    from caer_ros.cli.play.routes import Route
    from caer_ros.recordings.sources import Frame, Source

FRAME_ID = "camera_optical_frame"
"""Frame id of videos and pictures; a bag has its own."""

SETTLE_S = 0.25
"""A subscriber that we know of may need a moment to know of us."""

LINGER_S = 0.1
"""Images still in this process's shared memory are lost when it ends."""


class PlayError(Exception):
    """Playing failed; says why."""


@dataclass
class Report:
    """What was sent. ``str()`` says it to a person."""

    source: str
    topics: list[str]
    images: int
    messages: int
    seconds: float
    """Time from the first to the last image."""
    images_per_second: float
    """Rate as sent, all image topics together; 0 for fewer than two images."""
    images_per_second_due: float
    """Rate as it should have been."""
    worst_delay: float
    """Seconds that a message was sent after it was due."""

    def __str__(self) -> str:
        return (
            f"sent {self.images} images ({self.messages} messages) on {', '.join(self.topics)} "
            f"in {self.seconds:.1f} s: {self.images_per_second:.1f} of {self.images_per_second_due:.1f} images/s, "
            f"at most {self.worst_delay * 1e3:.0f} ms late"
        )


@dataclass
class Tally:
    """Counts of what was sent, and when."""

    images: int = 0
    messages: int = 0
    worst_delay: float = 0.0
    sent: list[float] = field(default_factory=list)
    """Times of the first and of the last image, steady seconds."""
    due: list[float] = field(default_factory=list)

    def note(self, is_image: bool, due: float, sent: float) -> None:
        """One message was sent."""
        self.messages += 1
        self.worst_delay = max(self.worst_delay, sent - due)
        if is_image:
            self.images += 1
            self.sent = [*self.sent[:1], sent]
            self.due = [*self.due[:1], due]

    def rate(self, times: Sequence[float]) -> float:
        """Images a second between the first and the last of ``times``."""
        span = times[-1] - times[0] if times else 0.0
        return (self.images - 1) / span if span > 0 else 0.0


class Player:
    """Sends the frames of one source through one node."""

    def __init__(self, node: Node, source: Source, routes: Sequence[Route], args: argparse.Namespace) -> None:
        """Create a publisher for each route, and for /clock with ``args.clock``."""
        self.node = node
        self.source = source
        self.args = args
        self.routes = {route.source_topic: route for route in routes}
        self.publishers = {route.source_topic: self._publisher(route.topic, route.msgtype) for route in routes}
        self.tally = Tally()
        clock = self._publisher("/clock", "rosgraph_msgs/msg/Clock") if args.clock else None
        self.pacer = Pacer(args.rate, self._tick(clock) if clock else None)
        self.restamper = None if args.clock else Restamper(lambda: int(node.get_clock().now().nanoseconds))

    def wait_for_subscriber(self, seconds: float) -> None:
        """Return as soon as an image topic has a subscriber. Raises PlayError after ``seconds``."""
        images = [self.publishers[name] for name, route in self.routes.items() if route.msgtype != CAMERA_INFO]
        end = time.monotonic() + seconds
        while not any(publisher.get_subscription_count() for publisher in images):
            if time.monotonic() > end:
                raise PlayError(
                    f"--wait-for-subscriber: nobody subscribed to {', '.join(self._topics())} within {seconds:g} s; "
                    "compare with: ros2 topic list, and ROS_DOMAIN_ID"
                )
            time.sleep(0.02)
        time.sleep(SETTLE_S)

    def play(self) -> None:
        """Send every frame, once or over and over."""
        count = sum(stream.count for stream in self.source.streams if stream.topic in self.routes)
        total = None if self.args.loop or not count else count
        with _progress() as progress:
            task = progress.add_task(f"playing {self.source.path.name}", total=total)
            while True:
                for frame in self.source.frames():
                    self._send(frame)
                    progress.update(task, completed=self.tally.messages)
                if not self.args.loop:
                    break
                self.pacer.start_over(self.source.period_ns)
        self._linger()

    def report(self) -> Report:
        """What was sent so far."""
        tally = self.tally
        return Report(
            source=str(self.source.path),
            topics=self._topics(),
            images=tally.images,
            messages=tally.messages,
            seconds=tally.sent[-1] - tally.sent[0] if tally.sent else 0.0,
            images_per_second=tally.rate(tally.sent),
            images_per_second_due=tally.rate(tally.due),
            worst_delay=tally.worst_delay,
        )

    def _send(self, frame: Frame) -> None:
        route = self.routes.get(frame.topic)
        if route is None:  # recorded both raw and compressed; the other one is sent
            return
        try:
            message = self._message(frame, route)  # before its time, for decoding takes a while
            due = self.pacer.wait(frame.stamp_ns)
            self.publishers[frame.topic].publish(self._stamped(message, frame))
        except (StampError, ConversionError) as error:
            note(self.source.problems, f"{frame.topic} at {frame.stamp_ns * 1e-9:.3f} s: {error}")
            return
        self.tally.note(route.msgtype != CAMERA_INFO, due, time.monotonic())

    def _message(self, frame: Frame, route: Route) -> Any:
        if not isinstance(frame.data, bytes):
            pixels = resized(frame.data, self.args.size) if self.args.size else frame.data
            message = image_message(pixels, "bgr8", FRAME_ID, route.msgtype)
            _set_stamp(message.header.stamp, frame.stamp_ns)
            return message
        if route.msgtype == route.source_type:
            return frame.data
        return converted(frame.data, route.source_type, route.msgtype)

    def _stamped(self, message: Any, frame: Frame) -> Any:
        if self.restamper is None:
            return message
        if isinstance(message, bytes):
            return with_stamp(message, self.restamper(stamp_of(message), frame.topic))
        stamp = message.header.stamp
        _set_stamp(stamp, self.restamper(stamp.sec * 10**9 + stamp.nanosec, frame.topic))
        return message

    def _topics(self) -> list[str]:
        return [self.publishers[name].topic_name for name in self.routes if self.routes[name].msgtype != CAMERA_INFO]

    def _publisher(self, topic: str, msgtype: str) -> Publisher:
        best_effort = self.args.qos == "best_effort"
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=1,
            reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        )
        return self.node.create_publisher(message_class(msgtype), topic, qos)

    def _tick(self, publisher: Publisher) -> Callable[[int], None]:
        clock = message_class("rosgraph_msgs/msg/Clock")

        def tick(stamp_ns: int) -> None:
            message = clock()
            _set_stamp(message.clock, stamp_ns)
            publisher.publish(message)

        return tick

    def _linger(self) -> None:
        for publisher in self.publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=1))
        time.sleep(LINGER_S)


def _set_stamp(stamp: Any, stamp_ns: int) -> None:
    stamp.sec, stamp.nanosec = divmod(stamp_ns, 10**9)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
