"""Expressions of faces, by two networks of different families whose disagreement is worth knowing.

Grey: oarriaga/face_classification (FER2013), 64 x 64. Colour: vladmandic/face-api, 112 x 112. Both give a softmax over
the seven labels of CAER-S, each in an order of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.perception.bundle.bundle import EXPRESSION_PAIR, BundleError
from caer_ros.perception.engine import UINT8, Engine, EngineSettings
from caer_ros.perception.predictors.composed.face_crops import Reading, crops
from caer_ros.taxonomy import CAER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.person import Array
    from caer_ros.perception.prediction import Stopwatch

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


class ExpressionPair:
    """Both networks of a bundle, loaded; a ``face_crops.Reader``.

    Raises:
        BundleError: the bundle's labels are not the networks' seven.
        EngineError: a graph cannot run, or is not the network that it should be.
    """

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        if set(bundle.labels) != set(CAER_S) or not all(bundle.predictable):
            raise BundleError(
                f"{bundle.path}: labels: a composed bundle without a section expression predicts these seven, no "
                f"others: {', '.join(CAER_S)}"
            )
        self._labels = bundle.labels
        self._grey, self._colour = (Engine(bundle.files[name].path, settings) for name in EXPRESSION_PAIR)
        self._grey.require(INPUT, GREY_SHAPE, OUTPUTS, UINT8)
        self._colour.require(INPUT, COLOUR_SHAPE, OUTPUTS, UINT8)

    @property
    def engines(self) -> dict[str, Engine]:
        """See ``Reader``."""
        return dict(zip(EXPRESSION_PAIR, (self._grey, self._colour), strict=True))

    def __call__(self, image: NDArray[np.uint8], faces: Array, watch: Stopwatch) -> Reading:
        """See ``Reader``."""
        grey, colour = encode_grey(image, faces), encode_colour(image, faces)
        watch.done("resize")
        (grey_scores,) = self._grey.run({INPUT: grey}, [OUTPUT])
        (colour_scores,) = self._colour.run({INPUT: colour}, [OUTPUT])
        watch.done("inference")
        return Reading(*decode(grey_scores, colour_scores, self._labels))

    def warm_up(self) -> None:
        """See ``Reader``."""
        self._grey.run({INPUT: np.zeros((len(_GREY_CROPS), *GREY_SHAPE[1:]), np.uint8)}, [OUTPUT])
        self._colour.run({INPUT: np.zeros((1, *COLOUR_SHAPE[1:]), np.uint8)}, [OUTPUT])


def encode_grey(image: NDArray[np.uint8], faces: Array) -> NDArray[np.uint8]:
    """RGB [H,W,3] and boxes of faces [N,4] to the grey network's input [2N,64,64,1]: two crops of each face."""
    pixels = crops(image, faces, _GREY_CROPS, GREY_SIZE)
    grey = cv2.cvtColor(pixels.reshape(-1, GREY_SIZE, 3), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8).reshape(-1, GREY_SIZE, GREY_SIZE, 1)


def encode_colour(image: NDArray[np.uint8], faces: Array) -> NDArray[np.uint8]:
    """RGB [H,W,3] and boxes of faces [N,4] to the colour network's input [N,112,112,3]."""
    return crops(image, faces, (_COLOUR_CROP,), COLOUR_SIZE)


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
