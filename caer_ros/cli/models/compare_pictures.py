"""What several models say about one image, side by side; the same number and colour is the same person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.perception.imaging.drawing import draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.cli.models.compare_run import Look
    from caer_ros.perception.person import Person

    Image = NDArray[np.uint8]

LEAST, MOST = 400, 800
"""Longest side in pixels of one model's picture; an image is made larger or smaller before it is drawn on."""
_CAPTION, _GAP = 34, 6
_DARK, _WHITE = (27, 36, 48), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
QUALITY = 88


def side_by_side(look: Look, pixels: Image, names: Sequence[str], labels: Sequence[Sequence[str]]) -> bytes:
    """A JPEG of one picture for each model, each with its name and how many persons it found.

    Args:
        look: what they said.
        pixels: RGB [H,W,3].
        names, labels: of each model.
    """
    longest = max(pixels.shape[:2])
    scale = min(max(1.0, LEAST / longest), MOST / longest)
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.asarray(cv2.resize(pixels, (width, height), interpolation=interpolation), np.uint8)
    panels = []
    for persons, numbers, name, words in zip(look.persons, numbered(look), names, labels, strict=True):
        drawn = [_as_drawn(person, number, scale) for person, number in zip(persons, numbers, strict=True)]
        count = f"{len(persons)} {'person' if len(persons) == 1 else 'persons'}"
        panels.append(_captioned(draw(canvas, drawn, words), f"{name}: {count}"))
    rgb = _grid(panels)
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def numbered(look: Look) -> list[list[int]]:
    """A number from 1 for each person of each model: the first's where both found them, else a new one."""
    numbers = [list(range(1, len(look.persons[0]) + 1))]
    new = len(numbers[0]) + 1
    for persons, agreement in zip(look.persons[1:], look.agreements, strict=True):
        same = {second: numbers[0][first] for first, second in agreement.matched}
        own = iter(range(new, new + len(persons)))
        numbers.append([same[index] if index in same else next(own) for index in range(len(persons))])
        new += len(agreement.only_second)
    return numbers


def _as_drawn(person: Person, number: int, scale: float) -> Person:
    face = None if person.face_box is None else person.face_box * np.float32(scale)
    return replace(person, box=person.box * np.float32(scale), face_box=face, track_id=str(number))


def _captioned(image: Image, words: str) -> Image:
    """Put a bar with words above a picture; words that are too long for the bar are cut."""
    bar = np.full((_CAPTION, image.shape[1], 3), _DARK, np.uint8)
    plain = words.encode("ascii", "replace").decode()  # OpenCV's fonts have nothing else
    cv2.putText(bar, plain, (10, 23), _FONT, 0.55, _WHITE, 1, cv2.LINE_AA)
    return np.vstack([bar, image])


def _grid(panels: Sequence[Image]) -> Image:
    """Panels of one size in rows of up to three; four in two rows."""
    height, width = panels[0].shape[:2]
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = -(-len(panels) // columns)
    canvas = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), _WHITE, np.uint8)
    for index, panel in enumerate(panels):
        y, x = (index // columns) * (height + _GAP), (index % columns) * (width + _GAP)
        canvas[y : y + height, x : x + width] = panel
    return canvas
