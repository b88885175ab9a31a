"""BENet's refined recognition (ACIVS 2023, section 4.3): the mean of the bottom-up and the person-centric heads.

One pass over the image and one for each person's crop, so its cost grows with the persons: evaluation only, never a
robot's. Input, flip and reading are those of the authors' test, where an image keeps its aspect: its shorter side
becomes 512 pixels, and the other is made a multiple of 64 by black beside it, not by stretching.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from caer_ros.offline.data.predictions import Predictions
from caer_ros.offline.evaluation.predict import EvaluationError, read_ahead
from caer_ros.offline.systems.benet import codec
from caer_ros.offline.systems.benet.augmentation import crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from caer_ros.offline.evaluation.predict import Image, Watch
    from caer_ros.offline.systems.benet.network import Benet
    from caer_ros.recordings.annotations.sample import Array, Sample

SHORT = 512
MULTIPLE = 64
_CROPS = 8
"""Crops that run together."""


class Placed(NamedTuple):
    """An image as BENet's test sees it."""

    pixels: Image
    """[H,W,3]; black where the image is not."""
    matrix: NDArray[np.float64]
    """[2,3] from pixels of the image to those of the input."""


class PersonScores(NamedTuple):
    """Probabilities of each of N annotated persons."""

    bottom_up: Array
    """[N,E] read at the centre of the box."""
    person_centric: Array
    """[N,E] of the crop."""

    @property
    def mean(self) -> Array:
        """[N,E], Table 4's 29.30."""
        return (self.bottom_up + self.person_centric) / np.float32(2)


def refined(
    network: Benet,
    predictions: Predictions,
    samples: Sequence[Sample],
    watch: Watch = iter,
    flip: bool = False,
    short: int = SHORT,
) -> Predictions:
    """The table with the mean of both heads as the scores in annotated boxes (``pooled``); persons found stay.

    Args:
        network: with its person-centric head, on any device.
        predictions: of these samples, in their order, with the network's labels.
        samples: with their boxes.
        watch: wraps the loop over images, to show progress.
        flip: also of the mirrored inputs, as for the published scores.
        short: shorter side of the input, pixels; 512 in the paper.

    Raises:
        EvaluationError: the network has no person-centric head, or the table is of other samples.
        DatasetError: an image cannot be read.
    """
    if not network.config.person_centric:
        raise EvaluationError("this BENet has no person-centric head (benet.person_centric false); leave it out")
    if [image.image_id for image in predictions.images] != [sample.image_id for sample in samples]:
        raise EvaluationError("the predictions are of other images than these samples")
    images = []
    for image, (sample, pixels) in zip(predictions.images, watch(read_ahead(samples)), strict=True):
        images.append(replace(image, pooled=score(network, pixels, sample.boxes, flip, short).mean))
    return Predictions(predictions.header, tuple(images))


@torch.inference_mode()
def score(network: Benet, image: Image, boxes: Array, flip: bool = False, short: int = SHORT) -> PersonScores:
    """What both heads say about the persons in an image.

    Args:
        network: in eval mode, with its person-centric head.
        image: [H,W,3] RGB.
        boxes: [N,4] in pixels of the image.
        flip: the mean with the mirrored input, of probabilities.
        short: shorter side of the input, pixels; 512 in the paper.
    """
    if not len(boxes):
        nobody = np.empty((0, network.labels), np.float32)
        return PersonScores(nobody, nobody)
    whole = place_image(image, short)
    crops = [place_crop(crop(image, box), (whole.pixels.shape[0], whole.pixels.shape[1]), short) for box in boxes]
    cropped = np.concatenate(
        [_person_centric(network, crops[first : first + _CROPS], flip) for first in range(0, len(crops), _CROPS)]
    )
    return PersonScores(_bottom_up(network, whole, boxes, flip), cropped)


def place_image(image: Image, short: int = SHORT) -> Placed:
    """The whole image: its shorter side becomes ``short``."""
    height, width = image.shape[:2]
    canvas = _canvas(height, width, width < height, short)
    matrix = _matrix((height, width), canvas, short / min(height, width))
    return Placed(_warped(image, matrix, canvas), matrix)


def place_crop(cropped: Image, canvas: tuple[int, int], short: int = SHORT) -> Placed:
    """A person's crop on the canvas (height, width) of the whole image, so that its shorter side would be filled.

    The crop is scaled along the canvas's shorter side, and is cut off or black along the longer. On upright canvases it
    is not in the middle: it begins where a canvas of its own would, so at the top but for the rounding to 64.
    """
    height, width = cropped.shape[:2]
    upright = canvas[1] < canvas[0]
    own = _canvas(height, width, upright, short)
    matrix = _matrix((height, width), own, short / (width if upright else height))
    matrix[0, 2] += (canvas[1] - own[1]) / 2
    return Placed(_warped(cropped, matrix, canvas), matrix)


def _canvas(height: int, width: int, upright: bool, short: int) -> tuple[int, int]:
    """Height and width: ``short``, and the other side in proportion, up to a multiple of 64."""
    if upright:
        return _up(short / width * height), short
    return short, _up(short / height * width)


def _up(length: float) -> int:
    return int((length + MULTIPLE - 1) // MULTIPLE) * MULTIPLE


def _matrix(size: tuple[int, int], canvas: tuple[int, int], scale: float) -> NDArray[np.float64]:
    """[2,3] that brings the middle pixel of an image to the canvas's middle."""
    x, y = int(size[1] / 2 + 0.5), int(size[0] / 2 + 0.5)
    return np.array([[scale, 0, canvas[1] / 2 - scale * x], [0, scale, canvas[0] / 2 - scale * y]])


def _warped(image: Image, matrix: NDArray[np.float64], canvas: tuple[int, int]) -> Image:
    return np.asarray(cv2.warpAffine(image, matrix, canvas[::-1]), np.uint8)


def _bottom_up(network: Benet, whole: Placed, boxes: Array, flip: bool) -> Array:
    """[N,E] read at the pixel of the input where the middle pixel of each box is."""
    images = _normalised(network, [whole])
    maps = codec.merge(network(images))
    if flip:
        maps = codec.merge_flipped(maps, codec.merge(network(images.flip(3))))
    middle = np.trunc((boxes[:, :2] + boxes[:, 2:]) / 2)
    height, width = whole.pixels.shape[:2]
    places = np.trunc(middle @ whole.matrix[:, :2].T + whole.matrix[:, 2]).clip(0, (width - 1, height - 1))
    columns, rows = torch.from_numpy(places.astype(np.int64)).to(images.device).T[:, None]
    scores: Array = codec.read_doubled(maps.emotion_maps, columns, rows)[0].float().cpu().numpy()
    return scores


def _person_centric(network: Benet, crops: Sequence[Placed], flip: bool) -> Array:
    """[N,E] of the crops."""
    images = _normalised(network, crops)
    scores = network.person_centric(network.features(images)).sigmoid()
    if flip:
        scores = (scores + network.person_centric(network.features(images.flip(3))).sigmoid()) / 2
    result: Array = scores.float().cpu().numpy()
    return result


def _normalised(network: Benet, images: Sequence[Placed]) -> Tensor:
    """[B,3,H,W] on the network's device, in its precision."""
    like = next(network.parameters())
    pixels = torch.from_numpy(np.stack([image.pixels for image in images])).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    return ((pixels - mean) / std).to(like)
