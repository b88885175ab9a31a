"""Pictures with exactly so many people: those of the demo's photographs, cut out and put up in rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.cli.demo import scenes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

SIZE = (1280, 960)
"""Width and height of a picture."""
_TALL = 400.0
"""Stage pixels that are a place high: the cut-outs are 276 to 410 of them (``scenes.ACTORS``)."""
_OVERLAP = 1.2
"""Who stands in front hides this much, less 1, of the place behind."""


@dataclass(frozen=True)
class Crowd:
    """A picture, and where everybody in it is."""

    image: Image
    """RGB uint8 [960,1280,3]."""
    boxes: Floats
    """[N,4] x_min, y_min, x_max, y_max in pixels, around the whole cut-out within the picture."""


def crowd(persons: int, places: int, seed: int = 0) -> Crowd:
    """``persons`` people of one size, on places drawn out of at least ``places``; the same seed draws the same ones.

    So the number of people changes from picture to picture, and nothing else about them. Raises SceneError when the
    photographs are missing.
    """
    random = np.random.default_rng(seed)
    width, height = SIZE
    image = _wall(random)
    rows = max(1, round(math.sqrt(places * height / width)))
    columns = math.ceil(places / rows)
    cells = random.permutation(rows * columns)  # drawn before anything that depends on ``persons``
    folder = scenes.demo_folder() / "photos"
    actors = list(scenes.ACTORS)
    boxes = []
    for cell in sorted(cells[:persons].tolist()):  # the rows behind first
        row, column = divmod(cell, columns)
        cut_out = _cut_out(actors[(row + column) % len(actors)], folder, _OVERLAP * height / rows / _TALL)
        boxes.append(_put(image, cut_out, (column + 0.5) * width / columns, (row + 1) * height / rows))
    noise = random.standard_normal((height, width, 1), np.float32)
    image = np.clip(image + noise, 0, 255)
    return Crowd(image.astype(np.uint8), np.array(boxes, np.float32).reshape(-1, 4))


def _wall(random: np.random.Generator) -> Floats:
    """A grey wall, a little lighter above."""
    width, height = SIZE
    light = np.linspace(205.0, 165.0, height, dtype=np.float32)[:, None, None]
    colour = random.uniform(0.95, 1.05, 3).astype(np.float32)
    return np.broadcast_to(light * colour, (height, width, 3)).copy()


def _cut_out(actor: str, folder: Path, scale: float) -> Floats:
    """RGBA [h,w,4], 0..255, colours premultiplied; only the rows and columns that show the person."""
    photo, mask = (_read(folder / name) for name in (scenes.ACTORS[actor].photo, scenes.ACTORS[actor].mask))
    alpha = mask[..., :1].astype(np.float32)
    rgba = np.dstack([photo * (alpha / 255), alpha])
    rows, columns = (np.flatnonzero(alpha[..., 0].max(axis=axis)) for axis in (1, 0))
    rgba = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale *= scenes.ACTORS[actor].size
    size = (max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale)))
    return np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise scenes.SceneError(f"{path} is missing or is no picture")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _put(image: Floats, cut_out: Floats, middle: float, bottom: float) -> tuple[int, int, int, int]:
    """Paint a cut-out over the image, in place, its lower end at ``bottom``; returns its box."""
    height, width = image.shape[:2]
    left, lower = round(middle - cut_out.shape[1] / 2), round(bottom)
    upper = lower - cut_out.shape[0]
    x_min, y_min, x_max, y_max = max(0, left), max(0, upper), min(width, left + cut_out.shape[1]), min(height, lower)
    part = cut_out[y_min - upper : y_max - upper, x_min - left : x_max - left]
    under = image[y_min:y_max, x_min:x_max]
    under *= 1 - part[..., 3:] / 255
    under += part[..., :3]
    return x_min, y_min, x_max, y_max
