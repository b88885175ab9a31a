"""Measure a model on a data set: ER, PD and OER, each beside what it must be read with.

The model is a bundle, as the node runs it, or a checkpoint. With --output the predictions, the annotations, all numbers
and a report with plots and pictures are written; `caer evaluate compare` takes such folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import whole

if TYPE_CHECKING:
    import argparse

    from caer_ros.offline.data.predictions import PredictionHeader, Predictions
    from caer_ros.offline.metrics.summary import Evaluation
    from caer_ros.recordings.annotations.sample import Dataset

FORMAT = "caer evaluate dataset"
FORMAT_VERSION = 1
SHARED_IMAGES = (
    "The model or a teacher of it was trained on COCO, and EMOTIC's mscoco images are COCO's: it may have seen some of "
    "this split."
)


MIRRORED = "All scores are means with the mirrored image: twice the cost of what a robot's bundle does."
PERSON_CENTRIC = (
    "ER is the mean with the person-centric head, which no robot's bundle has; PD and OER are of the persons found "
    "without it."
)
RELEASE_OF_HEADS = (
    "EMOTIC's head boxes are those of the CVPR'17 release: in place of the folder give its file of this split, whose "
    "name ends in {split}_bi.json"
)

MANNERS = ("flip", "person_centric")
"""Options that are ways of evaluating which only some systems have (``System.MANNERS``)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer evaluate dataset``."""
    parser.add_argument("name", help="which data set, as `caer data check` calls it")
    parser.add_argument("path", type=Path, help="the folder that it was unpacked into")
    parser.add_argument("--model", required=True, help="a bundle (name or folder), or a checkpoint (.ckpt)")
    parser.add_argument("--split", default="test", help="default: %(default)s")
    written = "write report.html, metrics.json, and the predictions and annotations that they are of"
    parser.add_argument("--output", type=Path, metavar="FOLDER", help=written)
    parser.add_argument("--no-images", action="store_true", help="no pictures of people in the report")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N, tensorrt:N (default: %(default)s)")
    parser.add_argument("--limit", type=whole, metavar="N", help="only so many images, drawn at random, seed 0")
    parser.add_argument(
        "--annotations",
        choices=("labels", "any_vote", "majority"),
        default="labels",
        help="what makes a person a positive of a label (default: %(default)s)",
    )
    parser.add_argument(
        "--intervals", type=whole, default=0, metavar="N", help="bootstrap with N draws (default: none)"
    )
    parser.add_argument("--any-box-kind", action="store_true", help="compare boxes of bodies, heads and faces")
    parser.add_argument(
        "--flip", action="store_true", help="mean with the mirrored image, where that is the network's protocol (.ckpt)"
    )
    head = "ER as the mean with the person-centric head, where the network has one (.ckpt); a pass for each person"
    parser.add_argument("--person-centric", action="store_true", help=head)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Predict, measure, print, write. Raises the errors of data sets, bundles, checkpoints and metrics."""
    import dataclasses
    import json

    from caer_ros.offline.data import load
    from caer_ros.offline.evaluation import predict, results
    from caer_ros.offline.metrics import summary
    from caer_ros.offline.reports import tables

    dataset = _limited(load(args.name, args.path, args.split), args.limit)
    predictions, mapping = predict.relabel(_predict(args, dataset), dataset)
    if args.output:  # first of all: they took the time
        results.write(args.output, dataset, predictions)
    evaluation = summary.evaluate(
        dataset,
        predictions,
        annotations=args.annotations,
        replicates=args.intervals,
        any_box_kind=args.any_box_kind,
    )
    notes = [mapping] if mapping else []
    notes += [MIRRORED] if args.flip else []
    notes += [PERSON_CENTRIC] if args.person_centric else []
    notes += [f"{args.limit} images drawn at random."] if args.limit else []
    notes += [SHARED_IMAGES] if dataset.name == "emotic" and "coco" in _provenance(args.model).lower() else []
    evaluation = dataclasses.replace(evaluation, notes=(*notes, *_findings(dataset), *evaluation.notes))
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **evaluation.to_dict()}
    if args.json:
        print(json.dumps(content))
    else:
        from rich.console import Console

        tables.show(evaluation, Console())
    if args.output:
        written = results.finish(args.output, content, _html(args, dataset, predictions, evaluation))
        if not args.json:
            print(written)
    return 0


