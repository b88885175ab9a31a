"""Overlap of boxes, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.person import Array


def iou(a: Array, b: Array) -> Array:
    """Intersection over union of each of ``a`` [N,4] with each of ``b`` [M,4] (xyxy): [N,M], 0..1."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None] - shared
    result: Array = shared / np.maximum(union, np.finfo(np.float32).tiny)
    return result


def suppress(boxes: Array, scores: Array, threshold: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: of two boxes whose IoU is above ``threshold`` only the better stays.

    Boxes [N,4] xyxy, scores [N]; returns the indices of those that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order
    beats = np.triu(iou(boxes[order], boxes[order]) > threshold, k=1)  # row over column, both in that order
    stays = np.ones(len(order), bool)
    for rank in range(len(order)):
        if stays[rank]:
            stays &= ~beats[rank]
    return order[stays]
