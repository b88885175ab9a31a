"""Load a data set as training would, and print what is in it and what is wrong with it.

Exit code 1 when a split cannot be used. The names are emotic, heco, caer_s, affectnet, emoset, coco and own.
"""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from caer_ros.recordings.annotations.sample import Dataset

FORMAT = "caer data check"
FORMAT_VERSION = 1
FINDINGS = {
    "unreadable": "images that cannot be read, left out",
    "skipped": "rows that cannot be used, left out",
    "repaired": "boxes beyond the image, clipped",
    "typos": "misspelt labels, corrected",
    "unknown": "values that are none, unknown",
    "warnings": "warnings",
}
SHOWN = 3
"""Lines of each finding in the table; JSON has them all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer data check``."""
    parser.add_argument("name", help="which data set it is, or own for a COCO-style json of your own")
    parser.add_argument("path", type=Path, help="the folder that it was unpacked into")
    parser.add_argument(
        "--split",
        nargs="+",
        choices=("train", "val", "test"),
        help="check only these splits (default: all that the data set comes with)",
    )
    parser.add_argument("--decode", action="store_true", help="also decode every image, which takes a while")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 when a split cannot be used, with a line on stderr that says why."""
    import argparse

    from caer_ros.offline.data import NAMES, SPLITS

    if args.name not in NAMES:
        raise argparse.ArgumentTypeError(f"no data set is called {args.name!r}; there are {', '.join(NAMES)}")
    report = check(args.name, args.path, args.split or SPLITS[args.name], args.decode)
    if args.json:
        print(json.dumps(report, allow_nan=False))
    else:
        _show(report)
    for problem in report["problems"]:
        print(f"caer data check: {problem}", file=sys.stderr)
    return 1 if report["problems"] else 0


def check(name: str, path: Path, splits: tuple[str, ...], decode: bool = False) -> dict[str, Any]:
    """The report: a summary of each split that can be loaded, and ``problems``, each of which makes it unusable."""
    from caer_ros.offline.data import load
    from caer_ros.offline.data.contents import summary
    from caer_ros.recordings.annotations.sample import DatasetError

    report: dict[str, Any] = {"format": FORMAT, "format_version": FORMAT_VERSION, "name": name, "path": str(path)}
    problems: list[str] = []
    loaded: dict[str, Dataset] = {}
    for split in splits:
        try:
            loaded[split] = load(name, path, split)
        except DatasetError as error:
            if str(error) not in problems:  # a missing folder is missing for every split
                problems.append(str(error))
    for split, dataset in loaded.items() if decode else ():
        broken = _undecodable(split, dataset)
        dataset.findings.unreadable.extend(broken)
        if broken:
            problems.append(f"{split}: {len(broken)} images cannot be decoded; remove them, such as: {broken[0]}")
    if len({dataset.labels for dataset in loaded.values()}) > 1:
        problems.append(f"{path}: the splits have different labels")
    first = next(iter(loaded.values()), None)
    return report | {
        "label_set": first.label_set if first else None,
        "multi_label": first.multi_label if first else None,
        "splits": {split: summary(dataset) for split, dataset in loaded.items()},
        "shared_images": _shared(loaded),
        "problems": problems,
    }


def _shared(loaded: dict[str, Dataset]) -> dict[str, int]:
    """How many images two splits have in common, where they have any."""
    images = {split: {sample.image_id for sample in dataset.samples} for split, dataset in loaded.items()}
    return {f"{a}, {b}": len(both) for a, b in combinations(images, 2) if (both := images[a] & images[b])}


def _undecodable(split: str, dataset: Dataset) -> list[str]:
    """One line for each image that cannot be decoded. A bar on stderr, where that is a terminal."""
    from concurrent.futures import ThreadPoolExecutor

    from rich.console import Console
    from rich.progress import track

    from caer_ros.recordings.annotations import image_files as images
    from caer_ros.recordings.annotations.sample import DatasetError

    def attempt(path: Path) -> str | None:
        try:
            images.read(path)
        except DatasetError as error:
            return str(error)
        return None

    console = Console(stderr=True)
    paths = [sample.path for sample in dataset.samples]
    with ThreadPoolExecutor() as pool:  # OpenCV decodes without holding Python's lock
        errors = track(
            pool.map(attempt, paths),
            split,
            len(paths),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        return [error for error in errors if error]


def _show(report: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    splits: dict[str, dict[str, Any]] = report["splits"]
    if splits:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column(report["name"])
        for split in splits:
            table.add_column(split, justify="right")
        for title, cells in _lines(splits):
            table.add_row(title, *cells)
        table.add_section()
        for label in next(iter(splits.values()))["prevalence"]:
            table.add_row(label, *(_percent(summary["prevalence"].get(label)) for summary in splits.values()))
        console.print(table)
    for split, summary in splits.items():
        for kind, title in FINDINGS.items():
            lines = summary["findings"][kind]
            if lines:
                console.print(f"{split}: {title} ({len(lines)})", markup=False)
            for line in lines[:SHOWN]:
                console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
            if len(lines) > SHOWN:
                console.print(f"  … and {len(lines) - SHOWN} more (--json shows all)", markup=False)
    for both, count in report["shared_images"].items():
        console.print(f"{both}: {count} images belong to both splits", markup=False)


def _lines(splits: dict[str, dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Rows of the table: title, and a cell for each split."""
    summaries = splits.values()
    lines = [("images", [f"{s['images']:,}" for s in summaries]), ("persons", [f"{s['persons']:,}" for s in summaries])]
    for persons, title in enumerate(("nobody", "1 person", "2 persons", "3 or more")):
        counts = [
            sum(images for count, images in s["persons_per_image"].items() if min(int(count), 3) == persons)
            for s in summaries
        ]
        lines.append((f"  images of {title}", [f"{count:,}" for count in counts]))
    lines += [
        ("  boxes of", [", ".join(s["box_kinds"]) for s in summaries]),
        ("  with emotions", [f"{s['with_emotions']:,}" for s in summaries]),
        ("  with valence, arousal or dominance", [f"{s['with_vad']:,}" for s in summaries]),
        ("regions to ignore", [f"{s['ignored_regions']:,}" for s in summaries]),
    ]
    for kind, title in FINDINGS.items():
        lines.append((title, [f"{len(s['findings'][kind]):,}" for s in summaries]))
    lines.append(("chance mAP (mean prevalence)", [_percent(s["chance_map"]) for s in summaries]))
    return lines


def _percent(part: float | None) -> str:
    return "—" if part is None else f"{100 * part:.1f} %"
