"""One run of the demo: node and player as processes, and everything that the node says while the bag is played."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from caer_ros.cli.console.node_process import NODE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rclpy.node import Node
    from rich.console import Console

    from caer_ros.cli.console.processes import Child
    from caer_ros.cli.console.recorder import Recorded
    from caer_ros.cli.demo.demo_truth import Truth
    from caer_ros.cli.watch.watch import Watcher
    from caer_ros.msg import PerceptionStatus, PersonEmotionArray
    from caer_ros.recordings.sources import Bag, Stream

DISCOVERY_S = 0.5
"""In this time a node that is already there is seen."""
READY_S = 120.0
"""In this time the node must have loaded its model, on however slow a machine."""
CONNECT_S = 30.0
"""In this time the player must have found the node."""
SPARE_S = 60.0
"""For so long playing may take longer than the bag."""
DRAIN_S = 10.0
"""After the last image was sent, what is in work comes back within this time."""
QUIET_S = 2.0
"""When nothing has come for so long after playing, nothing more will come: it is longer than the status's period."""
PLAIN_PERIOD_S = 2.0
"""Between two lines where there is no terminal."""
STOP_S = 10.0
"""In this time the node must have ended when it was asked to."""
LOG_LINES = 15


class DemoError(Exception):
    """The demo failed; says why."""


# --- What is played ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """A bag, the camera in it, and what is known about its people."""

    bag: Bag
    camera: Stream
    stamps: tuple[int, ...]
    """Stamps of the camera's images (ns), in order."""
    truth: Truth | None

    @property
    def seconds(self) -> float:
        """From the first image to the last."""
        return (self.stamps[-1] - self.stamps[0]) * 1e-9

    @property
    def rate(self) -> float:
        """Images a second."""
        return (len(self.stamps) - 1) / self.seconds if self.seconds > 0 else 10.0

    @classmethod
    def of(cls, path: Path | None) -> Scenario:
        """The bag at ``path``, else the package's. Raises DemoError, SourceError or DatasetError."""
        from caer_ros.cli.demo import demo_bag, demo_truth
        from caer_ros.recordings.annotations.truth import beside
        from caer_ros.recordings.definitions import TRUTH_TOPIC

        played = cls.without_truth(demo_bag.committed().bag if path is None else path)
        known = demo_truth.read(played.bag.path, played.camera.topic)
        if known is None:
            return played
        if len(known.images) < len(played.stamps):
            raise DemoError(
                f"{beside(played.bag.path) or f'the topic {TRUTH_TOPIC}'} knows {len(known.images)} of the "
                f"{len(played.stamps)} images in {played.bag.path}: it belongs to another bag; remove it to play "
                "without ground truth"
            )
        return replace(played, truth=known)

    @classmethod
    def without_truth(cls, path: Path) -> Scenario:
        """The bag at ``path`` and its camera with the most images. Raises DemoError or SourceError."""
        from caer_ros.recordings.sources import CAMERA_INFO, Bag, open_source
        from caer_ros.recordings.stamps import stamp_of

        bag = open_source(path)
        if not isinstance(bag, Bag):
            raise DemoError(f"{path}: not a ROS 2 bag; play it with: caer play {path}")
        camera = max((s for s in bag.streams if s.msgtype != CAMERA_INFO), key=lambda stream: stream.count)
        stamps = tuple(stamp_of(f.data) for f in bag.frames() if f.topic == camera.topic and isinstance(f.data, bytes))
        if min(stamps) <= 0 or any(b <= a for a, b in itertools.pairwise(stamps)):
            raise DemoError(f"{path}: the stamps on {camera.topic} do not grow: nothing can be joined by them")
        return cls(bag, camera, stamps, None)


# --- The performance -----------------------------------------------------------------------------------------------


@dataclass
class Takings:
    """What came back from the node."""

    messages: list[PersonEmotionArray] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)
    labels: Any = None
    """The last EmotionLabels."""
    status: Any = None
    """The last PerceptionStatus."""
    report: dict[str, Any] = field(default_factory=dict)
    """What the player says it sent."""


