"""Choose from when on a single-shot model calls somebody readable, and a label certain, and say what that comes to.

DATA is a data set "own" whose annotations say what can be seen of faces, such as `caer data people` writes it. Both
thresholds are chosen on its images of even number, as low as the allowed errors let them be, and judged on the others.
`caer export` takes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import part, whole

if TYPE_CHECKING:
    import argparse

    from caer_ros.offline.evaluation.reading_thresholds import Chosen, Judged
    from caer_ros.offline.reports.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer evaluate readability``."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the data set")
    parser.add_argument("--model", required=True, metavar="BUNDLE", help="a single-shot bundle, a name or a folder")
    parser.add_argument("--split", default="val", help="default: %(default)s")
    hidden = "part of the persons without a readable face who may pass as readable (default: %(default)s)"
    parser.add_argument("--hidden", type=part, default=0.05, metavar="P", help=hidden)
    wrong = "part of the certain labels that may be wrong (default: %(default)s)"
    parser.add_argument("--wrong", type=part, default=0.15, metavar="P", help=wrong)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON there, too")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N, tensorrt:N (default: %(default)s)")
    parser.add_argument("--threads", type=whole, default=1, metavar="N", help="inside one operator (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Read, choose, judge, print. Raises the errors of data sets, bundles and engines."""
    import json

    from caer_ros.offline.data import load
    from caer_ros.offline.evaluation import reading_thresholds
    from caer_ros.perception.bundle.bundle import BundleError
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.predictors.single_shot import SingleShot
    from caer_ros.plain_data import plain
    from caer_ros.recordings import whole_file

    bundle = read_bundle(find_bundle(args.model))
    if bundle.readability is None:
        raise BundleError(f"{bundle.path}: it does not say who can be read; a bundle of `caer train people` does")
    dataset = load("own", args.data, args.split)
    model = SingleShot(bundle, EngineSettings(args.device, threads=args.threads))
    published = [label for label, told in zip(bundle.labels, bundle.predictable, strict=True) if told]
    readings = reading_thresholds.read(model, dataset, _watch)
    chosen = reading_thresholds.choose(readings, reading_thresholds.Allowed(args.hidden, args.wrong))
    judged = reading_thresholds.judge(readings, chosen, published)
    document = {
        "format": "caer evaluate readability",
        "format_version": 1,
        "model": {"id": bundle.name, "version": bundle.version},
        "data": {"path": str(args.data), "split": args.split, "images": len(dataset.samples)},
        "allowed": {"hidden": args.hidden, "wrong": args.wrong},
        "chosen": plain(chosen),
        "judged": plain(judged),
    }
    text = json.dumps(document, indent=1)
    if args.output:
        whole_file.write_text(args.output, text + "\n")
    if args.json:
        print(text)
        return 0
    from rich.console import Console

    from caer_ros.offline.reports.tables import print_tables

    print_tables([table(judged)], [_option(chosen)], Console())
    return 0


def _watch(samples: Any) -> Any:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(samples, "read", console=console, transient=True, disable=not console.is_terminal)


def table(judged: Judged) -> Table:
    """What the chosen thresholds come to."""
    from caer_ros.offline.reports.portrait_report import part as shown
    from caer_ros.offline.reports.tables import Table

    rows = (
        ("readable faces that pass as readable", shown(judged.readable)),
        ("hidden faces that do", shown(judged.unreadable["hidden"])),
        ("persons without a face who do", shown(judged.unreadable["none"])),
        ("faces with a published label: certain", shown(judged.certain)),
        ("certain labels: right", shown(judged.right)),
        ("faces with another label: certain", shown(judged.others)),
    )
    return Table("On the images of odd number", ("what", "part [95 %] of"), rows)


def _option(chosen: Chosen) -> str:
    return (
        f"Chosen on the images of even number: --readable-threshold {chosen.readable:g} "
        f"--uncertain-threshold {chosen.uncertain:g} of `caer export`."
    )