def _limited(dataset: Dataset, limit: int | None) -> Dataset:
    """So many images at most, the same on every run, in their order."""
    import random
    from dataclasses import replace

    if limit is None or limit >= len(dataset.samples):
        return dataset
    chosen = sorted(random.Random(0).sample(range(len(dataset.samples)), limit))
    return replace(dataset, samples=tuple(dataset.samples[index] for index in chosen))


def _predict(args: argparse.Namespace, dataset: Dataset) -> Predictions:
    from functools import partial

    from rich.console import Console
    from rich.progress import track

    from caer_ros.offline.evaluation import predict
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings

    console = Console(stderr=True)
    watch = partial(
        track,
        description="predict",
        total=len(dataset.samples),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    ready = partial(_check, args, dataset)
    source = f"{dataset.name} {dataset.split}"
    path, manners = Path(args.model), tuple(name for name in MANNERS if getattr(args, name))
    if path.suffix == ".ckpt":
        return predict.predict_checkpoint(
            path,
            dataset.samples,
            args.device,
            source,
            watch=watch,
            ready=ready,
            manners=manners,
        )
    if manners:
        option = f"--{manners[0].replace('_', '-')}"
        raise predict.EvaluationError(f"{option}: {path} is a bundle; give the checkpoint (.ckpt) that it was made of")
    bundle = read_bundle(find_bundle(args.model))
    settings = EngineSettings(args.device)
    return predict.predict_bundle(bundle, dataset.samples, settings, source, watch=watch, ready=ready)


def _check(args: argparse.Namespace, dataset: Dataset, header: PredictionHeader) -> None:
    """Raise now what would make the predictions useless."""
    from caer_ros.offline.data.predictions import Predictions
    from caer_ros.offline.evaluation import predict
    from caer_ros.offline.metrics.joined import MetricsError, check
    from caer_ros.perception.person import BoxKind

    relabelled, _ = predict.relabel(Predictions(header, ()), dataset)
    try:
        check(dataset.samples, relabelled.header, args.annotations, args.any_box_kind)
    except MetricsError as error:
        bodies = any(sample.box_kind == BoxKind.BODY for sample in dataset.samples)
        if dataset.name == "emotic" and header.box_kind == BoxKind.HEAD and bodies and not args.any_box_kind:
            raise MetricsError(f"{error}. {RELEASE_OF_HEADS.format(split=dataset.split)}") from error
        raise


def _provenance(model: str) -> str:
    """What a bundle or a checkpoint says about the data and the recipe it comes from."""
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle

    if not model.endswith(".ckpt"):
        provenance = read_bundle(find_bundle(model)).provenance
        return f"{provenance.data} {provenance.recipe}"
    from caer_ros.offline.training import checkpoint

    card = checkpoint.card_of(checkpoint.load(model), model)
    return f"{card.data} {card.recipe} {card.config.get('recipe', '')}"  # the latter names teachers' files


def _findings(dataset: Dataset) -> list[str]:
    """What the loader left out, in a sentence."""
    findings = dataset.findings
    left_out = [(len(findings.unreadable), "unreadable images"), (len(findings.skipped), "unusable rows")]
    said = [f"{count:,} {what}" for count, what in left_out if count]
    return [f"Left out while loading: {' and '.join(said)} (`caer data check` lists them)."] if said else []


def _html(args: argparse.Namespace, dataset: Dataset, predictions: Predictions, evaluation: Evaluation) -> str:
    from caer_ros.offline.metrics.joined import join
    from caer_ros.offline.reports import dataset_report

    joined = join(dataset.samples, predictions, args.annotations, args.any_box_kind)
    return dataset_report.html(joined, evaluation, pictures=not args.no_images)
