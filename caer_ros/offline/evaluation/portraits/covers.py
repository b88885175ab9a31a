"""Faces that cannot be read: mouth or eyes covered, and heads seen from behind. All is painted.

On purpose not by ``data.people.hiding``: a student is not to be judged on the covers that it learnt from.
"""

from __future__ import annotations

import colorsys
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.evaluation.portraits import known_faces
from caer_ros.perception.predictors.composed import blazeface

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    from caer_ros.offline.evaluation.portraits.heads import Head

    Floats32 = NDArray[np.float32]

KINDS = ("skin", "cloth", "dark")
"""What covers: the person's own skin, as a hand does; cloth with folds, as a scarf or a mask; nearly black."""
PARTS = ("mouth", "eyes")
HAIR = ((26, 21, 19), (58, 41, 30), (96, 68, 45), (150, 118, 82), (122, 119, 116))
"""RGB: black, dark brown, brown, blond, grey."""


def covered(head: Head, part: str, kind: str, chance: random.Random) -> Head:
    """The head with its mouth, or both eyes and brows, covered.

    Args:
        head: as cut out.
        part: one of ``PARTS``: placed by the face's keypoints.
        kind: one of ``KINDS``.
        chance: of colour and folds.
    """
    points, width = np.array(head.face.keypoints), known_faces.width_of(head.face)
    eyes = points[[blazeface.RIGHT_EYE, blazeface.LEFT_EYE]].mean(axis=0)
    if part == "mouth":  # from below the nose to the chin
        (x, y), across, down = points[blazeface.MOUTH] + (0, 0.06 * width), 0.40 * width, 0.25 * width
    else:
        (x, y), across, down = eyes - (0, 0.03 * width), 0.56 * width, 0.17 * width
    rows, columns = np.mgrid[: head.alpha.shape[0], : head.alpha.shape[1]].astype(np.float32)
    angle = np.deg2rad(known_faces.roll(head.face) + chance.uniform(-4, 4))
    right, below = columns - x, rows - y
    u = (right * np.cos(angle) + below * np.sin(angle)) / across
    v = (below * np.cos(angle) - right * np.sin(angle)) / down
    weight = np.clip((1 - (u**4 + v**4) ** 0.25) / 0.08, 0, 1)[..., None]
    paint = _paint(head, kind, u, v, chance)
    pixels = np.rint(weight * paint + (1 - weight) * head.pixels).clip(0, 255).astype(np.uint8)
    return replace(head, pixels=pixels, alpha=np.maximum(head.alpha, weight[..., 0]))


def _paint(head: Head, kind: str, u: Floats32, v: Floats32, chance: random.Random) -> Floats32:
    """[H,W,3] the cover's colours; ``u`` and ``v`` are -1..1 over it, across and down."""
    light = 1 - 0.12 * u**2 - 0.1 * v
    if kind == "dark":
        colour = np.array([chance.uniform(8, 40)] * 3)
    elif kind == "cloth":
        value = colorsys.hsv_to_rgb(chance.random(), chance.uniform(0.1, 0.8), chance.uniform(0.25, 0.9))
        colour = 255 * np.array(value)
        light = light * (1 + 0.12 * np.sin(chance.uniform(5, 9) * (u + 0.4 * v) + chance.uniform(0, 6)))
    else:
        colour = _skin(head)
        light = light * (1 - 0.22 * np.abs(np.sin(np.pi * 1.5 * (u + chance.uniform(-0.1, 0.1)))) ** 12)  # of fingers
    result: Floats32 = (colour * light[..., None]).astype(np.float32)
    return result


def _skin(head: Head) -> NDArray[np.float64]:
    """[3] RGB of both cheeks, between eye and mouth."""
    points, reach = np.array(head.face.keypoints), max(2, round(0.05 * known_faces.width_of(head.face)))
    patches = []
    for eye in (blazeface.RIGHT_EYE, blazeface.LEFT_EYE):
        x = round(float(points[eye, 0]))
        y = round(float(0.45 * points[eye, 1] + 0.55 * points[blazeface.MOUTH, 1]))
        patches.append(head.pixels[y - reach : y + reach, x - reach : x + reach].reshape(-1, 3))
    result: NDArray[np.float64] = np.median(np.concatenate(patches), axis=0)
    return result


def from_behind(head: Head, chance: random.Random) -> Head:
    """The head as it might look from behind: an ellipse with the colour and the strands of hair over all of it."""
    x, y = known_faces.middle(head.face)
    width = known_faces.width_of(head.face)
    rows, columns = np.mgrid[: head.alpha.shape[0], : head.alpha.shape[1]].astype(np.float32)
    u, v = (columns - x) / (0.68 * width), (rows - (y - 0.18 * width)) / (0.95 * width)
    weight = np.clip((1 - np.hypot(u, v)) / 0.05, 0, 1)[..., None]
    noise = np.random.default_rng(chance.getrandbits(32)).standard_normal(head.alpha.shape).astype(np.float32)
    strands = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.02 * width, sigmaY=0.2 * width)
    light = 1 + 0.2 * strands / max(float(strands.std()), 1e-6) - 0.35 * u**2 - 0.2 * v
    hair = np.array(chance.choice(HAIR), np.float32) * light.clip(0.3, 2.2)[..., None]
    pixels = np.rint(weight * hair + (1 - weight) * head.pixels).clip(0, 255).astype(np.uint8)
    # What the ellipse leaves of ears and hair would betray the other side: only hair and the neck below it stay.
    rest = np.where(rows > y + 0.55 * width, head.alpha, 0)
    return replace(head, pixels=pixels, alpha=np.maximum(rest, weight[..., 0]).astype(np.float32))
