"""Bags evaluated, offline or as recorded: from what is annotated in them to all numbers, kept in a result folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from caer_ros.offline.data.predictions import Predictions, header_of
from caer_ros.offline.evaluation import identity, predict, results
from caer_ros.offline.evaluation.bags import (
    as_recorded,
    bag_inputs,
    bag_measures,
    bag_run,
    bag_sets,
    published_messages,
)
from caer_ros.offline.evaluation.bags.as_recorded import Fate
from caer_ros.offline.evaluation.bags.bag_processes import run_bags
from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation
from caer_ros.offline.evaluation.identity import Identity, bag_sha256
from caer_ros.offline.metrics.joined import check
from caer_ros.offline.metrics.over_time.timing import timing
from caer_ros.offline.reports.bag import bag_report
from caer_ros.offline.reports.bag.bag_pictures import of_bags
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.plain_data import plain
from caer_ros.recordings import frames
from caer_ros.recordings.sources import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from caer_ros.offline.evaluation.bags.as_recorded import Account
    from caer_ros.offline.evaluation.bags.bag_inputs import Annotated
    from caer_ros.offline.evaluation.bags.bag_measures import Measures
    from caer_ros.offline.evaluation.bags.bag_run import BagJob, BagRun
    from caer_ros.offline.evaluation.bags.published_messages import Published
    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.recordings.annotations.sample import Dataset

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What both manners have in common."""

    command: tuple[str, ...]
    """Command as typed; the result tells it."""
    replicates: int = 0
    """Draws of the bootstrap; 0: no intervals."""
    any_box_kind: bool = False
    """Compare boxes of bodies, heads and faces."""
    output: Path | None = None
    """The result folder; None: nothing is written."""


def content(result: BagEvaluation) -> dict[str, Any]:
    """What metrics.json holds."""
    return {"format": results.BAG, "format_version": FORMAT_VERSION, **result.to_dict()}


def finish(result: BagEvaluation, joined: Joined, folder: Path, pictures: bool = True) -> str:
    """Numbers and report into the result folder; returns where they are, in words."""
    shown = of_bags(result.bags, joined.samples) if pictures else None
    return results.finish(folder, content(result), bag_report.html(result, joined, shown))


# --- Offline -------------------------------------------------------------------------------------------------------


def offline(
    bags: Sequence[Annotated],
    model: str,
    settings: Settings,
    device: str = "auto",
    threads: int = 1,
    processes: int = 1,
) -> tuple[BagEvaluation, Joined]:
    """What a bundle perceives in the annotated frames.

    Args:
        bags: as ``bag_inputs.read`` gives them.
        model: a bundle, its name or folder.
        settings: see there; where there is an output folder, a run that was stopped goes on from there.
        device, threads: of ONNX Runtime; 0 threads: all cores.
        processes: bags at the same time.

    Returns:
        All numbers; and the samples with what was predicted of them.

    Raises:
        BundleError, EngineError: the bundle does not run.
        EvaluationError, MetricsError: model and annotations do not belong together.
        SourceError, DatasetError: as ``bag_run.run_bag``.
    """
    bundle = read_bundle(find_bundle(model))
    named = [bag.name for bag in bags]
    _check(bundle, bag_sets.samples_of([bag.dataset for bag in bags], named), settings.any_box_kind)
    engine = EngineSettings(device, threads)
    jobs = [
        bag_run.BagJob(bundle, bag.bag, bag.dataset, bag.topic, engine, store=_store(settings, bag.name, len(bags)))
        for bag in bags
    ]
    with ThreadPoolExecutor(1) as beside:  # hashing waits for the disk while the network runs
        hashes = [beside.submit(bag_sha256, bag.bag) for bag in bags]
        runs = _run(jobs, processes)
        sha256 = {bag.name: digest.result() for bag, digest in zip(bags, hashes, strict=True)}
    judged = [bag_run.judged(bag.dataset, run.predictions) for bag, run in zip(bags, runs, strict=True)]
    dataset = bag_sets.samples_of(judged, named)
    predictions, mapping = predict.relabel(bag_sets.tables_of([run.predictions for run in runs], named), dataset)
    _keep(settings, dataset, predictions)
    for job in jobs:
        if job.store is not None:
            job.store.unlink()
    measures = bag_measures.measure(dataset, predictions, settings.replicates, settings.any_box_kind)
    result = BagEvaluation(
        manner="offline",
        identity=_identity(
            settings,
            bags,
            sha256,
            dataset,
            (bundle.name, bundle.sha256),
            {"manner": "offline", "pipeline": plain(jobs[0].pipeline)},
            (runs[0].provider, device, threads),
        ),
        bags=tuple(bag_inputs.facts(bag, part, sha256[bag.name]) for bag, part in zip(bags, judged, strict=True)),
        model=predictions.header,
        **_measured(measures),
        left_out=(*_left_out(bags), *(line for run in runs for line in run.left_out)),
        notes=(
            *bag_measures.drafted(judged, [f"{bundle.name} {bundle.model_version}"]),
            *filter(None, [mapping]),
            *_notes(bags),
            *measures.notes,
        ),
    )
    return result, measures.joined


