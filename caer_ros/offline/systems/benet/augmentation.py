"""How BENet's training images are changed (ACIVS 2023, section 3.3): a pre-transform, then pose and appearance.

Everything random comes from the numpy generator that is given. Positions are continuous: the left edge of an image is
0, its right edge its width. The authors' code moves boxes by another perspective than the pixels, mirrors them about
half a pixel beside, and warps half a pixel beside; here boxes and pixels move alike.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from caer_ros.offline.systems.benet.config import BenetRecipe
    from caer_ros.recordings.annotations.sample import Array

    Image = NDArray[np.uint8]
    Matrix = NDArray[np.float64]
    Boxes = NDArray[np.floating[Any]]

LARGEST_AREA = 0.4
"""Part of the image that the boxes cover together, each counted whole, up to which all of them may be masked."""
LARGEST_OVERLAP = 0.4
"""Part of a person's box that others cover, added up, up to which its crop is learnt from. The paper: no others."""
LEAST_VISIBLE = 0.6
"""Part of a kept person's box that masks of others leave."""
MASKED = 0.5
"""How often a mask is tried."""


class Head(IntEnum):
    """Which head an image teaches: each pre-transform has one."""

    DETECTION = 0
    """Taught by the raw image."""
    BOTTOM_UP = 1
    """Taught by RandomMaskSubjects."""
    PERSON_CENTRIC = 2
    """Taught by ExtractSubject."""
    BACKGROUND = 3
    """Taught by MaskAllSubjects."""


class Change(NamedTuple):
    """How an image will look; the default is as it is."""

    scale: float = 1.0
    rotation: float = 0.0
    """Degrees."""
    translation: tuple[float, float] = (0.0, 0.0)
    """Right and down, as parts of the square's side."""
    perspective: tuple[float, float] = (0.0, 0.0)
    """Along x and y, for each pixel of the image."""
    flip: bool = False


class Appearance(NamedTuple):
    """How its pixels are changed."""

    noise: float
    """Standard deviation, of values 0 to 1."""
    brightness: float
    contrast: float
    saturation: float
    hue: float
    blur: float


def probabilities(recipe: BenetRecipe) -> dict[Head, float]:
    """How often each head is taught, where its pre-transform is possible; without those that never are."""
    given = (recipe.raw, recipe.mask_some, recipe.extract, recipe.mask_all)
    return {head: value for head, value in zip(Head, given, strict=True) if value > 0}


def choose(chances: dict[Head, float], boxes: Array, size: tuple[int, int], random: np.random.Generator) -> Head:
    """Which head an image teaches.

    The chance of a pre-transform that is not possible goes to the possible ones, in equal parts.

    Args:
        chances: of ``probabilities``.
        boxes: [N,4] in pixels, the subject's first.
        size: height and width of the image.
        random: draws once.
    """
    possible, exact = dict(chances), boxes.astype(np.float64)
    if _areas(exact).sum() > LARGEST_AREA * size[0] * size[1]:
        possible.pop(Head.BACKGROUND, None)
    if sum(float(covered(exact[:1], other)[0]) for other in exact[1:]) > LARGEST_OVERLAP:
        possible.pop(Head.PERSON_CENTRIC, None)
    spare = (sum(chances.values()) - sum(possible.values())) / len(possible)
    weights = np.array([value + spare for value in possible.values()])
    return list(possible)[int(random.choice(len(possible), p=weights / weights.sum()))]


def masked(boxes: Array, random: np.random.Generator, each_axis: bool) -> NDArray[np.bool_]:
    """RandomMaskSubjects: which of the persons [N,4] are masked.

    In random order, the first is kept, and each other one masked with probability 0.5, unless that would hide the
    centre of one kept before, or more than 0.4 of anybody not masked, or its own centre is in one kept before.

    Args:
        boxes: in pixels.
        random: draws an order and, for each but the first, a number.
        each_axis: centres are compared along x and along y, and one of both is enough to forbid a mask.
    """
    result = np.zeros(len(boxes), bool)
    visible: Boxes = np.ones(len(boxes))
    kept: list[int] = []
    for person in random.permutation(len(boxes)).tolist():
        left = visible - covered(boxes, boxes[person])
        others = ~result
        others[person] = False
        free = kept and random.random() < MASKED
        if free and not (left[others] < LEAST_VISIBLE).any() and not _meet(boxes[person], boxes[kept], each_axis):
            result[person], visible = True, left
        else:
            kept.append(person)
    return result


def hidden(pixels: Image, boxes: Array) -> Image:
    """The image with the boxes [N,4] filled with 0."""
    result = pixels.copy()
    for box in boxes:
        _part(result, box)[:] = 0
    return result


def crop(pixels: Image, box: Array) -> Image:
    """ExtractSubject: the part of the image in a box [4], at least a pixel."""
    return _part(pixels, box)


