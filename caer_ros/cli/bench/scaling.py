"""Measure camera to message against the number of persons: the single-shot student and its two-stage peers.

From a sensor_msgs/Image in memory to a serialised PersonEmotionArray, as the node does it: decode, model, calibration,
tracks, smoothing, message. All in one process; each round takes every model and number of persons once, in an order of
its own, so that whatever else changes on the machine meets all alike. Pictures are composed of photographs of people.
Student and two_stage carry exactly the given number through; bootstrap what it finds. A student whose list is shorter
than that is saturated, which is said of each such number: its cost is that of a full list, and the others are missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sensor_msgs.msg import Image

    from caer_ros.cli.bench.crowd import Crowd
    from caer_ros.cli.bench.figures import Table
    from caer_ros.msg import PersonEmotionArray
    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.pipeline import Frame, Pipeline
    from caer_ros.perception.prediction import Prediction
    from caer_ros.perception.predictors.predictor import Predictor

FORMAT = "caer bench scaling"
FORMAT_VERSION = 1
STUDENT, BOOTSTRAP, TWO_STAGE = "student", "bootstrap", "two_stage"
PEERS = (BOOTSTRAP, TWO_STAGE)
STAGES = ("decode", "resize", "inference", "post", "track", "message", "serialise")
"""Stages in their order, in the node's words; "serialise" is a part of its "publish"."""

LIMIT = 1.05
"""The student's cost with the most persons over that with one, at most."""
WARM_UP = 3
"""Images before the first that counts: then everybody has been tracked for longer than one image."""
PERIOD_NS = 100_000_000
"""Time between the stamps of two images of one camera."""


class BenchError(Exception):
    """The benchmark cannot be run here; says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bench scaling``."""
    parser.add_argument(
        "--persons",
        type=numbers,
        default=(0, 1, 2, 5, 10, 20, 50),
        metavar="N,...",
        help="numbers of persons, 1 among them (default: 0,1,2,5,10,20,50)",
    )
    parser.add_argument("--rounds", type=whole, default=20, help="times that all is measured (default: %(default)s)")
    parser.add_argument(
        "--student",
        metavar="BUNDLE",
        help="single-shot bundle, a name or a folder (default: HRNet-W32 at 512x512 as in the paper, random weights)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N, tensorrt:N (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="inside one operator (default: one a physical core)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves: .svg, .png or .pdf")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, too")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print the JSON instead of tables")
    shape.add_argument("--markdown", action="store_true", help="print the tables in Markdown")


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between, 1 among them; sorted."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts) or 1 not in map(int, parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers, 1 among them, such as 0,1,5,50, not {text!r}")
    return tuple(sorted({int(part) for part in parts}))


def run(args: argparse.Namespace) -> int:
    """Measure, and print what came out; 0 also where a goal is not met.

    Raises BenchError, PlotError, BundleError or EngineError.
    """
    from caer_ros.cli.bench import figures

    if args.plot:
        from caer_ros.cli.bench import scaling_plot

        scaling_plot.check(args.plot)
    report = measure(args)
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", "utf8")
    if args.plot:
        scaling_plot.draw(report, args.plot)
    if args.json:
        print(json.dumps(report))
    elif args.markdown:
        print(figures.as_markdown(tables(report)), end="")
    else:
        figures.show(tables(report))
    return 0


