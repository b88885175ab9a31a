"""Measure the evaluation of bags: scoring stored predictions of ever more frames, and what an offline run costs.

Scoring: annotated frames with three tracked persons and eight labels each, made at random, are read from disk and all
metrics computed, each size in a process of its own. Offline: a bundle over the frames of a bag, against the time that
its networks alone take. Nobody else should use the machine meanwhile.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from caer_ros.cli.arguments import whole
from caer_ros.perception.bundle.finding import DEFAULT

if TYPE_CHECKING:
    import argparse

    import numpy as np

    from caer_ros.cli.bench.figures import Table
    from caer_ros.offline.data.predictions import ImagePrediction
    from caer_ros.recordings.annotations.sample import Sample

FORMAT = "caer bench evaluate"
FORMAT_VERSION = 1
FRAMES = (1000, 3000, 10_000)
PERSONS = 3
GOAL_SECONDS = 20.0
"""Time for 10,000 frames on two cores."""
GOAL_RATIO = 1.10
"""Ratio of the time of an offline run to the inference time of its frames."""
SIZE = (480, 640)
PERIOD_NS = 10**8
PREDICTIONS = "predictions.jsonl"


class Scored(NamedTuple):
    """What scoring cost."""

    frames: int
    read_seconds: float
    """Time from files to arrays."""
    score_seconds: float
    """All metrics."""
    memory_mb: float
    """Peak resident memory beyond what the process had with everything imported."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bench evaluate``."""
    parser.add_argument(
        "--frames", type=whole, nargs="+", default=list(FRAMES), metavar="N", help="to score (default: 1000 3000 10000)"
    )
    parser.add_argument("--bag", type=Path, metavar="DIR", help="for the offline run (default: the demo bag)")
    parser.add_argument("--model", default=DEFAULT, metavar="BUNDLE", help="for it (default: %(default)s)")
    parser.add_argument("--threads", type=whole, default=2, metavar="N", help="of its networks (default: %(default)s)")
    parser.add_argument("--runs", type=whole, default=3, metavar="N", help="of it; the median is taken (default: 3)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Measure, and print what came out. Raises the errors of bags and bundles."""
    import json

    from caer_ros.cli.bench import figures
    from caer_ros.cli.console import machine

    here = machine.describe()
    scored = [score(frames) for frames in args.frames]
    offline = [offline_run(args.bag, args.model, args.threads) for _ in range(args.runs)]
    report = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "date": figures.now(),
        "machine": here,
        "versions": machine.versions(ros=False),
        "settings": {"persons": PERSONS, "model": args.model, "threads": args.threads, "runs": args.runs},
        "scoring": [one._asdict() for one in scored],
        "growth": growth(scored),
        "offline": sorted(offline, key=lambda one: one["ratio"])[len(offline) // 2],
    }
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", "utf8")
    print(json.dumps(report)) if args.json else figures.show(tables(report))
    return 0


# --- Scoring -------------------------------------------------------------------------------------------------------


def score(frames: int) -> Scored:
    """Makes frames, stores them, and scores them in a process of its own."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="caer_bench_") as folder:
        store(Path(folder), frames)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(_score, folder, frames).result()


def store(folder: Path, frames: int) -> None:
    """Annotations and predictions as `caer evaluate bag` writes them, the same on every run."""
    import json

    import numpy as np

    from caer_ros import taxonomy
    from caer_ros.offline.data import predictions
    from caer_ros.perception.person import BoxKind, ScoreType
    from caer_ros.recordings.annotations import own
    from caer_ros.recordings.annotations.sample import Dataset, Findings

    random = np.random.default_rng(0)
    drawn = [_frame(index, random) for index in range(frames)]
    dataset = Dataset(
        "bag", folder, "test", "heco", taxonomy.HECO, False, tuple(sample for sample, _ in drawn), Findings()
    )
    header = predictions.PredictionHeader(
        model="random",
        model_version="0" * 16,
        label_set="heco",
        labels=taxonomy.HECO,
        score_type=ScoreType.SOFTMAX,
        box_kind=BoxKind.BODY,
        source="random",
        max_persons=15,
        thresholds={"person": 0.3, "kept": 0.15},
    )
    (folder / own.WHOLE).write_text(json.dumps(own.content(dataset)), "utf-8")
    predictions.write_images(folder / PREDICTIONS, header, (image for _, image in drawn))


def _frame(index: int, random: np.random.Generator) -> tuple[Sample, ImagePrediction]:
    """Persons who stand side by side, change their emotion every 20 s, and are found a little beside the truth."""
    import numpy as np

    from caer_ros.offline.data.predictions import ImagePrediction, Tracked
    from caer_ros.perception.person import BoxKind
    from caer_ros.recordings.annotations.sample import Sample

    labels, name, stamp = 8, f"camera/image_raw/{10**18 + index * PERIOD_NS}", 10**18 + index * PERIOD_NS
    left = np.arange(PERSONS)[:, None] * np.float32(200) + np.float32(20)
    boxes = np.hstack([left, np.full_like(left, 80), left + 120, np.full_like(left, 460)]).astype(np.float32)
    feels = (index // 200 + np.arange(PERSONS)) % labels
    tracks = tuple(f"{index // 1000}-{person}" for person in range(PERSONS))
    emotions = np.eye(labels, dtype=np.float32)[feels]
    unknown = np.full((PERSONS, 3), np.nan, np.float32)
    sample = Sample(
        image_id=name,
        path=Path(f"{name}.jpg"),
        size=SIZE,
        boxes=boxes,
        box_kind=BoxKind.BODY,
        emotions=emotions,
        vad=unknown,
        votes=np.full_like(emotions, np.nan),
        weights=np.ones(PERSONS, np.float32),
        gender=("",) * PERSONS,
        age=("",) * PERSONS,
        exhaustive=True,
        track_ids=tracks,
        faces=("",) * PERSONS,
        face_boxes=np.full((PERSONS, 4), np.nan, np.float32),
        stamp=stamp,
    )
    scores = random.dirichlet(np.ones(labels) + 2 * emotions.mean(axis=0), PERSONS).astype(np.float32)
    tracked = Tracked(tracks, np.zeros(PERSONS, bool), scores, scores.argmax(axis=1))
    image = ImagePrediction(
        image_id=name,
        size=SIZE,
        boxes=(boxes + random.normal(0, 12, boxes.shape)).astype(np.float32),
        scores=random.uniform(0.15, 1, PERSONS).astype(np.float32),
        emotions=scores,
        pooled=scores,
        stamp=stamp,
        tracked=tracked,
    )
    return sample, image


def _score(folder: str, frames: int) -> Scored:
    from resource import RUSAGE_SELF, getrusage
    from time import perf_counter

    from caer_ros.offline.data import predictions
    from caer_ros.offline.evaluation.bags.bag_measures import measure
    from caer_ros.recordings.annotations import own

    before = getrusage(RUSAGE_SELF).ru_maxrss
    started = perf_counter()
    dataset = own.read(Path(folder) / own.WHOLE)
    table = predictions.read(Path(folder) / PREDICTIONS)
    read = perf_counter()
    measure(dataset, table)
    done = perf_counter()
    return Scored(frames, read - started, done - read, (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024)


def growth(scored: list[Scored]) -> float | None:
    """The exponent with which the time grows with the frames, from the first size to the last: 1 is linear."""
    first, last = scored[0], scored[-1]
    if first.frames == last.frames:
        return None
    times = [one.read_seconds + one.score_seconds for one in (last, first)]
    return math.log(times[0] / times[1]) / math.log(last.frames / first.frames)


# --- Offline -------------------------------------------------------------------------------------------------------


def offline_run(bag: Path | None, model: str, threads: int) -> dict[str, Any]:
    """A bundle over every image of a bag: seconds of the run, of its networks, and their ratio."""
    from caer_ros.cli.demo import demo_bag
    from caer_ros.offline.evaluation.bags.bag_run import run_bag
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings

    bag = demo_bag.committed().bag if bag is None else bag
    dataset, topic = every_frame(bag)
    done = run_bag(read_bundle(find_bundle(model)), bag, dataset, topic, EngineSettings(threads=threads))
    inference, total = done.seconds["inference"], done.seconds["total"]
    return {
        "frames": len(done.predictions.images),
        "provider": done.provider,
        "total_seconds": total,
        "inference_seconds": inference,
        "ratio": total / inference,
        "seconds": done.seconds,
    }


def every_frame(bag: Path) -> tuple[Any, str]:
    """Every image of a bag with one camera as a sample of nobody, and its topic."""
    import numpy as np

    from caer_ros.perception.person import BoxKind
    from caer_ros.recordings import frames
    from caer_ros.recordings.annotations.sample import Dataset, Findings, Sample

    topic, stamps = frames.stamps(bag)
    height, width = next(frames.at(bag, topic, stamps[:1], [])).pixels.shape[:2]
    none = np.empty((0, 3), np.float32)
    samples = tuple(
        Sample(
            image_id=frames.frame_name(topic, stamp),
            path=bag.parent / f"{frames.frame_name(topic, stamp)}.jpg",
            size=(height, width),
            boxes=np.empty((0, 4), np.float32),
            box_kind=BoxKind.BODY,
            emotions=none[:, :0],
            vad=none,
            votes=none[:, :0],
            weights=none[:, 0],
            gender=(),
            age=(),
            exhaustive=False,
            track_ids=(),
            faces=(),
            face_boxes=np.empty((0, 4), np.float32),
            stamp=stamp,
        )
        for stamp in stamps
    )
    return Dataset("bag", bag, "test", "own", (), False, samples, Findings()), topic


# --- What is printed -----------------------------------------------------------------------------------------------


def tables(report: dict[str, Any]) -> list[Table]:
    """A report's tables, each goal beside what was reached."""
    from caer_ros.cli.bench.figures import Table, machine_rows

    settings, offline = report["settings"], report["offline"]
    scored = [Scored(**fields) for fields in report["scoring"]]
    rows = [
        (
            f"{one.frames:,}",
            *(f"{time:.2f}" for time in (one.read_seconds, one.score_seconds, one.read_seconds + one.score_seconds)),
            f"{one.memory_mb:.0f}",
        )
        for one in scored
    ]
    growth_ = "—" if report["growth"] is None else f"frames to the power of {report['growth']:.2f}"
    outcome = [
        ("time grows with", growth_),
        ("goal", f"10,000 frames in {GOAL_SECONDS:g} s on two cores"),
        ("offline run", f"{settings['model']} on {offline['provider']}, {offline['frames']} frames"),
        ("threads, runs", f"{settings['threads']}, median of {settings['runs']}"),
        ("networks", f"{offline['inference_seconds']:.2f} s"),
        ("whole run", f"{offline['total_seconds']:.2f} s"),
        ("ratio", f"{offline['ratio']:.3f}, goal {GOAL_RATIO:.2f}"),
    ]
    header = ("frames", "reading, s", "scoring, s", "together, s", "memory, MB")
    return [
        Table("Machine", ("what", "value"), [*machine_rows(report), ("measured", report["date"])]),
        Table("Scoring stored predictions", header, rows),
        Table("Outcome", ("what", "value"), outcome),
    ]
