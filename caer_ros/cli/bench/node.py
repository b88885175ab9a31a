"""Measure the real node over DDS: latency and where it goes, overload, memory, start.

Node and camera (`caer play` of the demo bag) are processes of their own in a ROS domain of their own. First the node's
capacity is measured; then each size and transport at 0.6 of it; then a camera at five times of it; then the start.
The result is one JSON of a stable shape. Nobody else should use the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rclpy.node import Node

    from caer_ros.cli.bench.figures import Window
    from caer_ros.cli.bench.node_run import Listener, Process

SCENARIOS = {
    f"{width}x{height}-{transport}": ((width, height), transport)
    for width, height in ((640, 480), (1920, 1080))
    for transport in ("raw", "compressed")
}
REFERENCE = "640x480-raw"
"""Capacity, overload and start are measured with this one."""
OVERLOAD, STARTUP = "overload", "startup"

CALM, FLOOD = 0.6, 5.0
"""Rates as parts of the capacity: a camera that the node can follow, and one that it cannot."""
PROBE_RATES = (30.0, 120.0, 480.0)
"""Images a second, tried one after the other until the node no longer publishes nearly all of them."""
FOLLOWED = 0.8
WARM_UP_S = 2.0
"""Time after the first message, before anything is counted."""


@dataclass(frozen=True)
class Plan:
    """How long each part takes, in seconds."""

    probe: float = 10.0
    scenario: float = 30.0
    overload: float = 60.0
    starts: int = 5


QUICK = Plan(probe=3.0, scenario=4.0, overload=8.0, starts=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bench node``."""
    usual = Plan()
    names = (*SCENARIOS, OVERLOAD, STARTUP)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--seconds", type=positive, help=f"for each size and transport (default: {usual.scenario:g})")
    parser.add_argument("--overload-seconds", type=positive, help=f"default: {usual.overload:g}")
    parser.add_argument("--quick", action="store_true", help="a few seconds each: to see that it works, not to quote")
    parser.add_argument("--bag", type=Path, help="what the camera sees (default: the demo bag)")
    parser.add_argument(
        "-p", "--param", action="append", default=[], metavar="NAME:=VALUE", help="parameter of the node (repeatable)"
    )
    parser.add_argument("--domain", type=int, help="ROS domain to measure in (default: a random one)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, too")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: show a JSON written by --out")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print the JSON instead of tables")
    shape.add_argument("--markdown", action="store_true", help="print the tables in Markdown")


def run(args: argparse.Namespace) -> int:
    """Measure, and print what came out; 0 also where a goal is not met. Raises BenchError, SourceError, ReportError."""
    from caer_ros.cli.bench import figures

    parameters = dict(_parameter(text) for text in args.param)
    report = figures.read(args.read) if args.read else measure(args, parameters)
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", "utf8")
    if args.json:
        print(json.dumps(report))
    elif args.markdown:
        print(figures.markdown(report), end="")
    else:
        figures.show(figures.tables(report))
    return 0


def measure(args: argparse.Namespace, parameters: dict[str, str]) -> dict[str, Any]:
    """The whole benchmark; returns the report."""
    from tempfile import TemporaryDirectory

    from caer_ros.cli.console import domain
    from caer_ros.cli.console.ros_node import ros_node
    from caer_ros.cli.demo import demo_bag

    source = args.bag or demo_bag.committed().bag
    with TemporaryDirectory(prefix="caer_bench_") as folder:
        domain.enter(args.domain, Path(folder))
        with ros_node("caer_bench") as node, _progress() as say:
            return Bench(node, source, Path(folder), parameters, say).measure(_plan(args), args.only, args.quick)


