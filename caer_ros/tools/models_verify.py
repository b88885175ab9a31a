"""Compare every file of model bundles with its hash; exit code 1 when one differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models verify``."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="names or paths (default: all that can be found by name)"
    )
    parser.add_argument("--load", action="store_true", help="also load the model and run it once")
    parser.add_argument(
        "--device", default="auto", help="where to load it: auto, cpu, cuda:N, tensorrt:N (default: auto)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one line a bundle; 1 when one of them is not what its card says, or there is none."""
    results = [_verified(name, args.load, args.device) for name in args.names or _all_paths()]
    for result in [] if args.json else results:
        outcome = result["error"] or f"ok, {result['model_version']}" + (f", runs on {result['provider']}" * args.load)
        print(f"{result['name']}: {' '.join(outcome.split())}")
    if args.json:
        print(json.dumps(results))
    elif not results:
        print("no model bundle found; add the folder that holds one to CAER_MODEL_PATH")
    return 0 if results and not any(result["error"] for result in results) else 1


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
