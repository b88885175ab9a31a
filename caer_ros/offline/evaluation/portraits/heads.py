"""Heads cut out of portraits: hair and face inside an ellipse with a soft edge, without a plain background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.evaluation.portraits import known_faces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.predictors.composed.blazeface import Face

    Image = NDArray[np.uint8]
    Floats32 = NDArray[np.float32]

NEAR = 14.0
"""Levels of 255 within which a pixel has a background's colour."""
PLAIN = 0.75
"""Part of the picture above and beside the head that must have the background's colour; hair may reach there."""
_BREAST = ((-0.4, 1.15), (0.4, 1.15), (1.0, 1.5), (1.15, 3.5), (-1.15, 3.5), (-1.0, 1.5))
"""Corners x, y in widths of the face from the point between eyes and mouth: narrower than everybody's."""
_SIDE = 0.12
"""How much of the width beside a head is background for sure; half of it above."""


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """A portrait, and what of it is head."""

    pixels: Image
    """RGB [H,W,3], the whole portrait."""
    alpha: Floats32
    """[H,W] how much of a pixel is head, 0..1."""
    person: Floats32
    """[H,W] how much of a pixel is the person, shoulders and all; 1 everywhere where the background is not plain."""
    face: Face


def cut(pixels: Image, face: Face) -> Head:
    """The head of a portrait: RGB [H,W,3] and its face."""
    person = silhouette(pixels, face)
    return Head(pixels, ellipse(pixels.shape[:2], face) * person, person, face)


def ellipse(shape: tuple[int, ...], face: Face) -> Floats32:
    """[H,W] 0..1: 1 over face and hair, with an edge that is soft, and softer towards the neck."""
    x, y = known_faces.middle(face)
    width = known_faces.width_of(face)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    across, down = (columns - x) / (1.05 * width), (rows - (y - 0.25 * width)) / width
    radius = np.hypot(across, np.where(down < 0, down / 1.25, down / 1.05))
    softness = np.clip(0.08 + 0.1 * down, 0.08, 0.18)
    alpha: Floats32 = np.clip((1 - radius) / softness, 0, 1).astype(np.float32)
    return alpha


def silhouette(pixels: Image, face: Face) -> Floats32:
    """[H,W] 0..1: the person before a plain background; 1 everywhere where it is not plain.

    The background's brightness is a quadratic surface, fitted above and beside the head; what is near to it and
    reaches the picture's upper edge or sides is background. White shirts are brighter than a grey background.
    """
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    above, side = max(1, round(known_faces.centre(face)[1])), max(1, round(_SIDE * width))
    rows = np.minimum(rows, above / max(height, width))  # as below the fit as at its end: a parabola runs away
    terms = np.stack([np.ones_like(rows), rows, columns, rows**2, columns**2, rows * columns], axis=-1)
    smooth = cv2.GaussianBlur(pixels, (0, 0), 0.8).astype(np.float32)
    known = np.zeros((height, width), bool)
    known[: max(1, round(_SIDE * height / 2))] = known[:above, :side] = known[:above, -side:] = True
    near = np.ones((height, width), bool)
    for _ in range(4):  # hair that reaches into what should be background is left out, more of it each time
        fit = known & near
        surface = terms @ np.linalg.lstsq(terms[fit], smooth[fit], rcond=None)[0]
        residual = np.abs(smooth - surface).max(axis=-1)
        near = residual < max(NEAR, float(np.median(residual[known])))
    if near[known].mean() < PLAIN:
        return np.ones((height, width), np.float32)
    person = ~_reaching(near, known)
    person = _reaching(person, ellipse((height, width), face) > 0.9) | _shoulders((height, width), face)
    thinner = cv2.erode(person.astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(thinner, (0, 0), 1.0) / np.float32(255), np.float32)


def _shoulders(shape: tuple[int, int], face: Face) -> NDArray[np.bool_]:
    """Where there is a breast below a face, whatever its colour: a shirt in the shade may be that of the background."""
    corners = known_faces.middle(face) + known_faces.width_of(face) * np.array(_BREAST)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    return mask.astype(bool)


def _reaching(mask: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected parts of a mask that hold a seed."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    result: NDArray[np.bool_] = mask & np.isin(parts, np.unique(parts[mask & seeds]))
    return result
