"""Take pictures out of a bag, evenly in time, and write a json beside them that waits for annotations.

FOLDER/TOPIC/STAMP.jpg are named by image topic and header stamp, FOLDER/annotations.json has the form of COCO with
emotions ("own" for `caer data check` and `caer train`). A model may pre-fill the boxes; the json then says which.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import positive, whole

if TYPE_CHECKING:
    from caer_ros.recordings.annotations.extract import Draft, Extracted

BOX_KINDS = ("body", "head", "face")
SHOWN = 5
"""Lines of what was left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bag extract``."""
    parser.add_argument("bag", type=Path, help="a rosbag2: its folder, or its .mcap or .db3 file")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="made new")
    parser.add_argument("--topic", nargs="+", default=[], help="image topics (default: the only one)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--every", type=positive, metavar="S", help="a picture every so many seconds")
    which.add_argument("--count", type=whole, metavar="N", help="so many pictures of each topic, evenly in time")
    parser.add_argument("--png", action="store_true", help="pictures without loss (default: JPEG, quality 95)")
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument("--label-set", metavar="NAME", help="emotic, heco, ...: the labels to be given")
    labels.add_argument("--labels", metavar="A,B,...", help="labels of your own, in this order")
    parser.add_argument("--multi-label", action="store_true", help="a person may have several (emotic: always)")
    parser.add_argument("--box-kind", choices=BOX_KINDS, help="what boxes surround (default: the model's, or body)")
    draft = parser.add_mutually_exclusive_group()
    draft.add_argument("--prefill", metavar="BUNDLE", help="a bundle (name or folder) that draws the boxes")
    draft.add_argument("--from-truth", action="store_true", help="the ground truth that the bag has on a topic")
    parser.add_argument("--emotions", action="store_true", help="with --prefill: its scores too, as beliefs")
    parser.add_argument("--truth-topic", metavar="TOPIC", help="with --from-truth (default: /ground_truth/persons)")
    parser.add_argument("--splits", action="store_true", help="train, val, test: blocks of 70, 10, 20 %% of the time")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N, tensorrt:N (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Write the folder. Raises the errors of bags, data sets and bundles."""
    from functools import partial

    from rich.console import Console
    from rich.progress import track

    from caer_ros.recordings.annotations.extract import Sampling, extract

    _check(args)
    console = Console(stderr=True)
    watch = partial(track, console=console, transient=True, disable=not console.is_terminal)
    done = extract(
        args.bag,
        args.output,
        _draft(args),
        Sampling(args.every, args.count),
        args.topic,
        png=args.png,
        splits=args.splits,
        watch=lambda frames, count: watch(frames, "extract", count),
    )
    _say(args, done)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise ArgumentTypeError where arguments contradict each other."""
    if not (args.every or args.count or args.from_truth):
        raise argparse.ArgumentTypeError("how many pictures? Give --every S or --count N")
    if args.emotions and not args.prefill:
        raise argparse.ArgumentTypeError("--emotions: of which model? Give --prefill BUNDLE")
    if args.truth_topic and not args.from_truth:
        raise argparse.ArgumentTypeError("--truth-topic is for --from-truth")
    if args.from_truth:
        given = [name for name in ("label_set", "labels", "multi_label", "box_kind") if getattr(args, name)]
        if given:
            raise argparse.ArgumentTypeError(f"--{given[0].replace('_', '-')}: --from-truth takes what the bag says")
        if len(args.topic) > 1:
            raise argparse.ArgumentTypeError("--topic: a ground truth is of one camera; name one topic")
    elif not (args.label_set or args.labels or args.prefill):
        raise argparse.ArgumentTypeError("which emotions? Give --label-set NAME or --labels A,B,...")


def _draft(args: argparse.Namespace) -> Draft:
    """What the json says before anybody has annotated."""
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.person import BoxKind
    from caer_ros.perception.predictors import predictor
    from caer_ros.recordings.annotations import extract, truth
    from caer_ros.recordings.definitions import TRUTH_TOPIC

    if args.from_truth:
        image_topic = args.topic[0] if args.topic else None
        return extract.true(truth.from_topic(args.bag, image_topic, args.truth_topic or TRUTH_TOPIC))
    box_kind = BoxKind[(args.box_kind or "body").upper()]
    wanted = extract.blank(*_labels(args), box_kind) if args.label_set or args.labels else None
    if not args.prefill:
        assert wanted is not None
        return wanted
    bundle = read_bundle(find_bundle(args.prefill))
    if args.box_kind and bundle.box_kind != box_kind:
        raise argparse.ArgumentTypeError(
            f"--box-kind {args.box_kind}: {bundle.name} draws boxes of the {bundle.box_kind.name.lower()}"
        )
    return extract.prefilled(predictor.load(bundle, EngineSettings(args.device)), wanted, args.emotions)


def _labels(args: argparse.Namespace) -> tuple[str, tuple[str, ...], bool]:
    """Label set, labels, and whether a person may have several of them."""
    from caer_ros.taxonomy import LABEL_SETS

    if args.label_set is not None:
        if args.label_set not in LABEL_SETS:
            raise argparse.ArgumentTypeError(
                f"--label-set {args.label_set}: there are {', '.join(LABEL_SETS)}; labels of your own: --labels A,B,..."
            )
        return args.label_set, LABEL_SETS[args.label_set], args.multi_label or args.label_set == "emotic"
    labels = tuple(label.strip() for label in args.labels.split(","))
    if not all(labels) or len(set(labels)) < len(labels):
        raise argparse.ArgumentTypeError(f"--labels {args.labels}: different names are expected, such as calm,tense")
    return "own", labels, args.multi_label


def _say(args: argparse.Namespace, done: Extracted) -> None:
    boxes = f", {done.persons:,} boxes" if args.prefill or args.from_truth else ""
    print(f"{args.output}: {done.pictures:,} pictures{boxes}, annotations.json")
    for line in done.left_out[:SHOWN]:
        print(f"left out: {line}")
    if len(done.left_out) > SHOWN:
        print(f"left out: … and {len(done.left_out) - SHOWN} more")
