"""Run two or more models over the same images, and show how fast each is and how far they agree.

The images are those of a folder, a video or a bag, or some of them, evenly spread. The models take turns on each, on
one device. Each other model is compared with the first: whom both find, whom only one of them does, and what they read
in those whom both found, over the labels that both can predict. It is agreement, not accuracy: for that, annotated
images are needed (caer evaluate). No image is stored unless --output names a folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import not_negative, whole
from caer_ros.cli.console.output_folder import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from caer_ros.cli.models.compare_frames import Chosen, Picture
    from caer_ros.cli.models.compare_run import Comparison

MARKER = ".caer_models_compare"
PAGE, REPORT, PICTURES = "compare.html", "compare.json", "pictures"
OUTPUT = Output("models compare", "--output", MARKER, frozenset({PAGE, REPORT, PICTURES}), logs=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models compare``."""
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="two bundles or more, names or folders; the first is the reference"
    )
    parser.add_argument(
        "--on", type=Path, required=True, metavar="PATH", help="folder of pictures, picture, video or bag"
    )
    parser.add_argument("--topic", metavar="T", help="of the images, where a bag has several")
    parser.add_argument(
        "--frames", type=number_or_all, default=50, metavar="N", help='so many, evenly spread, or "all" (default: 50)'
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N, tensorrt:N (default: %(default)s)")
    parser.add_argument(
        "--threads", type=not_negative, default=0, metavar="N", help="inside one operator (default: one a core)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help=f"write {PAGE}, {REPORT} and side-by-side {PICTURES}/ there"
    )
    parser.add_argument(
        "--pictures", type=not_negative, default=12, metavar="N", help="in --output, at most (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def number_or_all(text: str) -> int | None:
    """A whole number, 1 or more; None for "all"."""
    return None if text == "all" else whole(text)


def run(args: argparse.Namespace) -> int:
    """Compare, and print what came out. Returns 0; raises BundleError, EngineError, SourceError or OutputError."""
    if len(args.models) < 2:
        raise argparse.ArgumentTypeError(
            f"only {args.models[0]} is named; name two models or more, with a space between"
        )
    from caer_ros.cli.console import machine
    from caer_ros.cli.models.compare_frames import Chosen
    from caer_ros.cli.models.compare_run import compare, load
    from caer_ros.perception.engine import EngineSettings

    described = machine.describe()
    chosen = Chosen.of(args.on, args.topic, args.frames)
    contenders = load(args.models, EngineSettings(device=args.device, threads=args.threads))
    folder = OUTPUT.prepare(args.output) if args.output else None
    comparison = compare(contenders, _progress(chosen), keep=args.pictures if folder else 0)
    report = document(comparison, chosen, args, described)
    if folder:
        write(folder, comparison, report)
    print(json.dumps(report)) if args.json else show(report, folder)
    return 0


def _progress(chosen: Chosen) -> Iterable[Picture]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal:
        return chosen
    return track(chosen, "comparing", total=len(chosen.indices), console=console, transient=True)


def document(comparison: Comparison, chosen: Chosen, args: argparse.Namespace, machine_now: dict[str, Any]) -> Any:
    """The report as JSON has it."""
    from datetime import datetime, timezone

    from caer_ros.cli.console import machine
    from caer_ros.cli.models.compare_report import CAVEAT, FORMAT, FORMAT_VERSION, as_json

    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "caveat": CAVEAT,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_now,
        "versions": machine.versions(ros=False),
        "settings": {"device": args.device, "threads": args.threads},
        "source": {
            "path": str(args.on),
            "topic": chosen.topic,
            "available": chosen.available,
            "looked_at": len(comparison.looks),
            "problems": chosen.source.problems,
        },
        **as_json(comparison),
    }


def write(folder: Path, comparison: Comparison, report: Any) -> None:
    """Fill the output folder."""
    from caer_ros.cli.models.compare_report import page

    pictures = []
    (folder / PICTURES).mkdir()
    for name, caption, jpeg in _pictures(comparison):
        (folder / PICTURES / name).write_bytes(jpeg)
        pictures.append((f"{PICTURES}/{name}", caption, jpeg))
    (folder / PAGE).write_text(page(report, _facts(report), pictures), "utf8")
    (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", "utf8")


def _pictures(comparison: Comparison) -> Iterator[tuple[str, str, bytes]]:
    """Name of the file, caption, and JPEG."""
    from caer_ros.cli.models.compare_pictures import side_by_side

    names = [contender.name for contender in comparison.contenders]
    labels: Sequence[Sequence[str]] = [contender.bundle.labels for contender in comparison.contenders]
    for place, (_, look, pixels) in enumerate(comparison.shown, 1):
        number = look.disagreements
        caption = f"{look.name}: {number or 'no'} {'disagreement' if number == 1 else 'disagreements'}"
        yield f"{place:03}.jpg", caption, side_by_side(look, pixels, names, labels)


def _facts(report: Any) -> dict[str, dict[str, str]]:
    """What ran, on what."""
    here, settings = report["machine"], report["settings"]
    models = {model["name"]: f"{model['path']}, {model['model_version']}" for model in report["models"]}
    return {
        "Models": models,
        "Machine": {
            "processor": f"{here['cpu']}, {here['cores']} cores",
            "system": f"{here['system']}, Linux {here['kernel']}",
            "device, threads": f"{settings['device']}, {settings['threads'] or 'one a core'}",
            "load before": str(here["load_before"]),
            "date": report["date"],
        },
        "Versions": report["versions"],
    }


def show(report: Any, folder: Path | None) -> None:
    """Print the tables, what they must be read with, and where the page is."""
    from rich.console import Console
    from rich.markup import escape

    from caer_ros.cli.bench import figures
    from caer_ros.cli.models.compare_report import notes, tables

    figures.show(
        [
            figures.Table(
                escape(table.title),
                tuple(map(escape, table.header)),
                [tuple(map(escape, row)) for row in table.rows],
            )
            for table in tables(report)
        ]
    )
    console = Console(highlight=False)
    for note in notes(report):
        console.print(note, markup=False)
    if folder:
        console.print(f"{folder / PAGE} shows it with pictures", markup=False, soft_wrap=True)
