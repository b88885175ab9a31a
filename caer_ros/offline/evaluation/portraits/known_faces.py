"""The face of a picture that shows one person, by the face network of the bundle ``bootstrap``.

Its box is the measure of all sizes here: "24 px" is the width of BlazeFace's box, as for ``min_face`` of a bundle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.imaging.resizing import squares
from caer_ros.perception.predictors.composed import blazeface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.engine import Engine
    from caer_ros.perception.predictors.composed.blazeface import Face

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float64]

CLEAR = 0.6
"""Lowest score of a face that shall be known for sure, 0..1; patches of cloth have up to 0.49."""
_AROUND = 2.6
"""Widths of a face that the second, closer look takes in."""


def face_in(network: Engine, image: Image, near: tuple[float, float, float] | None = None) -> Face | None:
    """The largest clear face of an image, or None; found in a first look and measured in a second, closer one.

    Args:
        network: BlazeFace: ``engines["face"]`` of a composed predictor.
        image: RGB uint8 [H,W,3].
        near: centre x, y and width in pixels of a face that was found already: there is no first look then.
    """
    if near is None:
        height, width = image.shape[:2]
        first = _look(network, image, width / 2, height / 2, max(width, height))
        if first is None:
            return None
        near = (*centre(first), width_of(first))
    x, y, size = near
    return _look(network, image, x, y, _AROUND * size)


def _look(network: Engine, image: Image, x: float, y: float, side: float) -> Face | None:
    searched = squares(image, np.array([[x, y]], np.float32), np.array([side], np.float32), blazeface.SIZE, True)
    logits, points = network.run({blazeface.INPUT: searched.pixels}, list(blazeface.OUTPUTS))
    return max(blazeface.decode(logits, points, searched, CLEAR), key=width_of, default=None)


def width_of(face: Face) -> float:
    """Width of a face's box in pixels."""
    return face.box[2] - face.box[0]


def centre(face: Face) -> tuple[float, float]:
    """Middle x, y of a face's box in pixels."""
    return (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2


def middle(face: Face) -> Floats:
    """[2] x, y between eyes and mouth: where two heads are laid upon one another."""
    points = np.array(face.keypoints, np.float64)
    result: Floats = (points[[blazeface.RIGHT_EYE, blazeface.LEFT_EYE]].mean(axis=0) + points[blazeface.MOUTH]) / 2
    return result


def roll(face: Face) -> float:
    """Degrees that the line of the eyes leans, positive clockwise in the image."""
    right, left = face.keypoints[blazeface.RIGHT_EYE], face.keypoints[blazeface.LEFT_EYE]
    return math.degrees(math.atan2(left[1] - right[1], left[0] - right[0]))
