"""What hides a face: hands, scarves, dark glasses, things held before it, hair over all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from caer_ros.offline.data.people.transplant import face_mask, face_region
from caer_ros.perception.predictors.composed.blazeface import LEFT_EYE, MOUTH, RIGHT_EYE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]
    Image = NDArray[np.uint8]
    Random = np.random.Generator

_SKINS = ((236, 195, 170), (214, 165, 135), (180, 128, 98), (130, 88, 62), (90, 58, 40))
_HAIRS = ((30, 24, 20), (60, 42, 28), (95, 66, 40), (150, 112, 66), (190, 160, 110), (120, 118, 115), (20, 18, 18))
_CLOTHS = ((240, 240, 240), (20, 20, 22), (90, 140, 190), (150, 40, 45), (70, 90, 70), (200, 185, 150))


def cover(canvas: Image, points: Array, random: Random) -> bool:
    """Hide a face, in ``canvas`` itself. Is a part of the face still to be seen?

    Args:
        canvas: RGB [H,W,3].
        points: [6,2] keypoints in pixels of the canvas.
        random: decides how.
    """
    kinds = ((_mouth, 0.3), (_eyes, 0.3), (_half, 0.1), (_back_of_head, 0.24), (_thing, 0.06))
    choice: Callable[[Image, Array, Random], bool] = kinds[
        int(random.choice(len(kinds), p=[part for _, part in kinds]))
    ][0]
    return choice(canvas, points, random)


def _mouth(canvas: Image, points: Array, random: Random) -> bool:
    """A mask, scarf or hand over mouth and often nose."""
    eyes, right, down = _frame(points)
    top, bottom = random.uniform(0.35, 0.85), random.uniform(1.5, 2.0)
    width = random.uniform(0.75, 1.15)
    corners = [eyes + down * top - right * width, eyes + down * top + right * width]
    corners += [eyes + down * bottom + right * width * 0.7, eyes + down * bottom - right * width * 0.7]
    hand = random.random() < 0.35
    if hand:
        _fingers(canvas, eyes + down * (top + bottom) / 2, right, down, random)
    else:
        _fill(canvas, np.array(corners), _pick(_CLOTHS, random), random)
    return True


def _eyes(canvas: Image, points: Array, random: Random) -> bool:
    """Dark glasses, a band, a cap drawn down, or a hand over the eyes."""
    eyes, right, down = _frame(points)
    kind = random.random()
    if kind < 0.6:
        colour = np.array(_pick(((12, 12, 14), (35, 25, 20), (25, 30, 45), (60, 50, 40)), random))
        for side in (-1, 1):
            centre = eyes + right * side * random.uniform(0.48, 0.54) + down * random.uniform(0, 0.12)
            half = random.uniform(0.36, 0.5), random.uniform(0.24, 0.42)
            turns = np.linspace(0, 2 * np.pi, 14, endpoint=False)
            _fill(
                canvas,
                centre + np.outer(np.cos(turns) * half[0], right) + np.outer(np.sin(turns) * half[1], down),
                colour,
                random,
                6,
            )
        _fill(canvas, _bar(eyes, right, down, 0.25, 0.05), colour, random, 6)
    elif kind < 0.8:
        _fill(canvas, _bar(eyes, right, down, 1.15, random.uniform(0.25, 0.4)), _pick(_CLOTHS, random), random)
    elif kind < 0.9:
        _fill(
            canvas, _bar(eyes - down * 0.6, right, down, 1.25, random.uniform(0.7, 0.9)), _pick(_CLOTHS, random), random
        )
    else:
        _fingers(canvas, eyes, right, down, random)
    return True


def _half(canvas: Image, points: Array, random: Random) -> bool:
    """Something over one side: hair, a phone, the edge of a door."""
    eyes, right, down = _frame(points)
    side = right * random.choice((-1, 1))
    corners = [eyes - down * 1.2 + side * random.uniform(-0.1, 0.15), eyes - down * 1.2 + side * 1.4]
    corners += [eyes + down * 2 + side * 1.4, eyes + down * 2 + side * random.uniform(-0.1, 0.15)]
    _fill(canvas, np.array(corners), _pick(_HAIRS + _CLOTHS, random), random)
    return True


def _thing(canvas: Image, points: Array, random: Random) -> bool:
    """A phone, book or bag before the whole face."""
    eyes, right, down = _frame(points)
    corners = _bar(
        eyes + down * random.uniform(0.3, 0.6), right, down, random.uniform(1.1, 1.5), random.uniform(1.5, 2)
    )
    _fill(canvas, corners, _pick(_CLOTHS, random), random)
    return False


def _back_of_head(canvas: Image, points: Array, random: Random) -> bool:
    """Hair where the face was: seen from behind."""
    left, top, right, bottom = face_region(points, canvas.shape)
    if right - left < 2 or bottom - top < 2:
        return False
    part = canvas[top:bottom, left:right]
    mask = face_mask(points - np.array([left, top], np.float32), (right - left, bottom - top), random.uniform(1.0, 1.2))
    hair = np.array(_pick(_HAIRS, random), np.float32)
    grain = random.normal(0, 1, part.shape[:2]).astype(np.float32)
    strands: Array = np.asarray(cv2.GaussianBlur(grain, (0, 0), sigmaX=0.6, sigmaY=max(2.0, (bottom - top) / 12)))
    strands /= max(float(strands.std()), 1e-3)
    light = np.linspace(random.uniform(1.0, 1.5), random.uniform(0.6, 1.0), part.shape[0])[:, None, None]
    filled = np.clip(hair * light * (1 + 0.18 * strands[..., None]), 0, 255)
    part[:] = np.rint(part + (filled - part.astype(np.float32)) * mask[..., None]).astype(np.uint8)
    return False


def _fingers(canvas: Image, centre: Array, right: Array, down: Array, random: Random) -> None:
    """A hand: four fingers beside one another, across the face."""
    skin = np.array(_pick(_SKINS, random)) * random.uniform(0.75, 1.05)
    turn = random.uniform(-0.9, 0.9)
    along = right * np.cos(turn) + down * np.sin(turn)
    across = -right * np.sin(turn) + down * np.cos(turn)
    length = random.uniform(0.9, 1.3)
    for finger in range(4):
        middle = centre + across * (finger - 1.5) * 0.3 + along * random.uniform(-0.1, 0.1)
        shade = skin * random.uniform(0.88, 1.0)
        _fill(canvas, _bar(middle, along, across, length, 0.17), shade, random, 5)


def _frame(points: Array) -> tuple[Array, Array, Array]:
    """Middle of the eyes; the vectors from there to one eye's distance to the right, and as far down the face."""
    middle = (points[RIGHT_EYE] + points[LEFT_EYE]) / 2
    down = points[MOUTH] - middle
    right = points[LEFT_EYE] - points[RIGHT_EYE]
    if np.hypot(*right) < 0.6 * np.hypot(*down):  # turned away: the eyes are near to one another
        right = np.array([down[1], -down[0]])
    return middle, right, down


