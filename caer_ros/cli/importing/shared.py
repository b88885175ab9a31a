"""What ``caer import benet`` and ``caer import dsct`` share: arguments, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from caer_ros.offline.importers.imported import Imported


def add(parser: argparse.ArgumentParser, file: str, example: str) -> None:
    """The arguments that do not depend on the network."""
    parser.add_argument("file", type=Path, metavar="CHECKPOINT", help=file)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help=f"the bundle, such as {example}")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="keep the network as a checkpoint of ours too, NAME.ckpt: for caer evaluate dataset",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    parser.add_argument(
        "--weights",
        choices=("float32", "float16"),
        default="float32",
        help="how they are stored; float16 halves the file, and is no longer exactly the authors' network "
        "(default: %(default)s)",
    )


def write(imported: Imported, args: argparse.Namespace) -> int:
    """Write what was imported as ``args`` say, and print what a person should know."""
    from caer_ros.offline.importers.imported import grouped, write

    exported = write(imported, args.output, args.checkpoint, weights=args.weights, overwrite=args.overwrite)
    for remark in imported.remarks:
        print(f"{imported.path}: {remark}")
    left = grouped(imported.left_over)
    print(f"entries of the file that are not needed: {left or 'none'}")
    bundle = exported.bundle
    size = f"{bundle.files['model'].size / 1e6:.2f} MB, weights {args.weights}"
    print(f"{bundle.path}: {bundle.name} {bundle.version}, {bundle.model_version}, {size}")
    if args.checkpoint:
        print(f"{args.checkpoint}: the same network for caer evaluate")
    print(f"ONNX Runtime against PyTorch, {exported.graph}")
    print(f"with weights as stored:       {exported.stored}")
    print(f"Licence {bundle.licence}, commercial use unknown. {imported.terms}.")
    return 0
