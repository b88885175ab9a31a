"""A face onto another face: aligned by eyes, nose and mouth, in the other's light and colours, with a soft edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from caer_ros.perception.predictors.composed.blazeface import LEFT_EYE, MOUTH, NOSE, RIGHT_EYE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]
    Image = NDArray[np.uint8]

_ALIGNED = [RIGHT_EYE, LEFT_EYE, NOSE, MOUTH]
_DOWN, _WIDE, _HIGH = 0.45, 1.05, 1.35
"""Centre of a face's ellipse below the eyes, and its half axes, in distances of the eyes."""


def onto(canvas: Image, target: Array, crop: Image, points: Array, light: float = 0.7) -> None:
    """Put a face in the place of another, in ``canvas`` itself.

    Args:
        canvas: RGB [H,W,3].
        target: [6,2] keypoints of the face that is replaced, in pixels of the canvas.
        crop: RGB picture of the face to put there.
        points: [6,2] its keypoints.
        light: how far brightness and contrast become those of the canvas, 0..1. Colours do so wholly, as many crops
            are grey.
    """
    turn, shift = similarity(points[_ALIGNED], target[_ALIGNED])
    scale = abs(turn)
    if scale < 1:  # averaged, as a camera does it
        crop = np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        turn /= scale
    left, top, right, bottom = face_region(target, canvas.shape)
    if right - left < 2 or bottom - top < 2:
        return
    matrix = np.array([[turn.real, -turn.imag, shift.real - left], [turn.imag, turn.real, shift.imag - top]])
    size = (right - left, bottom - top)
    moved = cv2.warpAffine(crop, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(crop.shape[:2], np.float32), matrix, size, flags=cv2.INTER_LINEAR)
    mask = face_mask(target - (left, top), size) * inside
    part = canvas[top:bottom, left:right]
    moved = _in_colours_of(np.asarray(moved, np.uint8), part, mask, light)
    part[:] = np.rint(part + (moved - part.astype(np.float32)) * mask[..., None]).astype(np.uint8)


def similarity(points: Array, target: Array) -> tuple[complex, complex]:
    """The turn with scale a, and the shift b, for which a z + b is nearest to the target (least squares).

    Points [N,2] as complex numbers x + iy.
    """
    z, w = (points[:, 0] + 1j * points[:, 1], target[:, 0] + 1j * target[:, 1])
    z0, w0 = z - z.mean(), w - w.mean()
    turn = complex(np.vdot(z0, w0) / max(np.vdot(z0, z0).real, 1e-6))
    return turn, complex(w.mean() - turn * z.mean())


def face_region(points: Array, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of where ``face_mask`` is not 0, within an image of ``shape``."""
    centre, half = _ellipse(points)
    reach = 1.4 * max(half)
    left, top = (max(0, int(value - reach)) for value in centre)
    return left, top, min(int(centre[0] + reach) + 2, shape[1]), min(int(centre[1] + reach) + 2, shape[0])


def face_mask(points: Array, size: tuple[int, int], grown: float = 1.0) -> Array:
    """[h,w] 1 in the face with those keypoints [6,2], 0 outside, with a soft edge; ``size`` is width and height."""
    centre, half = _ellipse(points)
    across = points[LEFT_EYE] - points[RIGHT_EYE]
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    mask = np.zeros((size[1], size[0]), np.float32)
    axes = (max(1.0, half[0] * grown), max(1.0, half[1] * grown))
    cv2.ellipse(mask, (tuple(map(float, centre)), (2 * axes[0], 2 * axes[1]), angle), 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.15 * half[0], 0.6)), np.float32)


def _ellipse(points: Array) -> tuple[Array, tuple[float, float]]:
    right, left = points[RIGHT_EYE], points[LEFT_EYE]
    across = left - right
    # A face that is turned has its eyes near to one another; from eyes to mouth it stays as long.
    length = float(np.hypot(*(points[MOUTH] - (left + right) / 2)))
    distance = max(float(np.hypot(*across)), 0.9 * length, 1.0)
    down = (points[MOUTH] - (left + right) / 2) / max(length, 1e-3)
    return (left + right) / 2 + _DOWN * distance * down, (_WIDE * distance, _HIGH * distance)


def _in_colours_of(face: Image, there: Image, mask: Array, light: float) -> Array:
    """The face with the brightness (by ``light``) and colours of what is there, float32 RGB."""
    new, old = (np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.float32) for image in (face, there))
    weights = mask / max(float(mask.sum()), 1e-6)
    means, spreads = [], []
    for image in (new, old):
        mean = (image * weights[..., None]).sum((0, 1))
        means.append(mean)
        spreads.append(np.sqrt(((image - mean) ** 2 * weights[..., None]).sum((0, 1))))
    gain = 1 + light * (np.clip(spreads[1][0] / max(spreads[0][0], 1.0), 0.6, 1.6) - 1)
    new[..., 0] = (new[..., 0] - means[0][0]) * gain + means[0][0] + light * (means[1][0] - means[0][0])
    tint = new[..., 1:] - means[0][1:]
    new[..., 1:] = means[1][1:] + np.clip(tint, -20, 20)
    clipped = np.rint(np.clip(new, 0, 255)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(clipped, cv2.COLOR_LAB2RGB), np.float32)
