"""Overlap of boxes, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


F = TypeVar("F", np.float32, np.float64)


def iou(a: NDArray[F], b: NDArray[F]) -> NDArray[F]:
    """Intersection over union of each of ``a`` [N,4] with each of ``b`` [M,4] (xyxy): [N,M], 0..1."""
    return paired_iou(a[:, None], b[None])


def paired_iou(a: NDArray[F], b: NDArray[F]) -> NDArray[F]:
    """Intersection over union along the last axis of two arrays [...,4] that broadcast; 0 for empty boxes."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = _areas(a) + _areas(b) - shared
    result: NDArray[F] = shared / np.maximum(union, np.finfo(np.float32).tiny)
    return result


def _areas(boxes: NDArray[F]) -> NDArray[F]:
    areas: NDArray[F] = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)
    return areas


def suppress(boxes: NDArray[F], scores: NDArray[F], threshold: float) -> NDArray[np.intp]:
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
