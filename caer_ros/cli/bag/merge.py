"""Write annotations into a copy of their bag, as a topic of its own; with --read, read them from such a bag.

The copy has all that the bag has, and beside each annotated image a message (caer_ros/msg/PersonEmotionArray) that
says who is in it. Gender, age and weights of annotations have no place there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caer_ros.recordings.annotations.sample import Dataset

SHOWN = 3
"""Number of left-out frames that are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer bag merge``."""
    parser.add_argument("bag", type=Path, help="a rosbag2: its folder, or its .mcap or .db3 file")
    parser.add_argument("annotations", type=Path, nargs="?", metavar="ANNOTATIONS.json", help='of the form "own"')
    parser.add_argument(
        "--output", type=Path, required=True, metavar="BAG|FILE", help="the copy; with --read a json; made new"
    )
    parser.add_argument("--read", action="store_true", help="write the bag's ground truth into a json")
    parser.add_argument("--topic", help="of the ground truth (default: /ground_truth/persons)")
    parser.add_argument("--image-topic", metavar="TOPIC", help="of the annotated images (default: the only one)")
    parser.add_argument("--partial", action="store_true", help="leave out annotations of frames that the bag lacks")


def run(args: argparse.Namespace) -> int:
    """Write the copy or the json. Raises SourceError and DatasetError."""
    from caer_ros.recordings.definitions import TRUTH_TOPIC

    if args.read == (args.annotations is not None):
        raise argparse.ArgumentTypeError("give either ANNOTATIONS.json to write, or --read")
    args.topic = args.topic or TRUTH_TOPIC
    return _read(args) if args.read else _write(args)


def _write(args: argparse.Namespace) -> int:
    from functools import partial

    from rich.console import Console
    from rich.progress import track

    from caer_ros.recordings.annotations import truth
    from caer_ros.recordings.annotations.merge import merge

    dataset = truth.from_json(args.annotations, args.bag, args.image_topic)
    left_out = dataset.findings.skipped
    if left_out and not args.partial:
        _refuse(args, left_out)
    console = Console(stderr=True)
    watch = partial(track, console=console, transient=True, disable=not console.is_terminal)
    count = merge(args.bag, dataset, args.output, args.topic, lambda messages, total: watch(messages, "copy", total))
    print(f"{args.output}: the bag, and {count:,} messages on {args.topic}")
    _say(dataset)
    return 0


def _refuse(args: argparse.Namespace, left_out: list[str]) -> None:
    from caer_ros.recordings.annotations.sample import DatasetError

    first = "; ".join(line.removesuffix("; left out") for line in left_out[:SHOWN])
    more = f"; … and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    raise DatasetError(
        f"{args.annotations}: {len(left_out)} annotated frames have no place in {args.bag}: "
        f"{first}{more} (--partial merges the others)"
    )


def _read(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from caer_ros.recordings.annotations import extract, truth
    from caer_ros.recordings.annotations.sample import DatasetError

    if args.output.exists():
        raise DatasetError(f"{args.output} exists already: remove it, or choose another name")
    dataset = truth.from_topic(args.bag, args.image_topic, args.topic)
    named = tuple(replace(sample, image_id=f"{sample.image_id}.jpg") for sample in dataset.samples)
    extract.write_json(args.output, extract.own_content(replace(dataset, samples=named)))
    print(f"{args.output}: {len(named):,} frames, {sum(map(len, named)):,} persons")
    _say(dataset)
    return 0


def _say(dataset: Dataset) -> None:
    """What was left out on the way."""
    lines = [*dataset.findings.skipped, *dataset.findings.warnings]
    for line in lines[:SHOWN]:
        print(f"note: {line}")
    if len(lines) > SHOWN:
        print(f"note: … and {len(lines) - SHOWN} more")
