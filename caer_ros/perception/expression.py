"""Expressions of faces, by two networks of different families whose disagreement is worth knowing.

Grey: oarriaga/face_classification (FER2013), 64 x 64. Colour: vladmandic/face-api, 112 x 112. Both give a softmax over
the seven labels of CAER-S, each in an order of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.perception.resizing import square

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.person import Array

GREY_INPUT, GREY_SIZE = "input_1:0", 64
COLOUR_INPUT, COLOUR_SIZE = "rgb", 112
OUTPUT = "Identity:0"
"""[N,7] of either network."""
GREY_SHAPE, COLOUR_SHAPE = (None, GREY_SIZE, GREY_SIZE, 1), (None, COLOUR_SIZE, COLOUR_SIZE, 3)
OUTPUTS = {OUTPUT: (None, 7)}
_GREY_LABELS = ("Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
_COLOUR_LABELS = ("Neutral", "Happy", "Sad", "Anger", "Fear", "Disgust", "Surprise")
_GREY_CROPS = (1.1, 1.35)  # sides of the squares, in sides of the face box; two crops are steadier than one
_COLOUR_CROP = 1.25


def encode_grey(image: NDArray[np.uint8], faces: Sequence[Array]) -> Array:
    """RGB [H,W,3] and N face boxes [4] to the grey network's input [2N,64,64,1], -1..1: two crops of each face."""
    crops = [
        cv2.cvtColor(_crop(image, face, crop, GREY_SIZE), cv2.COLOR_RGB2GRAY) for face in faces for crop in _GREY_CROPS
    ]
    return np.stack(crops).astype(np.float32)[..., None] / np.float32(127.5) - np.float32(1)


def encode_colour(image: NDArray[np.uint8], faces: Sequence[Array]) -> Array:
    """RGB [H,W,3] and N face boxes [4] to the colour network's input [N,112,112,3], 0..255."""
    return np.stack([_crop(image, face, _COLOUR_CROP, COLOUR_SIZE) for face in faces]).astype(np.float32)


def decode(grey: Array, colour: Array, labels: tuple[str, ...]) -> tuple[Array, NDArray[np.bool_]]:
    """The mean of the two networks in the order of ``labels`` [N,7], and whether their first labels agree [N].

    Args:
        grey: [2N,7], output for ``encode_grey``.
        colour: [N,7], output for ``encode_colour``.
        labels: the seven labels of CAER-S in any order.
    """
    a = grey.reshape(-1, len(_GREY_CROPS), len(_GREY_LABELS)).mean(axis=1)
    a = a[:, [_GREY_LABELS.index(label) for label in labels]]
    b = colour[:, [_COLOUR_LABELS.index(label) for label in labels]]
    mean: Array = (a + b) / 2
    return mean, a.argmax(axis=1) == b.argmax(axis=1)


def _crop(image: NDArray[np.uint8], face: Array, crop: float, size: int) -> NDArray[np.uint8]:
    centre = (float(face[0] + face[2]) / 2, float(face[1] + face[3]) / 2)
    return square(image, centre, crop * float(max(face[2:] - face[:2])), size, antialias=True).pixels
