"""Show a bundle's model card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models info``."""
    parser.add_argument("name", help="a bundle's name, or the path of its folder")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the model card. Returns 0; raises BundleError for a bundle that cannot be read."""
    from caer_ros.cli.models.model_card import details, lines
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle

    card = details(read_bundle(find_bundle(args.name), verify=False))
    print(json.dumps(card) if args.json else "\n".join(lines(card)))
    return 0
