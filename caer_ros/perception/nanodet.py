"""Persons by NanoDet (RangiLyu/nanodet, COCO classes, 416 x 416): pixels in, boxes out.

Each cell of three grids gives 80 class scores and, for each side of the box, a distribution over 11 distances
(Generalized Focal Loss, Li et al. 2020, eq. 5-6); the distance is its expectation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.boxes import suppress
from caer_ros.perception.resizing import Resize, place, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.person import Array
    from caer_ros.perception.resizing import Fit

INPUT = "input_1:0"
SIZE = 416
STRIDES = (8, 16, 32)
SCORES = ("Identity:0", "Identity_1:0", "Identity_2:0")
SIDES = ("Identity_3:0", "Identity_4:0", "Identity_5:0")
"""Per stride, [1, n*n, 80] and [1, n*n, 4 * 11] (left, top, right, bottom)."""
SHAPE = (1, 3, SIZE, SIZE)
OUTPUTS = {
    **{name: (1, (SIZE // stride) ** 2, 80) for name, stride in zip(SCORES, STRIDES, strict=True)},
    **{name: (1, (SIZE // stride) ** 2, 44) for name, stride in zip(SIDES, STRIDES, strict=True)},
}
_RULE = Resize(mode="letterbox", size=(SIZE, SIZE))
_PERSON = 0
_BINS = np.arange(11, dtype=np.float32)
_MEAN, _STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # BGR, 0..255
_SCALE = np.divide(1, _STD, dtype=np.float32)[:, None, None]
_OFFSET = np.divide(_MEAN, _STD, dtype=np.float32)[:, None, None]


def encode(image: NDArray[np.uint8], out: Array) -> Fit:
    """RGB [H,W,3] into the network's input ``out`` [1,3,416,416]; returns how to map boxes back.

    Into memory that is there: to get 2 MB anew for each image takes longer (page faults) than to fill them.
    """
    fit = plan(_RULE, image.shape[0], image.shape[1])
    bgr = place(image, fit).transpose(2, 0, 1)[::-1]
    np.multiply(bgr, _SCALE, out=out[0])
    np.subtract(out[0], _OFFSET, out=out[0])
    return fit


def decode(
    scores: Sequence[Array], sides: Sequence[Array], fit: Fit, threshold: float, nms: float
) -> tuple[Array, Array]:
    """Boxes [N,4] xyxy in source pixels and scores [N], best first.

    Args:
        scores, sides: the outputs named ``SCORES`` and ``SIDES``.
        threshold: lowest score of a person, 0..1.
        nms: of two boxes whose IoU is larger, only the better stays.
    """
    found = [
        _decode_level(level_scores[0, :, _PERSON], level_sides[0], stride, threshold)
        for level_scores, level_sides, stride in zip(scores, sides, STRIDES, strict=True)
    ]
    boxes = fit.to_source(np.concatenate([boxes for boxes, _ in found]))
    confidence = np.concatenate([score for _, score in found])
    keep = suppress(boxes, confidence, nms)
    return boxes[keep], confidence[keep]


def _decode_level(scores: Array, sides: Array, stride: int, threshold: float) -> tuple[Array, Array]:
    cells = np.flatnonzero(scores >= threshold)  # a few of thousands: decode no others
    logits = sides[cells].reshape(-1, 4, len(_BINS))
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    distance = (weights @ _BINS) / weights.sum(axis=2) * stride
    row, column = np.divmod(cells, SIZE // stride)
    centre = (np.stack([column, row], axis=1) + 0.5) * stride
    boxes = np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=1)
    return boxes.astype(np.float32), scores[cells]