# --- What is measured ----------------------------------------------------------------------------------------------


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The whole benchmark; returns the report."""
    from tempfile import TemporaryDirectory

    from caer_ros.cli.bench import figures
    from caer_ros.cli.bench.crowd import SIZE, crowd
    from caer_ros.cli.console import machine
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings

    described = machine.describe()
    settings = EngineSettings(device=args.device, threads=args.threads)
    pictures = {number: crowd(number, max(args.persons)) for number in args.persons}
    with TemporaryDirectory(prefix="caer_bench_") as folder:
        student = read_bundle(find_bundle(args.student)) if args.student else None
        _say("writing the networks with random weights")
        write_networks(Path(folder), student=student is None)
        student = student or read_bundle(Path(folder) / STUDENT)
        _say("loading")
        subjects = prepare(student, Path(folder), settings, pictures)
        take(subjects, args.rounds, _say)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "date": figures.now(),
        "machine": described,
        "versions": machine.versions(ros=True),
        "settings": {
            "persons": list(args.persons),
            "rounds": args.rounds,
            "device": args.device,
            "threads": args.threads,
            "image": list(SIZE),
        },
        "models": {subject.model: _model(subject) for subject in subjects},
        **summary(subjects, max(args.persons)),
    }


def write_networks(folder: Path, student: bool) -> None:
    """The two-branch network, and the paper's student if wanted, with random weights; by torch, in its own process.

    Raises BenchError where that is missing or fails.
    """
    import subprocess
    from importlib.util import find_spec

    if not find_spec("torch"):
        raise BenchError(
            "the benchmark's networks are made by torch, which is missing: pip install 'caer_ros[offline]'"
        )
    command = [sys.executable, "-m", "caer_ros.offline.reproduction.benchmark_networks", str(folder)]
    made = subprocess.run([*command, *([] if student else ["--no-student"])], capture_output=True, text=True)
    if made.returncode:
        raise BenchError(f"the benchmark's networks could not be written:\n{made.stderr.strip()}")


def prepare(student: Bundle, folder: Path, settings: Any, pictures: Mapping[int, Crowd]) -> list[Subject]:
    """All models with all pictures.

    Args:
        student: of kind "single_shot".
        folder: with two_branch.onnx and its labels.json.
        settings: ``EngineSettings`` of every network.
        pictures: by the number of people.
    """
    from dataclasses import replace

    from caer_ros.cli.bench.two_stage import Placed, TwoStage
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.predictors import predictor

    if student.kind != "single_shot":
        raise BenchError(f"{student.path}: kind is {student.kind}; --student takes a single-shot bundle")
    single_shot = predictor.load(student, settings)
    # Its limit of 16 would hide what more persons cost.
    bootstrap = read_bundle(find_bundle(BOOTSTRAP))
    composed = predictor.load(replace(bootstrap, max_persons=max(*pictures, bootstrap.max_persons)), settings)
    labels = tuple(json.loads((folder / "labels.json").read_text("utf8")))
    two_stage = TwoStage(bootstrap, folder / "two_branch.onnx", labels, settings)
    subjects = []
    for number, picture in pictures.items():
        subjects += [
            Subject.of(STUDENT, number, Best.of(single_shot, picture.image, number), picture),
            Subject.of(BOOTSTRAP, number, composed, picture),
            Subject.of(TWO_STAGE, number, Placed(two_stage, picture.boxes), picture),
        ]
    return subjects


class Best:
    """A ``Predictor`` that gives the best persons of one picture, so many that all of them get tracks.

    With random weights, or more slots than people, the scores say nothing; how many there are is what is measured.

    Args:
        model: single shot.
        lowest: score of the last person that passes; infinite for nobody.
    """

    def __init__(self, model: Predictor, lowest: float) -> None:
        self.model, self.lowest = model, lowest
        self.bundle, self.provider = model.bundle, model.provider

    @classmethod
    def of(cls, model: Predictor, image: NDArray[np.uint8], number: int) -> Best:
        """Chooses the score for ``number`` persons, or for all of its list where that is shorter.

        Raises BenchError when the model has room for so many, and does not find them in different places.
        """
        if not number:
            return cls(model, float("inf"))
        if number > model.bundle.max_persons:
            return cls(model, 0.0)
        from caer_ros.perception.tracking.tracker import Tracker, TrackerSettings

        slots = model([image], 0.0)[0].persons
        # Two slots of nearly the same box are one track: count tracks, not slots. Best first, so it only grows.
        tracks = [
            len(Tracker(TrackerSettings(high=0, low=0), "").update(slots[:many], 1)) for many in range(len(slots) + 1)
        ]
        if number > max(tracks):
            raise BenchError(
                f"{model.bundle.name} gives {max(tracks)} different persons, and has room for "
                f"{model.bundle.max_persons}: --persons up to {max(tracks)}, or above {model.bundle.max_persons}, "
                "where its list is full"
            )
        return cls(model, slots[tracks.index(number) - 1].confidence)

    def __call__(
        self,
        images: Sequence[NDArray[np.uint8]],
        min_confidence: float | None = None,
        emotion_confidence: float | None = None,
    ) -> list[Prediction]:
        return self.model(images, self.lowest, self.lowest)


@dataclass
class Subject:
    """One model with one number of persons: a camera that shows one picture, and what was measured."""

    model: str
    persons: int
    pipeline: Pipeline
    image: Image
    stamp_ns: int = PERIOD_NS
    seconds: list[dict[str, float]] = field(default_factory=list)
    """The stages and the "total", for each image."""
    found: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    """Persons with scores."""

    @property
    def saturated(self) -> bool:
        """Are there more persons than the student's list can hold? The peers' lists are as long as it takes."""
        return self.model == STUDENT and self.persons > self.pipeline.predictor.bundle.max_persons

    @classmethod
    def of(cls, model: str, persons: int, predictor: Predictor, picture: Crowd) -> Subject:
        """A subject with tracks of its own."""
        from std_msgs.msg import Header

        from caer_ros.node import messages
        from caer_ros.perception.pipeline import Pipeline, PipelineSettings

        threshold = 0.0 if isinstance(predictor, Best) else None
        pipeline = Pipeline(predictor, PipelineSettings(person_threshold=threshold), run="bench")
        return cls(model, persons, pipeline, messages.image_message(picture.image, Header(frame_id="camera")))

    def step(self, counts: bool = True) -> None:
        """One image from camera to message."""
        from time import perf_counter

        from rclpy.serialization import serialize_message

        from caer_ros.node import messages

        self.stamp_ns += PERIOD_NS
        started = perf_counter()
        image = messages.decode(self.image)
        decoded = perf_counter()
        frame = self.pipeline(image, self.stamp_ns)
        followed = perf_counter()
        message = emotions_message(self.image, frame, self.pipeline.predictor.bundle)
        built = perf_counter()
        serialize_message(message)
        ended = perf_counter()
        if counts:
            stages = {"decode": decoded - started, **frame.seconds}
            stages |= {"message": built - followed, "serialise": ended - built, "total": ended - started}
            self.seconds.append(stages)
            self.found.append(len(message.persons))
            self.read.append(sum(bool(person.smoothed_scores[0] >= 0) for person in message.persons))


def emotions_message(image: Image, frame: Frame, bundle: Bundle) -> PersonEmotionArray:
    """What the node publishes about an image; it fills in times and counts of its own."""
    from caer_ros.msg import PersonEmotionArray
    from caer_ros.node import messages

    return PersonEmotionArray(
        header=image.header,
        image_width=image.width,
        image_height=image.height,
        model_id=bundle.name,
        model_version=bundle.model_version,
        score_type=int(bundle.score_type),
        labels=list(bundle.labels),
        labels_version=1,
        predictable=list(bundle.predictable),
        saturated=frame.saturated,
        persons=[messages.person_message(person, bundle.labels) for person in frame.persons],
        inference_time=frame.seconds["inference"],
    )


def take(subjects: Sequence[Subject], rounds: int, say: Callable[[str], None]) -> None:
    """Measure everything once in each round, in an order that is drawn anew (always the same ones)."""
    import random

    for subject in subjects:
        for _ in range(WARM_UP):
            subject.step(counts=False)
    order = random.Random(0)
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        for subject in order.sample(subjects, len(subjects)):
            subject.step()


# --- What it comes to ----------------------------------------------------------------------------------------------


def summary(subjects: Sequence[Subject], most: int) -> dict[str, Any]:
    """Medians, what they are relative to one person and to the student, where the student is ahead, and the goal."""
    import numpy as np

    totals = {(s.model, s.persons): np.array([seconds["total"] for seconds in s.seconds]) * 1e3 for s in subjects}
    medians = {key: float(np.median(values)) for key, values in totals.items()}
    results = []
    for subject in subjects:
        key = subject.model, subject.persons
        low, high = np.percentile(totals[key], (25, 75))
        stages = {stage: float(np.median([s[stage] for s in subject.seconds])) * 1e3 for stage in STAGES}
        results.append(
            {
                "model": subject.model,
                "persons": subject.persons,
                "found": int(np.median(subject.found)),
                "read": int(np.median(subject.read)),
                "saturated": subject.saturated,
                "ms": {"q1": round(float(low), 3), "median": round(medians[key], 3), "q3": round(float(high), 3)},
                "stages_ms": {stage: round(value, 3) for stage, value in stages.items()},
                "to_one": round(medians[key] / medians[subject.model, 1], 4),
                "to_student": round(medians[key] / medians[STUDENT, subject.persons], 4),
            }
        )
    growth = round(medians[STUDENT, most] / medians[STUDENT, 1], 4)
    numbers_ = sorted({subject.persons for subject in subjects})
    return {
        "results": results,
        "ahead_from": {peer: ahead([(n, medians[STUDENT, n], medians[peer, n]) for n in numbers_]) for peer in PEERS},
        "goals": [
            {
                "name": f"{STUDENT}: cost with {most} persons over cost with 1",
                "value": growth,
                "limit": LIMIT,
                "met": growth <= LIMIT,
            }
        ],
    }


def ahead(costs: Sequence[tuple[int, float, float]]) -> int | None:
    """The number of persons from which on the student costs less than a peer, None when it never does.

    Args:
        costs: number of persons, the student's cost, the peer's; by number.
    """
    from itertools import takewhile

    won = [number for number, _, _ in takewhile(lambda cost: cost[1] < cost[2], reversed(costs))]
    return won[-1] if won else None


def _model(subject: Subject) -> dict[str, Any]:
    predictor = subject.pipeline.predictor
    bundle = predictor.bundle
    return {
        "id": bundle.name,
        "version": bundle.model_version,
        "labels": len(bundle.labels),
        "provider": predictor.provider,
        **({"max_persons": bundle.max_persons} if subject.model == STUDENT else {}),
    }


# --- Tables --------------------------------------------------------------------------------------------------------


def tables(report: dict[str, Any]) -> list[Table]:
    """A report's tables."""
    return [
        _machine_table(report),
        _cost_table(report),
        _growth_table(report),
        _stage_table(report),
        _outcome_table(report),
    ]