def perform(scenario: Scenario, args: argparse.Namespace, out: Path, console: Console) -> Takings:
    """Start the node, play the bag, and collect what comes back; leaves no process behind.

    Raises:
        DemoError: the node does not start, or playing failed.
        ProcessError: the node died.
    """
    from caer_ros.cli.console.processes import Child
    from caer_ros.cli.console.ros_node import ros_node

    takings = Takings()
    with ExitStack() as stack:
        ros = stack.enter_context(ros_node("caer_demo"))
        watcher = listen(ros, takings)
        _refuse_company(watcher)
        console.print(
            f"starting the node (model {args.model} on {args.device}, ROS domain {os.environ['ROS_DOMAIN_ID']})"
        )
        started = time.monotonic()
        node = stack.enter_context(
            Child("the node", node_command(scenario, args), os.environ, out / "logs" / "node.log")
        )
        status = _wait_until_ready(watcher, node)
        console.print(
            f"ready after {time.monotonic() - started:.1f} s: {status.model_id} {status.model_version} "
            f"on {status.provider}"
        )
        console.print(f"playing {scenario.bag.path}: {len(scenario.stamps)} images, {scenario.seconds:.1f} s")
        player = stack.enter_context(
            Child("caer play", play_command(scenario, args), os.environ, out / "logs" / "play.log")
        )
        with display(watcher, scenario, console) as refresh:
            _play(watcher, node, player, scenario.seconds / args.rate, refresh)
            takings.report = json.loads(player.log.read_text().strip().splitlines()[-1])
            _drain(watcher, node, scenario.stamps[-1], refresh)
        takings.status = watcher.status
        node.ask_to_end()
        if not node.wait(STOP_S):
            console.print(f"[yellow]the node did not end within {STOP_S:g} s and is killed[/]")
    return takings


def node_command(scenario: Scenario, args: argparse.Namespace) -> list[str]:
    """The node, listening to the bag's camera, on the bag's clock."""
    from caer_ros.cli.console import node_process
    from caer_ros.cli.play.routes import base_topic, info_topic
    from caer_ros.recordings.sources import COMPRESSED_IMAGE

    camera = base_topic(scenario.camera.topic, scenario.camera.msgtype)
    transport = "compressed" if scenario.camera.msgtype == COMPRESSED_IMAGE else "raw"
    # As a quoted string of YAML: a model may have a name that looks like a number.
    parameters = {"model": json.dumps(args.model), "device": json.dumps(args.device)}
    # The player starts when the node is ready, and takes a while: that is no camera failure.
    parameters |= {"use_sim_time": "true", "image_transport": transport, "no_image_timeout": f"{CONNECT_S:.1f}"}
    return node_process.command(camera, info_topic(camera), parameters)


def play_command(scenario: Scenario, args: argparse.Namespace) -> list[str]:
    """The player; stamps are kept, so that what comes back can be joined with the ground truth."""
    command = [sys.executable, "-m", "caer_ros.cli", "play", str(scenario.bag.path), "--clock", "--json"]
    return [*command, "--rate", f"{args.rate:g}", "--wait-for-subscriber", f"{CONNECT_S:g}"]


def listen(ros: Node, takings: Takings) -> Watcher:
    """Receive everything that the node says, and keep it."""
    from rclpy.qos import DurabilityPolicy, QoSProfile

    from caer_ros.cli.console.recorder import Topic, recorded
    from caer_ros.cli.watch.watch import Watcher
    from caer_ros.msg import EmotionLabels, PersonEvent

    topics = {
        "emotions": Topic(f"{NODE}/emotions", "caer_ros/msg/PersonEmotionArray"),
        "status": Topic(f"{NODE}/status", "caer_ros/msg/PerceptionStatus", latched=True),
        "events": Topic(f"{NODE}/events", "caer_ros/msg/PersonEvent"),
        "labels": Topic(f"{NODE}/label_info", "caer_ros/msg/EmotionLabels", latched=True),
    }

    def keep(kind: str, message: Any) -> None:
        takings.recorded.append(recorded(topics[kind], message))
        if kind == "emotions":
            takings.messages.append(message)
        elif kind == "labels":
            takings.labels = message

    watcher = Watcher(ros, NODE, keep)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    ros.create_subscription(PersonEvent, topics["events"].name, lambda m: keep("events", m), QoSProfile(depth=50))
    ros.create_subscription(EmotionLabels, topics["labels"].name, lambda m: keep("labels", m), latched)
    return watcher


def _refuse_company(watcher: Watcher) -> None:
    """Another node of this name would mix its messages into ours."""
    watcher.spin(None, DISCOVERY_S)
    if watcher.node.count_publishers(f"{NODE}/status"):
        raise DemoError(
            f"there is a node {NODE} in ROS domain {os.environ['ROS_DOMAIN_ID']} already; "
            "stop it, or unset ROS_DOMAIN_ID to have a domain of your own"
        )


