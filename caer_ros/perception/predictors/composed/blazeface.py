"""Faces by BlazeFace, back camera model (MediaPipe, 256 x 256): pixels in, boxes and six keypoints out.

The keypoints tell how far a face is turned (``yaw``), which decides whether its expression can be read at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.boxes import suppress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.perception.imaging.resizing import Squares
    from caer_ros.perception.person import Array

INPUT = "images"
SIZE = 256
SHAPE = (None, SIZE, SIZE, 3)
OUTPUTS = {"logits": (None, 896), "points": (None, 896, 16)}
"""Logits of a face; and centre, size and six keypoints, x before y. The 16 x 16 grid before the 8 x 8 one."""
_NMS = 0.3
_NOSE_DEPTH = 0.87
"""How far the tip of the nose lies before the line between the tragions, as a fraction of their distance: about
12.5 cm of 14.5 cm in an adult head."""
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH, RIGHT_EAR, LEFT_EAR = range(6)
"""Rows of the keypoints; right and left are the person's own. The ears are their tragions."""


def _anchors() -> Array:
    """[896,2] centres of the cells in pixels of the input: two for each of 16 x 16, then six for each of 8 x 8."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        line = (np.arange(cells, dtype=np.float32) + 0.5) * (SIZE / cells)
        x, y = np.meshgrid(line, line)
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(grids)


_ANCHORS = _anchors()


Box = tuple[float, float, float, float]
"""xyxy in pixels."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in the source image: box xyxy in its pixels, score 0..1, yaw in degrees, and its six keypoints."""

    box: Box
    score: float
    yaw: float
    keypoints: tuple[tuple[float, float], ...] = ()
    """x, y in pixels of the source image, in the order of the rows above."""


def decode(logits: Array, points: Array, searched: Squares, threshold: float) -> list[Face]:
    """The faces that score ``threshold`` (0..1) or more, best first; what is found in two squares comes once.

    Args:
        logits, points: ``OUTPUTS``.
        searched: the squares that were the network's input.
    """
    squares, cells = np.nonzero(logits >= math.log(threshold / (1 - threshold)))
    values = points[squares, cells].reshape(-1, 8, 2)
    centre, half, keypoints = values[:, :1], values[:, 1:2] / 2, values[:, 2:]
    placed = np.concatenate([centre - half, centre + half, keypoints], axis=1) + _ANCHORS[cells, None]
    found = searched.to_source(placed, squares)
    boxes = found[:, :2].reshape(-1, 4)
    scores = np.reciprocal(1 + np.exp(-logits[squares, cells]))
    keep = suppress(boxes, scores, _NMS)
    return [
        Face((x_min, y_min, x_max, y_max), score, yaw(face_keypoints), tuple((x, y) for x, y in face_keypoints))
        for (x_min, y_min, x_max, y_max), score, face_keypoints in zip(
            boxes[keep].tolist(), scores[keep].tolist(), found[keep, 2:].tolist(), strict=True
        )
    ]


def yaw(keypoints: Sequence[Sequence[float]]) -> float:
    """Degrees that the face [6,2] is turned from the camera, positive to the image's right.

    Seen from afar, a turn by the angle a moves the nose by depth * sin(a) along the line of the ears, whose length
    shrinks to distance * cos(a). Measured along that line, so a head that leans to the shoulder changes nothing.
    """
    (left_x, left_y), (right_x, right_y), (x, y) = (keypoints[point] for point in (LEFT_EAR, RIGHT_EAR, NOSE))
    ears_x, ears_y = left_x - right_x, left_y - right_y
    nose_x, nose_y = x - (left_x + right_x) / 2, y - (left_y + right_y) / 2
    length = ears_x**2 + ears_y**2
    return math.degrees(math.atan2(nose_x * ears_x + nose_y * ears_y, _NOSE_DEPTH * length)) if length else 90.0
