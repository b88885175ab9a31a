"""Make a model bundle of the weights that BENet's authors publish, or of those that their code trains.

The file is read without running any code of it. Download it yourself, from https://github.com/TristanCladiere/BENet;
the archive there holds a model_best.pth.tar for each variant of the paper. What ONNX Runtime answers is compared with
PyTorch first; nothing is written where a check fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caer_ros.cli.arguments import whole
from caer_ros.cli.importing import shared

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer import benet``."""
    shared.add(parser, file="the authors' file, such as model_best.pth.tar", example="models/benet_emotic")
    parser.add_argument(
        "--short",
        type=whole,
        default=512,
        metavar="PIXELS",
        help="the input's shorter side, a multiple of 64; fewer are faster (default: %(default)s, the authors')",
    )


def run(args: argparse.Namespace) -> int:
    """Import, and print what was found and checked. Raises ImporterError, ExportError or OSError."""
    from caer_ros.offline.importers.imported import check_free
    from caer_ros.offline.systems.benet import published

    check_free(args.output, args.checkpoint, args.overwrite)
    return shared.write(published.load(args.file, args.short), args)
