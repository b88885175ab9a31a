from __future__ import annotations

import itertools

import numpy as np
import pytest
from made_portraits import NEUTRAL, SMILING, before_grey

from caer_ros.offline.evaluation.portraits import bodies, canvas, heads, known_faces
from caer_ros.perception.imaging.resizing import scaled


@pytest.fixture(scope="module")
def body(finder, street_scenes):
    return next(bodies.bodies(finder, street_scenes, "all", 0, {}))


@pytest.fixture(scope="module", params=[SMILING, NEUTRAL])
def head(request, finder):
    pixels = before_grey(request.param)
    return heads.cut(pixels, known_faces.face_in(finder.engines["face"], pixels))


@pytest.mark.parametrize("size", [16, 24, 48, 80])
def test_the_face_is_as_wide_as_asked_for(finder, head, body, size):
    for jitter in ((0.0, 0.0), (-1.0, 1.0)):
        picture = canvas.with_body(head, body, size, jitter)
        assert picture.pixels.shape == (480, 640, 3)
        assert picture.pixels.dtype == np.uint8
        assert picture.face[2] - picture.face[0] == pytest.approx(size)
        middle = (picture.face[:2] + picture.face[2:]) / 2
        measured = known_faces.face_in(finder.engines["face"], picture.pixels, (*middle.tolist(), size))
        assert known_faces.width_of(measured) == pytest.approx(size, abs=max(2.5, 0.12 * size))  # 16 px are few
        np.testing.assert_allclose(known_faces.centre(measured), middle, atol=0.12 * size)


@pytest.mark.parametrize("size", [16, 80])
def test_boxes_nest_and_are_in_the_picture(head, body, size):
    for picture in (canvas.with_body(head, body, size, (0.5, -1.0)), canvas.alone(head, body, size, (0.5, -1.0))):
        for inner, outer in itertools.pairwise((picture.face, picture.head, picture.person)):
            assert (inner[[0, 1]] >= outer[[0, 1]] - size * 0.3).all()
            assert (inner[[2, 3]] <= outer[[2, 3]] + size * 0.3).all()
        assert (picture.person >= 0).all()
        assert (picture.person <= [640, 480, 640, 480]).all()


def test_a_portrait_alone_stands_on_the_lower_edge(finder, head, body):
    picture = canvas.alone(head, body, 80, (0.0, 0.0))
    assert picture.person[3] == pytest.approx(480, abs=2)
    middle = (picture.face[:2] + picture.face[2:]) / 2
    measured = known_faces.face_in(finder.engines["face"], picture.pixels, (*middle.tolist(), 80.0))
    assert known_faces.width_of(measured) == pytest.approx(80, rel=0.1)


def test_shrinking_averages():
    board = np.indices((400, 400)).sum(axis=0) % 2 * 200
    small = scaled(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), 0.37)
    assert small.shape == (148, 148, 3)
    assert small.min() > 80  # every pixel of a plain resize would be 0 or 200
    assert small.max() < 120


def test_beyond_the_scene_no_second_person_stands(body, head):
    picture = canvas.with_body(head, body, 16, (0.0, 0.0))
    orange = picture.pixels[..., 0].astype(int) - picture.pixels[..., 2] > 90
    x_min, y_min, x_max, y_max = picture.person.round().astype(int)
    assert orange[y_min:y_max, x_min:x_max].sum() > 0.95 * orange.sum() > 0