def _machine_table(report: dict[str, Any]) -> Table:
    from caer_ros.cli.bench.figures import Table, machine_rows

    settings = report["settings"]
    rows = [
        *machine_rows(report),
        *((name, _described(model)) for name, model in report["models"].items()),
        ("image", "{}×{} rgb8".format(*settings["image"])),
        ("measured", f"{report['date']}, {settings['rounds']} rounds"),
    ]
    return Table("Machine", ("what", "value"), rows)


def _described(model: dict[str, Any]) -> str:
    return f"{model['id']} {model['version']}, {model['labels']} labels, on {model['provider']}"


def _cost_table(report: dict[str, Any]) -> Table:
    from caer_ros.cli.bench.figures import Table

    rows = [
        (str(number), *(_cost(_result(report, model, number)) for model in report["models"]))
        for number in report["settings"]["persons"]
    ]
    header = ("persons", *(f"{model} (ms)" for model in report["models"]))
    return Table("Camera to message: median (quartiles)", header, rows)


def _growth_table(report: dict[str, Any]) -> Table:
    from caer_ros.cli.bench.figures import Table

    rows = []
    for number in report["settings"]["persons"]:
        found = {model: _result(report, model, number) for model in report["models"]}
        row = [str(number), f"{found[STUDENT]['to_one']:.3f}"]
        for peer in PEERS:
            row += [f"{found[peer]['to_one']:.2f}", f"{found[peer]['to_student']:.2f}"]
        rows.append((*row, f"{found[BOOTSTRAP]['found']}, {found[BOOTSTRAP]['read']}"))
    peers = (f"{peer}: × {of}" for peer in PEERS for of in ("its own 1", STUDENT))
    header = ("persons", f"{STUDENT}: × its own 1", *peers, f"{BOOTSTRAP}: persons found, faces read")
    return Table("Growth, and against the student: ratios of medians", header, rows)


