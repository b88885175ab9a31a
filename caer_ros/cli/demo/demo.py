"""Play a bag of real people into the real node, over DDS, and show what comes out.

Node and player are processes of their own, in a ROS domain of their own (or in ROS_DOMAIN_ID, where it is set). The
output folder gets pictures, a video, the node's messages as a bag, and index.html, which says it all on one page.
Fails when nobody came out, or when those whom the bag is known to show did not come out as expected.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import positive
from caer_ros.cli.console import domain
from caer_ros.cli.console.node_process import NODE
from caer_ros.cli.console.output_folder import Output
from caer_ros.cli.console.processes import ProcessError
from caer_ros.cli.demo.performance import DemoError, Scenario, perform
from caer_ros.perception.bundle.finding import DEFAULT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from rich.console import Console

    from caer_ros.cli.demo.accuracy import Accuracy
    from caer_ros.cli.demo.album import Picture
    from caer_ros.cli.demo.demo_truth import Truth
    from caer_ros.cli.demo.performance import Takings
    from caer_ros.cli.demo.run_summary import Sighting, Speed, Subject

MARKER = ".caer_demo"
MESSAGES = "messages"
OURS = {MARKER, "index.html", "summary.json", "video.webm", "video.mp4", "pictures", MESSAGES, "logs"}
"""What is in an output folder, and nothing else: only then is it replaced."""

KINDS = {
    "single_shot": "one pass of one network finds and reads everybody",
    "composed": "networks one after the other, the last ones for each person",
}
"""What the kinds of bundles are, in words."""
THUMBNAIL, PORTRAIT = 640, 184
"""Largest width in pixels of the pictures on the page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer demo``."""
    parser.add_argument(
        "--bag",
        type=Path,
        metavar="DIR",
        help="bag to play; ground_truth.json beside it, or the topic /ground_truth/persons in it, is what the run is "
        "judged by (default: the one that comes with caer)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("output/demo"), metavar="DIR", help="output folder (default: %(default)s)"
    )
    parser.add_argument("--rate", type=positive, default=1.0, help="times real time (default: %(default)s)")
    parser.add_argument("--model", default=DEFAULT, help="model bundle, a name or a path (default: %(default)s)")
    parser.add_argument(
        "--device", default="auto", help="where the model runs: auto, cpu, cuda:N, tensorrt:N (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON on stdout, all else on stderr")


def run(args: argparse.Namespace) -> int:
    """Run the demo. Returns 0; raises DemoError, and the errors of bags, ground truths, processes and pictures."""
    from rich.console import Console

    from caer_ros.cli.console import recorder

    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # a closed terminal ends our processes, too
    console = Console(stderr=args.json, highlight=False, soft_wrap=not sys.stdout.isatty())
    scenario = Scenario.of(args.bag)
    out = prepare(args.out)
    own = os.environ.get("ROS_DOMAIN_ID")
    domain.enter(int(own) if own else None, out / "logs" / "ros")
    with _on_failure_show_logs(out / "logs"):
        takings = perform(scenario, args, out, console)
    messages = out / MESSAGES
    recorder.write(messages, takings.recorded)
    outcome = evaluate(scenario, args, takings, messages)
    files = write(scenario, args, takings, outcome, out, console)
    if args.json:
        print(json.dumps(outcome.as_dict() | {"files": files}))
    else:
        show(outcome, files, out, console)
    if outcome.problems:
        raise DemoError("; ".join(outcome.problems))
    return 0


# --- The output folder ---------------------------------------------------------------------------------------------


def prepare(out: Path) -> Path:
    """An empty output folder: a new one, or one that an earlier demo filled. Raises OutputError for any other."""
    return Output("demo", "--out", MARKER, frozenset(OURS)).prepare(out)


@contextmanager
def _on_failure_show_logs(logs: Path) -> Iterator[None]:
    try:
        yield
    except (DemoError, ProcessError):
        print(f"the whole logs are in {logs}", file=sys.stderr)
        raise


# --- What it says --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """The run in numbers."""

    people: list[Subject]
    seen: list[Sighting]
    result: Accuracy | None
    """None without a ground truth, and where it cannot be measured."""
    unmeasured: str
    """Why it cannot be measured; "" where it is, or there is no ground truth."""
    speed: Speed
    facts: dict[str, dict[str, str]]
    problems: list[str]
    """Why the demo failed."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        from caer_ros.cli.demo.run_summary import as_json

        people = [as_json(s) | {"status": s.status, "emotion": s.label, "seconds": s.seconds} for s in self.people]
        return {
            "problems": self.problems,
            "persons": people,
            "detection_and_identity": self.result.to_dict() if self.result else None,
            "speed": as_json(self.speed) | {"lost": self.speed.lost, "rate": as_json(self.speed.rate)},
            "facts": self.facts,
        }


