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

from caer_ros.cli.arguments import not_negative, not_negative_number, whole

if TYPE_CHECKING:
    import argparse

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
    import json
    import sys

    from rich.console import Console

    from caer_ros.offline.evaluation.bags import bag_evaluate, bag_inputs
    from caer_ros.offline.reports import bag_tables

    bags = bag_inputs.read(args.bags, args.truth or (), args.topic)
    command = ("caer", *sys.argv[1:])
    settings = bag_evaluate.Settings(command, args.intervals, args.any_box_kind, args.output)
    if args.model:
        result, joined = bag_evaluate.offline(bags, args.model, settings, args.device, args.threads, args.processes)
    else:
        result, joined = bag_evaluate.recorded(bags, _recordings(args), settings, args.deadline, args.emotions_topic)
    console = Console()
    if args.json:
        print(json.dumps(bag_evaluate.content(result)))
    else:
        bag_tables.show(result, console)
    if args.output:
        written = bag_evaluate.finish(result, joined, args.output, pictures=not args.no_images)
        if not args.json:
            console.print(written, soft_wrap=True, highlight=False)
    return 0


def _recordings(args: argparse.Namespace) -> list[Path]:
    """Return the recording with what the node published, for each bag. Raises EvaluationError."""
    from caer_ros.offline.evaluation.predict import EvaluationError

    if args.recorded == [SAME]:
        return list(args.bags)
    if len(args.recorded) != len(args.bags):
        raise EvaluationError(
            f"{len(args.bags)} bags and {len(args.recorded)} times --recorded: give a recording for each bag, in the "
            "order of the bags, or --recorded alone"
        )
    return [bag if given == SAME else Path(given) for bag, given in zip(args.bags, args.recorded, strict=True)]
