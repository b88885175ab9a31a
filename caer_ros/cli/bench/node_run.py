"""The real node and a camera, each a process in a ROS domain of their own, and a listener that notes what it hears."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo

from caer_ros.cli.bench.bench_camera import CAMERA_INFO_TOPIC, IMAGE_TOPIC, RATE
from caer_ros.cli.bench.figures import Output, Window
from caer_ros.cli.console.node_process import NODE, command
from caer_ros.cli.console.processes import Child
from caer_ros.msg import EmotionLabels, PerceptionStatus, PersonEmotionArray
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rclpy.node import Node

START_LIMIT = 120.0
"""Seconds in which the node has to load its model and publish."""
GRACE = 1.5
"""Seconds after a window in which what belongs to it still arrives: one period of ~/status and a bit."""
SAMPLING = 0.5
"""Seconds between two looks at the node's memory."""


class BenchError(Exception):
    """A measurement is not possible; says why."""


# --- Processes -----------------------------------------------------------------------------------------------------


class Process(Child):
    """A child that has to run for as long as something is measured; ``started`` in seconds of the steady clock."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.started = time.monotonic()
        super().__init__(name, command, os.environ, log)
        self.usage = psutil.Process(self.pid)

    def __enter__(self) -> Process:
        return self

    def cpu_seconds(self) -> float:
        """Return the processor time, s, that all threads of the process have used since it started."""
        times = self.usage.cpu_times()
        return times.user + times.system


def camera(bag: Path, hertz: float, logs: Path) -> Process:
    """`caer play` in a loop with ``hertz`` images a second."""
    play = [sys.executable, "-m", "caer_ros.cli", "play", str(bag), "--loop", "--rate", f"{hertz / RATE:.6g}"]
    return Process("the camera (caer play)", play, logs / "camera.log")


def emotion_node(transport: str, parameters: Mapping[str, str], logs: Path) -> Process:
    """The real node, subscribed to the camera."""
    wanted = {**parameters, "image_transport": transport}
    return Process("the node", command(IMAGE_TOPIC, CAMERA_INFO_TOPIC, wanted), logs / "node.log")


# --- Listening -----------------------------------------------------------------------------------------------------


@dataclass
class Listener:
    """What came from node and camera since it was made. ``first``: topic to the steady second of its first message."""

    outputs: list[Output] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)
    """Stamps of the camera's images, from the camera_info that goes beside each."""
    statuses: list[PerceptionStatus] = field(default_factory=list)
    diagnostics: dict[str, str] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)

    def on_emotions(self, message: PersonEmotionArray) -> None:
        """One output of the node."""
        arrived_ns = time.time_ns()
        self.first.setdefault("emotions", time.monotonic())
        self.outputs.append(
            Output(
                stamp_ns=nanoseconds(message.header.stamp),
                received_ns=nanoseconds(message.received),
                published_ns=nanoseconds(message.published),
                arrived_ns=arrived_ns,
                processing=message.processing_time,
                inference=message.inference_time,
                drops=message.mailbox_drops,
                persons=len(message.persons),
            )
        )

    def on_camera_info(self, info: CameraInfo) -> None:
        """One image was sent."""
        self.sent_ns.append(nanoseconds(info.header.stamp))

    def on_status(self, status: PerceptionStatus) -> None:
        """Once a second."""
        self.first.setdefault("status", time.monotonic())
        self.statuses.append(status)

    def on_labels(self, _: EmotionLabels) -> None:
        """Once, when the model is loaded."""
        self.first.setdefault("labels", time.monotonic())

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """Once a second."""
        for status in message.status:
            if status.name.startswith(NODE):
                self.diagnostics = {value.key: value.value for value in status.values}


@contextmanager
def listening(node: Node) -> Iterator[Listener]:
    """Hear the node and the camera, in a thread of its own."""
    listener = Listener()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    subscriptions = [
        node.create_subscription(PersonEmotionArray, f"{NODE}/emotions", listener.on_emotions, QoSProfile(depth=100)),
        node.create_subscription(CameraInfo, CAMERA_INFO_TOPIC, listener.on_camera_info, QoSProfile(depth=100)),
        node.create_subscription(PerceptionStatus, f"{NODE}/status", listener.on_status, latched),
        node.create_subscription(EmotionLabels, f"{NODE}/label_info", listener.on_labels, latched),
        node.create_subscription(DiagnosticArray, "/diagnostics", listener.on_diagnostics, QoSProfile(depth=10)),
    ]
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        executor.shutdown()
        thread.join(5)
        for subscription in subscriptions:
            node.destroy_subscription(subscription)


def wait(condition: Callable[[], object], what: str, processes: Sequence[Process], limit: float = START_LIMIT) -> None:
    """Return when ``condition()`` is true. Raises BenchError after ``limit`` seconds; ProcessError."""
    end = time.monotonic() + limit
    while not condition():
        for process in processes:
            process.check()
        if time.monotonic() > end:
            raise BenchError(f"no {what} within {limit:g} s")
        time.sleep(0.01)


def observe(listener: Listener, process: Process, camera_: Process, seconds: float) -> Window:
    """Let everything run for ``seconds`` and return what happened in that time."""
    start_ns, cpu = time.time_ns(), process.cpu_seconds()
    begin = time.monotonic()
    memory: list[tuple[float, int]] = []
    while (passed := time.monotonic() - begin) < seconds:
        process.check()
        camera_.check()
        memory.append((passed, process.usage.memory_info().rss))
        time.sleep(min(SAMPLING, seconds - passed))
    end_ns, cpu = time.time_ns(), process.cpu_seconds() - cpu
    time.sleep(GRACE)
    return Window(
        seconds=(end_ns - start_ns) * 1e-9,
        outputs=[output for output in listener.outputs if start_ns <= output.stamp_ns < end_ns],
        sent_ns=[stamp for stamp in listener.sent_ns if start_ns <= stamp < end_ns],
        received_rate=received_rate(listener.statuses, start_ns, end_ns),
        cpu_seconds=cpu,
        memory=memory,
        diagnostics=dict(listener.diagnostics),
    )


def received_rate(statuses: Sequence[PerceptionStatus], start_ns: int, end_ns: int) -> float | None:
    """Images a second that reached the node, by its own count; None for less than two messages within the window."""
    inside = [status for status in statuses if start_ns <= nanoseconds(status.header.stamp) < end_ns]
    if len(inside) < 2:
        return None
    first, last = inside[0], inside[-1]
    span = (nanoseconds(last.header.stamp) - nanoseconds(first.header.stamp)) * 1e-9
    return float(last.images_received - first.images_received) / span if span > 0 else None
