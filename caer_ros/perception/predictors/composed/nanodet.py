"""Persons by NanoDet (RangiLyu/nanodet, COCO classes, 416 x 416): pixels in, boxes out.

Each cell of three grids gives a score and, for each side of the box, a distribution over 11 distances (Generalized
Focal Loss, Li et al. 2020, eq. 5-6); the distance is its expectation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.boxes import suppress
from caer_ros.perception.imaging.resizing import Resize, place, plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.imaging.resizing import Fit
    from caer_ros.perception.person import Array

INPUT = "images"
SIZE = 416
SHAPE = (1, SIZE, SIZE, 3)
STRIDES = (8, 16, 32)
CELLS = sum((SIZE // stride) ** 2 for stride in STRIDES)
OUTPUTS = {"scores": (1, CELLS), "sides": (1, CELLS, 44)}
"""Scores of a person, 0..1; and left, top, right, bottom in 11 bins each. Cells row by row, the finest grid first."""
_RULE = Resize(mode="letterbox", size=(SIZE, SIZE))
_BINS = np.arange(11, dtype=np.float32)
_OUTWARD = np.array([-1, -1, 1, 1], np.float32)


def _cells() -> tuple[Array, Array]:
    """[CELLS,4] centres of the cells as x, y, x, y and [CELLS,1] their strides; pixels of the input."""
    centres = [np.indices((SIZE // stride,) * 2)[::-1].reshape(2, -1).T * stride + stride / 2 for stride in STRIDES]
    strides = np.repeat(STRIDES, [len(grid) for grid in centres])[:, None]
    return np.tile(np.concatenate(centres), 2).astype(np.float32), strides.astype(np.float32)


_CENTRES, _STRIDES = _cells()


def encode(image: NDArray[np.uint8], out: NDArray[np.uint8]) -> Fit:
    """RGB [H,W,3] into the network's input ``out`` [1,416,416,3]; returns how to map boxes back."""
    fit = plan(_RULE, image.shape[0], image.shape[1])
    place(image, fit, out[0])
    return fit


def decode(scores: Array, sides: Array, fit: Fit, threshold: float, nms: float) -> tuple[Array, Array]:
    """Boxes [N,4] xyxy in source pixels and scores [N], best first.

    Args:
        scores, sides: ``OUTPUTS``.
        threshold: lowest score of a person, 0..1.
        nms: of two boxes whose IoU is larger, only the better stays.
    """
    cells = np.flatnonzero(scores[0] >= threshold)  # a few of thousands: decode no others
    logits = sides[0, cells].reshape(-1, 4, len(_BINS))
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    distances = (weights @ _BINS) / weights.sum(axis=2) * _STRIDES[cells]
    boxes, confidence = fit.to_source(_CENTRES[cells] + _OUTWARD * distances), scores[0, cells]
    keep = suppress(boxes, confidence, nms)
    return boxes[keep], confidence[keep]
