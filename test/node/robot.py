"""The other side of DDS for the node's tests: the node as a real process, a camera, and a listener."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_process import environment, process, until
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from caer_ros.msg import EmotionLabels, PerceptionStatus, PersonEmotionArray, PersonEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from ros_process import Process

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
NODE = "caer_ros.node.emotion_node"
SECOND = 1_000_000_000


def scene(width: int = 64, height: int = 48, box: tuple[int, int, int, int] | None = (10, 20, 30, 44)) -> NDArray[Any]:
    """A black RGB image with one white rectangle: what the toy model takes for a person."""
    image = np.zeros((height, width, 3), np.uint8)
    if box:
        image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def slow_bundle(bundle: Path, folder: Path) -> tuple[Path, Callable[..., None]]:
    """A copy whose network lies on a slow disk: whoever reads it waits until the function gives its content."""
    slow = shutil.copytree(bundle, folder / "slow")
    (graph,) = slow.glob("*.onnx")
    whole = graph.read_bytes()
    graph.unlink()
    os.mkfifo(graph)

    def give(content: bytes | None = None) -> None:
        with graph.open("wb") as pipe:
            graph.unlink()
            graph.write_bytes(whole)
            pipe.write(whole if content is None else content)

    return slow, give


class Robot:
    """Publishes images to a running node and keeps whatever it says."""

    def __init__(self, context: Context, running: Process, namespace: str = "") -> None:
        self.process = running
        self.emotions: list[PersonEmotionArray] = []
        self.events: list[PersonEvent] = []
        self.labels: list[EmotionLabels] = []
        self.debug: list[Image] = []
        self.statuses: list[PerceptionStatus] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.node = rclpy.create_node("robot", context=context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        for kind, topic, kept, qos in (
            (PersonEmotionArray, "emotion/emotions", self.emotions, QoSProfile(depth=10)),
            (PersonEvent, "emotion/events", self.events, QoSProfile(depth=50)),
            (EmotionLabels, "emotion/label_info", self.labels, LATCHED),
            (PerceptionStatus, "emotion/status", self.statuses, LATCHED),
            (DiagnosticArray, "/diagnostics", self.diagnostics, QoSProfile(depth=10)),
        ):
            self.node.create_subscription(kind, topic, kept.append, qos)
        self.camera = self.node.create_publisher(Image, "image_raw", 1)
        self.compressed = self.node.create_publisher(CompressedImage, "image_raw/compressed", 1)
        self.camera_info = self.node.create_publisher(CameraInfo, "camera_info", 1)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.stamp_ns = time.time_ns()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except Exception:  # the context ends with the test
            return

    def next_stamp(self) -> int:
        """A stamp 100 ms after the last: image time is the test's own, whatever the machine's speed."""
        self.stamp_ns += SECOND // 10
        return self.stamp_ns

    def wait(self, seconds: float) -> None:
        """Let image time pass; below zero, jump back."""
        self.stamp_ns += round(seconds * SECOND)

    def image(self, pixels: NDArray[Any] | None = None, stamp_ns: int | None = None, **changes: Any) -> Image:
        """An rgb8 image message; ``changes`` replace its fields."""
        pixels = scene() if pixels is None else pixels
        height, width = pixels.shape[:2]
        fields = {"height": height, "width": width, "encoding": "rgb8", "step": 3 * width}
        message = Image(**{**fields, "data": array("B", pixels.tobytes()), **changes})
        self.set_stamp(message, stamp_ns)
        return message

    def set_stamp(self, message: Any, stamp_ns: int | None = None) -> None:
        stamp = self.next_stamp() if stamp_ns is None else stamp_ns
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
        message.header.frame_id = "camera_optical_frame"

    def show(self, pixels: NDArray[Any] | None = None, stamp_ns: int | None = None) -> PersonEmotionArray:
        """Publish an image and return what the node says about it."""
        message = self.image(pixels, stamp_ns)
        self.camera.publish(message)
        return self.answer_to(message)

    def answer_to(self, message: Any) -> PersonEmotionArray:
        def answers() -> list[PersonEmotionArray]:
            return [said for said in list(self.emotions) if said.header == message.header]

        assert until(answers, 20), f"no answer; {self.said()}"
        return answers()[0]

    def problem(self, key: str) -> str:
        """What the newest diagnostics say about a problem; "" when nothing."""
        if not self.diagnostics:
            return ""
        return {pair.key: pair.value for pair in self.diagnostics[-1].status[0].values}.get(f"problem {key}", "")

    def expect_problem(self, key: str, text: str) -> None:
        """The problem is in the diagnostics, in ``~/status`` and, once, in the log."""
        assert until(lambda: text in self.problem(key), 15), f"no problem {key} with {text!r}; {self.said()}"
        assert until(lambda: any(text in s.last_error + s.reason for s in list(self.statuses)), 5), self.said()
        assert text in self.process.output(), self.said()

    def expect_state(self, state: int, seconds: float = 20.0) -> PerceptionStatus:
        assert until(lambda: self.statuses and self.statuses[-1].state == state, seconds), self.said()
        return self.statuses[-1]

    def call(self, kind: Any, name: str, request: Any, seconds: float = 30.0) -> Any:
        """Call a service of the node."""
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(timeout_sec=10), f"no service {name}; {self.said()}"
        future = client.call_async(request)
        assert until(future.done, seconds), f"no answer from {name}; {self.said()}"
        return future.result()

    def said(self) -> str:
        """Everything, for the message of an assertion."""
        status = self.statuses[-1] if self.statuses else None
        return f"status: {status}\n{self.process.output()}"

    def wait_until_matched(self) -> None:
        """Until images reach the node, and answers reach us. A best-effort reader takes a moment to match."""

        def answered() -> bool:
            self.camera.publish(self.image())
            return until(lambda: self.emotions, 0.5)

        assert until(answered, 40), self.said()

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=5)
        self._thread.join(5)
        self.node.destroy_node()


@contextmanager
def robot(tmp_path: Path, *parameters: str, limit: float = 120.0, ros_args: tuple[str, ...] = ()) -> Iterator[Robot]:
    """A node with these parameters (``name:=value``) in a domain of its own, and the robot around it."""
    env = environment(tmp_path)
    arguments = [argument for parameter in parameters for argument in ("-p", parameter)]
    command = [sys.executable, "-m", NODE, "--ros-args", *arguments, *ros_args]
    context = Context()
    rclpy.init(context=context, domain_id=int(env["ROS_DOMAIN_ID"]), args=[])
    with process(command, env, tmp_path / "node", limit) as running:
        around = Robot(context, running)
        try:
            yield around
        finally:
            around.close()
            context.try_shutdown()