def covered(boxes: Boxes, other: Boxes) -> Boxes:
    """Which part of each of the boxes [N,4] another one [4] covers: [N]."""
    sides = np.minimum(boxes[:, 2:], other[2:]) - np.maximum(boxes[:, :2], other[:2])
    part: Boxes = np.prod(np.maximum(sides, 0), axis=1) / np.maximum(_areas(boxes), 1e-6)
    return part


def draw_change(recipe: BenetRecipe, random: np.random.Generator) -> Change:
    """A random pose."""
    x, y = (random.random(2) * recipe.translation).tolist()
    depth_x, depth_y = random.uniform(-recipe.perspective, recipe.perspective, 2).tolist()
    return Change(
        scale=random.uniform(*recipe.scale),
        rotation=random.uniform(-recipe.rotation, recipe.rotation),
        translation=(x, y),
        perspective=(depth_x, depth_y),
        flip=bool(random.random() < recipe.flip),
    )


def draw_appearance(recipe: BenetRecipe, random: np.random.Generator) -> Appearance:
    """Random noise, colour and blur."""
    noise = float(np.sqrt(random.uniform(0, recipe.noise)))
    brightness, contrast, saturation = random.uniform(*recipe.colour, 3).tolist()
    hue, blur = random.uniform(0, recipe.hue), random.uniform(*recipe.blur)
    return Appearance(noise, brightness, contrast, saturation, hue, blur)


def projection(size: tuple[int, int], side: int, whole: bool, change: Change) -> Matrix:
    """[3,3] from positions in an image to positions in the network's square input.

    Args:
        size: height and width of the image.
        side: of the input, pixels.
        whole: all of the image is seen (its longer side fills the input), as of a crop; else its middle square.
        change: from that.
    """
    height, width = size
    seen = (max if whole else min)(size) * change.scale
    factor = side / seen
    x, y = width / 2 + change.translation[0] * seen, height / 2 + change.translation[1] * seen
    result: Matrix = np.array([[factor, 0, side / 2 - factor * x], [0, factor, side / 2 - factor * y], [0, 0, 1.0]])
    angle = np.deg2rad(change.rotation)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    result = _shift(side / 2) @ turn @ _shift(-side / 2) @ result
    result[2, :2] = change.perspective
    if change.flip:
        result = np.array([[-1.0, 0, side], [0, 1, 0], [0, 0, 1]]) @ result
    return result


def warp(pixels: Image, matrix: Matrix, side: int) -> Image:
    """The image [H,W,3] as the input [side,side,3]; black beyond."""
    # OpenCV's positions are those of pixels' centres.
    return np.asarray(cv2.warpPerspective(pixels, _shift(-0.5) @ matrix @ _shift(0.5), (side, side)), np.uint8)


def moved(boxes: Array, matrix: Matrix) -> Array:
    """Boxes [N,4] by their upper left and lower right corners, as in the authors' code; not clipped.

    So a turn makes boxes too narrow as often as too wide, where those around four corners would be too large always.
    """
    corners = np.concatenate([boxes.reshape(-1, 2), np.ones((2 * len(boxes), 1))], axis=1) @ matrix.T
    points = (corners[:, :2] / corners[:, 2:]).reshape(-1, 2, 2)
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float32)


def recoloured(image: Tensor, appearance: Appearance, random: np.random.Generator) -> Tensor:
    """An image [3,H,W] uint8 with noise, then brightness, contrast, saturation and hue changed, then blurred."""
    noise = random.standard_normal(tuple(image.shape), np.float32) * np.float32(appearance.noise)
    result: Tensor = (image / 255 + torch.from_numpy(noise)).clamp(0, 1)
    result = F.adjust_brightness_image(result, appearance.brightness)
    result = F.adjust_contrast_image(result, appearance.contrast)
    result = F.adjust_saturation_image(result, appearance.saturation)
    result = F.adjust_hue_image(result, appearance.hue)
    result = F.gaussian_blur_image(result, [3, 3], [appearance.blur, appearance.blur])
    return (result * 255).round().to(torch.uint8)


def _shift(by: float) -> Matrix:
    return np.array([[1.0, 0, by], [0, 1, by], [0, 0, 1]])


def _areas(boxes: Boxes) -> Boxes:
    areas: Boxes = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return areas


def _part(pixels: Image, box: Array) -> Image:
    left, top, right, bottom = (round(value) for value in box.tolist())
    left, top = min(left, pixels.shape[1] - 1), min(top, pixels.shape[0] - 1)
    return pixels[top : max(top + 1, bottom), left : max(left + 1, right)]


def _meet(box: Array, kept: Array, each_axis: bool) -> bool:
    """Does the box [4] hold a kept person's centre, or one of these [M,4] its own; or along an axis only?"""
    centres, own = (kept[:, :2] + kept[:, 2:]) / 2, (box[:2] + box[2:]) / 2
    holds = (box[:2] <= centres) & (centres <= box[2:])
    held = (kept[:, :2] <= own) & (own <= kept[:, 2:])
    if each_axis:
        return bool(holds.any() or held.any())
    return bool(holds.all(axis=1).any() or held.all(axis=1).any())