def evaluate(scenario: Scenario, args: argparse.Namespace, takings: Takings, recorded: Path) -> Outcome:
    """Join what came back with the ground truth. ``recorded``: the bag of what came back."""
    from caer_ros.cli.demo import run_summary

    messages, truth = takings.messages, scenario.truth
    seen = run_summary.sightings(messages, truth)
    people = run_summary.subjects(messages, truth, seen)
    problems = []
    if not messages:
        reason = takings.status.reason or takings.status.last_error or "it gives no reason"
        problems.append(f"the node said nothing about {takings.report['images']} images: {reason}")
    elif not any(subject.found for subject in people):
        problems.append(f"no person came out of {len(messages)} processed images")
    elif truth:
        problems += run_summary.unmet(people, truth.info.get("persons", {}))
    result, unmeasured = accuracy_of(truth, recorded) if truth and messages else (None, "")
    return Outcome(
        people=people,
        seen=seen,
        result=result,
        unmeasured=unmeasured,
        speed=run_summary.speed(
            messages, takings.status, takings.report["images"], takings.report["seconds"], args.rate
        ),
        facts=facts(scenario, args, takings),
        problems=problems,
    )


def accuracy_of(truth: Truth, recorded: Path) -> tuple[Accuracy | None, str]:
    """Detection and identity, or why they cannot be measured: a robot has no offline companion."""
    try:
        from caer_ros.cli.demo import accuracy
        from caer_ros.offline.evaluation.bags import published_messages
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("caer_ros.offline"):
            raise
        return None, "precision, recall and identity need the offline companion, which is not installed here"
    published = published_messages.read(recorded, f"{NODE}/emotions")
    return accuracy.measure(truth.samples, published.predictions), ""


def facts(scenario: Scenario, args: argparse.Namespace, takings: Takings) -> dict[str, dict[str, str]]:
    """What ran, on what, and how to run it again."""
    from caer_ros.cli.console import machine
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle

    here = machine.describe()
    kind = read_bundle(find_bundle(args.model)).kind
    model = {"name": takings.status.model_id, "version (sha256)": takings.status.model_version}
    model["kind"] = f"{kind}: {KINDS[kind]}"
    if labels := takings.labels:
        told = [label for label, predictable in zip(labels.labels, labels.predictable, strict=True) if predictable]
        model |= {
            "labels": f"{', '.join(told)} ({labels.label_set})",
            "licence": labels.licence,
            "commercial use": "allowed" if labels.commercial_use else "not known to be allowed",
        }
    model["runs on"] = takings.status.provider
    size = next((f"{m.image_width}×{m.image_height}, " for m in takings.messages), "")
    bag = {"path": str(scenario.bag.path), "camera": scenario.camera.topic}
    bag["images"] = f"{len(scenario.stamps)}, {size}{scenario.rate:.1f} a second"
    if scenario.truth and "bag_sha256" in scenario.truth.info:
        bag["sha256"] = str(scenario.truth.info["bag_sha256"])[:16]
    return {
        "Model": model,
        "Bag": bag,
        "Machine": {
            "processor": f"{here['cpu']}, {here['cores']} cores",
            "memory": f"{here['memory_gb']} GB",
            "system": f"{here['system']}, Linux {here['kernel']}",
            "load at the end": str(here["load_before"]),
        },
        "Versions": machine.versions(ros=True),
        "Again": {"command": command_line(args), "date": time.strftime("%Y-%m-%d %H:%M %Z")},
    }


def command_line(args: argparse.Namespace) -> str:
    """What to type for the same run."""
    words = ["caer", "demo"]
    if args.bag is not None:
        words += ["--bag", str(args.bag)]
    for name, usual in (("out", "output/demo"), ("rate", "1"), ("model", DEFAULT), ("device", "auto")):
        value = f"{args.rate:g}" if name == "rate" else str(getattr(args, name))
        words += [f"--{name}", value] if value != usual else []
    return shlex.join(words)


# --- What is written and printed -----------------------------------------------------------------------------------


