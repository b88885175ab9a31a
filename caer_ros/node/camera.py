"""The camera as the node sees it: the subscriptions, and whether what is announced also arrives."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from caer_ros.node.diagnostics import Level, Problems, Rate
from caer_ros.node.geometry import Camera, camera

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo
    from rclpy.node import Node
    from rclpy.time import Time
    from rclpy.topic_endpoint_info import TopicEndpointInfo

LOST_FRACTION = 0.7
"""Fewer images than this fraction of what is announced is worth a warning."""
BRIEF = 0.5
"""Seconds: a camera that has been silent for longer may have been stopped."""
UNKNOWN_NAME = "_NODE_NAME_UNKNOWN_"
"""What rmw calls a node that discovery has not told about yet."""
CALIBRATION = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True)
class Arrival:
    """An image message as it came: ``received`` on the ROS clock, ``steady`` by ``perf_counter``."""

    message: Image | CompressedImage
    received: Time
    steady: float


class CameraInput:
    """Subscribes to one camera and watches it.

    Args:
        node: the node whose names, clock and parameters apply.
        transport: ``raw`` or ``compressed``; ``/compressed`` is appended after remapping, as image_transport does.
        deliver: takes each image as it comes.
        problems: where anything unusual is reported.
    """

    def __init__(self, node: Node, transport: str, deliver: Callable[[Arrival], None], problems: Problems) -> None:
        self._node = node
        self._deliver = deliver
        self._problems = problems
        self._opened = monotonic()
        self._last_image = -inf
        self._missing = False
        self._incompatible = False
        self._announced = Rate()
        self.rate = Rate()
        self.received = 0
        self.calibration: Camera | None = None

        resolved = node.resolve_topic_name("image_raw")
        self._rectified = "image_rect" in resolved
        self.topic = f"{resolved}/compressed" if transport == "compressed" else resolved
        kind = CompressedImage if transport == "compressed" else Image
        # The newest image only; qos_overrides are written into this very object.
        self._qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._images = node.create_subscription(
            kind,
            self.topic,
            self._on_image,
            self._qos,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._infos = node.create_subscription(CameraInfo, "camera_info", self._on_info, CALIBRATION)

    def close(self) -> None:
        """Leave the topics."""
        self._node.destroy_subscription(self._images)
        self._node.destroy_subscription(self._infos)

    @property
    def age(self) -> float:
        """Seconds since the last image, or since the subscription while none has come; steady clock."""
        return monotonic() - max(self._last_image, self._opened)

    @property
    def ever(self) -> bool:
        """Has any image come?"""
        return self._last_image > -inf

    def look(self, timeout: float, expected_rate: float) -> bool:
        """See whether images come as announced, and report when not. True when none came for ``timeout`` seconds."""
        if self._incompatible:
            self._look_for_incompatible_qos()
        missing = self.age > timeout
        if missing and not self._incompatible:
            self._problems.report("no_image", Level.ERROR, self._why_no_image())
        elif self._missing and not missing:
            self._problems.solved("no_image")
            self._node.get_logger().info(f"images on {self.topic} again")
        if self.ever and self.age < BRIEF:
            self._look_for_lost_images(expected_rate)
        self._missing = missing
        return missing

    def _on_image(self, message: Image | CompressedImage) -> None:
        steady = perf_counter()
        if self.age > self.rate.window or not self.ever:
            self.rate, self._announced = Rate(), Rate()  # a camera that starts has not lost what it did not send
        self._last_image = monotonic()
        self.received += 1
        self.rate.tick()
        self._deliver(Arrival(message, self._node.get_clock().now(), steady))

    def _on_info(self, info: CameraInfo) -> None:
        self._announced.tick()
        try:
            roi = (info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height)
            self.calibration = camera(
                info.width,
                info.height,
                info.k,
                info.d,
                info.p,
                info.distortion_model,
                rectified=self._rectified,
                roi=roi,
            )
        except ValueError as error:
            self.calibration = None
            self._problems.report("camera_info", Level.WARN, str(error))

    def _on_incompatible_qos(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        self._incompatible = True  # said by the next look, when discovery has told who it is

    def _look_for_incompatible_qos(self) -> None:
        offers = [
            f"{_name(end)} offers {_in_words(end.qos_profile)}"
            for end in self._node.get_publishers_info_by_topic(self.topic)
            if qos_check_compatible(end.qos_profile, self._qos)[0] == QoSCompatibility.ERROR
        ]
        self._incompatible = bool(offers)
        if offers:
            self._problems.report(
                "incompatible_qos",
                Level.ERROR,
                f"incompatible QoS on {self.topic}: this node asks for {_in_words(self._qos)}, {', '.join(offers)}; "
                f"no image will come from there: remove qos_overrides.{self.topic}.subscription.* or change the "
                "camera's QoS",
            )

    def _why_no_image(self) -> str:
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        since = f"no image for {self.age:.0f} s on {self.topic}" if self.age >= 1 else f"no image on {self.topic}"
        if not publishers:
            return f"{since}: nobody publishes there; check the remapping of image_raw and image_transport"
        wanted = "sensor_msgs/msg/CompressedImage" if self.topic.endswith("/compressed") else "sensor_msgs/msg/Image"
        types = {end.topic_type for end in publishers}
        if wanted not in types:
            return f"{since}: {', '.join(sorted(types))} is published there, not {wanted}; check image_transport"
        names = ", ".join(sorted(map(_name, publishers)))
        return f"{since}: {names} is there and silent (or its large messages are lost: see config/fastdds_shm.xml)"

    def _look_for_lost_images(self, expected_rate: float) -> None:
        announced = expected_rate or self._announced.hertz
        if not self.rate.full or announced < 1 or self.rate.hertz >= LOST_FRACTION * announced:
            return
        source = "expected_rate" if expected_rate else "camera_info"
        self._problems.report(
            "lost_images",
            Level.WARN,
            f"{self.rate.hertz:.1f} of {announced:.1f} images a second arrive on {self.topic} (by {source}): large "
            "messages are lost on their way; start the camera's process with config/fastdds_shm.xml, "
            "or take compressed images",
        )


def _name(end: TopicEndpointInfo) -> str:
    return "a camera" if end.node_name == UNKNOWN_NAME else end.node_name


def _in_words(qos: QoSProfile) -> str:
    return f"{qos.reliability.name}, {qos.durability.name}"
