"""Persons as centres: a heatmap with a Gaussian at each box's centre, and the box's size read there (CenterNet).

Boxes are x_min, y_min, x_max, y_max in pixels of the output map. There is no offset map, so a decoded centre is the
middle of its pixel: half a pixel is the largest error that the representation makes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]

MIN_OVERLAP = 0.7
"""A box whose centre is one radius off still overlaps the true one by this IoU, as CenterNet reckons it."""
NO_PEAK = -1e4
"""Logit of a slot without a peak: its sigmoid is 0, and fp16 can hold it."""


class Targets(NamedTuple):
    """What the detection head of one image should say."""

    heatmap: Array
    """[h,w] 0..1, exactly 1 at centres."""
    centres: NDArray[np.int64]
    """[N,2] column and row of each person's centre."""
    sizes: Array
    """[N,2] width and height in map pixels."""
    ignore: NDArray[np.bool_]
    """[h,w] where it is not known whether a person's centre is there."""


def encode(boxes: Array, height: int, width: int, ignore: Array | None = None, exhaustive: bool = True) -> Targets:
    """The targets of N persons.

    Args:
        boxes: [N,4] in map pixels, of positive area.
        height, width: of the map.
        ignore: [M,4] regions, such as crowds, in map pixels.
        exhaustive: is every person annotated? If not, nothing is known outside the boxes.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    sizes = boxes[:, 2:] - boxes[:, :2]
    middle = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.int64)
    centres = np.clip(middle, 0, (width - 1, height - 1))
    heatmap = np.zeros((height, width), np.float32)
    for (column, row), size in zip(centres, sizes, strict=True):
        _draw(heatmap, int(column), int(row), int(gaussian_radius(math.ceil(size[1]), math.ceil(size[0]))))
    return Targets(heatmap, centres, sizes, unknown(boxes, centres, height, width, ignore, exhaustive))


def unknown(
    boxes: Array, centres: NDArray[np.int64], height: int, width: int, ignore: Array | None, exhaustive: bool
) -> NDArray[np.bool_]:
    """Where [h,w] it is not known whether a person's centre is there; arguments as for ``encode``, centres [N,2]."""
    pixels = np.full((height, width), not exhaustive)
    if not exhaustive:
        _fill(pixels, boxes, False)
    if ignore is not None:
        _fill(pixels, ignore, True)
    pixels[centres[:, 1], centres[:, 0]] = False
    return pixels


def gaussian_radius(height: float, width: float, min_overlap: float = MIN_OVERLAP) -> float:
    """The Gaussian's radius in pixels for a box, by CenterNet's code, whose roots lack the division by 2a.

    That makes it about three times the radius that would guarantee ``min_overlap``; published settings expect it.
    """
    total, area = height + width, height * width
    inside = (total + math.sqrt(total**2 - 4 * area * (1 - min_overlap) / (1 + min_overlap))) / 2
    smaller = (2 * total + math.sqrt(4 * total**2 - 16 * (1 - min_overlap) * area)) / 2
    shifted = -2 * min_overlap * total
    larger = (shifted + math.sqrt(shifted**2 + 16 * min_overlap * (1 - min_overlap) * area)) / 2
    return min(inside, smaller, larger)


def _draw(heatmap: Array, column: int, row: int, radius: int) -> None:
    """A Gaussian of standard deviation diameter / 6, cut off at the radius; where two meet, the larger value stays."""
    height, width = heatmap.shape
    top, bottom = max(row - radius, 0), min(row + radius + 1, height)
    left, right = max(column - radius, 0), min(column + radius + 1, width)
    sigma = (2 * radius + 1) / 6
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - row
    x = np.arange(left, right, dtype=np.float32) - column
    window = heatmap[top:bottom, left:right]
    np.maximum(window, np.exp(-(x**2 + y**2) / np.float32(2 * sigma**2)), out=window)


def _fill(mask: NDArray[np.bool_], boxes: Array, value: bool) -> None:
    """Sets every pixel that one of the boxes touches."""
    for left, top, right, bottom in np.asarray(boxes, np.float32).reshape(-1, 4):
        rows = slice(max(math.floor(top), 0), max(math.ceil(bottom), 0))
        mask[rows, max(math.floor(left), 0) : max(math.ceil(right), 0)] = value


def read(maps: Tensor, centres: Tensor) -> Tensor:
    """The maps' values at the centres: [B,C,h,w] and [B,N,2] (column, row) to [B,N,C]."""
    index = centres[..., 1] * maps.shape[-1] + centres[..., 0]
    return _at(maps, index)


def _at(maps: Tensor, index: Tensor) -> Tensor:
    """[B,C,h,w] at the flat positions [B,N]: [B,N,C]."""
    values = maps.flatten(2).transpose(1, 2)
    return values.gather(1, index[..., None].expand(-1, -1, maps.shape[1]))


def decode(heatmap: Tensor, sizes: Tensor, persons: int) -> tuple[Tensor, Tensor]:
    """The K best peaks: pixels that no neighbour exceeds, ranked by their logits.

    Args:
        heatmap: [B,1,h,w] logits.
        sizes: [B,2,h,w] width and height in map pixels; negative ones count as 0.
        persons: K, at most h * w.

    Returns:
        Boxes [B,K,4] in map pixels, which may reach beyond the map, and logits [B,K], best first. Slots for which
        there is no peak have the logit ``NO_PEAK``.
    """
    peaks = heatmap >= F.max_pool2d(heatmap, 3, stride=1, padding=1)
    logits, index = torch.where(peaks, heatmap, NO_PEAK).flatten(1).topk(persons)
    row = index // heatmap.shape[-1]
    column = index - row * heatmap.shape[-1]  # ONNX has no remainder by a width that is known only when it runs
    centres = torch.stack([column, row], -1) + 0.5
    half = _at(sizes, index).clamp(min=0) / 2
    return torch.cat([centres - half, centres + half], -1), logits
