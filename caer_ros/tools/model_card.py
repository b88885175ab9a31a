"""List, describe and verify model bundles."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from caer_ros.perception.bundle import Bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models``."""
    actions = parser.add_subparsers(title="commands", metavar="WHAT", dest="action", required=True)
    listing = actions.add_parser("list", help="the bundles that the node can load by name")
    info = actions.add_parser("info", help="a bundle's model card")
    info.add_argument("name", help="a bundle's name, or the path of its folder")
    verify = actions.add_parser("verify", help="compare every file with its hash; exit code 1 when one differs")
    verify.add_argument(
        "names", nargs="*", metavar="NAME", help="names or paths (default: all that can be found by name)"
    )
    verify.add_argument("--load", action="store_true", help="also load the model and run it once")
    verify.add_argument(
        "--device", default="auto", help="where to load it: auto, cpu, cuda:N, tensorrt:N (default: auto)"
    )
    for action in (listing, info, verify):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Do ``args.action``. Raises BundleError for a bundle that ``info`` cannot read."""
    if args.action == "list":
        return list_bundles(args.json)
    if args.action == "info":
        return show_info(args.name, args.json)
    return verify_bundles(args.names, args.load, args.device, args.json)


def list_bundles(as_json: bool) -> int:
    """Print one line a bundle; a broken one with what is wrong."""
    from caer_ros.perception.bundle import BundleError, available, read

    entries: list[dict[str, Any]] = []
    for path in available():
        try:
            entries.append(summary(read(path, verify=False)))
        except BundleError as error:
            entries.append({"name": path.name, "path": str(path), "error": str(error)})
    if as_json:
        print(json.dumps(entries))
    elif entries:
        _print_table(entries)
    else:
        print("no model bundle found; add the folder that holds one to CAER_MODEL_PATH")
    return 0


def show_info(name: str, as_json: bool) -> int:
    """Print the model card."""
    from caer_ros.perception.bundle import find, read

    card = details(read(find(name), verify=False))
    print(json.dumps(card) if as_json else "\n".join(_lines(card)))
    return 0


def verify_bundles(names: list[str], load: bool, device: str, as_json: bool) -> int:
    """Print one line a bundle; 1 when one of them is not what its card says, or there is none."""
    results = [_verified(name, load, device) for name in names or _all_paths()]
    for result in [] if as_json else results:
        outcome = result["error"] or f"ok, {result['model_version']}" + (f", runs on {result['provider']}" * load)
        print(f"{result['name']}: {' '.join(outcome.split())}")
    if as_json:
        print(json.dumps(results))
    elif not results:
        print("no model bundle found; add the folder that holds one to CAER_MODEL_PATH")
    return 0 if results and not any(result["error"] for result in results) else 1


def summary(bundle: Bundle) -> dict[str, Any]:
    """What the list shows of a bundle; ``size`` is the sum of its files in bytes."""
    return {
        "name": bundle.name,
        "kind": bundle.kind,
        "version": bundle.version,
        "model_version": bundle.model_version,
        "label_set": bundle.label_set,
        "labels": len(bundle.labels),
        "box_kind": bundle.box_kind.name.lower(),
        "licence": bundle.licence,
        "commercial_use": bundle.commercial_use,
        "size": sum(file.size for file in bundle.files.values()),
        "path": str(bundle.path),
    }


def details(bundle: Bundle) -> dict[str, Any]:
    """The whole model card."""
    from dataclasses import asdict

    return summary(bundle) | {
        "labels": dict(zip(bundle.labels, bundle.predictable, strict=True)),
        "score_type": bundle.score_type.name.lower(),
        "max_persons": bundle.max_persons,
        "person_score": bundle.person_score,
        "pooling": bundle.pooling,
        "resize": asdict(bundle.resize) if bundle.resize else None,
        "thresholds": asdict(bundle.thresholds),
        "calibrated": bundle.calibration is not None,
        "faces": asdict(bundle.faces) if bundle.faces else None,
        "provenance": asdict(bundle.provenance),
        "files": {
            name: {"path": file.path.name, "size": file.size, "sha256": file.sha256}
            for name, file in bundle.files.items()
        },
    }


def _all_paths() -> list[str]:
    from caer_ros.perception.bundle import available

    return [str(path) for path in available()]


def _verified(name: str, load: bool, device: str) -> dict[str, Any]:
    from caer_ros.perception.bundle import BundleError, find, read
    from caer_ros.perception.engine import EngineError, EngineSettings

    result: dict[str, Any] = {"name": name, "path": None, "model_version": None, "provider": None, "error": None}
    try:
        path = find(name)
        result |= {"path": str(path), "name": path.name}
        bundle = read(path, verify=True)
        result |= {"name": bundle.name, "model_version": bundle.model_version}
        if load:
            from caer_ros.perception.predictor import load as load_predictor

            result["provider"] = load_predictor(bundle, EngineSettings(device=device)).provider
    except (BundleError, EngineError) as error:
        result["error"] = str(error)
    return result


def _print_table(entries: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

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
                _commercial(entry["commercial_use"]),
                f"{entry['size'] / 1e6:.1f} MB",
            )
    console = Console()
    console.print(table)
    for entry in entries:
        if "error" in entry:
            console.print(f"{entry['name']}: broken: {entry['error']}", markup=False)


def _lines(card: dict[str, Any]) -> list[str]:
    labels = card["labels"]
    cannot = [label for label, possible in labels.items() if not possible]
    provenance = card["provenance"]
    lines = [
        f"{card['name']} {card['version']} ({card['model_version']}), {card['kind']}",
        f"  folder          {card['path']}",
        f"  labels          {', '.join(labels)} ({card['label_set']}, {card['score_type']})",
        f"  cannot predict  {', '.join(cannot) or 'none of them: all are predictable'}",
        f"  boxes           {card['box_kind']}, at most {card['max_persons']} persons",
        f"  licence         {card['licence']}; commercial use: {_commercial(card['commercial_use'])}",
    ]
    for name in ("data", "recipe", "commit"):
        wrapped = textwrap.wrap(provenance[name], 100) or ["—"]
        lines += [f"  {name if not i else '':<15} {line}" for i, line in enumerate(wrapped)]
    lines += [f"  measured        {m['name']} {m['value']:g} ({m['protocol']})" for m in provenance["metrics"]]
    lines += [
        f"  file            {file['path']}, {file['size'] / 1e6:.1f} MB, sha256 {file['sha256']}"
        for file in card["files"].values()
    ]
    return lines


def _commercial(allowed: bool | None) -> str:
    return {True: "allowed", False: "not allowed", None: "unknown"}[allowed]
