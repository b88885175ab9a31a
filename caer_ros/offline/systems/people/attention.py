"""Attention pooling: a person's mean of each map, most where a face may be.

The plain mean of a body's box (KA, VISAPP 2025, section 2.1) thins a face out to nothing: it is a fiftieth of a person
who stands. Here a pixel's weight in the box is softmax(face + prior): ``face`` is a map of the network's own, and the
prior prefers the upper middle of the box, so a neighbour's face counts little. The prior is a factor for rows times
one for columns, as coverage is (see ``components.pooling``), so any number of boxes costs two small matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor

from caer_ros.offline.evaluation.pooling_numpy import ASIDE, DOWN, HEIGHT, MOST, SPREAD
from caer_ros.offline.systems.components.pooling import coverage


def pool(maps: Tensor, boxes: Tensor, face: Tensor) -> Tensor:
    """The mean of every map in every box, weighted by where a face may be; computed in float32.

    Args:
        maps: [B,C,h,w].
        boxes: [B,N,4] in pixels of the maps.
        face: [B,1,h,w] logits.

    Returns:
        [B,N,C]. Differentiable in the maps and in ``face``.
    """
    with torch.autocast(maps.device.type, enabled=False):  # 16 bits would round what the losses read
        rows, columns = _factors(boxes, maps.shape[-2], maps.shape[-1])
        weight = face.float().clamp(-MOST, MOST).exp()
        sums = _sum(torch.cat([maps.float() * weight, weight], 1), rows, columns)
        return sums[..., :-1] / sums[..., -1:]


def variance(maps: Tensor, boxes: Tensor, face: Tensor) -> Tensor:
    """The variance of each map in each box with the weights of ``pool``, [B,N,C], at least 0."""
    # E[x²] - E[x]² cancels badly far from 0; a variance is the same wherever 0 is.
    centred = maps.float() - maps.detach().float().mean((-2, -1), keepdim=True)
    mean = pool(centred, boxes, face)
    return (pool(centred.square(), boxes, face) - mean.square()).clamp(min=0)


def _factors(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Coverage and prior of the rows [B,N,h] and columns [B,N,w]; each sums to 1."""
    rows, columns = coverage(boxes, height, width)
    left, top, right, bottom = boxes.float().unbind(-1)
    wide = (right - left).clamp(min=1)
    tall = torch.minimum((bottom - top).clamp(min=1), HEIGHT * wide)
    rows = rows * _gaussian(top + DOWN * tall, SPREAD * tall, height)
    columns = columns * _gaussian((left + right) / 2, ASIDE * wide, width)
    return rows / rows.sum(-1, keepdim=True), columns / columns.sum(-1, keepdim=True)


def _gaussian(centre: Tensor, deviation: Tensor, length: int) -> Tensor:
    middles = torch.arange(length, dtype=torch.float32, device=centre.device) + 0.5
    distance = (middles - centre[..., None]) / deviation[..., None]
    return (-0.5 * distance.square()).clamp(min=-30).exp()  # never 0: a box may show its lower end alone


def _sum(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    lines = torch.matmul(rows[:, None], maps)  # [B,C,N,w]
    return torch.matmul(lines.transpose(1, 2), columns[..., None]).squeeze(-1)
