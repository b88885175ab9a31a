"""How an image becomes a network's input, and how boxes come back: one rule for robot, training and evaluation.

A rule and an image's size fix the size of the input exactly, so boxes map back exactly, whatever was rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.person import Array

MODES = ("stretch", "letterbox", "short_side")
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}


@dataclass(frozen=True, slots=True)
class Resize:
    """A bundle's rule.

    stretch: to ``size`` (height, width), whatever the aspect. letterbox: as large as fits into ``size``, at the top
    left, black to the right or below. short_side: shorter side to ``short``, but the longer no more than ``longest``
    (DETR's rule), then both to the nearest multiple of ``multiple``.
    """

    mode: str
    size: tuple[int, int] = (0, 0)
    short: int = 0
    longest: int = 0
    multiple: int = 1
    interpolation: str = "linear"


@dataclass(frozen=True, slots=True)
class Fit:
    """What a rule makes of one size of image. Sizes are (height, width) in pixels."""

    source: tuple[int, int]
    resized: tuple[int, int]
    """Of the image's part of the input."""
    canvas: tuple[int, int]
    """Of the input; larger than ``resized`` only for letterbox."""
    interpolation: str

    def to_source(self, boxes: Array) -> Array:
        """Boxes [..., 4] xyxy from pixels of the input to pixels of the source, clipped to the image."""
        height, width = self.source
        x, y = width / self.resized[1], height / self.resized[0]
        scaled = boxes * np.array([x, y, x, y], np.float32)
        clipped: Array = np.clip(scaled, 0, np.array([width, height, width, height], np.float32))
        return clipped


def plan(rule: Resize, height: int, width: int) -> Fit:
    """What ``rule`` makes of an image of ``height`` x ``width`` pixels."""
    if rule.mode == "stretch":
        resized = canvas = rule.size
    elif rule.mode == "letterbox":
        canvas = rule.size
        scale = min(canvas[0] / height, canvas[1] / width)
        resized = (max(1, round(height * scale)), max(1, round(width * scale)))
    else:
        scale = min(rule.short / min(height, width), rule.longest / max(height, width))
        resized = canvas = (_to_multiple(height * scale, rule.multiple), _to_multiple(width * scale, rule.multiple))
    return Fit((height, width), resized, canvas, rule.interpolation)


def place(image: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """The network's input [H,W,3] uint8 from the source image [H,W,3] uint8."""
    height, width = fit.resized
    if fit.resized == fit.canvas:
        return _resized(image, fit)
    canvas = np.zeros((*fit.canvas, 3), np.uint8)
    canvas[:height, :width] = _resized(image, fit)
    return canvas


def _resized(image: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    if fit.resized == fit.source:
        return image
    result = cv2.resize(image, fit.resized[::-1], interpolation=INTERPOLATIONS[fit.interpolation])
    return np.asarray(result, np.uint8)


def _to_multiple(length: float, multiple: int) -> int:
    return max(1, round(length / multiple)) * multiple


@dataclass(frozen=True, slots=True)
class Square:
    """A square part of an image, resized. ``origin`` [2] x, y and ``scale`` map its pixels back to the source's."""

    pixels: NDArray[np.uint8]
    origin: Array
    scale: float

    def to_source(self, points: Array) -> Array:
        """Points [..., 2] (x, y) from pixels of the square to pixels of the source."""
        result: Array = points * np.float32(self.scale) + self.origin
        return result


def square(
    image: NDArray[np.uint8], centre: tuple[float, float], side: float, size: int, antialias: bool = False
) -> Square:
    """The square of ``side`` source pixels around ``centre`` (x, y) as [size,size,3]; black beyond the image.

    ``antialias``: average the pixels where it shrinks; five times the time of two-by-two interpolation.
    """
    length = max(1, round(side))
    left, top = round(centre[0] - length / 2), round(centre[1] - length / 2)
    inside = image[max(0, top) : max(0, top + length), max(0, left) : max(0, left + length)]
    above, before = min(max(0, -top), length), min(max(0, -left), length)
    below, after = length - above - inside.shape[0], length - before - inside.shape[1]
    if inside.size == 0:
        inside, above, below, before, after = np.zeros((length, length, 3), np.uint8), 0, 0, 0, 0
    if above or below or before or after:
        inside = np.pad(inside, ((above, below), (before, after), (0, 0)))
    interpolation = cv2.INTER_AREA if antialias and length > size else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(inside, (size, size), interpolation=interpolation), np.uint8)
    return Square(pixels, np.array([left, top], np.float32), length / size)
