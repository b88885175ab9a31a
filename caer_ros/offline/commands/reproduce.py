"""Train what a table of a paper is made of, and print our numbers in its layout beside the published ones.

ka: tables 3 to 6 of the KA paper; teachers are trained first. context: does a student that sees the whole scene know
more than a model that sees each person's crop? On synthetic data, over how much the scene tells. What is finished in
the output folder is not done again, and a training that was broken off goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caer_ros.offline.reproduction.scales import Scale

TEACHERS = ("fer", "vea", "od")
OVERRIDES = ("backbone", "size", "images", "teacher_images", "epochs", "teacher_epochs", "seeds")
"""Fields of a scale that the command line can change."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer reproduce``."""
    parser.add_argument("study", choices=("ka", "context"), help="what to reproduce")
    parser.add_argument(
        "--data", choices=("synthetic", "heco", "emotic"), default="synthetic", help="(default: synthetic)"
    )
    parser.add_argument("--table", type=int, choices=(3, 4, 5, 6), help="of the KA paper")
    parser.add_argument("--scale", choices=("smoke", "cpu", "small", "full"), default="smoke", help="(default: smoke)")
    parser.add_argument(
        "--path", type=_assignment, action="append", default=[], metavar="NAME=FOLDER",
        help="a real data set: heco, emotic, and affectnet, emoset, coco to train the teachers on",
    )  # fmt: skip
    parser.add_argument(
        "--teacher", type=_assignment, action="append", default=[], metavar="NAME=FILE",
        help="fer, vea or od: a checkpoint or weights to use instead of training that teacher",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, default=Path("output/reproduce"), metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="as Lightning's accelerator: auto, cpu, gpu (default: auto)")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: as many as it likes (default: 0)")
    parser.add_argument("--workers", type=int, default=0, help="processes that load images (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON; all else goes to stderr")
    scale = parser.add_argument_group("changes to the scale")
    scale.add_argument("--backbone", help="any of timm's with four pyramid levels")
    for name, meaning in (
        ("size", "height and width of the input in pixels"),
        ("images", "synthetic images to train on"),
        ("teacher-images", "synthetic images to train each teacher on"),
        ("epochs", "of a student"),
        ("teacher-epochs", "of a teacher"),
        ("seeds", "how many"),
    ):
        scale.add_argument(f"--{name}", type=int, metavar="N", help=meaning)
    scale.add_argument("--only", choices=("heco", "emotic"), help="one block of a table of two")


def run(args: argparse.Namespace) -> int:
    """Train and print. Raises the errors of training and evaluation; argparse's for what contradicts itself."""
    from rich.console import Console

    from caer_ros.offline.reproduction import context
    from caer_ros.offline.reproduction.trainings import Laboratory

    console = Console(stderr=args.json, highlight=False)
    scale = scale_of(args)
    folder = args.output / f"{args.study}-{args.data}-{args.scale}"
    laboratory = Laboratory(
        scale=scale,
        output=folder,
        synthetic=args.data == "synthetic",
        roots=dict(args.path),
        teachers=dict(args.teacher),
        accelerator=args.device,
        threads=args.threads,
        workers=args.workers,
        say=lambda text: console.print(text, style="dim"),
    )
    for name, path in (*args.path, *args.teacher):
        if not path.exists():
            raise argparse.ArgumentTypeError(f"{name}={path}: no such file or folder")
    if args.study == "context":
        if not laboratory.synthetic:
            raise argparse.ArgumentTypeError("context: only synthetic data has a dial for what the scene tells")
        laboratory.claim()
        return context.run(laboratory, console, args.json)
    return _tables(args, laboratory, console)


def scale_of(args: argparse.Namespace) -> Scale:
    """The named scale with what the command line changes."""
    from dataclasses import replace

    from caer_ros.offline.reproduction.scales import SCALES

    changes = {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}
    for name, value in changes.items():
        if name != "backbone" and value < 1:
            raise argparse.ArgumentTypeError(f"--{name.replace('_', '-')} {value}: expected 1 or more")
    return replace(SCALES[args.scale], **changes)


def _tables(args: argparse.Namespace, laboratory: object, console: object) -> int:
    import json

    from rich.console import Console

    from caer_ros.offline.reproduction import tables
    from caer_ros.offline.reproduction.trainings import Laboratory

    assert isinstance(laboratory, Laboratory)
    assert isinstance(console, Console)
    if args.table is None:
        raise argparse.ArgumentTypeError("--table: which one? 3, 4, 5 or 6")
    table = tables.TABLES[args.table]
    laboratory.claim()
    seeds = range(laboratory.scale.seeds)
    results = []
    for data in _blocks(args, table.data, laboratory.scale.blocks):
        runs = laboratory.run(table, data, seeds)
        console.print(tables.lay_out(table, data, runs, laboratory.synthetic))
        results.append(tables.as_data(table, data, runs, seeds))
    (laboratory.output / f"table{table.number}.json").write_text(json.dumps(results, indent=1), "utf8")
    if args.json:
        print(json.dumps(results))
    console.print(f"{laboratory.output}: every run, its checkpoints and scores, and table{table.number}.json")
    return 0


def _blocks(args: argparse.Namespace, blocks: tuple[str, ...], most: int) -> tuple[str, ...]:
    """Which data sets of a table are done."""
    wanted = args.only if args.data == "synthetic" else args.data
    if wanted is not None and wanted not in blocks:
        raise argparse.ArgumentTypeError(f"table {args.table} is about {' and '.join(blocks)}, not {wanted}")
    return (wanted,) if wanted else blocks[:most]


def _assignment(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    known = ("heco", "emotic", "affectnet", "emoset", "coco", *TEACHERS)
    if not equals or name not in known:
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=PATH, NAME one of {', '.join(known)}")
    return name, Path(path)
