"""Measure what a robot perceived, from its own recordings: offline, or as recorded.

Offline (--model): the bundle sees every annotated frame once, in order, without a clock, through the node's pipeline.
As recorded (--recorded): what the node published in the field. At each annotated stamp + deadline the newest message
published by then is scored, so that slow and fast models compare honestly.

The truth is a json in the format "own", such as `caer bag extract` writes and people fill in, or a topic of our own
message type. Several bags are one set: intervals are bootstrapped over tracks or recordings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.arguments import not_negative, not_negative_number, whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from caer_ros.offline.bags.published import Published
    from caer_ros.offline.evaluation.as_recorded import Account
    from caer_ros.offline.evaluation.bag_inputs import Annotated
    from caer_ros.offline.evaluation.bag_run import BagJob, BagRun
    from caer_ros.offline.evaluation.bag_summary import BagEvaluation
    from caer_ros.offline.evaluation.identity import Identity
    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.predictions import Predictions
    from caer_ros.offline.sample import Dataset
    from caer_ros.perception.bundle import Bundle

FORMAT = "caer evaluate bag"
FORMAT_VERSION = 1
SAME = "the same bag"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer evaluate bag``."""
    parser.add_argument("bags", type=Path, nargs="+", metavar="bag", help="a rosbag2 with the images")
    parser.add_argument(
        "--truth",
        action="append",
        metavar="FILE|TOPIC",
        help="annotations: a json, one for each bag in their order, or a topic (default: /ground_truth/persons)",
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--model", metavar="BUNDLE", help="offline: run this bundle (name or folder)")
    how.add_argument(
        "--recorded",
        nargs="?",
        action="append",
        const=SAME,
        metavar="BAG",
        help="as recorded: what the node published, in the same bag or in another one, one for each bag",
    )
    parser.add_argument("--topic", metavar="T", help="of the images, where a bag has several")
    parser.add_argument("--emotions-topic", metavar="T", help="as recorded: of the node, where a bag has several")
    parser.add_argument(
        "--deadline",
        type=not_negative_number,
        default=0.2,
        metavar="S",
        help="as recorded: seconds after a frame's stamp at which its answer is taken (default: %(default)s)",
    )
    parser.add_argument(
        "--device", default="auto", help="offline: auto, cpu, cuda:N, tensorrt:N (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=not_negative, default=1, metavar="N", help="offline: of a network; 0: all cores"
    )
    parser.add_argument("--processes", type=whole, default=1, metavar="N", help="offline: bags at the same time")
    parser.add_argument(
        "--intervals", type=not_negative, default=0, metavar="N", help="bootstrap with N draws (default: none)"
    )
    written = (
        "write report.html, metrics.json, and the predictions and annotations that they are of; a stopped offline run "
        "goes on from there"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help=written)
    parser.add_argument("--no-images", action="store_true", help="no pictures of people in the report")
    parser.add_argument("--any-box-kind", action="store_true", help="compare boxes of bodies, heads and faces")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Predict or read, measure, print, write. Raises the errors of bags, annotations, bundles and metrics."""
    from rich.console import Console

    from caer_ros.offline.evaluation import bag_inputs

    evaluate(args, bag_inputs.read(args.bags, args.truth or (), args.topic), Console())
    return 0


def evaluate(args: argparse.Namespace, bags: Sequence[Annotated], console: Console) -> BagEvaluation:
    """What ``run`` does, once it is known what is annotated in the bags."""
    import json

    from caer_ros.offline.evaluation import bag_table, results

    result, joined = _offline(args, bags) if args.model else _as_recorded(args, bags)
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **result.to_dict()}
    if args.json:
        print(json.dumps(content))
    else:
        bag_table.show(result, console)
    if args.output:
        written = results.finish(args.output, content, _html(args, result, joined))
        if not args.json:
            console.print(written, soft_wrap=True, highlight=False)
    return result


# --- Offline -------------------------------------------------------------------------------------------------------


def _offline(args: argparse.Namespace, bags: Sequence[Annotated]) -> tuple[BagEvaluation, Joined]:
    from concurrent.futures import ThreadPoolExecutor

    from caer_ros.offline.evaluation import bag_inputs, bag_run, bag_sets, predict
    from caer_ros.offline.evaluation.bag_measures import drafted, measure
    from caer_ros.offline.evaluation.bag_summary import BagEvaluation
    from caer_ros.offline.evaluation.identity import bag_sha256
    from caer_ros.offline.metrics.summary import plain
    from caer_ros.perception import bundle as bundles
    from caer_ros.perception.engine import EngineSettings

    bundle = bundles.read(bundles.find(args.model))
    named = [bag.name for bag in bags]
    _check(bundle, bag_sets.samples_of([bag.dataset for bag in bags], named), args.any_box_kind)
    settings = EngineSettings(args.device, args.threads)
    jobs = [
        bag_run.BagJob(bundle, bag.bag, bag.dataset, bag.topic, settings, store=_store(args, bag.name, len(bags)))
        for bag in bags
    ]
    with ThreadPoolExecutor(1) as beside:  # hashing waits for the disk while the network runs
        hashes = [beside.submit(bag_sha256, bag.bag) for bag in bags]
        runs = _run(jobs, args.processes)
        sha256 = {bag.name: digest.result() for bag, digest in zip(bags, hashes, strict=True)}
    judged = [bag_run.judged(bag.dataset, run.predictions) for bag, run in zip(bags, runs, strict=True)]
    dataset = bag_sets.samples_of(judged, named)
    predictions, mapping = predict.relabel(bag_sets.tables_of([run.predictions for run in runs], named), dataset)
    _keep(args, dataset, predictions)
    for job in jobs:
        if job.store is not None:
            job.store.unlink()
    measures = measure(dataset, predictions, args.intervals, args.any_box_kind)
    result = BagEvaluation(
        manner="offline",
        identity=_identity(
            args,
            bags,
            sha256,
            dataset,
            (bundle.name, bundle.sha256, runs[0].provider),
            {"manner": "offline", "pipeline": plain(jobs[0].pipeline)},
        ),
        bags=tuple(bag_inputs.facts(bag, part, sha256[bag.name]) for bag, part in zip(bags, judged, strict=True)),
        model=predictions.header,
        evaluation=measures.evaluation,
        strict=None,
        deadline=None,
        curve=(),
        account=None,
        false_persons=measures.false_persons,
        reliability_of_found=measures.reliability_of_found,
        tracking=measures.tracking,
        stability=measures.stability,
        timing=None,
        left_out=(*_left_out(bags), *(line for run in runs for line in run.left_out)),
        notes=(
            *drafted(judged, [f"{bundle.name} {bundle.model_version}"]),
            *filter(None, [mapping]),
            *_notes(bags),
            *measures.notes,
        ),
    )
    return result, measures.joined


def _check(bundle: Bundle, dataset: Dataset, any_box_kind: bool) -> None:
    """Raise now what would make the predictions useless."""
    from caer_ros.offline.evaluation import predict
    from caer_ros.offline.metrics.joined import check
    from caer_ros.offline.predictions import Predictions, header_of

    relabelled, _ = predict.relabel(Predictions(header_of(bundle, "", {}), ()), dataset)
    check(dataset.samples, relabelled.header, any_box_kind=any_box_kind)


def _run(jobs: Sequence[BagJob], processes: int) -> list[BagRun]:
    """The runs, with a progress bar on a terminal, and a line for each that went on."""
    from rich.console import Console
    from rich.progress import Progress

    from caer_ros.offline.evaluation import bag_run

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = [progress.add_task(job.bag.name, total=len(job.dataset.samples)) for job in jobs]
        runs = bag_run.run_bags(jobs, processes, lambda job, done: progress.update(tasks[job], completed=done))
    for job, run in zip(jobs, runs, strict=True):
        if run.resumed:
            console.print(f"{job.bag.name}: went on after {run.resumed:,} frames", soft_wrap=True, highlight=False)
    return runs


def _store(args: argparse.Namespace, name: str, bags: int) -> Path | None:
    """Where a run keeps its predictions until it is done."""
    if not args.output:
        return None
    return Path(args.output / ("predictions.part.jsonl" if bags == 1 else f"predictions.{name}.part.jsonl"))


# --- As recorded ---------------------------------------------------------------------------------------------------


def _as_recorded(args: argparse.Namespace, bags: Sequence[Annotated]) -> tuple[BagEvaluation, Joined]:
    from dataclasses import replace

    from caer_ros.offline.bags import published
    from caer_ros.offline.evaluation import as_recorded, bag_inputs, bag_measures, bag_sets, predict
    from caer_ros.offline.evaluation.bag_summary import BagEvaluation
    from caer_ros.offline.evaluation.identity import bag_sha256
    from caer_ros.offline.metrics.timing import timing

    recorded = _recorded_bags(args)
    named = [bag.name for bag in bags]
    spoken = [published.read(bag, args.emotions_topic) for bag in recorded]
    seen = [
        as_recorded.of_size_seen(one.predictions, bag.dataset.samples) for one, bag in zip(spoken, bags, strict=True)
    ]
    bags = [
        replace(bag, dataset=replace(bag.dataset, samples=tuple(samples)), left_out=(*bag.left_out, *others))
        for bag, (samples, others) in zip(bags, seen, strict=True)
    ]
    dataset = bag_sets.samples_of([bag.dataset for bag in bags], named)
    relabelled = [predict.relabel(one.predictions, dataset) for one in spoken]
    tables, parts = [table for table, _ in relabelled], [bag.dataset.samples for bag in bags]
    messages = bag_sets.tables_of(tables, named)
    _keep(args, dataset, messages)
    answers = bag_sets.answers_of(tables, parts, named, args.deadline)
    measures = bag_measures.measure(dataset, answers, args.intervals, args.any_box_kind)
    accounts = [
        as_recorded.account(table, bag.dataset.samples, _image_stamps(bag, where), args.deadline)
        for table, bag, where in zip(tables, bags, recorded, strict=True)
    ]
    account, times = bag_sets.accounts_of(accounts, named), timing(messages.images)
    notes = [
        *bag_measures.drafted([bag.dataset for bag in bags], [model for one in spoken for model in one.models]),
        *dict.fromkeys(mapping for _, mapping in relabelled if mapping),
        *_notes(bags),
        *(f"{one.topic}: several models spoke: {', '.join(one.models)}." for one in spoken if len(one.models) > 1),
        *(note for one in spoken for note in one.notes),
        *_unused(spoken, bags, accounts),
        *account.notes,
        *(("The messages tell no times.",) if times is None else times.notes),
        *measures.notes,
    ]
    strict = bag_measures.strict(tables, bags, accounts, dataset, args.deadline, args.any_box_kind, notes)
    sha256 = {bag.name: bag_sha256(bag.bag) for bag in bags}
    others = {
        f"{bag.name}, as recorded": bag_sha256(where)
        for bag, where in zip(bags, recorded, strict=True)
        if where != bag.bag
    }
    result = BagEvaluation(
        manner="as recorded",
        identity=_identity(
            args,
            bags,
            sha256 | others,
            dataset,
            (messages.header.model, messages.header.model_version, ""),
            {
                "manner": "as recorded",
                "deadline": args.deadline,
                "emotion_topics": sorted({one.topic for one in spoken}),
            },
        ),
        bags=tuple(
            bag_inputs.facts(bag, bag.dataset, sha256[bag.name], one.topic, where if where != bag.bag else None)
            for bag, one, where in zip(bags, spoken, recorded, strict=True)
        ),
        model=replace(answers.header, source=messages.header.source),
        evaluation=measures.evaluation,
        strict=strict,
        deadline=args.deadline,
        curve=tuple(
            as_recorded.Point.of(deadline, measures.evaluation.oer, measures.evaluation.pd)
            if deadline == args.deadline
            else as_recorded.point(
                deadline, bag_sets.answers_of(tables, parts, named, deadline), dataset, args.any_box_kind
            )
            for deadline in sorted({*as_recorded.DEADLINES, args.deadline})
        ),
        account=account,
        false_persons=measures.false_persons,
        reliability_of_found=measures.reliability_of_found,
        tracking=measures.tracking,
        stability=measures.stability,
        timing=times,
        left_out=(*_left_out(bags), *(line for one in spoken for line in one.left_out)),
        notes=tuple(notes),
        known_age=bag_measures.known_age(answers, dataset, args.deadline),
    )
    return result, measures.joined


def _recorded_bags(args: argparse.Namespace) -> list[Path]:
    """For each bag the one with what the node published. Raises EvaluationError."""
    from caer_ros.offline.evaluation.predict import EvaluationError

    if args.recorded == [SAME]:
        return list(args.bags)
    if len(args.recorded) != len(args.bags):
        raise EvaluationError(
            f"{len(args.bags)} bags and {len(args.recorded)} times --recorded: give a recording for each bag, in the "
            "order of the bags, or --recorded alone"
        )
    return [bag if given == SAME else Path(given) for bag, given in zip(args.bags, args.recorded, strict=True)]


def _unused(spoken: Sequence[Published], bags: Sequence[Annotated], accounts: Sequence[Account]) -> list[str]:
    """Which frames were answered, and yet count as if they had not been: a sentence for each such bag."""
    from caer_ros.offline.evaluation.as_recorded import Fate

    notes = []
    for said, bag, account in zip(spoken, bags, accounts, strict=True):
        fates = zip(bag.dataset.samples, account.fates, strict=True)
        silent = sum(sample.stamp in said.unused and fate in (Fate.DROPPED, Fate.LOST) for sample, fate in fates)
        if silent:
            notes.append(
                f"{bag.name}: {silent} annotated frames that count as dropped or lost were answered on {said.topic}, "
                "but these messages cannot be used; see what was left out."
            )
    return notes


def _image_stamps(bag: Annotated, recorded: Path) -> Sequence[int]:
    """Of the images in the recording of the node's answers, where it has this topic; else of those that were played."""
    from caer_ros.offline import frames
    from caer_ros.sources import SourceError

    if recorded != bag.bag:
        try:
            return frames.stamps(recorded, bag.topic)[1]
        except SourceError:  # it holds the answers alone
            pass
    return frames.stamps(bag.bag, bag.topic)[1]


# --- What both manners share ---------------------------------------------------------------------------------------


def _identity(
    args: argparse.Namespace,
    bags: Sequence[Annotated],
    sha256: Mapping[str, str],
    dataset: Dataset,
    model: tuple[str, str, str],
    settings: Mapping[str, object],
) -> Identity:
    """Of this run; ``model``: name, sha256 and execution provider."""
    import sys

    from caer_ros.offline.evaluation import bag_inputs, identity

    name, digest, provider = model
    return identity.identify(
        command=["caer", *sys.argv[1:]],
        bags=sha256,
        truth=bag_inputs.truth_sha256(dataset),
        bundle=name,
        bundle_sha256=digest,
        provider=provider,
        device=args.device if provider else "",
        threads=args.threads if provider else 0,
        settings={
            "image_topics": sorted({bag.topic for bag in bags}),
            "intervals": args.intervals,
            "any_box_kind": args.any_box_kind,
            **settings,
        },
    )


def _notes(bags: Sequence[Annotated]) -> list[str]:
    return list(dict.fromkeys(note for bag in bags for note in bag.notes))


def _left_out(bags: Sequence[Annotated]) -> list[str]:
    return [line for bag in bags for line in bag.left_out]


def _keep(args: argparse.Namespace, dataset: Dataset, predictions: Predictions) -> None:
    from caer_ros.offline.evaluation import results

    if args.output:
        results.write(args.output, dataset, predictions)


def _html(args: argparse.Namespace, result: BagEvaluation, joined: Joined) -> str:
    from caer_ros.offline.evaluation.bag_report import report
    from caer_ros.offline.evaluation.bag_report.pictures import of_bags

    pictures = None if args.no_images else of_bags(result.bags, joined.samples)
    return report.html(result, joined, pictures)
