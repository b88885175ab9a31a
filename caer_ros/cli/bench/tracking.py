"""Measure detection and identity on generated bags, against their ground truth; without ROS, without a clock.

Each bag (`python -m caer_ros.cli.demo.demo_bag --seed N`) goes image by image through the pipeline that the node runs,
so the same bag gives the same result on every run. With --rate only as many images are taken as a model of that speed
would have processed. Detection at IoU 0.5; identity as IDF1 and switches; and whether the emotion status is the
expected one.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import positive, whole
from caer_ros.perception.bundle.finding import DEFAULT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from caer_ros.cli.demo.accuracy import Accuracy
    from caer_ros.cli.demo.demo_truth import Truth
    from caer_ros.perception.person import Person
    from caer_ros.perception.pipeline import Pipeline
    from caer_ros.recordings.frames import Frame

FORMAT = "caer bench tracking"
FORMAT_VERSION = 1
RATIOS = ("precision", "recall", "idf1")


class BenchError(Exception):
    """A measurement is not possible; says why."""


@dataclass(frozen=True)
class BagResult:
    """One bag's scores."""

    seed: int
    score: Accuracy
    statuses: Counter[tuple[str, str]]
    """How often which person, demanded and found, got which emotion status."""
    labels: Counter[tuple[str, str]]
    """How often which person got which top label, where the status is OK."""
    expected: dict[str, dict[str, str]]
    """``status`` and ``emotion`` ("" = any) of each person, from the ground truth."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bench tracking``."""
    parser.add_argument("--bags", type=whole, default=20, help="bags to make, seeds 1 to N (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first bag (default: %(default)s)")
    parser.add_argument(
        "--rate", type=positive, metavar="HZ", help="images a second taken of each bag (default: all, 10)"
    )
    parser.add_argument("--model", default=DEFAULT, help="bundle: a name or a folder (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N, tensorrt:N (default: %(default)s)")
    parser.add_argument("--workers", type=whole, default=min(2, os.cpu_count() or 1), help="default: %(default)s")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, too")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print the JSON instead of tables")
    shape.add_argument("--markdown", action="store_true", help="print the tables in Markdown")


