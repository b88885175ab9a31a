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

    from numpy.typing import NDArray

    from caer_ros.perception.person import Array

INPUT = "input:0"
SIZE = 256
SCORES = ("Identity:0", "Identity_1:0")
BOXES = ("Identity_2:0", "Identity_3:0")
"""For the 16 x 16 and the 8 x 8 grid; scores before the sigmoid."""
SHAPE = (1, SIZE, SIZE, 3)
OUTPUTS = dict(zip(SCORES + BOXES, ((1, 512, 1), (1, 384, 1), (1, 512, 16), (1, 384, 16)), strict=True))
_NMS = 0.3
_NOSE_DEPTH = 0.87
"""How far the tip of the nose lies before the line between the tragions, as a fraction of their distance: about
12.5 cm of 14.5 cm in an adult head."""
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH, RIGHT_EAR, LEFT_EAR = range(6)
"""Rows of ``Faces.keypoints``; right and left are the person's own. The ears are their tragions."""


def _anchors() -> Array:
    """[896,2] centres of the cells in pixels of the input: two for each of 16 x 16, then six for each of 8 x 8."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        line = (np.arange(cells, dtype=np.float32) + 0.5) * (SIZE / cells)
        x, y = np.meshgrid(line, line)
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(grids)


_ANCHORS = _anchors()


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces of one crop, best first: boxes [N,4] xyxy, keypoints [N,6,2], scores [N] (0..1); pixels of the input."""

    boxes: Array
    keypoints: Array
    scores: Array


def encode(square: NDArray[np.uint8]) -> Array:
    """RGB [256,256,3] to the network's input [1,256,256,3], -1..1."""
    result: Array = np.multiply(square, np.float32(1 / 127.5), dtype=np.float32)[None] - np.float32(1)
    return result


def decode(scores: Sequence[Array], boxes: Sequence[Array], threshold: float) -> Faces:
    """The outputs named ``SCORES`` and ``BOXES`` to the faces that score ``threshold`` (0..1) or more."""
    logits = np.concatenate([level[0, :, 0] for level in scores])
    found = np.flatnonzero(logits >= np.log(threshold / (1 - threshold)))
    raw = np.concatenate([level[0] for level in boxes])[found]
    points = raw.reshape(-1, 8, 2)  # centre, size, keypoints
    centre, half = points[:, 0] + _ANCHORS[found], points[:, 1] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1)
    keypoints = points[:, 2:] + _ANCHORS[found, None]
    confidence = 1 / (1 + np.exp(-logits[found]))
    keep = suppress(corners, confidence, _NMS)
    return Faces(corners[keep], keypoints[keep], confidence[keep])


def yaw(keypoints: Array) -> float:
    """Degrees that the face [6,2] is turned from the camera, positive to the image's right.

    Seen from afar, a turn by the angle a moves the nose by depth * sin(a) along the line of the ears, whose length
    shrinks to distance * cos(a). Measured along that line, so a head that leans to the shoulder changes nothing.
    """
    ears = keypoints[LEFT_EAR] - keypoints[RIGHT_EAR]
    nose = keypoints[NOSE] - (keypoints[LEFT_EAR] + keypoints[RIGHT_EAR]) / 2
    length = float(ears @ ears)
    return math.degrees(math.atan2(float(nose @ ears), _NOSE_DEPTH * length)) if length else 90.0
