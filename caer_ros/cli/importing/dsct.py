"""Make a model bundle of the weights that DSCT's authors publish, or of those that their code trains.

The file is read without running any code of it. Download it yourself, from https://github.com/Sampson-Lee/DSCT. What
ONNX Runtime answers is compared with PyTorch first; nothing is written where a check fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caer_ros.cli.arguments import whole
from caer_ros.cli.importing import shared

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer import dsct``."""
    shared.add(parser, file="the authors' file, such as checkpoint.pth", example="models/dsct_emotic")
    parser.add_argument("--backbone", choices=("resnet50", "resnet101"), required=True, help="of the file")
    parser.add_argument(
        "--dataset",
        choices=("emotic", "caers"),
        required=True,
        help="what it was trained on: heads and 26 emotions, or faces and 7",
    )
    parser.add_argument(
        "--short",
        type=whole,
        default=800,
        metavar="PIXELS",
        help="the input's shorter side, the longer at most 5/3 of it; fewer are faster (default: %(default)s, the "
        "authors')",
    )


def run(args: argparse.Namespace) -> int:
    """Import, and print what was found and checked. Raises ImporterError, ExportError or OSError."""
    from caer_ros.offline.importers.imported import check_free
    from caer_ros.offline.systems.dsct import published

    check_free(args.output, args.checkpoint, args.overwrite)
    return shared.write(published.load(args.file, args.backbone, args.dataset, args.short), args)