def run(args: argparse.Namespace) -> int:
    """Make the bags, run them, print the scores. Raises BenchError, BundleError, EngineError or SceneError."""
    report = measure(args)
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", "utf8")
    if args.json:
        print(json.dumps(report))
        return 0
    from caer_ros.cli.bench import figures

    if args.markdown:
        print(figures.as_markdown(tables(report)), end="")
    else:
        figures.show(tables(report))
    return 0


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All bags, in processes of their own; returns the report."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from caer_ros.cli.bench import figures
    from caer_ros.cli.console import machine
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle

    bundle = read_bundle(find_bundle(args.model))
    seeds = range(args.seed, args.seed + args.bags)
    threads = max(1, len(os.sched_getaffinity(0)) // args.workers)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool, _progress(len(seeds)) as done:
        jobs = [pool.submit(judge_seed, seed, args.model, args.device, threads, args.rate) for seed in seeds]
        try:
            for job in as_completed(jobs):
                done(job.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "date": figures.now(),
        "machine": machine.describe(),
        "versions": machine.versions(ros=False),
        "settings": {"first_seed": args.seed, "bags": args.bags, "rate": args.rate},
        "model": {"id": bundle.name, "version": bundle.model_version},
        **summary([job.result() for job in jobs]),
    }


def judge_seed(seed: int, model: str, device: str, threads: int, rate: float | None) -> BagResult:
    """Make the bag of ``seed``, run the pipeline over it, and compare with the ground truth."""
    from tempfile import TemporaryDirectory

    from caer_ros.cli.demo import demo_bag
    from caer_ros.cli.demo import demo_truth as demo_truth
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.pipeline import Pipeline, PipelineSettings
    from caer_ros.perception.predictors import predictor

    loaded = predictor.load(read_bundle(find_bundle(model)), EngineSettings(device=device, threads=threads))
    with TemporaryDirectory(prefix="caer_bench_") as folder:
        made = demo_bag.write(seed, Path(folder))
        truth = demo_truth.read(made.bag, demo_bag.IMAGE_TOPIC)
        assert truth is not None
        settings = PipelineSettings(track_buffer=truth.info["track_buffer"])
        return judge_bag(made.bag, truth, Pipeline(loaded, settings, run=str(seed)), rate)


def judge_bag(bag: Path, truth: Truth, pipeline: Pipeline, rate: float | None) -> BagResult:
    """Every image of a bag, or ``rate`` a second of its stamps, once and in order."""
    from caer_ros.cli.demo import accuracy
    from caer_ros.cli.demo.run_summary import matched_persons
    from caer_ros.offline.data.predictions import Predictions, header_of
    from caer_ros.offline.evaluation.bags.bag_run import image_of
    from caer_ros.perception.person import TrackState
    from caer_ros.recordings import frames

    bundle = pipeline.predictor.bundle
    samples = {sample.stamp: sample for sample in truth.samples}
    truths = {image.stamp_ns: image.persons for image in truth.images}
    statuses: Counter[tuple[str, str]] = Counter()
    tops: Counter[tuple[str, str]] = Counter()
    said = []
    for image in taken(frames.read(bag), rate):
        frame = pipeline(image.pixels, image.stamp_ns)
        said.append(image_of(bundle, samples[image.stamp_ns], frame))
        seen = [person for person in frame.persons if person.track_state is not TrackState.COASTED]
        demanded = [person for person in truths[image.stamp_ns] if not person.ignore]
        shown = matched_persons([_box(person) for person in seen], demanded)
        for person, true in zip(seen, shown, strict=True):
            if true is not None:
                statuses[true.person, person.status.name] += 1
                if person.top_index >= 0:
                    tops[true.person, bundle.labels[person.top_index]] += 1
    score = accuracy.measure(truth.samples, Predictions(header_of(bundle, str(bag), {}), said))
    if score is None:
        raise BenchError(f"{bag}: nobody is to be found in the {len(said)} images that were taken: raise --rate")
    return BagResult(truth.info["seed"], score, statuses, tops, truth.info["persons"])


def taken(frames: Iterable[Frame], rate: float | None) -> Iterator[Frame]:
    """The frames that a node with a model of ``rate`` images a second processes; all of them when None.

    While it is busy the newest frame waits and replaces the one that waited before, as in the node's mailbox.
    """
    free_ns = 0
    waiting: Frame | None = None
    for frame in frames:
        if rate is None:
            yield frame
            continue
        if waiting and free_ns < frame.stamp_ns:
            yield waiting
            waiting, free_ns = None, free_ns + round(1e9 / rate)
        if free_ns <= frame.stamp_ns:
            yield frame
            waiting, free_ns = None, frame.stamp_ns + round(1e9 / rate)
        else:
            waiting = frame
    if waiting:
        yield waiting


# --- What it comes to ----------------------------------------------------------------------------------------------


def pooled(scores: Sequence[Accuracy]) -> Accuracy:
    """All bags as one: the counts added up."""
    from caer_ros.cli.demo.accuracy import Accuracy

    return Accuracy(*map(sum, zip(*map(astuple, scores), strict=True)))


def summary(results: Sequence[BagResult]) -> dict[str, Any]:
    """Each bag, all of them pooled, mean and standard deviation over bags, and the emotion status of each person."""
    import numpy as np

    bags = [result.score.to_dict() for result in results]
    spread = {}
    for name in (*RATIOS, "switches"):
        values = [value for bag in bags if (value := bag[name]) is not None]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        spread[name] = {"mean": float(np.mean(values)) if values else None, "sd": deviation}
    return {
        "bags": [{"seed": result.seed, **bag} for result, bag in zip(results, bags, strict=True)],
        "pooled": pooled([result.score for result in results]).to_dict(),
        "over_bags": spread,
        "persons": _persons(results),
    }


def _persons(results: Sequence[BagResult]) -> dict[str, Any]:
    """The expected status and label of each person, and how often each came."""
    expected = {name: wanted for result in results for name, wanted in result.expected.items()}
    statuses = sum((result.statuses for result in results), Counter())
    labels = sum((result.labels for result in results), Counter())
    return {name: _person(wanted, _of(name, statuses), _of(name, labels)) for name, wanted in sorted(expected.items())}


def _person(wanted: dict[str, str], statuses: dict[str, int], labels: dict[str, int]) -> dict[str, Any]:
    found, judged = sum(statuses.values()), sum(labels.values())
    return {
        "expected": wanted,
        "found": found,
        "status_agreement": statuses.get(wanted["status"], 0) / found if found else None,
        "label_agreement": labels.get(wanted["emotion"], 0) / judged if judged and wanted["emotion"] else None,
        "statuses": statuses,
        "labels": labels,
    }


def _of(name: str, counts: Counter[tuple[str, str]]) -> dict[str, int]:
    """The counts of one person, the most frequent first."""
    return {kind: count for (person, kind), count in counts.most_common() if person == name}


def tables(report: dict[str, Any]) -> list[Any]:
    """A report's ``figures.Table``s."""
    from caer_ros.cli.bench.figures import Table, machine_rows

    rate = f"{report['settings']['rate']:g} images/s of each" if report["settings"]["rate"] else "every image"
    made_of = f"{len(report['bags'])} bags, {rate}, {report['model']['id']} {report['model']['version']}"
    header = ("bag", "images", "persons", "precision", "recall", "IDF1", "switches", "tracks / identities")
    rows = [_row(f"seed {bag['seed']}", bag) for bag in report["bags"]] + [_row("all together", report["pooled"])]
    over = report["over_bags"]
    ratios = (f"{over[name]['mean'] or 0:.3f} ± {over[name]['sd']:.3f}" for name in RATIOS)
    switches = f"{over['switches']['mean']:.2f} ± {over['switches']['sd']:.2f}"
    rows.append(("mean ± sd over bags", "", "", *ratios, switches, ""))
    people = [
        (
            name,
            str(person["found"]),
            f"{person['expected']['status']}: {_percent(person['status_agreement'])}",
            f"{person['expected']['emotion'] or 'any'}: {_percent(person['label_agreement'])}",
            _listed(person["statuses"]),
            _listed(person["labels"]),
        )
        for name, person in report["persons"].items()
    ]
    columns = ("person", "found", "expected status", "expected label, where OK", "statuses", "labels")
    return [
        Table("Machine", ("what", "value"), [*machine_rows(report), ("measured", report["date"])]),
        Table(f"Detection and identity: {made_of}", header, rows),
        Table("Emotion status", columns, people),
    ]


def _row(name: str, score: dict[str, Any]) -> tuple[str, ...]:
    ratios = ("—" if score[ratio] is None else f"{score[ratio]:.3f}" for ratio in RATIOS)
    tracks = f"{score['tracks']} / {score['identities']}"
    return (name, str(score["images"]), str(score["demanded"]), *ratios, str(score["switches"]), tracks)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "—"


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.1f} %"


def _box(person: Person) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = (float(edge) for edge in person.box)
    return x_min, y_min, x_max, y_max


@contextmanager
def _progress(total: int) -> Iterator[Callable[[BagResult], None]]:
    """A function to call with each finished bag; a bar on stderr where that is a terminal, else lines."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if not sys.stderr.isatty():
        yield lambda bag: print(f"seed {bag.seed}: IDF1 {bag.score.idf1:.3f}", file=sys.stderr, flush=True)
        return
    columns = (TextColumn("bags"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("bags", total=total)
        yield lambda _: progress.advance(task)
