"""Train what a table of a paper is made of, and print our numbers in its layout beside the published ones.

What is finished in the output folder is not done again, and a training that was broken off goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from caer_ros.offline.reproduction.laboratory import Laboratory
    from caer_ros.offline.reproduction.scales import Scale
    from caer_ros.offline.reproduction.studies import Tables

OVERRIDES = ("backbone", "size", "batch", "images", "teacher_images", "epochs", "teacher_epochs", "seeds")
"""Fields of a scale that the command line can change."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer reproduce``."""
    from caer_ros.offline.reproduction.studies import STUDIES, TEACHERS, WEIGHTS

    about = ". ".join(f"{study}: {content}" for study, content in STUDIES.items())
    parser.add_argument("study", choices=STUDIES, help=about)
    parser.add_argument(
        "--data", choices=("synthetic", "heco", "emotic", "caer_s"), default="synthetic", help="(default: synthetic)"
    )
    parser.add_argument("--table", type=int, metavar="N", help="of the paper")
    parser.add_argument("--scale", choices=("smoke", "cpu", "small", "full"), default="smoke", help="(default: smoke)")
    parser.add_argument(
        "--path", type=_assignment, action="append", default=[], metavar="NAME=FOLDER",
        help="a real data set: heco, emotic, caer_s, and affectnet, emoset, coco to train teachers on",
    )  # fmt: skip
    parser.add_argument(
        "--teacher", type=_assignment, action="append", default=[], metavar="NAME=FILE",
        help="; ".join(f"of {study}: {', '.join(names)}" for study, names in TEACHERS.items())
        + ": a checkpoint or weights to use instead of training that teacher",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="FILE",
        help="what trainings begin with; " + ", ".join(f"{study}: {file}" for study, file in WEIGHTS.items()),
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, default=Path("output/reproduce"), metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="as Lightning's accelerator: auto, cpu, gpu (default: auto)")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: as many as it likes (default: 0)")
    parser.add_argument("--workers", type=int, default=0, help="processes that load images (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON; all else goes to stderr")
    scale = parser.add_argument_group("changes to the scale")
    scale.add_argument("--backbone", help="of students: any of timm's with four pyramid levels")
    for name, meaning in (
        ("size", "height and width of the input in pixels, or its shorter side"),
        ("batch", "images in a step"),
        ("images", "synthetic images to train on"),
        ("teacher-images", "synthetic images to train each teacher on"),
        ("epochs", "of a student"),
        ("teacher-epochs", "of a teacher"),
        ("seeds", "how many"),
    ):
        scale.add_argument(f"--{name}", type=int, metavar="N", help=meaning)
    scale.add_argument("--only", choices=("heco", "emotic", "caer_s"), help="one block of a table of two")


def run(args: argparse.Namespace) -> int:
    """Train and print. Raises the errors of training and evaluation; argparse's for what contradicts itself."""
    from rich.console import Console

    from caer_ros.offline.reproduction import context, laboratory
    from caer_ros.offline.reproduction.studies import STUDENT, tables_of
    from caer_ros.offline.reproduction.trainings import StudentLaboratory

    console = Console(stderr=args.json, highlight=False)
    _check(args)
    kind: type[Laboratory[Any]] = StudentLaboratory if args.study in STUDENT else laboratory.Laboratory
    place = kind(
        scale=scale_of(args),
        output=args.output / f"{args.study}-{args.data}-{args.scale}",
        synthetic=args.data == "synthetic",
        roots=dict(args.path),
        given={f"teacher {name}": path for name, path in args.teacher},
        start=args.weights,
        accelerator=args.device,
        threads=args.threads,
        workers=args.workers,
        say=lambda text: console.print(text, style="dim"),
    )
    if args.study == "context":
        if not place.synthetic:
            raise argparse.ArgumentTypeError("context: only synthetic data has a dial for what the scene tells")
        place.claim()
        assert isinstance(place, StudentLaboratory)
        return context.run(place, console, args.json)
    return _print(args, tables_of(args.study, args.table, place), place, console)


def scale_of(args: argparse.Namespace) -> Scale:
    """The named scale with what the command line changes."""
    from dataclasses import fields, replace

    from caer_ros.offline.reproduction.studies import scales_of

    scale = scales_of(args.study)[args.scale]
    known = {field.name for field in fields(scale)}
    changes = {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}
    for name, value in changes.items():
        option = f"--{name.replace('_', '-')}"
        if name not in known:
            raise argparse.ArgumentTypeError(f"{option}: {args.study} has no such setting")
        if name != "backbone" and value < 1:
            raise argparse.ArgumentTypeError(f"{option} {value}: expected 1 or more")
    return replace(scale, **changes)


def _check(args: argparse.Namespace) -> None:
    """Files that are not there, or that the study has no use for."""
    from caer_ros.offline.reproduction.studies import TEACHERS, WEIGHTS

    if args.teacher and args.study not in TEACHERS:
        raise argparse.ArgumentTypeError(f"--teacher: {args.study} has no teachers")
    if args.weights and args.study not in WEIGHTS:
        raise argparse.ArgumentTypeError(f"--weights: of {' and '.join(WEIGHTS)}, not of {args.study}")
    if args.weights and not args.weights.is_file():
        raise argparse.ArgumentTypeError(f"--weights {args.weights}: no such file")
    for name, path in (*args.path, *args.teacher):
        if not path.exists():
            raise argparse.ArgumentTypeError(f"{name}={path}: no such file or folder")


def _print(args: argparse.Namespace, tables: Tables, place: Laboratory[Any], console: Console) -> int:
    import json

    if args.table not in tables.blocks:
        *others, last = tables.blocks
        known = f"{', '.join(map(str, others))} or {last}"
        raise argparse.ArgumentTypeError(
            f"--table: which one of {args.study}? {known}"
            if args.table is None
            else f"--table {args.table}: of {args.study} there are {known}"
        )
    blocks = _blocks(args, tables.blocks[args.table], place.scale.blocks)
    place.claim()
    results = []
    for data in blocks:
        shown, content = tables.block(data)
        console.print(shown)
        results.append(content)
    (place.output / f"table{args.table}.json").write_text(json.dumps(results, indent=1), "utf8")
    if args.json:
        print(json.dumps(results))
    console.print(f"{place.output}: every run, its checkpoints and scores, and table{args.table}.json")
    return 0


def _blocks(args: argparse.Namespace, blocks: tuple[str, ...], most: int) -> tuple[str, ...]:
    """Which data sets of a table are done."""
    wanted = args.only if args.data == "synthetic" else args.data
    if wanted is not None and wanted not in blocks:
        raise argparse.ArgumentTypeError(f"table {args.table} is about {' and '.join(blocks)}, not {wanted}")
    return (wanted,) if wanted else blocks[:most]


def _assignment(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    from caer_ros.offline.reproduction.studies import TEACHERS

    teachers = [teacher for names in TEACHERS.values() for teacher in names]
    known = ("heco", "emotic", "caer_s", "affectnet", "emoset", "coco", *teachers)
    if not equals or name not in known:
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=PATH, NAME one of {', '.join(known)}")
    return name, Path(path)
