"""Measure what a bundle says about portraits of known people, neutral and smiling, in street scenes.

PORTRAITS is a folder of {id}_neutral.jpg and {id}_smiling.jpg; beside it PORTRAITS.csv has the columns id, age, gender
and ethnicity. Each head is laid on a body of --scenes, so that the face is exactly so many pixels wide, and shown to
every model as the node would see it: by size, by groups of persons, with mouth or eyes covered, and from behind.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.arguments import not_negative, whole
from caer_ros.cli.console.output_folder import Output
from caer_ros.perception.bundle.finding import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from caer_ros.offline.evaluation.portraits.portrait_run import Judged
    from caer_ros.offline.reports.tables import Table

MARKER = ".caer_evaluate_portraits"
RESULT, TABLES, PAGE = "portraits.json", "portraits.md", "portraits.html"
OUTPUT = Output("evaluate portraits", "--output", MARKER, frozenset({RESULT, TABLES, PAGE}), logs=False)
SMALLEST, LARGEST = 8, 160
"""Widths of faces in pixels between which a head on a body fits into the picture."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer evaluate portraits``."""
    parser.add_argument("portraits", type=Path, metavar="PORTRAITS", help="folder of portraits")
    scenes = "pictures of one standing person each, whose bodies and surroundings the portraits get"
    parser.add_argument("--scenes", type=Path, required=True, metavar="FOLDER", help=scenes)
    parser.add_argument(
        "--model", action="append", metavar="NAME", help=f"a bundle, name or folder; several times (default: {DEFAULT})"
    )
    parser.add_argument(
        "--sizes", type=sizes, default=(16, 24, 32, 48, 80), metavar="PX,…", help="of faces (default: 16,24,32,48,80)"
    )
    parser.add_argument("--seed", type=not_negative, default=0, help="of scenes, places and covers (default: 0)")
    split = "which scenes, by their names: only those of this split, or all (default: %(default)s)"
    parser.add_argument("--scenes-split", choices=("train", "val", "test", "all"), default="test", help=split)
    turned = "pictures of persons who are turned away; several times"
    parser.add_argument("--turned", type=Path, action="append", default=[], metavar="FOLDER", help=turned)
    negatives = "pictures without persons, or without faces that can be read; several times"
    parser.add_argument("--negatives", type=Path, action="append", default=[], metavar="FOLDER", help=negatives)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help=f"write {RESULT}, {TABLES} and {PAGE} there"
    )
    sheet = "a picture of some cases, to be looked at: it shows the portraits"
    parser.add_argument("--write-sheet", type=Path, metavar="FILE.jpg", help=sheet)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N, tensorrt:N (default: %(default)s)")
    parser.add_argument("--threads", type=whole, default=1, metavar="N", help="inside one operator (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def sizes(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between, in ascending order, each once."""
    try:
        values = sorted({whole(part.strip()) for part in text.split(",")})
    except argparse.ArgumentTypeError:
        values = []
    if not values or values[0] < SMALLEST or values[-1] > LARGEST:
        raise argparse.ArgumentTypeError(
            f"must be widths in pixels from {SMALLEST} to {LARGEST} with commas between, such as 24,48, not {text!r}"
        )
    return tuple(values)


def run(args: argparse.Namespace) -> int:
    """Judge, print, write. Raises the errors of data sets, bundles and the output folder."""
    import json

    from caer_ros.offline.evaluation.portraits import portrait_run
    from caer_ros.offline.evaluation.portraits.contact_sheet import Sheet
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.recordings import whole_file

    if args.write_sheet and args.write_sheet.suffix.lower() not in (".jpg", ".jpeg"):
        raise argparse.ArgumentTypeError(f"--write-sheet {args.write_sheet}: must end in .jpg")
    settings = EngineSettings(args.device, threads=args.threads)
    setup = portrait_run.Setup(
        args.portraits,
        args.scenes,
        args.scenes_split,
        args.sizes,
        args.seed,
        tuple(args.turned),
        tuple(args.negatives),
    )
    portrait_run.check(setup)
    models = portrait_run.load(args.model or [DEFAULT], settings)
    folder = OUTPUT.prepare(args.output)
    sheet = Sheet()
    judged = portrait_run.run(setup, models, settings, sheet.show, _progress)
    document = portrait_run.document(judged)
    whole_file.write_text(folder / RESULT, json.dumps(document, indent=1) + "\n")
    tables, notes = _tables(judged)
    _write(folder, judged, tables, notes)
    if args.write_sheet:
        sheet.write(args.write_sheet)
    if args.json:
        print(json.dumps(document))
        return 0
    from rich.console import Console

    from caer_ros.offline.reports.tables import print_tables

    print_tables(tables, notes, Console())
    print(f"written: {folder / PAGE}; {TABLES} and {RESULT} beside it")
    return 0


def _progress(items: Iterable[Any], description: str, total: int) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    silent = not console.is_terminal
    return track(items, description, total=total or None, console=console, transient=True, disable=silent)


def _tables(judged: Judged) -> tuple[list[Table], list[str]]:
    """What is shown, and what it must be read with."""
    from caer_ros.offline.reports import portrait_report

    noted = [f"{len(names)} {reason} (named in {RESULT})" for reason, names in judged.notes.items()]
    noted += [
        f"{other.folder}: {len(names)} {reason}" for other in judged.others for reason, names in other.left_out.items()
    ]
    notes = [*portrait_report.HOW, *(["Portraits and scenes: " + "; ".join(noted) + "."] if noted else [])]
    return portrait_report.tables(judged.figures, judged.folders), notes


def _write(folder: Path, judged: Judged, tables: list[Table], notes: list[str]) -> None:
    from caer_ros.offline.reports import portrait_report
    from caer_ros.recordings import whole_file

    setup, title = judged.setup, f"{', '.join(judged.models)} on portraits of known people"
    models = {name: f"{model.bundle.version}, {model.provider}" for name, model in judged.models.items()}
    persons = len({case.person for case, _ in judged.cases})
    setting = {
        "portraits": f"{setup.portraits}: {persons} persons",
        "scenes": f"{setup.scenes}, {setup.split}: {len({case.scene for case, _ in judged.cases})} used",
        "seed": str(setup.seed),
    }
    facts = {"Models": models, "Setting": setting}
    said = [f"{name}: {value}." for entries in facts.values() for name, value in entries.items()]
    whole_file.write_text(folder / TABLES, portrait_report.markdown(title, [*said, *notes], tables))
    whole_file.write_text(folder / PAGE, portrait_report.html(title, notes, tables, facts))
