"""Compare every file of model bundles with its hash; exit code 1 when one differs.

--load runs the model once. --strict also reads from a profile where each node of its networks really ran, which ONNX
Runtime does not say by itself; exit code 1 when nodes that matter ran on the CPU instead of the device asked for.
Arithmetic on shapes, which ONNX Runtime always puts there, does not matter, nor what takes less than 1 % of the time.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.engine import Engine
    from caer_ros.perception.placement import Operators, Placement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models verify``."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="names or paths (default: all that can be found by name)"
    )
    parser.add_argument("--load", action="store_true", help="also load the model and run it once")
    parser.add_argument(
        "--device", default="auto", help="where to load it: auto, cpu, cuda:N, tensorrt:N (default: auto)"
    )
    parser.add_argument("--strict", action="store_true", help="as --load, and every node that matters must run there")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one line a bundle; 1 when one of them is not what its card says, or there is none."""
    load = args.load or args.strict
    results = [_verified(name, load, args.device, args.strict) for name in args.names or _all_paths()]
    for result in [] if args.json else results:
        print("\n".join(_lines(result)))
    if args.json:
        print(json.dumps(results))
    elif not results:
        print("no model bundle found; add the folder that holds one to CAER_MODEL_PATH")
    return 0 if results and not any(result["error"] for result in results) else 1


def _all_paths() -> list[str]:
    from caer_ros.perception.bundle.finding import available_bundles

    return [str(path) for path in available_bundles()]


def _verified(name: str, load: bool, device: str, strict: bool) -> dict[str, Any]:
    from caer_ros.perception.bundle.bundle import BundleError
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineError

    result: dict[str, Any] = {"name": name, "path": None, "model_version": None, "provider": None, "error": None}
    try:
        path = find_bundle(name)
        result |= {"path": str(path), "name": path.name}
        bundle = read_bundle(path, verify=True)
        result |= {"name": bundle.name, "model_version": bundle.model_version}
        if load:
            result |= _loaded(bundle, device, strict)
    except (BundleError, EngineError) as error:
        result["error"] = str(error)
    return result


def _loaded(bundle: Bundle, device: str, strict: bool) -> dict[str, Any]:
    """Provider, inputs, and where strict what ran where; an error when that is not where it should be."""
    from caer_ros.cli.models.model_card import inputs
    from caer_ros.perception import placement
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.predictors.composed.composed import Composed
    from caer_ros.perception.predictors.predictor import load
    from caer_ros.perception.predictors.single_shot import SingleShot

    settings = EngineSettings(device=device)
    if not strict:
        model = load(bundle, settings)
        assert isinstance(model, SingleShot | Composed)
        placements: dict[str, Placement] = {}
    else:
        model, placements = placement.measure(bundle, settings)
    result: dict[str, Any] = {
        "provider": model.provider,
        "inputs": {name: _inputs(engine) for name, engine in model.engines.items()},
        "sizes": inputs(bundle),
    }
    if strict:
        result["placement"] = {name: _placed(placed, model.provider) for name, placed in placements.items()}
        astray = [
            f"{name}: {_named(placed['astray'])}" for name, placed in result["placement"].items() if placed["astray"]
        ]
        if astray:
            result["error"] = (
                f'not all that matters ran on {model.provider}, asked for by device "{device}". On the CPU ran of '
                f"{'; '.join(astray)}. This onnxruntime has no such kernels there: use another version, or the CPU"
            )
    return result


def _inputs(engine: Engine) -> dict[str, str]:
    from caer_ros.perception.engine import written

    return {name: f"{tensor.type} {written(tensor.shape)}" for name, tensor in engine.inputs.items()}


def _placed(placement: Placement, provider: str) -> dict[str, Any]:
    return {
        "run_ms": round(placement.seconds * 1e3, 3),
        "nodes": placement.providers,
        "copies": placement.copies,
        "on_cpu": [_fields(operators) for operators in placement.on_cpu()],
        "astray": [_fields(operators) for operators in placement.astray(provider)],
    }


def _fields(operators: Operators) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(operators) | {"share": round(operators.share, 5)}


# --- As text -------------------------------------------------------------------------------------------------------


def _lines(result: dict[str, Any]) -> list[str]:
    runs = f", runs on {result['provider']}" if result["provider"] else ""
    outcome = result["error"] or f"ok, {result['model_version']}{runs}"
    lines = [f"{result['name']}: {' '.join(outcome.split())}"]
    for name, tensors in result.get("inputs", {}).items():
        lines += [f"  {name}: input {tensor} {shape}" for tensor, shape in tensors.items()]
    if sizes := result.get("sizes"):
        lines.append("  " + ", ".join(f"{w}x{h} pixels from {camera}" for camera, (w, h) in sizes.items()))
    for name, placed in result.get("placement", {}).items():
        lines += _placement_lines(name, placed, result["provider"])
    return lines


def _placement_lines(name: str, placed: dict[str, Any], provider: str) -> list[str]:
    nodes = ", ".join(f"{count} on {where}" for where, count in placed["nodes"].items())
    copies = f", {placed['copies']} of them copies between device and CPU" if placed["copies"] else ""
    lines = [f"  {name}: nodes: {nodes}{copies}; the run took {placed['run_ms']:.1f} ms"]
    if placed["on_cpu"]:
        lines.append(f"    on the CPU, with their parts of that: {_named(placed['on_cpu'], provider)}")
    return lines


def _named(on_cpu: list[dict[str, Any]], provider: str = "") -> str:
    """Types of nodes with number and part of the time; where the CPU was not asked for, also which are fine there."""
    from caer_ros.perception.engine import CPU

    words = []
    for operators in on_cpu:
        fine = ", small" if provider != CPU and operators["small"] else ""
        words.append(f"{operators['nodes']} {operators['op']} ({operators['share']:.1%}{fine})")
    return ", ".join(words)
