"""Random changes of a training image and its boxes: the paper's perspective and flip; zoom and colour as options."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from caer_ros.offline.training.config import AugmentationConfig
    from caer_ros.recordings.annotations.sample import Array


class View(NamedTuple):
    """An image as the network sees it, and where its N persons are then."""

    image: Tensor
    """[3,H,W] uint8 RGB."""
    boxes: Array
    """[N,4] in the image's pixels, clamped to it."""
    visible: NDArray[np.bool_]
    """[N] is enough of the person left to learn from?"""
    ignore: Array
    """[M,4] regions where it is not known who is there, clamped."""


class Augmentation:
    """Its randomness is torch's CPU generator alone, so a seed fixes the result."""

    def __init__(self, config: AugmentationConfig) -> None:
        self.min_visible = config.min_visible
        steps: list[v2.Transform] = [
            v2.RandomPerspective(config.perspective, config.perspective_probability),
            v2.RandomHorizontalFlip(config.flip_probability),
        ]
        if config.scale != (1.0, 1.0):
            steps.append(v2.RandomAffine(0, scale=config.scale, interpolation=v2.InterpolationMode.BILINEAR))
        if config.jitter > 0:
            steps.append(v2.ColorJitter(*[config.jitter] * 3, hue=config.jitter / 10))
        self._transform = v2.Compose(steps)

    def __call__(self, image: Tensor, boxes: Array, ignore: Array) -> View:
        """Arguments as in ``View``, before the change. What is left of persons that went out is ignored."""
        size = (image.shape[1], image.shape[2])
        # Clamped here and not by torchvision, which would hide how much of a box went out.
        every = tv_tensors.BoundingBoxes(
            torch.from_numpy(np.concatenate([boxes, ignore])), format="XYXY", canvas_size=size, clamping_mode=None
        )
        changed, moved = self._transform(tv_tensors.Image(image), every)
        whole = moved.as_subclass(torch.Tensor).numpy().reshape(-1, 4)
        inside = clamp(whole, *size)
        visible = _area(inside) >= np.maximum(self.min_visible * _area(whole), 1)
        persons = visible[: len(boxes)]
        unknown = np.concatenate([inside[: len(boxes)][~persons], inside[len(boxes) :]])
        return View(changed.as_subclass(torch.Tensor), inside[: len(boxes)], persons, unknown[_area(unknown) > 0])


def clamp(boxes: Array, height: int, width: int) -> Array:
    """Boxes [N,4] cut off at the image's edges."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def _area(boxes: Array) -> Array:
    area: Array = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area
