"""Teachers: a classifier (of faces or of whole scenes) and a detector of persons, and how they teach: frozen."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from caer_ros.offline.systems.components.backbone import Backbone
from caer_ros.offline.systems.components.blocks import bottleneck, convolution
from caer_ros.offline.systems.ka.network import DetectionHead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

_HEAD = (32, 64, 128, 256)
"""Inner widths of HRNet's classification head for the four streams."""


class Classifier(nn.Module):
    """A backbone with HRNet's classification head, whose last width is 1024 instead of 2048 (section 3.1).

    Args:
        backbone: name of timm, see ``Backbone``.
        classes: how many.
        weights: of the backbone. The paper: "imagenet".
        last_width: channels of the second to last layer. The paper: 1024.
    """

    def __init__(self, backbone: str, classes: int, weights: str | Path | None = None, last_width: int = 1024) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, weights)
        wide = [4 * width for width in _HEAD]
        self.increase = nn.ModuleList(
            bottleneck(channels, width) for channels, width in zip(self.backbone.widths, _HEAD, strict=True)
        )
        self.downsample = nn.ModuleList(convolution(fine, coarse, 3, stride=2) for fine, coarse in pairwise(wide))
        self.last = convolution(wide[-1], last_width, 1)
        self.classes = nn.Linear(last_width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B,3,H,W] float, normalised by ImageNet's mean and standard deviation, to logits [B,classes]."""
        finest, *levels = (
            grow(level) for grow, level in zip(self.increase, self.backbone.pyramid(images), strict=True)
        )
        for down, level in zip(self.downsample, levels, strict=True):
            finest = down(finest) + level
        logits: Tensor = self.classes(self.last(finest).mean((-2, -1)))
        return logits


class Detector(nn.Module):
    """A backbone with the student's detection head alone: the teacher of object detection that can be trained here.

    The paper takes HRNet-W32's COCO detection weights instead: give such a file as ``weights``, and no training is
    needed to teach, because only the backbone's features do.

    Args:
        backbone: name of timm, see ``Backbone``.
        weights: of the backbone.
        head_width, head_blocks: as in ``StudentConfig``.
    """

    stride = Backbone.stride

    def __init__(
        self, backbone: str, weights: str | Path | None = None, head_width: int = 32, head_blocks: int = 4
    ) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, weights)
        self.detection_head = DetectionHead(self.backbone.channels, head_width, head_blocks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[B,3,H,W] normalised to heatmap [B,1,h,w], logits, and sizes [B,2,h,w] in pixels of the map."""
        heatmap, sizes = self.detection_head(self.backbone(images))
        return heatmap, sizes


class Teachers(nn.Module):
    """Backbones that only teach: never trained, always in eval mode, whatever happens to the module that holds them.

    Args:
        backbones: of the trained teachers. They are frozen where they are, not copied.
    """

    def __init__(self, backbones: Sequence[Backbone]) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(backbones)
        self.channels = tuple(backbone.channels for backbone in backbones)
        """Widths of their features, as ``Amalgamation`` takes them."""
        self.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode: a training step of the parent must not move the running statistics."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        """[B,3,H,W] normalised, the very images that the student sees, to F_T of each teacher [B,C_i,h,w]."""
        return [backbone(images) for backbone in self.backbones]
