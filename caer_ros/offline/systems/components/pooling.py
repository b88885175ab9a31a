"""Box pooling: the mean of a map inside a box, each pixel weighted by the fraction of it that the box covers.

One rule wherever a person's emotions are read: in training, in evaluation with annotated boxes and in the exported
graph; the paper does not say how a pixel at a box's edge counts. Boxes are x_min, y_min, x_max, y_max in pixels of the
map, whose first pixel spans 0..1. What lies outside the map is cut off; a box that leaves nothing of itself reads the
map's nearest spot of a thousandth of a pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from caer_ros.offline.evaluation.pooling_numpy import LEAST


def coverage(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """How much of each row and of each column of the map every box covers.

    Args:
        boxes: [...,N,4] in pixels of the map.
        height, width: of the map.

    Returns:
        Rows [...,N,h] and columns [...,N,w], 0..1, float32. A pixel's weight is the product of its row's and column's.
    """
    left, top, right, bottom = boxes.float().unbind(-1)
    return _covered(top, bottom, height), _covered(left, right, width)


def _covered(low: Tensor, high: Tensor, length: int) -> Tensor:
    edges = torch.arange(length, dtype=torch.float32, device=low.device)
    low = low.clamp(min=0).clamp(max=length - LEAST)
    high = torch.maximum(high.clamp(max=length), low + LEAST)
    return (torch.minimum(high[..., None], edges + 1) - torch.maximum(low[..., None], edges)).clamp(min=0).clamp(max=1)


def pool(maps: Tensor, boxes: Tensor) -> Tensor:
    """The weighted mean of every map in every box, computed in float32.

    Args:
        maps: [B,E,h,w].
        boxes: [B,N,4] in pixels of the map.

    Returns:
        [B,N,E]. Differentiable in the maps and the boxes.
    """
    rows, columns = _weights(boxes, maps)
    if torch.is_autocast_enabled(maps.device.type):
        with torch.autocast(maps.device.type, enabled=False):  # 16 bits would round what the losses read
            return _mean(maps.float(), rows, columns)
    return _mean(maps.float(), rows, columns)


def variance(maps: Tensor, boxes: Tensor) -> Tensor:
    """The variance inside each box that eq. 3 of the paper drives to 0, with the same weights as ``pool``.

    Shapes are those of ``pool``; the result is [B,N,E], at least 0.
    """
    # E[x²] - E[x]² cancels badly far from 0; a variance is the same wherever 0 is.
    centred = maps.float() - maps.detach().float().mean((-2, -1), keepdim=True)
    mean = pool(centred, boxes)
    return (pool(centred.square(), boxes) - mean.square()).clamp(min=0)


def _weights(boxes: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = coverage(boxes, maps.shape[-2], maps.shape[-1])
    # Normalised before the product: every sum below is a mean, so a graph in fp16 cannot overflow.
    return rows / rows.sum(-1, keepdim=True), columns / columns.sum(-1, keepdim=True)


def _mean(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    lines = torch.matmul(rows[:, None], maps)  # [B,E,N,w]: each map's columns, averaged over the box's rows
    means = torch.matmul(lines.transpose(1, 2), columns[..., None])  # [B,N,E,1]
    return means.squeeze(-1)
