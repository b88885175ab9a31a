from __future__ import annotations

import random

import numpy as np
import pytest
from made_portraits import NEUTRAL, SMILING, before_grey

from caer_ros.offline.evaluation.portraits import covers, heads, known_faces
from caer_ros.perception.predictors.composed import blazeface


@pytest.fixture(scope="module", params=[SMILING, NEUTRAL])
def head(request, finder):
    pixels = before_grey(request.param)
    return heads.cut(pixels, known_faces.face_in(finder.engines["face"], pixels))


def change(before, after, point):
    x, y = (round(value) for value in before.face.keypoints[point])
    window = (slice(y - 4, y + 5), slice(x - 4, x + 5))
    return np.abs(after.pixels[window].astype(int) - before.pixels[window]).mean()


@pytest.mark.parametrize("kind", covers.KINDS)
def test_mouth_or_eyes_are_covered_and_nothing_else(head, kind):
    mouth, eyes = (covers.covered(head, part, kind, random.Random(1)) for part in covers.PARTS)
    assert change(head, mouth, blazeface.MOUTH) > 8
    assert change(head, eyes, blazeface.LEFT_EYE) > 8
    assert change(head, eyes, blazeface.RIGHT_EYE) > 8
    assert change(head, mouth, blazeface.LEFT_EYE) == change(head, eyes, blazeface.MOUTH) == 0
    for changed in (mouth, eyes):
        x, y = (round(value) for value in head.face.keypoints[blazeface.MOUTH])
        assert changed.alpha.shape == head.alpha.shape
        assert changed.alpha[y, x] == 1


@pytest.mark.parametrize("kind", ["cloth", "dark"])
def test_the_seed_decides_how(head, kind):
    one, same, other = (covers.covered(head, "mouth", kind, random.Random(seed)).pixels for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_from_behind_there_is_no_face(finder, head):
    behind = covers.from_behind(head, random.Random(3))
    place = (*known_faces.centre(head.face), known_faces.width_of(head.face))
    assert known_faces.face_in(finder.engines["face"], head.pixels, place) is not None
    assert known_faces.face_in(finder.engines["face"], behind.pixels, place) is None
    for x, y in head.face.keypoints[:4]:  # eyes, nose and mouth
        assert behind.alpha[round(y), round(x)] == 1
