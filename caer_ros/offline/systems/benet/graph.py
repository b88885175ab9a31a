"""BENet as the robot runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caer_ros.offline.export.graph import ExportError, SingleShotGraph, SingleShotOutput
from caer_ros.offline.systems.benet import codec
from caer_ros.offline.systems.benet.network import STRIDES, Benet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.perception.imaging.resizing import Resize

PERSONS = codec.PERSONS
"""K where nothing is asked for."""
_EPS = 1e-4
"""Probabilities become logits between this and 1 less this: beyond, a logit would show the rounding of float32, and of
ONNX Runtime's sigmoid, whose error is about 1e-7 however small its value."""


class BenetGraph(SingleShotGraph):
    """BENet with everything around it that a robot needs; see ``benet.codec`` for the steps.

    A person's score is the logit of the mean probability of both resolutions, and ``emotion_maps`` are such logits at
    half the input's resolution: a sigmoid, and only then reading between pixels, gives ``emotion_scores``.

    Args:
        network: in eval mode. Without detection it finds nobody, and K is 0.
        resize: as published short_side, multiple 64.
        max_persons: K; published with 15.
        multi_label: sigmoids, as published; otherwise a softmax over the logits of the mean probabilities.
        predictable: see ``SingleShotGraph``.
        flip: mean with the mirrored image, as the published scores; twice the cost.

    Raises:
        ExportError: the input's sides are no multiples of 64, or K is not possible.
    """

    network: Benet
    pooling = "centre"
    stride = STRIDES[-1]
    multiple = 64

    def __init__(
        self,
        network: Benet,
        resize: Resize,
        max_persons: int = PERSONS,
        multi_label: bool = True,
        predictable: Sequence[bool] | None = None,
        flip: bool = False,
    ) -> None:
        super().__init__(network, resize, max_persons, multi_label, network.labels, predictable)
        pixels = self.multiple**2
        if not 0 < max_persons <= pixels:
            raise ExportError(f"max_persons {max_persons}: expected 1 to {pixels}, the pixels of the smallest input")
        self.max_persons = max_persons if network.config.detection else 0
        self.flip = flip

    def forward(self, images: Tensor) -> SingleShotOutput:
        """Images uint8 [B,H,W,3] RGB, H and W multiples of 64."""
        planes = self.normalised(images)
        maps = codec.merge(self.network(planes))
        if self.flip:
            maps = codec.merge_flipped(maps, codec.merge(self.network(planes.flip(3))))
        boxes, scores, emotions = self._persons(maps)
        sides = torch.tensor(planes.shape[-2:], dtype=boxes.dtype, device=boxes.device).flip(0).repeat(2)
        return SingleShotOutput(
            boxes / sides,
            scores.logit(_EPS),
            emotions if self.multi_label else self.probabilities(emotions.logit(_EPS)),
            maps.emotion_maps.logit(_EPS),
        )

    def _persons(self, maps: codec.Maps) -> codec.Persons:
        if maps.heatmap is None:
            empty = maps.emotion_maps.new_empty(len(maps.emotion_maps), 0, 4 + self.labels)
            return codec.Persons(empty[..., :4], empty[..., 0], empty[..., 4:])
        return codec.decode(maps, self.max_persons)
