"""The networks of `caer bench scaling`, with random weights.

``python -m caer_ros.offline.reproduction.benchmark_networks OUT`` writes them.

``OUT/student`` is a bundle of the paper's single-shot student (HRNet-W32, 512x512, 100 persons); its peer
``OUT/two_branch.onnx`` is two ResNet-18, for a person's body and for the scene, with inputs as large as in Kosti et
al., "Emotion Recognition in Context", CVPR 2017. Both give EMOTIC's labels, listed in ``OUT/labels.json``. Speed does
not depend on what the weights are, as long as the numbers that they lead to are ordinary ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from caer_ros import __version__
from caer_ros.offline.export import export
from caer_ros.offline.reproduction.two_branch import TwoBranch
from caer_ros.offline.systems.ka.graph import StudentGraph
from caer_ros.offline.systems.ka.network import Student, StudentConfig
from caer_ros.perception.bundle.bundle import MANIFEST
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.taxonomy import EMOTIC

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKBONE, SIZE, MAX_PERSONS = "hrnet_w32", 512, 100
BODY, SCENE = 128, 224
"""Sides of the two branches' inputs, in pixels."""
BOX = 8.0
"""Width and height of every box, in pixels of the map: two neighbouring peaks are two persons to a tracker."""


class TwoBranchGraph(nn.Module):
    """Pixels in, probabilities out: the persons of one image."""

    def __init__(self, network: TwoBranch) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_DEFAULT_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_DEFAULT_STD).reshape(1, 3, 1, 1))

    def forward(self, bodies: Tensor, scene: Tensor) -> Tensor:
        """Bodies uint8 [N,128,128,3] and scene uint8 [1,224,224,3] to [N,E]."""
        image = torch.zeros(bodies.shape[0], dtype=torch.long)  # everybody is in the one image
        logits: Tensor = self.network(self._normalised(scene), self._normalised(bodies), image)
        return logits.sigmoid()

    def _normalised(self, pixels: Tensor) -> Tensor:
        planes: Tensor = (pixels.permute(0, 3, 1, 2).float() - self.get_buffer("mean")) / self.get_buffer("std")
        return planes


def write_student(folder: Path, backbone: str, size: int, max_persons: int) -> None:
    """A single-shot bundle."""
    student = Student(StudentConfig(len(EMOTIC), backbone))
    settle(student, torch.randn(2, 3, size, size))
    assert student.detection_head is not None
    weight, bias = student.detection_head.sizes[-1].parameters()
    nn.init.zeros_(weight)
    nn.init.constant_(bias, BOX)
    rule = Resize("stretch", (size, size))
    model = export.to_onnx(StudentGraph(student, rule, max_persons, multi_label=True).eval())
    content = model.SerializeToString()
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(content)
    fields = {
        "name": f"{backbone}_{size}",
        "version": __version__,
        "kind": "single_shot",
        "label_set": "emotic",
        "labels": list(EMOTIC),
        "predictable": list(EMOTIC),
        "score_type": "sigmoid",
        "box_kind": "body",
        "max_persons": max_persons,
        "person_score": "logit",
        "pooling": "box_mean",
        "resize": {"mode": rule.mode, "size": list(rule.size), "interpolation": rule.interpolation},
        "thresholds": {"person": 0.5, "uncertain": 0.0},
        "provenance": {
            "data": "none",
            "recipe": "random weights, for measuring speed",
            "commit": "none",
            "metrics": [],
        },
        "licence": "Apache-2.0",
        "commercial_use": True,
        "files": {"model": {"path": "model.onnx", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
    }
    (folder / MANIFEST).write_text(yaml.safe_dump(fields, sort_keys=False), "utf8")


def write_two_branch(path: Path) -> None:
    """The two-branch network; any number of bodies."""
    network = TwoBranch(len(EMOTIC))
    bodies, scene = torch.randn(4, 3, BODY, BODY), torch.randn(2, 3, SCENE, SCENE)
    settle(network, scene, bodies, torch.tensor([0, 0, 1, 1]))
    program = torch.onnx.export(
        TwoBranchGraph(network).eval(),
        (torch.zeros(4, BODY, BODY, 3, dtype=torch.uint8), torch.zeros(1, SCENE, SCENE, 3, dtype=torch.uint8)),
        dynamo=True,
        opset_version=export.OPSET,
        input_names=["bodies", "scene"],
        output_names=["emotion_scores"],
        dynamic_shapes={"bodies": {0: torch.export.Dim("N")}, "scene": None},
        verbose=False,
    )
    assert program is not None  # with dynamo=True it always returns one
    program.model_proto.ir_version = export.IR_VERSION
    path.write_bytes(program.model_proto.SerializeToString())


def settle(network: nn.Module, *inputs: Tensor) -> None:
    """Sets the statistics of all batch normalisations to those of ``inputs``.

    Through so many layers random weights may otherwise lead to numbers that are slow (denormal) or none.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(*inputs)
    network.eval()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the networks; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m caer_ros.offline.reproduction.benchmark_networks", description=__doc__
    )
    parser.add_argument("out", type=Path, help="folder")
    parser.add_argument("--no-student", action="store_true", help="the two-branch network only")
    parser.add_argument("--backbone", default=BACKBONE, help="of the student (default: %(default)s)")
    parser.add_argument("--size", type=int, default=SIZE, help="side of its input in pixels (default: %(default)s)")
    parser.add_argument("--max-persons", type=int, default=MAX_PERSONS, help="default: %(default)s")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "labels.json").write_text(json.dumps(EMOTIC) + "\n", "utf8")
    write_two_branch(options.out / "two_branch.onnx")
    if not options.no_student:
        write_student(options.out / "student", options.backbone, options.size, options.max_persons)
    return 0


if __name__ == "__main__":
    sys.exit(main())
