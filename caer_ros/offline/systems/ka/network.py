"""The student: one backbone, a head for emotion maps and one for persons (KA, VISAPP 2025, sections 2.1 and 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from caer_ros.offline.systems.components.backbone import Backbone
from caer_ros.offline.systems.components.blocks import residual_blocks, tail

if TYPE_CHECKING:
    from pathlib import Path

_RARE = -2.19
"""Bias of the heatmap at the start: a sigmoid of 0.1, so that the many empty pixels do not swamp the first steps."""


@dataclass(frozen=True)
class StudentConfig:
    """What the student is built of."""

    labels: int
    """E, the number of emotions."""
    backbone: str = "hrnet_w32"
    """A network of timm with four pyramid levels. The paper: HRNet-W32."""
    head_width: int = 32
    """Channels of the heads' residual blocks. Our choice; the paper does not give it."""
    head_blocks: int = 4
    """Residual blocks of each head. The paper: 4."""
    detection: bool = True
    """With the detection head (the paper's multi-task student), or emotion maps only."""


class StudentOutput(NamedTuple):
    """Maps at a quarter of the input's resolution (h = H/4, w = W/4)."""

    features: Tensor
    """[B,C,h,w] of the backbone, which the amalgamation compares with the teachers'."""
    emotion_maps: Tensor
    """[B,E,h,w] logits."""
    heatmap: Tensor | None
    """[B,1,h,w] logits of a person's centre."""
    sizes: Tensor | None
    """[B,2,h,w] width and height of that person in pixels of the map."""


class EmotionHead(nn.Sequential):
    """Residual blocks and a tail: features [B,C,h,w] to emotion maps [B,E,h,w], logits (section 2.1)."""

    def __init__(self, channels: int, labels: int, width: int, blocks: int) -> None:
        super().__init__(residual_blocks(channels, width, blocks), tail(width, labels))


class DetectionHead(nn.Module):
    """Residual blocks and two tails: features [B,C,h,w] to heatmap [B,1,h,w] and sizes [B,2,h,w] (section 2.2)."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.trunk = residual_blocks(channels, width, blocks)
        self.heatmap = tail(width, 1)
        self.sizes = tail(width, 2)
        bias = self.heatmap[-1].bias
        assert isinstance(bias, Tensor)
        nn.init.constant_(bias, _RARE)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self.trunk(features)
        return self.heatmap(trunk), self.sizes(trunk)


class Student(nn.Module):
    """Emotion maps and persons in one pass, whose cost does not depend on how many persons there are.

    Args:
        config: what it is built of.
        weights: of the backbone, see ``Backbone``. The paper: "imagenet".
    """

    stride = Backbone.stride

    def __init__(self, config: StudentConfig, weights: str | Path | None = None) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone, weights)
        self.channels = self.backbone.channels
        heads = (config.head_width, config.head_blocks)
        self.emotion_head = EmotionHead(self.channels, config.labels, *heads)
        self.detection_head = DetectionHead(self.channels, *heads) if config.detection else None

    def forward(self, images: Tensor) -> StudentOutput:
        """[B,3,H,W] float, normalised by ImageNet's mean and standard deviation; H and W multiples of 32."""
        features = self.backbone(images)
        heatmap, sizes = self.detection_head(features) if self.detection_head else (None, None)
        return StudentOutput(features, self.emotion_head(features), heatmap, sizes)
