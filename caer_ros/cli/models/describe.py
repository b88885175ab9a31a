"""Print how many parameters a network has and how much it computes.

A network by its name, built anew in the size that is asked for; or a bundle, each of its files as it is.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caer_ros.offline.systems.system import Outline

PEER = "two_branch"
"""The one network that is no system's: what benchmarks compare with."""


def networks() -> dict[str, str]:
    """Every network that can be described, and what it does."""
    from caer_ros.offline import systems

    described = {task: systems.of(task).NETWORKS[task] for task in systems.TASKS}
    return described | {PEER: "peer: two ResNet-18, for one person and its scene"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models describe``."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help=f"a network ({', '.join(networks())}), or a bundle, its name or folder (default: all networks)",
    )
    parser.add_argument("--backbone", help="what the network is built on, if there is a choice (default: the paper's)")
    parser.add_argument(
        "--size",
        type=_size,
        nargs="+",
        default=[512],
        metavar="N",
        help="of the input: side, or height and width (512)",
    )
    parser.add_argument("--labels", type=_positive, default=26, help="how many emotions, or classes (default: 26)")
    parser.add_argument("--head-width", type=_positive, default=32, help="channels of the heads (default: 32)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Describe ``args.name``, or every network.

    Raises BackboneError for a backbone that cannot be used, BundleError for what is neither a network nor a bundle.
    """
    from dataclasses import asdict

    if args.name is not None and args.name not in networks():
        return describe_bundle(args)

    import torch

    from caer_ros.offline.systems.components.description import describe

    if len(args.size) > 2:
        raise argparse.ArgumentTypeError("--size: give one number, or height and width")
    entries: list[dict[str, Any]] = []
    for name, does in networks().items():
        if args.name not in (None, name):
            continue
        with torch.device("meta"):  # shapes only: nothing is allocated or computed
            outline = _outline(name, args)
            parts = [asdict(part) for part in describe(outline.network, *outline.inputs)]
        size = list(outline.inputs[0].shape[-2:])
        entries.append({"name": name, "does": does, "backbone": outline.backbone, "size": size, "parts": parts})
    if args.json:
        print(json.dumps({"multiply_add": 2, "networks": entries}))
        return 0
    for entry in entries:
        height, width = entry["size"]
        print(f"{entry['name']}, {entry['backbone']}, {height} x {width}: {entry['does']}")
        for part in entry["parts"]:
            print(f"  {part['name']:<16}{part['parameters'] / 1e6:9.2f} M parameters{part['gflops']:10.2f} GFLOPs")
    print("One pass with batch 1; a multiply-add counts as 2, and only convolutions and matrix products are counted.")
    return 0


def describe_bundle(args: argparse.Namespace) -> int:
    """Describe the files of a bundle."""
    from dataclasses import asdict

    from caer_ros.offline.export.onnx_costs import costs
    from caer_ros.perception.bundle.bundle import BundleError
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle

    try:
        path = find_bundle(args.name)
    except BundleError as error:
        raise BundleError(f"{args.name}: no network ({', '.join(networks())}), and {error}") from error
    if args.backbone:
        raise argparse.ArgumentTypeError(f"--backbone {args.backbone}: a bundle's networks are as they are")
    bundle = read_bundle(path)
    found = costs(bundle)
    if args.json:
        print(json.dumps({"multiply_add": 2, "bundle": bundle.name, "files": [asdict(cost) for cost in found]}))
        return 0
    print(f"{bundle.name} {bundle.version}, {bundle.kind}: {bundle.path}")
    for cost in found:
        left = f", {cost.unknown} operations not counted" if cost.unknown else ""
        shape = " x ".join(map(str, cost.input))
        print(f"  {cost.name:<18}{cost.parameters / 1e6:9.2f} M parameters{cost.gflops:10.2f} GFLOPs  of {shape}{left}")
    print("One pass with batch 1; a multiply-add counts as 2, and only convolutions and matrix products are counted.")
    return 0


def _outline(name: str, args: argparse.Namespace) -> Outline:
    """A network of the asked size; where all are described, those without this backbone keep their own."""
    from caer_ros.offline import systems
    from caer_ros.offline.training.config import ConfigError

    size = (args.size[0], args.size[-1])
    if name == PEER:
        return _peer(args)
    try:
        return systems.of(name).outline(name, args.backbone, args.labels, args.head_width, size)
    except ConfigError as error:
        if args.name:
            raise argparse.ArgumentTypeError(str(error)) from error
        return systems.of(name).outline(name, None, args.labels, args.head_width, size)


def _peer(args: argparse.Namespace) -> Outline:
    import torch

    from caer_ros.offline.reproduction.two_branch import CROP, TwoBranch
    from caer_ros.offline.systems.system import Outline

    if args.name and args.backbone:
        raise argparse.ArgumentTypeError(f"--backbone {args.backbone}: a {PEER} has no choice")
    crop = torch.empty(1, 3, CROP, CROP)
    return Outline("resnet18", TwoBranch(args.labels), (crop, crop, torch.zeros(1, dtype=torch.int64)))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


def _size(text: str) -> int:
    size = _positive(text)
    if size % 32:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a multiple of 32, the coarsest stride")
    return size