class Bench:
    """The parts of the benchmark, one after the other."""

    def __init__(
        self, node: Node, source: Path, folder: Path, parameters: dict[str, str], say: Callable[[str], None]
    ) -> None:
        """``node`` listens, bags and logs go to ``folder``, ``say`` is told what is being done."""
        from caer_ros.cli.bench import bench_camera

        self.node = node
        self.source = source
        self.folder = folder
        self.parameters = parameters
        self.say = say
        self.pictures = bench_camera.pictures(source)
        self._model: dict[str, str] = {}

    def measure(self, plan: Plan, only: list[str] | None, quick: bool) -> dict[str, Any]:
        """Everything, or what ``only`` names (the capacity always); returns the report."""
        from caer_ros.cli.bench import bench_camera, figures
        from caer_ros.cli.console import machine

        wanted = only or [*SCENARIOS, OVERLOAD, STARTUP]
        described = machine.describe()
        sent, capacity = self.capacity(plan.probe)
        scenarios = [self.scenario(name, CALM * capacity, plan.scenario) for name in SCENARIOS if name in wanted]
        report = {
            "format": figures.FORMAT,
            "format_version": figures.FORMAT_VERSION,
            "date": figures.now(),
            "machine": described,
            "versions": machine.versions(ros=True),
            "settings": {"quick": quick, "parameters": self.parameters, "calm": CALM, "flood": FLOOD},
            "bag": {
                "name": self.source.name,
                "sha256": bench_camera.sha256(self.source),
                "images": len(self.pictures),
            },
            "model": self._model,
            "capacity": {"camera": round(sent, 2), "published": round(capacity, 2)},
            "scenarios": scenarios,
            "overload": self.overload(capacity, plan.overload) if OVERLOAD in wanted else None,
            "startup": self.startup(CALM * capacity, plan.starts) if STARTUP in wanted else None,
        }
        return {**report, "goals": figures.goals(report)}

    def capacity(self, seconds: float) -> tuple[float, float]:
        """Images a second that the camera sent and that the node published, when more came than it can process."""
        from caer_ros.cli.bench import node_run

        for rate in PROBE_RATES:
            self.say(f"capacity: camera at {rate:g}/s for {seconds:g} s")
            window = self._window(REFERENCE, rate, seconds)
            sent, published = (len(found) / window.seconds for found in (window.sent_ns, window.outputs))
            if published < FOLLOWED * sent:
                break
        if not published:
            raise node_run.BenchError(f"capacity: the node published nothing in {seconds:g} s")
        return sent, published

    def scenario(self, name: str, rate: float, seconds: float) -> dict[str, Any]:
        """One size and transport with a camera of ``rate`` images a second."""
        from caer_ros.cli.bench import figures

        self.say(f"{name}: camera at {rate:.1f}/s for {seconds:g} s")
        size, transport = SCENARIOS[name]
        return figures.scenario(name, size, transport, self._window(name, rate, seconds))

    def overload(self, capacity: float, seconds: float) -> dict[str, Any]:
        """A camera of five times what the node can process."""
        from caer_ros.cli.bench import figures

        self.say(f"overload: camera at {FLOOD * capacity:.0f}/s for {seconds:g} s")
        return figures.overload(self._window(REFERENCE, FLOOD * capacity, seconds), capacity)

    def startup(self, rate: float, repeats: int) -> dict[str, Any]:
        """The node's start, again and again, while the camera runs."""
        from caer_ros.cli.bench import figures, node_run

        runs = []
        with node_run.camera(self._bag(REFERENCE), rate, self.folder) as camera:
            for number in range(1, repeats + 1):
                self.say(f"start {number} of {repeats}")
                with node_run.listening(self.node) as listener, self._node(REFERENCE) as process:
                    # Discovery may bring the latched topics after the first message.
                    node_run.wait(lambda: len(listener.first) == 3, "message from the node", [process, camera])
                    first = {topic: moment - process.started for topic, moment in listener.first.items()}
                    runs.append(_start(first))
        return figures.startup(runs)

    def _window(self, name: str, rate: float, seconds: float) -> Window:
        from caer_ros.cli.bench import node_run

        with (
            node_run.listening(self.node) as listener,
            self._node(name) as process,
            node_run.camera(self._bag(name), rate, self.folder) as camera,
        ):
            self._warm_up(listener, [process, camera])
            return node_run.observe(listener, process, camera, seconds)

    def _warm_up(self, listener: Listener, processes: list[Process]) -> None:
        from time import sleep

        from caer_ros.cli.bench import node_run

        node_run.wait(lambda: listener.outputs and listener.statuses, "message from the node", processes)
        sleep(WARM_UP_S)
        status = listener.statuses[-1]
        self._model = {"id": status.model_id, "version": status.model_version, "provider": status.provider}

    def _node(self, name: str) -> Process:
        from caer_ros.cli.bench import node_run

        return node_run.emotion_node(SCENARIOS[name][1], self.parameters, self.folder)

    def _bag(self, name: str) -> Path:
        from caer_ros.cli.bench import bench_camera

        bag = self.folder / name
        return bag if bag.exists() else bench_camera.write(self.pictures, *SCENARIOS[name], bag)


def _start(first: dict[str, float]) -> dict[str, float | None]:
    topics = {"status_s": "status", "model_s": "labels", "first_message_s": "emotions"}
    return {name: round(first[topic], 3) for name, topic in topics.items()}


def _plan(args: argparse.Namespace) -> Plan:
    usual = QUICK if args.quick else Plan()
    return Plan(usual.probe, args.seconds or usual.scenario, args.overload_seconds or usual.overload, usual.starts)


def _parameter(text: str) -> tuple[str, str]:
    name, sign, value = text.partition(":=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError(f"--param: must be NAME:=VALUE, such as device:=cpu, not {text!r}")
    return name, value


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A function that says on stderr what is being done: as a spinner with the time on a terminal, else as lines."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    if not sys.stderr.isatty():
        yield lambda text: print(text, file=sys.stderr, flush=True)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)