def _stage_table(report: dict[str, Any]) -> Table:
    from caer_ros.cli.bench.figures import Table

    most = max(report["settings"]["persons"])
    rows = [
        (f"{model}, {number}", *(f"{_result(report, model, number)['stages_ms'][stage]:.2f}" for stage in STAGES))
        for model in report["models"]
        for number in sorted({1, most})
    ]
    return Table("Where it goes: medians of the stages (ms)", ("model, persons", *STAGES), rows)


def _outcome_table(report: dict[str, Any]) -> Table:
    from caer_ros.cli.bench.figures import Table

    most = max(report["settings"]["persons"])
    full = next((r for r in report["results"] if r["model"] == STUDENT and r["saturated"]), None)
    room = report["models"][STUDENT]["max_persons"]
    rows = [
        (goal["name"], f"{goal['value']:.3f}, at most {goal['limit']:g}: " + ("met" if goal["met"] else "**not met**"))
        for goal in report["goals"]
    ]
    rows += [
        (
            f"{STUDENT} costs less than {peer}",
            f"never up to {most} persons" if first is None else f"from {first} persons on",
        )
        for peer, first in report["ahead_from"].items()
    ]
    if full is not None:
        beside = f"from {full['persons']} persons on: its list has room for {room}, and the others are missed"
        rows.append((f"{STUDENT} is saturated", beside))
    return Table("Outcome", ("what", "value"), rows)


def _result(report: dict[str, Any], model: str, persons: int) -> dict[str, Any]:
    return next(r for r in report["results"] if (r["model"], r["persons"]) == (model, persons))


def _cost(result: dict[str, Any]) -> str:
    full = f", saturated: {result['found']} of {result['persons']}" if result["saturated"] else ""
    return _milliseconds(result) + full


def _milliseconds(result: dict[str, Any]) -> str:
    ms = result["ms"]
    return f"{ms['median']:.1f} ({ms['q1']:.1f} to {ms['q3']:.1f})"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
