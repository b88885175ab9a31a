"""Assign the faces of an image to its persons, and judge which faces can be read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from caer_ros.perception.person import EmotionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.perception.bundle.bundle import FaceRules
    from caer_ros.perception.predictors.composed.blazeface import Box, Face

_HEADROOM = 1.1
"""Widths of a face from its centre up to the top of the person's box: 0.7 to 1.36 on the demo photographs."""


def judge(face: Face | None, shape: tuple[int, ...], rules: FaceRules) -> EmotionStatus:
    """Whether a face in an image of ``shape`` (height, width, ...) can be read: OK, or why not."""
    if face is None:
        return EmotionStatus.NO_FACE
    if _area(clipped(face.box, shape)) < rules.min_visible * _area(face.box) or abs(face.yaw) > rules.max_yaw:
        return EmotionStatus.PROFILE_OR_OCCLUDED
    return EmotionStatus.OK if face.box[2] - face.box[0] >= rules.min_face else EmotionStatus.TOO_SMALL


def assign(persons: Sequence[Box], faces: Sequence[Face]) -> list[Face | None]:
    """One face for each person at most, and no face for two: the best pairs first.

    Args:
        persons: boxes xyxy.
        faces: those of the image, each once.
    """
    pairs = [
        (face.score - _distance(box, face), person, number)
        for person, box in enumerate(persons)
        for number, face in enumerate(faces)
        if _may_belong(box, face)
    ]
    chosen: dict[int, int] = {}
    for _, person, number in sorted(pairs, reverse=True):
        if person not in chosen and number not in chosen.values():
            chosen[person] = number
    return [faces[chosen[person]] if person in chosen else None for person in range(len(persons))]


def _distance(person: Box, face: Face) -> float:
    """How far a face is from where it is expected, middle and a face below the top edge, in widths of the person."""
    x = (face.box[0] + face.box[2] - person[0] - person[2]) / 2
    y = _below_top(person, face) - _HEADROOM * (face.box[2] - face.box[0])
    return math.hypot(x, y) / (person[2] - person[0])


def _below_top(person: Box, face: Face) -> float:
    return (face.box[1] + face.box[3]) / 2 - person[1]


def _may_belong(person: Box, face: Face) -> bool:
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    return person[0] <= x <= person[2] and person[1] <= y <= person[3]


def clipped(box: Box, shape: tuple[int, ...]) -> Box:
    """Cut a box xyxy off at the edges of an image of ``shape`` (height, width, ...)."""
    height, width = shape[:2]
    x_min, y_min, x_max, y_max = box
    return min(max(x_min, 0), width), min(max(y_min, 0), height), min(max(x_max, 0), width), min(max(y_max, 0), height)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
