"""Train what a table of a paper is made of, and print our numbers in its layout beside the published ones.

ka: tables 3 to 6 of the KA paper; teachers are trained first. benet: tables 1 to 3, one training for each combination
of heads. dsct: tables 5 to 9. context: does a student that sees the whole scene know more than a model that sees each
person's crop? On synthetic data, over how much the scene tells. What is finished in the output folder is not done
again, and a training that was broken off goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console, RenderableType

    from caer_ros.offline.reproduction.grids import Grid
    from caer_ros.offline.reproduction.laboratory import Laboratory, Scores
    from caer_ros.offline.reproduction.scales import Scale

    Block = Callable[[str], tuple[RenderableType, Mapping[str, Any]]]
    """Trains the block of a table that is about a data set: to be printed, and as plain data."""

TEACHERS = ("fer", "vea", "od")
OVERRIDES = ("backbone", "size", "batch", "images", "teacher_images", "epochs", "teacher_epochs", "seeds")
"""Fields of a scale that the command line can change."""


class Tables(NamedTuple):
    """The tables of a study."""

    blocks: Mapping[int, tuple[str, ...]]
    """Data sets that each is about, by number."""
    block: Block


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer reproduce``."""
    parser.add_argument("study", choices=("ka", "context", "benet", "dsct"), help="what to reproduce")
    parser.add_argument(
        "--data", choices=("synthetic", "heco", "emotic", "caer_s"), default="synthetic", help="(default: synthetic)"
    )
    parser.add_argument("--table", type=int, metavar="N", help="of the paper; ka: 3 to 6, benet: 1 to 3, dsct: 5 to 9")
    parser.add_argument("--scale", choices=("smoke", "cpu", "small", "full"), default="smoke", help="(default: smoke)")
    parser.add_argument(
        "--path", type=_assignment, action="append", default=[], metavar="NAME=FOLDER",
        help="a real data set: heco, emotic, caer_s, and affectnet, emoset, coco to train ka's teachers on",
    )  # fmt: skip
    parser.add_argument(
        "--teacher", type=_assignment, action="append", default=[], metavar="NAME=FILE",
        help="of ka: fer, vea or od, a checkpoint or weights to use instead of training that teacher",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="FILE",
        help="what trainings begin with; benet: HigherHRNet-W32's COCO pose weights, dsct: Deformable DETR's of COCO",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, default=Path("output/reproduce"), metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="as Lightning's accelerator: auto, cpu, gpu (default: auto)")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: as many as it likes (default: 0)")
    parser.add_argument("--workers", type=int, default=0, help="processes that load images (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON; all else goes to stderr")
    scale = parser.add_argument_group("changes to the scale")
    scale.add_argument("--backbone", help="of ka and context: any of timm's with four pyramid levels")
    for name, meaning in (
        ("size", "height and width of the input in pixels; benet and dsct: the shorter side"),
        ("batch", "images in a step; benet: persons"),
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
    from caer_ros.offline.reproduction.trainings import StudentLaboratory

    console = Console(stderr=args.json, highlight=False)
    _check(args)
    kind: type[Laboratory[Any]] = StudentLaboratory if args.study in ("ka", "context") else laboratory.Laboratory
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
    return _print(args, _tables(args, place), place, console)


def scale_of(args: argparse.Namespace) -> Scale:
    """The named scale with what the command line changes."""
    from dataclasses import fields, replace

    from caer_ros.offline.reproduction import scales

    named: dict[str, Mapping[str, Scale]] = {"benet": scales.BENET, "dsct": scales.DSCT}
    scale = named.get(args.study, scales.SCALES)[args.scale]
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
    if args.teacher and args.study != "ka":
        raise argparse.ArgumentTypeError(f"--teacher: {args.study} has no teachers")
    if args.weights and args.study not in ("benet", "dsct"):
        raise argparse.ArgumentTypeError(f"--weights: of benet and dsct, not of {args.study}")
    if args.weights and not args.weights.is_file():
        raise argparse.ArgumentTypeError(f"--weights {args.weights}: no such file")
    for name, path in (*args.path, *args.teacher):
        if not path.exists():
            raise argparse.ArgumentTypeError(f"{name}={path}: no such file or folder")


def _tables(args: argparse.Namespace, place: Laboratory[Any]) -> Tables:
    """The tables of the study that was asked for."""
    seeds = range(place.scale.seeds)
    if args.study == "ka":
        from caer_ros.offline.reproduction import tables
        from caer_ros.offline.reproduction.trainings import StudentLaboratory

        assert isinstance(place, StudentLaboratory)

        def students(data: str) -> tuple[RenderableType, Mapping[str, Any]]:
            table = tables.TABLES[args.table]
            runs = place.run(table, data, seeds)
            return tables.lay_out(table, data, runs, place.synthetic), tables.as_data(table, data, runs, seeds)

        return Tables({number: table.data for number, table in tables.TABLES.items()}, students)

    from caer_ros.offline.reproduction import benet, dsct

    def heads(data: str) -> tuple[RenderableType, Mapping[str, Any]]:
        grid = benet.grid(args.table, data)
        return _trained(place, grid, benet.START, lambda row, seed: benet.scores(place, row, data, seed))

    def queries(data: str) -> tuple[RenderableType, Mapping[str, Any]]:
        grid = dsct.grid(args.table, data, place.synthetic)
        return _trained(place, grid, dsct.START, lambda row, seed: dsct.scores(place, args.table, row, data, seed))

    return Tables(benet.TABLES, heads) if args.study == "benet" else Tables(dsct.TABLES, queries)


def _trained(
    place: Laboratory[Any], grid: Grid, start: str, scores: Callable[[str, int], Scores]
) -> tuple[RenderableType, Mapping[str, Any]]:
    """Every row for every seed; ``start`` is said of real data where no weights were given to begin with."""
    from dataclasses import replace

    from caer_ros.offline.reproduction import grids

    seeds = range(place.scale.seeds)
    runs: dict[str, list[Scores]] = {row: [] for row in grid.rows}
    for seed in seeds:
        for row in grid.rows:
            place.say(f"{grid.data}: {row}, seed {seed}")
            runs[row].append(scores(row, seed))
    if not place.synthetic and place.start is None:
        grid = replace(grid, notes=(*grid.notes, start))
    where = place.in_words(grid.data)
    return grids.lay_out(grid, runs, where, place.synthetic), grids.as_data(grid, runs, seeds)


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
    known = ("heco", "emotic", "caer_s", "affectnet", "emoset", "coco", *TEACHERS)
    if not equals or name not in known:
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=PATH, NAME one of {', '.join(known)}")
    return name, Path(path)
