"""BENet's persons: a Gaussian at each box's centre, the box's size and emotions read there, at two resolutions.

Steps and constants are those of the authors' code, with which the paper (section 2.2) agrees where it tells. Boxes
are x_min, y_min, x_max, y_max. Sizes are (height, width), the order of the authors' checkpoints, in the targets and in
the network; boxes and persons are in x, y order as everywhere else, so the order is turned round here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from caer_ros.offline.systems.components import centre

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from caer_ros.offline.systems.benet.network import BenetMaps

Array = NDArray[np.float32]

SIGMA = 2.0
"""Standard deviation of the Gaussian in pixels of the map, at both resolutions."""
REACH = 7
"""The Gaussian is cut off this many pixels from its middle: 3 sigma and 1."""
PERSONS = 15
"""Peaks that are read."""
THRESHOLD = 0.1
"""Least probability of a person in the published evaluation."""
WINDOW = 5
"""A peak is the largest value of a square of so many pixels of the input."""
SHIFT = 0.25
"""Pixels by which a peak moves towards its higher neighbour, in each direction."""


class Targets(NamedTuple):
    """What the detection head of one image should say at one resolution."""

    heatmap: Array
    """[h,w] 0..1, exactly 1 at centres."""
    centres: NDArray[np.int64]
    """[N,2] column and row of each person's centre."""
    sizes: Array
    """[N,2] height and width in map pixels."""
    ignore: NDArray[np.bool_]
    """[h,w] where it is not known whether a person's centre is there."""


class Maps(NamedTuple):
    """Both resolutions as one, at half the input's resolution (h = H/2, w = W/2)."""

    emotion_maps: Tensor
    """[B,E,h,w] probabilities."""
    heatmap: Tensor | None
    """[B,1,h,w] probability of a box's centre; None without detection."""
    sizes: Tensor | None
    """[B,2,h,w] height and width in pixels of these maps; None without detection."""


class Persons(NamedTuple):
    """The K best peaks of each image, best first."""

    boxes: Tensor
    """[B,K,4] in pixels of the input, not clipped."""
    scores: Tensor
    """[B,K] probabilities; 0 where there is no further peak."""
    emotions: Tensor
    """[B,K,E] probabilities."""


def encode(boxes: Array, height: int, width: int, ignore: Array | None = None, exhaustive: bool = True) -> Targets:
    """The targets of N persons; where two Gaussians meet, the larger value stays.

    Args:
        boxes: [N,4] in map pixels, of positive area.
        height, width: of the map.
        ignore: [M,4] regions, such as crowds, in map pixels.
        exhaustive: is every person annotated? If not, nothing is known outside the boxes. The authors' code takes
            everything to be known, whatever the data set.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    extents = boxes[:, 2:] - boxes[:, :2]
    middle = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.int64)
    centres = np.clip(middle, 0, (width - 1, height - 1))
    heatmap = np.zeros((height, width), np.float32)
    for column, row in centres.tolist():
        _draw(heatmap, column, row)
    unknown = centre.unknown(boxes, centres, height, width, ignore, exhaustive)
    return Targets(heatmap, centres, extents[:, ::-1].copy(), unknown)


def _draw(heatmap: Array, column: int, row: int) -> None:
    height, width = heatmap.shape
    top, left = max(row - REACH, 0), max(column - REACH, 0)
    y = np.arange(top, min(row + REACH + 1, height), dtype=np.float32)[:, None] - row
    x = np.arange(left, min(column + REACH + 1, width), dtype=np.float32) - column
    window = heatmap[top : top + len(y), left : left + x.size]
    np.maximum(window, np.exp(-(x**2 + y**2) / np.float32(2 * SIGMA**2)), out=window)


def merge(maps: BenetMaps) -> Maps:
    """The mean of both resolutions: of probabilities, and of sizes, which are twice as large on the finer maps.

    The coarser maps are brought to the finer ones bilinearly, as logits.
    """
    return Maps(
        _mean_probability(maps.emotion_maps),
        None if maps.heatmaps is None else _mean_probability(maps.heatmaps),
        None if maps.sizes is None else (2 * _double(maps.sizes[0]) + maps.sizes[1]) / 2,
    )


def merge_flipped(maps: Maps, mirrored: Maps) -> Maps:
    """The mean with the maps of the mirrored image, which are mirrored back."""

    def mean(one: Tensor | None, other: Tensor | None) -> Tensor | None:
        return None if one is None or other is None else (one + other.flip(3)) / 2

    emotion_maps = (maps.emotion_maps + mirrored.emotion_maps.flip(3)) / 2
    return Maps(emotion_maps, mean(maps.heatmap, mirrored.heatmap), mean(maps.sizes, mirrored.sizes))


def decode(maps: Maps, persons: int = PERSONS, whole_pixels: bool = False) -> Persons:
    """The K best peaks at the input's resolution, to which the maps are brought bilinearly.

    A peak is a pixel of the input that none of the 5×5 around it exceeds. Size and emotions are read there; the centre
    is the pixel's middle, moved by a quarter of a pixel towards the higher neighbour, to the left and to the top where
    they are equal. The published evaluation drops persons of up to 0.1 afterwards.

    Args:
        maps: with detection.
        persons: K, at most H * W.
        whole_pixels: as the authors' code turns out, which computes centres and corners in an array of integers: the
            shift has no effect, and corners lose their fractions. Up to 1.75 pixels of the input from the default.

    Returns:
        Persons, best first; negative sizes count as 0.
    """
    if maps.heatmap is None or maps.sizes is None:
        raise ValueError("maps without a heatmap hold no persons")
    heatmap = _double(maps.heatmap)
    peaks = heatmap >= F.max_pool2d(heatmap, WINDOW, stride=1, padding=WINDOW // 2)
    scores, index = torch.where(peaks, heatmap, 0).flatten(1).topk(persons)
    rows = index // heatmap.shape[-1]
    columns = index - rows * heatmap.shape[-1]  # ONNX has no remainder by a width that is known only when it runs
    centres = torch.stack([columns, rows], -1).to(heatmap.dtype)
    if not whole_pixels:
        centres = centres + 0.5 + _shift(heatmap, columns, rows)
    half = read_doubled(maps.sizes, columns, rows).flip(-1).clamp(min=0)  # a pixel of the input is half a map's
    boxes = torch.cat([centres - half, centres + half], -1)
    return Persons(boxes.trunc() if whole_pixels else boxes, scores, read_doubled(maps.emotion_maps, columns, rows))


def read_doubled(maps: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Maps [B,C,h,w] as they would be at twice their resolution, read at its pixels [B,K]: [B,K,C].

    The same as upsampling bilinearly and reading, without computing what is not read.
    """
    height, width = maps.shape[-2:]
    (left, right, x), (top, bottom, y) = _neighbours(columns, width, maps.dtype), _neighbours(rows, height, maps.dtype)
    upper = _at(maps, left, top) * (1 - x) + _at(maps, right, top) * x
    lower = _at(maps, left, bottom) * (1 - x) + _at(maps, right, bottom) * x
    return upper * (1 - y) + lower * y


