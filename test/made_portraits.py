"""Portraits and scenes made of the demo photographs: the astronaut smiles, Grace Hopper does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros import share

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

PHOTOS = share.find("resource/demo/photos")
SMILING, NEUTRAL = "astronaut", "grace_hopper"
FILES = {SMILING: "astronaut.png", NEUTRAL: "grace_hopper.jpg", "cameraman": "camera.png"}
TABLE = "id,age,gender,ethnicity\n01,48,female,white\n02,,male,\n"


def photo(name: str) -> Image:
    """RGB of a demo photograph."""
    return np.ascontiguousarray(cv2.imread(str(PHOTOS / FILES[name]))[..., ::-1])


def before_grey(name: str) -> Image:
    """A demo photograph with its background replaced by a grey that is a little lighter in the middle."""
    pixels, mask = photo(name), cv2.imread(str(PHOTOS / f"{name}_mask.png"), 0)[..., None] / 255
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]] / 512 - 0.5
    grey = 205 - 50 * (rows**2 + columns**2)[..., None]
    return np.rint(mask * pixels + (1 - mask) * grey).astype(np.uint8)


def scene() -> Image:
    """[600,400,3] the astronaut with legs, before a wall."""
    chance = np.random.default_rng(0)
    pixels = cv2.GaussianBlur(chance.integers(90, 200, (600, 400, 3)).astype(np.uint8), (0, 0), 12)
    pixels[:400] = np.clip(pixels[:400].astype(int) + 30, 0, 255)
    size, left, top = 0.48, 110, 30
    person = cv2.resize(photo(SMILING), None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
    mask = cv2.imread(str(PHOTOS / "astronaut_mask.png"), 0)
    mask = cv2.resize(mask, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)[..., None] / 255
    columns = np.nonzero(mask[-8:, :, 0] > 0.5)[1]
    start, end, hip, feet = left + columns.min(), left + columns.max(), top + len(mask), 575
    middle, part = (start + end) // 2 - 22, (end - start) // 5
    outline = [(start, hip - 2), (end - 2 * part, hip - 2), (middle + 60, feet), (middle + 15, feet)]
    outline += [(middle, hip + 60), (middle - 15, feet), (middle - 60, feet)]
    cv2.fillPoly(pixels, [np.array(outline)], (215, 75, 35))
    for x in (middle - 42, middle + 38):
        cv2.ellipse(pixels, (x, feet), (30, 10), 0, 0, 360, (20, 20, 20), -1)
    cv2.line(pixels, (middle, hip + 20), (middle, hip + 60), (150, 45, 20), 3)
    place = pixels[top : top + len(mask), left : left + mask.shape[1]]
    place[:] = (person * mask + place * (1 - mask)).astype(np.uint8)
    return pixels


def write(path: Path, pixels: Image) -> Path:
    """Write RGB as a picture file, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return path


def write_portraits(folder: Path) -> Path:
    """Two persons, the second mirrored, and the table beside the folder."""
    for name, step in (("01", 1), ("02", -1)):
        write(folder / f"{name}_neutral.png", before_grey(NEUTRAL)[:, ::step])
        write(folder / f"{name}_smiling.png", before_grey(SMILING)[:, ::step])
    folder.with_name(f"{folder.name}.csv").write_text(TABLE, "utf-8")
    return folder
