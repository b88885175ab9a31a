"""Expressions of faces, by two networks of different families whose disagreement is worth knowing.

Grey: oarriaga/face_classification (FER2013), 64 x 64. Colour: vladmandic/face-api, 112 x 112. Both give a softmax over
the seven labels of CAER-S, each in an order of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.perception.imaging.resizing import squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.person import Array

INPUT = "images"
OUTPUT = "Identity:0"
"""[N,7] of either network."""
GREY_SIZE, COLOUR_SIZE = 64, 112
GREY_SHAPE, COLOUR_SHAPE = (None, GREY_SIZE, GREY_SIZE, 1), (None, COLOUR_SIZE, COLOUR_SIZE, 3)
OUTPUTS = {OUTPUT: (None, 7)}
_GREY_LABELS = ("Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
_COLOUR_LABELS = ("Neutral", "Happy", "Sad", "Anger", "Fear", "Disgust", "Surprise")
_GREY_CROPS = (1.1, 1.35)  # sides of the squares, in sides of the face box; two crops are steadier than one
_COLOUR_CROP = 1.25


def encode_grey(image: NDArray[np.uint8], faces: Array) -> NDArray[np.uint8]:
    """RGB [H,W,3] and boxes of faces [N,4] to the grey network's input [2N,64,64,1]: two crops of each face."""
    pixels = _crops(image, faces, _GREY_CROPS, GREY_SIZE)
    grey = cv2.cvtColor(pixels.reshape(-1, GREY_SIZE, 3), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8).reshape(-1, GREY_SIZE, GREY_SIZE, 1)


def encode_colour(image: NDArray[np.uint8], faces: Array) -> NDArray[np.uint8]:
    """RGB [H,W,3] and boxes of faces [N,4] to the colour network's input [N,112,112,3]."""
    return _crops(image, faces, (_COLOUR_CROP,), COLOUR_SIZE)


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


def _crops(image: NDArray[np.uint8], faces: Array, crops: tuple[float, ...], size: int) -> NDArray[np.uint8]:
    """All crops of the first face, then of the second."""
    centres = ((faces[:, :2] + faces[:, 2:]) / 2).repeat(len(crops), axis=0).astype(np.float32)
    sides = np.outer((faces[:, 2:] - faces[:, :2]).max(axis=1), crops).astype(np.float32)
    return squares(image, centres, sides.ravel(), size, antialias=True).pixels
