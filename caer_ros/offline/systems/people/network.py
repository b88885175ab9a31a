"""The student for real people: the detector finds them, and a branch on its features reads them, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caer_ros.offline.systems.components import pooling
from caer_ros.offline.systems.people import attention
from caer_ros.offline.systems.people.nanodet import MULTIPLE, NECK_WIDTH, WIDTHS, Detections, NanoDet

if TYPE_CHECKING:
    from typing import Self

STRIDE = 8
"""Pixels of the input for one of the maps."""
_RARE = -3.0
"""Bias of the map of faces at the start: few pixels show one."""


@dataclass(frozen=True)
class PeopleConfig:
    """What the student is built of."""

    labels: int
    """E, the number of emotions."""
    pooling: str = "attention"
    """How maps become a person's scores: "attention", or "mean" as the KA paper has it."""
    trunk_scale: float = 0.65
    """The detector sees the image so much smaller than the branch: of 640 pixels the 416 that it was trained with."""
    widths: tuple[int, int] = (32, 64)
    """Channels of the branch at stride 4 and 8."""
    blocks: tuple[int, int] = (1, 3)
    """Residual blocks of the branch at stride 4 and 8; each of the latter looks twice as far as the one before."""


class PeopleOutput(NamedTuple):
    """Maps at an eighth of the input's resolution (h = H/8, w = W/8), and what the detector says."""

    emotion_maps: Tensor
    """[B,E,h,w] logits."""
    face: Tensor
    """[B,1,h,w] logits: is there a face, turned away or covered as it may be?"""
    readable: Tensor
    """[B,1,h,w] logits: can it be read?"""
    levels: list[Tensor]
    """The detector's features of stride 8, 16 and 32 of the image as it sees it."""


class Persons(NamedTuple):
    """What the maps say of N given persons in each image."""

    emotions: Tensor
    """[B,N,E] logits."""
    face: Tensor
    """[B,N] logits."""
    readable: Tensor
    """[B,N] logits."""


class PeopleStudent(nn.Module):
    """A frozen detector and a branch for emotions.

    The branch has a stem of its own, because a small face needs every pixel, and takes the trunk's features of stride 4
    and the neck's of stride 8, which know of persons.
    """

    def __init__(self, config: PeopleConfig) -> None:
        super().__init__()
        self.config = config
        self.detector = NanoDet().requires_grad_(False)
        fine, coarse = config.widths
        # Each patch of 4×4 pixels as 48 channels: every pixel counts, and no map has to be finer than stride 4.
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), _convolution(3 * 4**2, fine, 3))
        self.trunk4 = _convolution(WIDTHS[4], fine, 1)
        self.blocks4 = nn.Sequential(*(_Block(fine) for _ in range(config.blocks[0])))
        self.down = _convolution(fine, coarse, 3, 2)
        self.trunk8 = _convolution(WIDTHS[8], coarse, 1)
        self.neck8 = _convolution(NECK_WIDTH, coarse, 1)
        self.blocks8 = nn.Sequential(*(_Block(coarse, 2**index) for index in range(config.blocks[1])))
        self.maps = nn.Conv2d(coarse, config.labels + 2, 1)
        assert self.maps.bias is not None
        nn.init.zeros_(self.maps.bias)
        nn.init.constant_(self.maps.bias[-2], _RARE)

    def train(self, mode: bool = True) -> Self:
        """The detector stays as it is."""
        super().train(mode)
        self.detector.train(False)
        return self

    def forward(self, images: Tensor) -> PeopleOutput:
        """[B,3,H,W] float, normalised by ImageNet's mean and standard deviation; H and W multiples of 32."""
        with torch.no_grad():
            small = self._shrunk(images)
            features = self.detector.trunk(small)
            levels = self.detector.neck(features[1:])
            trunk4, trunk8, neck8 = (
                self._seen(level, images, stride)
                for level, stride in ((features[0], 4), (features[1], STRIDE), (levels[0], STRIDE))
            )
        fine = _enlarged(self.trunk4(trunk4), images, 4) + self.stem(images)
        fine = self.blocks4(F.relu(fine))
        known = _enlarged(self.trunk8(trunk8) + self.neck8(neck8), images, STRIDE)
        maps = self.blocks8(F.relu(self.down(fine) + known))
        emotions, face, readable = self.maps(maps).split([self.config.labels, 1, 1], 1)
        return PeopleOutput(emotions, face, readable, levels)

    def _shrunk(self, images: Tensor) -> Tensor:
        """As the detector sees it, with nothing below and to the right up to a multiple of 32."""
        height, width = (round(side * self.config.trunk_scale) for side in images.shape[-2:])
        small = F.interpolate(images, (height, width), mode="bilinear")
        return F.pad(small, (0, -width % MULTIPLE, 0, -height % MULTIPLE))

    def _seen(self, features: Tensor, images: Tensor, stride: int) -> Tensor:
        """Features of the smaller image without what was padded."""
        height, width = (round(side * self.config.trunk_scale / stride) for side in images.shape[-2:])
        return features[..., :height, :width]

    def detections(self, output: PeopleOutput) -> Detections:
        """The persons in the detector's cells; see ``detection.decode``."""
        return self.detector.head(output.levels)

    def read(self, output: PeopleOutput, boxes: Tensor) -> Persons:
        """What the maps say of persons whose boxes are [B,N,4] in pixels of the maps."""
        maps = torch.cat([output.emotion_maps, output.face, output.readable], 1)
        if self.config.pooling == "attention":
            pooled = attention.pool(maps, boxes, output.face)
        else:
            pooled = pooling.pool(maps, boxes)
        return Persons(pooled[..., :-2], pooled[..., -2], pooled[..., -1])

    def variances(self, output: PeopleOutput, boxes: Tensor) -> Tensor:
        """The variance of each emotion's map in each box [B,N,E], with the weights by which ``read`` takes its mean."""
        if self.config.pooling == "attention":
            return attention.variance(output.emotion_maps, boxes, output.face)
        return pooling.variance(output.emotion_maps, boxes)


class _Block(nn.Module):
    """Two 3×3 convolutions and a sum; the first may look further. New, it changes nothing (Goyal et al. 2017, 5.1)."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _convolution(width, width, 3, dilation=dilation)
        self.second = _convolution(width, width, 3)
        nn.init.zeros_(self.second[1].weight)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.second(F.relu(self.first(features))))


def _enlarged(features: Tensor, images: Tensor, stride: int) -> Tensor:
    """Features of the smaller image at the branch's resolution."""
    return F.interpolate(features, (images.shape[-2] // stride, images.shape[-1] // stride), mode="bilinear")


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation."""
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))