def _check(bundle: Bundle, dataset: Dataset, any_box_kind: bool) -> None:
    """Raise now what would make the predictions useless."""
    relabelled, _ = predict.relabel(Predictions(header_of(bundle, "", {}), ()), dataset)
    check(dataset.samples, relabelled.header, any_box_kind=any_box_kind)


def _run(jobs: Sequence[BagJob], processes: int) -> list[BagRun]:
    """The runs, with a progress bar on a terminal, and a line for each that went on."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = [progress.add_task(job.bag.name, total=len(job.dataset.samples)) for job in jobs]
        runs = run_bags(jobs, processes, lambda job, done: progress.update(tasks[job], completed=done))
    for job, run in zip(jobs, runs, strict=True):
        if run.resumed:
            console.print(f"{job.bag.name}: went on after {run.resumed:,} frames", soft_wrap=True, highlight=False)
    return runs


def _store(settings: Settings, name: str, bags: int) -> Path | None:
    """Where a run keeps its predictions until it is done."""
    if settings.output is None:
        return None
    return settings.output / ("predictions.part.jsonl" if bags == 1 else f"predictions.{name}.part.jsonl")


# --- As recorded ---------------------------------------------------------------------------------------------------


def recorded(
    bags: Sequence[Annotated],
    recordings: Sequence[Path],
    settings: Settings,
    deadline: float = 0.2,
    emotions_topic: str | None = None,
) -> tuple[BagEvaluation, Joined]:
    """What a node published in the field.

    Args:
        bags: as ``bag_inputs.read`` gives them.
        recordings: for each bag the one with what the node published; it may be the same.
        settings: see there.
        deadline: s after a frame's stamp at which its answer is taken.
        emotions_topic: of the node, where a bag has several.

    Returns:
        All numbers; and the samples with the newest answers at the deadline.

    Raises:
        SourceError: nothing was published.
        EvaluationError, MetricsError, DatasetError: messages and annotations do not belong together.
    """
    named = [bag.name for bag in bags]
    spoken = [published_messages.read(bag, emotions_topic) for bag in recordings]
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
    _keep(settings, dataset, messages)
    answers = bag_sets.answers_of(tables, parts, named, deadline)
    measures = bag_measures.measure(dataset, answers, settings.replicates, settings.any_box_kind)
    accounts = [
        as_recorded.account(table, bag.dataset.samples, _image_stamps(bag, where), deadline, one.counted)
        for table, bag, where, one in zip(tables, bags, recordings, spoken, strict=True)
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
    strict = bag_measures.strict(tables, bags, dataset, deadline, settings.any_box_kind, notes)
    sha256 = {bag.name: bag_sha256(bag.bag) for bag in bags}
    others = {
        f"{bag.name}, as recorded": bag_sha256(where)
        for bag, where in zip(bags, recordings, strict=True)
        if where != bag.bag
    }
    result = BagEvaluation(
        manner="as recorded",
        identity=_identity(
            settings,
            bags,
            sha256 | others,
            dataset,
            (messages.header.model, messages.header.model_version),
            {
                "manner": "as recorded",
                "deadline": deadline,
                "emotion_topics": sorted({one.topic for one in spoken}),
            },
        ),
        bags=tuple(
            bag_inputs.facts(bag, bag.dataset, sha256[bag.name], one.topic, where if where != bag.bag else None)
            for bag, one, where in zip(bags, spoken, recordings, strict=True)
        ),
        model=replace(answers.header, source=messages.header.source),
        **_measured(measures),
        strict=strict,
        deadline=deadline,
        curve=tuple(
            as_recorded.Point.of(at, measures.evaluation.oer, measures.evaluation.pd)
            if at == deadline
            else as_recorded.point(at, bag_sets.answers_of(tables, parts, named, at), dataset, settings.any_box_kind)
            for at in sorted({*as_recorded.DEADLINES, deadline})
        ),
        account=account,
        timing=times,
        left_out=(*_left_out(bags), *(line for one in spoken for line in one.left_out)),
        notes=tuple(notes),
        known_age=bag_measures.known_age(answers, dataset, deadline),
    )
    return result, measures.joined


def _unused(spoken: Sequence[Published], bags: Sequence[Annotated], accounts: Sequence[Account]) -> list[str]:
    """Which frames were answered, and yet count as if they had not been: a sentence for each such bag."""
    notes = []
    for said, bag, account in zip(spoken, bags, accounts, strict=True):
        fates = zip(bag.dataset.samples, account.fates, strict=True)
        silent = sum(sample.stamp in said.unused and fate is Fate.UNANSWERED for sample, fate in fates)
        if silent:
            notes.append(
                f"{bag.name}: {silent} annotated frames that count as not answered were answered on {said.topic}, "
                "but these messages cannot be used; see what was left out."
            )
    return notes


def _image_stamps(bag: Annotated, recorded: Path) -> Sequence[int]:
    """Stamps of the images in the recording of the node's answers, where it has this topic; else of those played."""
    if recorded != bag.bag:
        try:
            return frames.stamps(recorded, bag.topic)[1]
        except SourceError:  # it holds the answers alone
            pass
    return frames.stamps(bag.bag, bag.topic)[1]


