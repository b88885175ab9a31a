"""The atlas of rendered people in ``resource/synthetic``: any face on any posture, from the front or from behind."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from caer_ros import share

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""xyxy in pixels of the sprite."""


@dataclass(frozen=True)
class Identity:
    """One person of the atlas."""

    gender: str
    """"male" or "female"."""
    age: str
    """"kid", "teenager" or "adult"."""
    height: float
    """Standing, in metres, as drawn: with hair and the enlarged head."""


@dataclass(frozen=True)
class Figure:
    """One person in one posture with one face, cut out."""

    identity: int
    gender: str
    """"male" or "female"."""
    age: str
    """"kid", "teenager" or "adult"."""
    expression: str | None
    """None: seen from behind."""
    posture: str
    yaw: float
    """Degrees about the vertical: 0 faces the camera, 90 faces the right side of the image, 180 is from behind."""
    rgba: NDArray[np.uint8]
    """[H,W,4], straight alpha (not premultiplied), read-only, cropped to what is visible."""
    head: Box
    """The head with its hair, without hair that hangs below the chin."""
    body: Box
    """All of the figure: (0, 0, W, H)."""


class _Sprite(NamedTuple):
    """A picture with straight alpha [H,W,4], and where the head's joint with the neck lies in it (x, y)."""

    rgba: NDArray[np.uint8]
    joint: tuple[int, int]


class Atlas:
    """Every identity with every expression, posture and view. ``load`` gives the one that is installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        card: dict[str, Any] = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        self.identities = tuple(Identity(**entry) for entry in card["identities"])
        self.expressions: tuple[str, ...] = tuple(card["expressions"])
        """HECO's eight and Contempt."""
        self.postures: tuple[str, ...] = tuple(card["postures"])
        """HECO's eight: each body alone can tell its emotion."""
        self.views: dict[str, float] = card["views"]
        """Yaw in degrees by name; "back" shows no face."""
        self.pixels_per_metre: float = card["pixels_per_metre"]
        """The same for all figures, so children are smaller."""
        self._tilts: dict[str, str] = card["tilts"]
        self._heads: dict[str, Box] = card["heads"]
        self._parts: dict[str, dict[str, Any]] = card["parts"]
        self._sheet = functools.cache(self._read_sheet)
        self._figure = functools.lru_cache(maxsize=256)(self._compose)

    def figure(self, identity: int, expression: str | None, posture: str, view: str) -> Figure:
        """Any face on any posture.

        Args:
            identity: an index of ``identities``.
            expression: one of ``expressions``; None for the view "back", which shows none.
            posture: one of ``postures``.
            view: one of ``views``.

        Raises:
            KeyError: there is no such figure.
        """
        return self._figure(identity, expression, posture, view)

    def _read_sheet(self, identity: int) -> NDArray[np.uint8]:
        with Image.open(self._folder / f"person_{identity:02}.webp") as image:
            return np.asarray(image.convert("RGBA"))

    def _cut(self, identity: int, *names: str) -> _Sprite:
        part = self._parts["/".join((str(identity), *names))]
        left, top, right, bottom = part["box"]
        x, y = part["joint"]
        return _Sprite(self._sheet(identity)[top:bottom, left:right], (x, y))

    def _compose(self, identity: int, expression: str | None, posture: str, view: str) -> Figure:
        if (expression is None) != (view == "back"):
            raise KeyError(f"no expression {expression!r} in view {view!r}: a face is seen in every view but 'back'")
        sprite = self._cut(identity, posture, view)
        tilt = self._tilts[posture]
        if expression is not None:
            sprite = _over(sprite, self._cut(identity, tilt, expression, view))
        rows, columns = (np.flatnonzero(sprite.rgba[..., 3].any(axis)) for axis in (1, 0))
        left, top = columns[0], rows[0]
        rgba = np.ascontiguousarray(sprite.rgba[top : rows[-1] + 1, left : columns[-1] + 1])
        rgba.flags.writeable = False
        height, width = rgba.shape[:2]
        x0, y0, x1, y1 = self._heads[f"{identity}/{tilt}/{view}"]
        x, y = float(sprite.joint[0] - left), float(sprite.joint[1] - top)
        person = self.identities[identity]
        return Figure(
            identity=identity,
            gender=person.gender,
            age=person.age,
            expression=expression,
            posture=posture,
            yaw=self.views[view],
            rgba=rgba,
            head=(max(x + x0, 0.0), max(y + y0, 0.0), min(x + x1, float(width)), min(y + y1, float(height))),
            body=(0.0, 0.0, float(width), float(height)),
        )


def _over(back: _Sprite, front: _Sprite) -> _Sprite:
    """Lays one sprite over another, joint on joint (Porter and Duff's "over")."""
    joint = np.maximum(back.joint, front.joint)
    places = [(image, *(joint - at)) for image, at in (back, front)]
    height, width = (max(image.shape[k] + place[1 - k] for image, *place in places) for k in (0, 1))
    canvas = np.zeros((height, width, 4), np.uint8)
    for image, x, y in places:
        under = canvas[y : y + image.shape[0], x : x + image.shape[1]]
        above, below = image.astype(np.float32), under.astype(np.float32)
        cover = above[..., 3:]
        rest = below[..., 3:] * (1 - cover / 255)
        colour = (above[..., :3] * cover + below[..., :3] * rest) / np.maximum(cover + rest, 1)
        under[...] = np.concatenate([colour, cover + rest], 2).round()
    return _Sprite(canvas, (int(joint[0]), int(joint[1])))


@functools.cache
def load() -> Atlas:
    """The installed atlas, read once; a person's sheet is decoded when first asked for.

    Raises:
        FileNotFoundError: resource/synthetic is not installed.
    """
    return Atlas(share.find("resource/synthetic"))
