"""NanoDet (RangiLyu/nanodet), the carried person detector, as a torch module: the trunk of the student.

34 plain convolutions, each with its normalisation folded in. ``perception/predictors/composed/nanodet.py`` runs the
same network in ONNX Runtime, and says what its outputs mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caer_ros.perception.predictors.composed.nanodet import STRIDES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BINS = 11
"""Distances of which a side's distribution is over, in strides: 0 to 10."""
WIDTHS = {4: 64, 8: 128, 16: 256, 32: 512}
"""Channels of the trunk's features, by their stride."""
NECK_WIDTH = 128
MULTIPLE = 32
"""Pixels; height and width of an image are multiples of this."""
_CLASSES = 80  # of COCO, in the file; a person is the first


class NanoDetError(Exception):
    """A file that is not the carried detector."""


class Detections(NamedTuple):
    """What each of N cells says of a person; cells row by row, the finest grid first."""

    logits: Tensor
    """[B,N] of a person, before the sigmoid."""
    sides: Tensor
    """[B,N,44] logits of the distances to left, top, right and bottom, 11 bins each."""


class NanoDet(nn.Module):
    """Trunk, neck and person head. What goes in is RGB by ImageNet's mean and standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Stem()
        self.stages = nn.ModuleList([_Stage(64, 64, 2), _Stage(128, 128, 2), _Stage(256, 256, 3)])
        self.laterals = nn.ModuleList(nn.Conv2d(WIDTHS[stride], NECK_WIDTH, 1) for stride in STRIDES)
        self.heads = nn.ModuleList(
            nn.Sequential(_Convolution(NECK_WIDTH, 128), nn.Conv2d(128, 1 + 4 * BINS, 1)) for _ in STRIDES
        )

    def forward(self, images: Tensor) -> Detections:
        """[B,3,H,W], H and W multiples of 32."""
        _, *features = self.trunk(images)
        return self.head(self.neck(features))

    def trunk(self, images: Tensor) -> list[Tensor]:
        """Features of stride 4, 8, 16 and 32, of ``WIDTHS`` channels."""
        features = [self.stem(images)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features

    def neck(self, features: list[Tensor]) -> list[Tensor]:
        """Features of stride 8, 16, 32 with something of one another, down and up again (PAN): 128 channels each."""
        fine, middle, coarse = (lateral(level) for lateral, level in zip(self.laterals, features, strict=True))
        middle = middle + F.interpolate(coarse, scale_factor=2, mode="bilinear")
        fine = fine + F.interpolate(middle, scale_factor=2, mode="bilinear")
        middle = middle + F.avg_pool2d(fine, 2)  # what bilinear halving is
        return [fine, middle, coarse + F.avg_pool2d(middle, 2)]

    def head(self, levels: list[Tensor]) -> Detections:
        """Of the neck's features."""
        cells = [head(level).flatten(2) for head, level in zip(self.heads, levels, strict=True)]
        whole = torch.cat(cells, 2)
        return Detections(whole[:, 0], whole[:, 1:].transpose(1, 2))


class _Convolution(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.1))


class _Stem(nn.Module):
    """Image to features of stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _Convolution(3, 32, stride=2)
        self.second = _Convolution(32, 32)
        self.blocks = nn.ModuleList([_Convolution(32, 16), _Convolution(16, 16)])
        self.last = _Convolution(32, 32)

    def forward(self, images: Tensor) -> Tensor:
        whole = self.second(F.max_pool2d(self.first(images), 3, 2, 1))
        part = self.blocks[0](whole)
        return torch.cat([self.last(torch.cat([self.blocks[1](part), part], 1)), whole], 1)


class _Stage(nn.Module):
    """Half the resolution, twice the channels, by blocks whose outputs are kept beside one another."""

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        half = width // 2
        self.first = _Convolution(inputs, width, stride=2)
        self.narrow = nn.ModuleList(_Convolution(width, half) for _ in range(blocks))
        self.again = nn.ModuleList(_Convolution(half, half) for _ in range(blocks))
        self.last = _Convolution(width, width)

    def forward(self, features: Tensor) -> Tensor:
        whole = block = self.first(features)
        for narrow, again in zip(self.narrow, self.again, strict=True):
            part = narrow(block)
            block = torch.cat([again(part), part], 1)
        return torch.cat([self.last(block), whole], 1)


def load(path: Path) -> NanoDet:
    """The network with the weights of its ONNX file.

    Raises:
        NanoDetError: the file cannot be read, or holds other convolutions.
    """
    network = NanoDet()
    convolutions = [module for module in _as_in_the_file(network) if isinstance(module, nn.Conv2d)]
    weights = _weights(path)
    if len(weights) != len(convolutions):
        raise NanoDetError(f"{path}: {len(weights)} convolutions, but the carried detector has {len(convolutions)}")
    with torch.no_grad():
        for convolution, (kernel, bias) in zip(convolutions, weights, strict=True):
            if len(kernel) == _CLASSES + 4 * BINS:
                kernel, bias = (torch.cat([values[:1], values[_CLASSES:]]) for values in (kernel, bias))
            if kernel.shape != convolution.weight.shape:
                raise NanoDetError(
                    f"{path}: a convolution of {list(kernel.shape)} where the carried detector has "
                    f"{list(convolution.weight.shape)}"
                )
            convolution.weight.copy_(kernel)
            assert convolution.bias is not None
            convolution.bias.copy_(bias)
    return network


def _as_in_the_file(network: NanoDet) -> Iterator[nn.Module]:
    """The modules in the order in which the file's nodes compute."""
    yield from network.stem.modules()
    for stage in network.stages:
        assert isinstance(stage, _Stage)
        yield from stage.first.modules()
        for narrow, again in zip(stage.narrow, stage.again, strict=True):
            yield from narrow.modules()
            yield from again.modules()
        yield from stage.last.modules()
    for part in (network.laterals, network.heads):
        for module in reversed(part):  # coarse before fine
            yield from module.modules()


def _weights(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Kernel and bias of each convolution, in the order of the file's nodes; stored as float16, computed as float32."""
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's and the system's many kinds
        raise NanoDetError(f"{path}: not readable as ONNX: {error}") from error
    stored = {tensor.name: tensor for tensor in graph.initializer}
    casts = [node for node in graph.node if node.op_type == "Cast" and node.input[0] in stored]
    stored |= {node.output[0]: stored[node.input[0]] for node in casts}
    found = []
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and {*node.input[1:]} <= stored.keys():
            kernel, bias = (numpy_helper.to_array(stored[name]).astype("float32") for name in node.input[1:])
            found.append((torch.from_numpy(kernel), torch.from_numpy(bias)))
    return found