def read_at_boxes(maps: Tensor, boxes: Tensor) -> Tensor:
    """The emotions of given boxes, as in the published evaluation: read at the pixel of the input that holds a centre.

    Args:
        maps: [B,E,h,w] probabilities at half the input's resolution (``Maps.emotion_maps``).
        boxes: [B,N,4] in pixels of the input. Centres beyond the image are read at its edge.

    Returns:
        [B,N,E]. At the boxes that ``decode`` gives these are its emotions.
    """
    centres = ((boxes[..., :2] + boxes[..., 2:]) / 2).floor().long()
    columns = centres[..., 0].clamp(0, 2 * maps.shape[-1] - 1)
    return read_doubled(maps, columns, centres[..., 1].clamp(0, 2 * maps.shape[-2] - 1))


def _double(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


def _mean_probability(logits: Sequence[Tensor]) -> Tensor:
    coarse, fine = logits
    return (_double(coarse).sigmoid() + fine.sigmoid()) / 2


def _neighbours(index: Tensor, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """For pixels [B,K] of twice the resolution: the map's pixels before and after, and the latter's weight [B,K,1]."""
    place = (index.to(dtype) / 2 - 0.25).clamp(min=0)
    before = place.floor().long()
    weight = (place - before)[..., None]
    return before, (before + 1).clamp(max=length - 1), weight


def _at(maps: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """[B,C,h,w] at the pixels [B,K]: [B,K,C]."""
    index = (rows * maps.shape[-1] + columns)[:, None].expand(-1, maps.shape[1], -1)
    return maps.flatten(2).gather(2, index).transpose(1, 2)


def _shift(heatmap: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """[B,K,2] x and y: a quarter of a pixel towards the higher neighbour; beyond the edge lies the edge."""
    height, width = heatmap.shape[-2:]

    def value(x: int, y: int) -> Tensor:
        around = (columns + x).clamp(min=0).clamp(max=width - 1), (rows + y).clamp(min=0).clamp(max=height - 1)
        return _at(heatmap, *around)

    higher = torch.cat([value(1, 0) > value(-1, 0), value(0, 1) > value(0, -1)], -1)
    return torch.where(higher, SHIFT, -SHIFT).to(heatmap.dtype)