def _bar(centre: Array, right: Array, down: Array, half_width: float, half_height: float) -> Array:
    return np.array(
        [centre + right * x * half_width + down * y * half_height for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    )


def _fill(canvas: Image, corners: Array, colour: Array | tuple[int, ...], random: Random, rough: float = 12) -> None:
    """A polygon with a soft edge, a shade from one side to the other, and a grain."""
    low = np.floor(corners.min(0)).astype(int) - 3
    high = np.ceil(corners.max(0)).astype(int) + 3
    left, top = np.maximum(low, 0)
    right, bottom = np.minimum(high, (canvas.shape[1], canvas.shape[0]))
    if right - left < 1 or bottom - top < 1:
        return
    part = canvas[top:bottom, left:right]
    mask = np.zeros(part.shape[:2], np.uint8)
    fixed = np.rint((corners - (left, top)) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(mask, (0, 0), random.uniform(0.5, 1.0)).astype(np.float32)[..., None] / 255
    shade = np.linspace(random.uniform(0.8, 1.2), random.uniform(0.8, 1.2), part.shape[1])[None, :, None]
    grain = random.normal(0, rough, part.shape[:2])[..., None]
    filled = np.clip(np.asarray(colour, np.float32) * shade + grain, 0, 255)
    part[:] = np.rint(part + (filled - part.astype(np.float32)) * soft).astype(np.uint8)


def _pick(colours: tuple[tuple[int, ...], ...], random: Random) -> tuple[int, ...]:
    return colours[int(random.integers(len(colours)))]
