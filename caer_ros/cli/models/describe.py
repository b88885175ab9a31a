"""Print how many parameters a network has and how much it computes."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from torch import Tensor, nn

    from caer_ros.offline.systems.dsct.config import Resnet

NETWORKS = {
    "student": "emotion maps and persons in one pass",
    "classifier": "teacher of faces or of scenes",
    "detector": "teacher of object detection",
    "benet": "BENet: emotion maps and persons at two resolutions",
    "dsct": "DSCT: a few subject queries on Deformable DETR",
    "two_branch": "peer: two ResNet-18, for one person and its scene",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``caer models describe``."""
    parser.add_argument("name", nargs="?", choices=NETWORKS, help="which network (default: all of them)")
    parser.add_argument(
        "--backbone",
        help="of timm, with four pyramid levels (default: hrnet_w32); of a dsct resnet18, resnet50 or resnet101",
    )
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
    """Describe ``args.name``, or every network. Raises BackboneError for a backbone that cannot be used."""
    from dataclasses import asdict

    import torch

    from caer_ros.offline.systems.components.description import describe
    from caer_ros.offline.systems.dsct.config import Resnet

    if len(args.size) > 2:
        raise argparse.ArgumentTypeError("--size: give one number, or height and width")
    if args.name == "dsct" and args.backbone not in (None, *get_args(Resnet)):
        raise argparse.ArgumentTypeError(f"--backbone {args.backbone}: a dsct has {', '.join(get_args(Resnet))}")
    if args.name in ("benet", "two_branch") and args.backbone:
        raise argparse.ArgumentTypeError(f"--backbone {args.backbone}: a {args.name} has no choice")
    size = (args.size[0], args.size[-1])
    entries: list[dict[str, Any]] = []
    for name in [args.name] if args.name else NETWORKS:
        with torch.device("meta"):  # shapes only: nothing is allocated or computed
            network, inputs = _network(name, args, size)
            parts = describe(network, *inputs)
        shape = list(inputs[0].shape[-2:])
        backbone = _backbone(name, args.backbone)
        entries.append({"name": name, "backbone": backbone, "size": shape, "parts": [asdict(part) for part in parts]})
    if args.json:
        print(json.dumps({"multiply_add": 2, "networks": entries}))
        return 0
    for entry in entries:
        height, width = entry["size"]
        print(f"{entry['name']}, {entry['backbone']}, {height} x {width}: {NETWORKS[entry['name']]}")
        for part in entry["parts"]:
            print(f"  {part['name']:<16}{part['parameters'] / 1e6:9.2f} M parameters{part['gflops']:10.2f} GFLOPs")
    print("One pass with batch 1; a multiply-add counts as 2, and only convolutions and matrix products are counted.")
    return 0


def _backbone(name: str, given: str | None) -> str:
    """What a network is built on; those that have no choice, or another, take no notice of what is given."""
    if name == "two_branch":
        return "resnet18"
    if name == "benet":
        return "its own HRNet"
    if name == "dsct":
        return _resnet(given)
    return given or "hrnet_w32"


def _resnet(given: str | None) -> Resnet:
    from caer_ros.offline.systems.dsct.config import Resnet

    return next((name for name in get_args(Resnet) if name == given), "resnet50")


def _network(name: str, args: argparse.Namespace, size: tuple[int, int]) -> tuple[nn.Module, tuple[Tensor, ...]]:
    import torch

    from caer_ros.offline.reproduction.two_branch import CROP, TwoBranch
    from caer_ros.offline.systems.ka.network import Student, StudentConfig
    from caer_ros.offline.systems.ka.teachers import Classifier, Detector

    images = torch.empty(1, 3, *size)
    backbone = _backbone(name, args.backbone)
    if name == "student":
        return Student(StudentConfig(args.labels, backbone, args.head_width)), (images,)
    if name == "classifier":
        return Classifier(backbone, args.labels), (images,)
    if name == "detector":
        return Detector(backbone, head_width=args.head_width), (images,)
    if name == "benet":
        from caer_ros.offline.systems.benet.config import BenetConfig
        from caer_ros.offline.systems.benet.network import Benet

        return Benet(BenetConfig(), args.labels), (images,)
    if name == "dsct":
        from caer_ros.offline.systems.dsct.config import DsctConfig
        from caer_ros.offline.systems.dsct.network import Dsct

        return Dsct(DsctConfig(_resnet(args.backbone)), args.labels), (images,)
    crop = torch.empty(1, 3, CROP, CROP)
    return TwoBranch(args.labels), (crop, crop, torch.zeros(1, dtype=torch.int64))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return int(text)


def _size(text: str) -> int:
    size = _positive(text)
    if size % 32:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a multiple of 32, the coarsest stride")
    return size