# --- What both manners share ---------------------------------------------------------------------------------------


def _identity(
    settings: Settings,
    bags: Sequence[Annotated],
    sha256: Mapping[str, str],
    dataset: Dataset,
    model: tuple[str, str],
    others: Mapping[str, Any],
    ran: tuple[str, str, int] = ("", "", 0),
) -> Identity:
    """Identity of this run; ``model``: name and sha256; ``ran``: execution provider, device as asked for, threads."""
    (name, digest), (provider, device, threads) = model, ran
    shared = {
        "image_topics": sorted({bag.topic for bag in bags}),
        "intervals": settings.replicates,
        "any_box_kind": settings.any_box_kind,
    }
    return identity.identify(
        command=settings.command,
        bags=sha256,
        truth=bag_inputs.truth_sha256(dataset),
        bundle=name,
        bundle_sha256=digest,
        provider=provider,
        device=device,
        threads=threads,
        settings=shared | dict(others),
    )


def _measured(measures: Measures) -> dict[str, Any]:
    """The fields of a result that are measured alike in both manners."""
    return {
        "evaluation": measures.evaluation,
        "false_persons": measures.false_persons,
        "reliability_of_found": measures.reliability_of_found,
        "tracking": measures.tracking,
        "stability": measures.stability,
    }


def _notes(bags: Sequence[Annotated]) -> list[str]:
    return list(dict.fromkeys(note for bag in bags for note in bag.notes))


def _left_out(bags: Sequence[Annotated]) -> list[str]:
    return [line for bag in bags for line in bag.left_out]


def _keep(settings: Settings, dataset: Dataset, predictions: Predictions) -> None:
    if settings.output is not None:
        results.write(settings.output, dataset, predictions)
