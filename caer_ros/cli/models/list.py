"""List the model bundles that the node can load by name; a broken one with what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models list``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one line a bundle. Returns 0."""
    from caer_ros.cli.models.model_card import summary
    from caer_ros.perception.bundle.bundle import BundleError
    from caer_ros.perception.bundle.finding import available_bundles
    from caer_ros.perception.bundle.reading import read_bundle

    entries: list[dict[str, Any]] = []
    for path in available_bundles():
        try:
            entries.append(summary(read_bundle(path, verify=False)))
        except BundleError as error:
            entries.append({"name": path.name, "path": str(path), "error": str(error)})
    if args.json:
        print(json.dumps(entries))
    elif entries:
        _print_table(entries)
    else:
        print("no model bundle found; add the folder that holds one to CAER_MODEL_PATH")
    return 0


def _print_table(entries: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from caer_ros.cli.models.model_card import commercial

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("name", "kind", "version", "labels", "boxes", "licence", "commercial\nuse", "size"):
        table.add_column(column, no_wrap=column in ("kind", "version", "size"))
    for entry in entries:
        if "error" not in entry:
            table.add_row(
                entry["name"],
                entry["kind"],
                entry["version"],
                f"{entry['labels']} ({entry['label_set']})",
                entry["box_kind"],
                entry["licence"],
                commercial(entry["commercial_use"]),
                f"{entry['size'] / 1e6:.1f} MB",
            )
    console = Console()
    console.print(table)
    for entry in entries:
        if "error" in entry:
            console.print(f"{entry['name']}: broken: {entry['error']}", markup=False)