def write(
    scenario: Scenario, args: argparse.Namespace, takings: Takings, outcome: Outcome, out: Path, console: Console
) -> dict[str, str]:
    """Fill the output folder. Returns what is in it: relative path -> what it is."""
    from caer_ros.cli.demo import album, demo_page
    from caer_ros.cli.demo.run_summary import stamp_ns

    files = {"index.html": "this run on one page"}
    shots = album.choose(takings.messages, outcome.seen, outcome.people, scenario.truth)
    book = album.Album(out, takings.messages, shots, scenario.rate, scenario.stamps[0])
    for stamp, image in _progress(album.images(scenario.bag, scenario.camera), len(scenario.stamps), console):
        book.take(stamp, image)
    video = book.finish(scenario.stamps[-1])
    if video:
        files[video.name] = "the whole run; an image that was dropped shows its predecessor"
    for picture in book.pictures:
        files[f"pictures/{picture.path.name}"] = picture.shot.caption
    files[MESSAGES] = f"the {len(takings.recorded)} messages of the node, a ROS 2 bag (mcap)"
    files["summary.json"] = "these numbers for a program"
    files["logs"] = "what node and player wrote"
    last = stamp_ns(takings.messages[-1]) if takings.messages else scenario.stamps[0]
    document = demo_page.Page(
        title="caer demo: how people appear to feel",
        problems=outcome.problems,
        people=outcome.people,
        seconds=max(scenario.seconds, (last - scenario.stamps[0]) * 1e-9),
        result=outcome.result,
        speed=outcome.speed,
        photos=[_photo(picture) for picture in book.pictures],
        video=video.name if video else "",
        poster=next((path for path in files if "side_by_side" in path), ""),
        playable=bool(video and video.suffix == ".webm"),
        facts=outcome.facts,
        files={path: what for path, what in files.items() if path != "index.html"},
    )
    (out / "index.html").write_text(demo_page.html(document), "utf8")
    (out / "summary.json").write_text(json.dumps(outcome.as_dict(), indent=1) + "\n", "utf8")
    return files


def _photo(picture: Picture) -> Any:
    from caer_ros.cli.demo.album import jpeg
    from caer_ros.cli.demo.demo_page import Photo

    shot = picture.shot
    return Photo(
        caption=shot.caption,
        jpeg=jpeg(picture.image, 82, THUMBNAIL),
        file=f"pictures/{picture.path.name}",
        subject=shot.subject,
        portrait=b"" if picture.portrait is None else jpeg(picture.portrait, 88, PORTRAIT),
    )


def _progress(frames: Iterator[Any], count: int, console: Console) -> Iterator[Any]:
    from rich.progress import track

    words = "drawing pictures and video"
    if console.is_terminal:
        yield from track(frames, words, total=count, console=console, transient=True)
    else:
        console.print(words)
        yield from frames


def show(outcome: Outcome, files: dict[str, str], out: Path, console: Console) -> None:
    """Print what came out, and where the files are."""
    from rich.table import Table

    from caer_ros.cli.demo.demo_page import accounting
    from caer_ros.pages.words import milliseconds, per_second, percent

    table = Table(title="who was seen", title_justify="left")
    for name in ("person", "ids", "found", "status", "emotion"):
        table.add_column(name, no_wrap=name == "status")
    for subject in outcome.people:
        table.add_row(*_cells(subject))
    console.print(table)
    _show_strips(outcome, console)
    result, speed = outcome.result, outcome.speed
    if result:
        console.print(
            f"detection  precision {percent(result.precision)}, recall {percent(result.recall)} at IoU 0.5 "
            f"({result.images} images, {result.demanded} persons to find)\n"
            f"identity   IDF1 {percent(result.idf1)}, {result.switches} switches "
            f"({result.identities} identities, {result.tracks} tracks)"
        )
    elif outcome.unmeasured:
        console.print(f"accuracy   {outcome.unmeasured}")
    times = [
        f"{milliseconds(p50)} ({milliseconds(p95)})" for p50, p95 in (speed.inference, speed.processing, speed.latency)
    ]
    console.print(
        f"speed      {per_second(speed.rate)}; median (95 %): {times[0]} in the networks, {times[1]} in the node,\n"
        f"           {times[2]} from the image's stamp to publishing, by the bag's clock\n"
        f"images     {accounting(speed)}\n"
    )
    width = max(map(len, files))
    console.print(f"in {out}:")
    for path, what in files.items():
        console.print(f"  {path:<{width}}  {what}")


def _show_strips(outcome: Outcome, console: Console) -> None:
    from caer_ros.cli.demo import run_summary

    letters = run_summary.letters(outcome.people)
    end = max((span.end for subject in outcome.people for span in subject.spans), default=0.0)
    width = min(60, max(1, math.ceil(2 * end)))
    longest = max((len(subject.name) for subject in outcome.people), default=0)
    for subject in outcome.people if end else ():
        console.print(f"{subject.name:<{longest}}  {run_summary.strip(subject, end, width, letters)}", markup=False)
    legend = ", ".join(f"{letter} {word.lower().replace('_', ' ')}" for word, letter in letters.items())
    console.print(f"{'':<{longest}}  one character is {end / width:.1f} s; {legend}, · not in view\n", markup=False)


def _cells(subject: Subject) -> tuple[str, ...]:
    from caer_ros.cli.demo.demo_page import identities

    return (
        subject.name,
        identities(subject),
        f"{subject.found}" if subject.demanded is None else f"{subject.found} of {subject.demanded}",
        _shares(subject.statuses) or "never seen",
        _shares(subject.labels) or "—",
    )


def _shares(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    return "\n".join(f"{count / total:4.0%} {name}" for name, count in counts.items())
