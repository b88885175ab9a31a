"""Make a data set of real people out of pictures: bodies, and faces with labels by people, put together on canvases.

What is on a canvas is known: which face can be read, which is turned away, covered or not there at all. Persons, faces
and a second opinion on expressions come from the networks of the bundle bootstrap; what people said about a face counts
most. The result is a data set "own" for `caer train people`. Nothing is downloaded; mind the terms of the pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import not_negative, whole

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer data people``."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the data set; made new")
    parser.add_argument(
        "--bodies", type=Path, action="append", required=True, metavar="DIR",
        help="pictures of people, and of all that is below it; may be given several times",
    )  # fmt: skip
    parser.add_argument("--faces", type=Path, required=True, metavar="DIR", help="close crops of faces")
    parser.add_argument(
        "--labels", type=Path, required=True, metavar="CSV",
        help='columns file and labels: the faces\' names and emotions, those of several annotators with ";" between',
    )  # fmt: skip
    parser.add_argument(
        "--empty", type=Path, action="append", default=[], metavar="DIR",
        help="pictures without people; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=whole, default=9000, metavar="N", help="canvases to learn from (default: 9000)"
    )
    parser.add_argument("--val", type=whole, default=600, metavar="N", help="canvases that choose (default: 600)")
    parser.add_argument("--seed", type=not_negative, default=0, metavar="S", help="0 or more (default: 0)")
    parser.add_argument("--processes", type=whole, default=2, metavar="N", help="that work (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Make it. Raises DatasetError, BundleError and EngineError."""
    from caer_ros.offline.data.people import people_set

    folders = people_set.Folders(tuple(args.bodies), args.faces, args.labels, tuple(args.empty))
    counts = {"train": args.images, "val": args.val}
    made = people_set.make(args.out, folders, counts, (480, 640), args.seed, args.processes, print)
    print(people_set.in_words(args.out, made))
    return 0
