"""How an image becomes a network's input, and how boxes come back: one rule for robot, training and evaluation.

A rule and an image's size fix the size of the input exactly, so boxes map back exactly, whatever was rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.person import Array

P = TypeVar("P", np.uint8, np.float32)

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
    """Size of the image's part of the input."""
    canvas: tuple[int, int]
    """Size of the input; larger than ``resized`` only for letterbox."""
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


def place(image: NDArray[np.uint8], fit: Fit, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """The network's input [H,W,3] uint8 from the source image [H,W,3] uint8; in ``out`` where that is given."""
    if out is None:
        if fit.source == fit.canvas:
            return image
        out = np.empty((*fit.canvas, 3), np.uint8)
    height, width = fit.resized
    cv2.resize(image, (width, height), dst=out[:height, :width], interpolation=INTERPOLATIONS[fit.interpolation])
    out[height:] = 0
    out[:, width:] = 0
    return out


def scaled(image: NDArray[P], scale: float) -> NDArray[P]:
    """An image [H,W] or [H,W,C] at another scale: averaged where it shrinks, so that nothing aliases."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), image.dtype)


def _to_multiple(length: float, multiple: int) -> int:
    return max(1, round(length / multiple)) * multiple


@dataclass(frozen=True, slots=True)
class Squares:
    """Square parts of an image, all resized to one size.

    ``pixels`` [N,size,size,3]; ``origins`` [N,2] x, y and ``scales`` [N] map their pixels back to the source's.
    """

    pixels: NDArray[np.uint8]
    origins: Array
    scales: Array

    def to_source(self, points: Array, squares: NDArray[np.intp]) -> Array:
        """Points [M,K,2] (x, y) from pixels of the squares with indices [M] to pixels of the source."""
        result: Array = points * self.scales[squares, None, None] + self.origins[squares, None]
        return result


def squares(image: NDArray[np.uint8], centres: Array, sides: Array, size: int, antialias: bool = False) -> Squares:
    """The squares of ``sides`` [N] source pixels around ``centres`` [N,2] (x, y), resized; black beyond.

    ``antialias``: average the pixels where it shrinks; five times the time of two-by-two interpolation.
    """
    lengths = np.maximum(np.rint(sides), 1).astype(np.float32)
    origins = np.rint(centres - lengths[:, None] / 2)
    pixels = np.empty((len(sides), size, size, 3), np.uint8)
    places = np.column_stack([origins, lengths]).astype(int).tolist()
    for out, (left, top, length) in zip(pixels, places, strict=True):
        part = _part(image, left, top, length)
        interpolation = cv2.INTER_AREA if antialias and length > size else cv2.INTER_LINEAR
        cv2.resize(part, (size, size), dst=out, interpolation=interpolation)
    return Squares(pixels, origins, lengths / np.float32(size))


def _part(image: NDArray[np.uint8], left: int, top: int, length: int) -> NDArray[np.uint8]:
    """[length,length,3] of the image, black beyond it."""
    height, width = image.shape[:2]
    above, before = (min(max(0, -first), length) for first in (top, left))
    below, after = min(max(0, top + length - height), length), min(max(0, left + length - width), length)
    inside = image[max(0, top) : max(0, top + length), max(0, left) : max(0, left + length)]
    if not above + below + before + after:
        return inside
    if inside.size == 0:
        return np.zeros((length, length, 3), np.uint8)
    return np.asarray(cv2.copyMakeBorder(inside, above, below, before, after, cv2.BORDER_CONSTANT), np.uint8)