def _wait_until_ready(watcher: Watcher, node: Child) -> PerceptionStatus:
    """The node's status as soon as it is active and listens to the camera."""
    from caer_ros.msg import PerceptionStatus

    end = time.monotonic() + READY_S
    while not (watcher.status and watcher.status.input_topic):
        node.check()
        if watcher.status and watcher.status.state == PerceptionStatus.FAULT:
            raise DemoError(f"the node does not start: {watcher.status.reason}")
        if time.monotonic() > end:
            _show_log(node)
            raise DemoError(f"the node was not ready within {READY_S:g} s; {watcher.explain(1, READY_S)}")
        watcher.spin(None, 0.1)
    return watcher.status


def _play(watcher: Watcher, node: Child, player: Child, seconds: float, refresh: Callable[[], None]) -> None:
    """Receive until the player has ended."""
    end = time.monotonic() + CONNECT_S + seconds + SPARE_S
    while player.exit_code is None:
        watcher.spin(None, 0.1)
        refresh()
        node.check()
        if time.monotonic() > end:
            _show_log(player)
            raise DemoError(f"playing {seconds:.0f} s of images did not end in time; {watcher.explain(1, seconds)}")
    if player.exit_code:
        _show_log(player)
        raise DemoError(f"caer play failed with exit code {player.exit_code}")


def _drain(watcher: Watcher, node: Child, last_ns: int, refresh: Callable[[], None]) -> None:
    """Receive what is still in work, and a status that counts it all."""
    from caer_ros.cli.demo.run_summary import stamp_ns

    begin = changed = time.monotonic()
    received, status_of_all = watcher.received, None
    while time.monotonic() - begin < DRAIN_S and time.monotonic() - changed < QUIET_S:
        watcher.spin(None, 0.1)
        refresh()
        node.check()
        if watcher.received != received:
            received, changed = watcher.received, time.monotonic()
        elif watcher.message and stamp_ns(watcher.message) >= last_ns:
            status_of_all = status_of_all or watcher.status
            if watcher.status is not status_of_all:
                return


def _show_log(child: Child) -> None:
    for line in child.last_lines(LOG_LINES):
        print(f"  | {line}", file=sys.stderr)


@contextmanager
def display(watcher: Watcher, scenario: Scenario, console: Console) -> Iterator[Callable[[], None]]:
    """Show what comes in: a live table, or a line now and then where there is no terminal. Gives what to call often."""
    from rich.console import Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from caer_ros.cli.demo.run_summary import stamp_ns
    from caer_ros.cli.watch.live_table import view

    def position() -> float:
        return (stamp_ns(watcher.message) - scenario.stamps[0]) * 1e-9 if watcher.message else 0.0

    if console.is_terminal:

        def picture() -> Group:
            bar = Table.grid(padding=(0, 2))
            bar.add_row(f"{position():5.1f} of {scenario.seconds:.1f} s", ProgressBar(scenario.seconds, position(), 40))
            return Group(bar, view(watcher.message, watcher.status, watcher.rate()))

        with Live(get_renderable=picture, console=console, refresh_per_second=8) as live:
            yield lambda: None
            live.refresh()
        return

    next_line = 0.0

    def line() -> None:
        nonlocal next_line
        if watcher.message and time.monotonic() >= next_line:
            next_line = time.monotonic() + PLAIN_PERIOD_S
            console.print(f"{position():6.1f} s  {in_a_line(watcher)}")

    yield line


def in_a_line(watcher: Watcher) -> str:
    """The last message and status of a node."""
    from caer_ros.cli.watch.live_table import STATUS_WORDS
    from caer_ros.perception.person import EmotionStatus

    message = watcher.message
    assert message is not None
    people = ", ".join(
        f"#{p.track_id.rpartition('-')[2]} "
        + (f"{p.top_label} {p.top_score:.2f}" if p.top_label else STATUS_WORDS[EmotionStatus(p.emotion_status)])
        for p in message.persons
    )
    dropped = watcher.status.mailbox_drops if watcher.status else 0
    return (
        f"{people or 'nobody in view'}  "
        f"[{watcher.rate():.1f}/s, {message.processing_time * 1e3:.0f} ms in the node, {dropped} dropped]"
    )
