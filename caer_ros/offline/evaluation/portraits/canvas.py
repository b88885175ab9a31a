"""A scene and a head on the robot's picture of 640 x 480, the face as wide as asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.evaluation.portraits import known_faces
from caer_ros.offline.evaluation.portraits.bodies import folded
from caer_ros.perception.imaging.resizing import scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.offline.evaluation.portraits.bodies import Body
    from caer_ros.offline.evaluation.portraits.heads import Head
    from caer_ros.perception.predictors.composed.blazeface import Face

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float64]
    Floats32 = NDArray[np.float32]

WIDTH, HEIGHT = 640, 480
"""Pixels of a picture."""


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """One picture of one known person. Boxes are xyxy in its pixels, cut off at its edges."""

    pixels: Image
    """RGB [480,640,3]."""
    person: Floats
    """[4]"""
    head: Floats
    """[4] face and hair."""
    face: Floats
    """[4] as wide as asked for."""


def with_body(head: Head, body: Body, size: float, jitter: tuple[float, float]) -> Picture:
    """A head on a body, both scaled so that the face is ``size`` pixels wide, in the body's own surroundings.

    Where the scene is smaller than the picture, the street beside the person is mirrored again and again.

    Args:
        head, body: what is put together.
        size: of the face.
        jitter: where the face stands beside the middle, -1..1 each of 60 px across, and 30 px down where there is room.
    """
    scale = size / known_faces.width_of(body.face)
    scene = scaled(body.headless, scale)
    height = len(scene)
    x, y = known_faces.middle(body.face) * scale
    left, top = round(WIDTH / 2 + 60 * jitter[0] - x), _top(height, y, jitter[1])
    pixels = _surroundings(scaled(body.street, scale), left, top)
    _lay(pixels, scene, np.ones((1, 1, 1), np.float32), left, top)
    face = paste(pixels, head.pixels, head.alpha, head.face, size, (left + x, top + y))
    person = body.box * scale + [left, top, left, top]
    person[1] = min(person[1], face[1] - 0.3 * size)
    return Picture(pixels, _clipped(person), _clipped(head_box(face)), _clipped(face))


def alone(head: Head, body: Body, size: float, jitter: tuple[float, float]) -> Picture:
    """A portrait as it is, head and shoulders, at the picture's lower edge before a street out of focus."""
    scale = size / known_faces.width_of(head.face)
    street = scaled(body.street, HEIGHT / body.street.shape[0])
    pixels = np.asarray(cv2.GaussianBlur(_surroundings(street, (WIDTH - street.shape[1]) // 2, 0), (0, 0), 3), np.uint8)
    height, width = (round(side * scale) for side in head.pixels.shape[:2])
    x, y = known_faces.middle(head.face) * scale
    middle = (WIDTH / 2 + 60 * jitter[0] - width / 2 + x, HEIGHT - height + y)
    face = paste(pixels, head.pixels, head.person, head.face, size, middle)
    left, top = middle[0] - x, middle[1] - y
    solid = np.argwhere(head.person > 0.5) * scale
    low, high = solid.min(axis=0), solid.max(axis=0)
    person = np.array([left + low[1], top + low[0], left + high[1], top + high[0]])
    return Picture(pixels, _clipped(person), _clipped(head_box(face)), _clipped(face))


def _surroundings(street: Image, left: int, top: int) -> Image:
    """[480,640,3] of a street whose corner is there; beyond it mirrored: houses above, ground below."""
    height, width = street.shape[:2]
    rows = _indices(HEIGHT, top, height, round(0.45 * height), round(0.15 * height))
    return np.ascontiguousarray(street[rows][:, _indices(WIDTH, left, width, width, width)])


def _indices(count: int, start: int, length: int, before: int, after: int) -> NDArray[np.int64]:
    """Which of ``length`` pixels each of ``count`` shows, the first at ``start``; as many as said are mirrored."""
    at = np.arange(count) - start
    result = np.where(at < 0, folded(-1 - at, max(1, before)), at)
    return np.where(at >= length, length - 1 - folded(at - length, max(1, after)), result)


def _lay(canvas: Image, scene: Image, weights: Floats32, left: int, top: int) -> None:
    """Lay a scene on a canvas, where it is on it; by weights 0..1 that broadcast to its pixels."""
    height, width = scene.shape[:2]
    from_x, from_y = max(0, -left), max(0, -top)
    to_x, to_y = min(width, canvas.shape[1] - left), min(height, canvas.shape[0] - top)
    part = canvas[top + from_y : top + to_y, left + from_x : left + to_x]
    weight = np.broadcast_to(weights, (height, width, 1))[from_y:to_y, from_x:to_x]
    part[:] = np.rint(weight * scene[from_y:to_y, from_x:to_x] + (1 - weight) * part)


def paste(
    canvas: Image, pixels: Image, alpha: Floats32, face: Face, size: float, middle: tuple[float, float]
) -> Floats:
    """Lay a portrait on a canvas, scaled so that its face is ``size`` wide; returns where the face is [4].

    Args:
        canvas: [H,W,3], changed.
        pixels, alpha: [h,w,3] and [h,w] of the portrait.
        face: in the portrait.
        size: pixels.
        middle: x, y on the canvas of the point between eyes and mouth; rounded, so that pixels fall on pixels.
    """
    scale = size / known_faces.width_of(face)
    small, soft = scaled(pixels, scale), scaled(alpha, scale)
    x, y = known_faces.middle(face) * scale
    left, top = round(middle[0] - x), round(middle[1] - y)
    _lay(canvas, small, soft[..., None], left, top)
    result: Floats = np.array(face.box) * scale + [left, top, left, top]
    return result


def head_box(face: Floats) -> Floats:
    """[4] of a head with its hair from that of its face."""
    size = face[2] - face[0]
    result: Floats = face + size * np.array([-0.2, -0.5, 0.2, 0.15])
    return result


def _top(height: int, y: float, jitter: float) -> int:
    """Where the scene's upper edge is on the canvas; 0 or less where the scene is tall enough."""
    if height < HEIGHT:
        return round((HEIGHT - height) * (0.7 + 0.15 * jitter))
    return -min(max(0, round(y - 150 + 30 * jitter)), height - HEIGHT)


def _clipped(box: Floats) -> Floats:
    result: Floats = np.clip(box, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    return result
