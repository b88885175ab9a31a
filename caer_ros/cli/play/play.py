"""Publish a ROS 2 bag, a video or pictures as camera topics, in the time in which they were taken.

Every frame is sent, a late one late. By default (--restamp) header stamps are the time of
sending, so that latencies downstream mean something; messages that shared a stamp still do.
With --clock the recorded stamps stay and /clock tells the time of the source: start the
receivers with use_sim_time. Then --loop makes stamps and clock jump back, as a bag loop does.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import positive, size
from caer_ros.cli.console.ros_node import ros_node
from caer_ros.cli.play import fastdds
from caer_ros.cli.play.routes import plan
from caer_ros.recordings.sources import Bag, open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBLEMS_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer play``."""
    parser.add_argument("source", type=Path, help="bag (folder, .mcap, .db3), video, folder of pictures, picture")
    parser.add_argument(
        "--topic",
        help="image topic to publish on, without /compressed (default: camera/image_raw, or as recorded; "
        "a bag's camera_info goes beside it)",
    )
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--raw", action="store_true", help="publish Image (default, unless recorded otherwise)")
    transport.add_argument("--compressed", action="store_true", help="publish JPEG CompressedImage on TOPIC/compressed")
    stamps = parser.add_mutually_exclusive_group()
    stamps.add_argument("--restamp", action="store_true", help="header stamps are the time of sending (default)")
    stamps.add_argument("--clock", action="store_true", help="keep the recorded stamps and publish /clock")
    parser.add_argument("--rate", type=positive, default=1.0, help="times real time (default: %(default)s)")
    parser.add_argument("--loop", action="store_true", help="start over at the end, until Ctrl-C")
    parser.add_argument("--fps", type=positive, default=10.0, help="pictures a second (default: %(default)s)")
    parser.add_argument("--size", type=size, metavar="WxH", help="resize the pictures of a video or folder")
    parser.add_argument(
        "--qos",
        choices=("reliable", "best_effort"),
        default="reliable",
        help="reliability offered, keep last 1; reliable serves both kinds of subscriber (default: %(default)s)",
    )
    parser.add_argument(
        "--wait-for-subscriber",
        type=positive,
        metavar="SECONDS",
        help="start when somebody subscribes to an image; fail after SECONDS",
    )
    parser.add_argument("--json", action="store_true", help="print what was sent as one JSON object at the end")


def run(args: argparse.Namespace) -> int:
    """Play ``args.source`` to its end. Returns 0; raises SourceError or PlayError."""
    source = open_source(args.source, args.fps)
    routes = plan(source.streams, args.topic, "raw" if args.raw else "compressed" if args.compressed else "")
    if args.size and isinstance(source, Bag):
        raise argparse.ArgumentTypeError("--size: only for a video or pictures; a bag's images keep their calibration")
    if warning := fastdds.use_profile():
        _say(warning)
    from caer_ros.cli.play.player import Player

    with ros_node("caer_play", args.ros_arguments) as node:
        player = Player(node, source, routes, args)
        if args.wait_for_subscriber:
            player.wait_for_subscriber(args.wait_for_subscriber)
        try:
            player.play()
        finally:
            _say_problems(source.problems)
            report = player.report()
            print(json.dumps(asdict(report)) if args.json else report)
    return 0


def _say(line: str) -> None:
    print(f"caer play: {line}", file=sys.stderr)


def _say_problems(problems: Sequence[str]) -> None:
    for problem in problems[:PROBLEMS_SHOWN]:
        _say(f"left out: {problem}")
    if len(problems) > PROBLEMS_SHOWN:
        _say(f"left out: {len(problems) - PROBLEMS_SHOWN} more")
