"""Compare results on the same frames: who is better, and is it more than chance?

Each result is a folder that `caer evaluate bag` or `caer evaluate dataset` wrote with --output. ER, PD and OER of all
are measured again on the same frames; each difference to the first result has an interval of a paired bootstrap over
tracks or recordings. Results on other frames or annotations are refused unless --common is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.cli.arguments import not_negative

if TYPE_CHECKING:
    import argparse

FORMAT = "caer evaluate compare"
FORMAT_VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer evaluate compare``."""
    parser.add_argument("first", type=Path, help="the result that the others are held against")
    parser.add_argument("others", type=Path, nargs="+", metavar="other", help="another result")
    parser.add_argument(
        "--intervals", type=not_negative, default=1000, metavar="N", help="draws of the bootstrap (default: 1000)"
    )
    parser.add_argument("--common", action="store_true", help="take the frames that all have with the same annotations")
    parser.add_argument("--any-box-kind", action="store_true", help="compare boxes of bodies, heads and faces")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Read, compare, print. Raises MetricsError, PredictionsError, DatasetError."""
    import json

    from caer_ros.offline.evaluation import compare, results
    from caer_ros.offline.reports import tables

    read = [results.read(folder) for folder in (args.first, *args.others)]
    comparison = compare.compare(read, args.intervals, args.common, args.any_box_kind)
    if args.json:
        print(json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **comparison.to_dict()}))
        return 0
    from rich.console import Console

    tables.print_tables([compare.table(comparison)], comparison.notes, Console())
    return 0
