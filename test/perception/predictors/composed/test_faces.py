"""Which face is whose, and which can be read."""

from __future__ import annotations

import dataclasses

from caer_ros.perception.bundle.bundle import FaceRules
from caer_ros.perception.person import EmotionStatus
from caer_ros.perception.predictors.composed.blazeface import Face
from caer_ros.perception.predictors.composed.faces import assign, judge

RULES = FaceRules(person_nms=0.55, face_score=0.5, min_face=24, max_yaw=40, min_visible=0.8)
BODY = (0.0, 0.0, 100.0, 300.0)
SHAPE = (480, 640, 3)


def face_at(x: float, y: float, score: float = 0.9, size: float = 30) -> Face:
    return Face((x - size / 2, y - size / 2, x + size / 2, y + size / 2), score, 0.0)


def test_best_of_several():
    own, poster = face_at(50, 33), face_at(90, 60)
    assert assign([BODY], [poster, own]) == [own]


def test_nobody_else_s_face():
    """It belongs to whom it is in the middle of."""
    seen = face_at(110, 33)
    for first in (BODY, (0.0, 0.0, 115.0, 300.0)):
        assert assign([first, (60.0, 0.0, 160.0, 300.0)], [seen]) == [None, seen]


def test_each_their_own_where_persons_overlap():
    left, right = face_at(50, 33, 0.7), face_at(105, 33, 0.99)
    assert assign([(0.0, 0.0, 110.0, 300.0), (60.0, 0.0, 160.0, 300.0)], [right, left]) == [left, right]


def test_a_head_is_a_face_below_the_top_not_at_the_top():
    """Behind the second stands the first, whose face looks over the second's shoulder."""
    over_the_shoulder, own = face_at(75, 20, 0.9), face_at(110, 55, 0.75)
    assert assign([(60.0, 22.0, 160.0, 300.0)], [over_the_shoulder, own]) == [own]


def test_a_face_beside_the_body_is_not_theirs():
    assert assign([BODY], [face_at(120, 33)]) == [None]
    assert assign([], []) == []


def test_judge():
    ok = face_at(100, 100)

    def status(face):
        return judge(face, SHAPE, RULES)

    assert status(None) == EmotionStatus.NO_FACE
    assert status(ok) == EmotionStatus.OK
    assert status(dataclasses.replace(ok, yaw=-39.0)) == EmotionStatus.OK
    for yaw in (-41.0, 41.0):
        assert status(dataclasses.replace(ok, yaw=yaw)) == EmotionStatus.PROFILE_OR_OCCLUDED
    assert status(face_at(100, 100, size=23.9)) == EmotionStatus.TOO_SMALL
    assert status(face_at(100, 100, size=24)) == EmotionStatus.OK
    assert status(face_at(5, 100)) == EmotionStatus.PROFILE_OR_OCCLUDED
    assert status(face_at(10, 100)) == EmotionStatus.OK
