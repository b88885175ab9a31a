from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_portraits import NEUTRAL, SMILING, photo

from caer_ros.offline.evaluation.portraits import known_faces


@pytest.mark.parametrize("name", [SMILING, NEUTRAL])
def test_the_face_of_a_photograph(finder, name):
    face = known_faces.face_in(finder.engines["face"], photo(name))
    assert face is not None
    x, y = known_faces.middle(face)
    assert face.box[0] < x < face.box[2]
    assert face.box[1] < y < face.box[3]
    assert abs(known_faces.roll(face)) < 12


def test_what_is_known_of_its_place_saves_the_first_look(finder):
    network = finder.engines["face"]
    face = known_faces.face_in(network, photo(SMILING))
    x, y = known_faces.centre(face)
    again = known_faces.face_in(network, photo(SMILING), (x + 5, y - 5, 0.9 * known_faces.width_of(face)))
    np.testing.assert_allclose(again.box, face.box, atol=8)


def test_a_size_is_the_same_however_large_the_picture(finder):
    network, large = finder.engines["face"], photo(NEUTRAL)
    small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    widths = [known_faces.width_of(known_faces.face_in(network, pixels)) for pixels in (large, small)]
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.03)


def test_a_face_that_leans(finder):
    pixels = photo(SMILING)
    turn = cv2.getRotationMatrix2D((224, 110), -10, 1)  # clockwise
    leaning = known_faces.face_in(finder.engines["face"], cv2.warpAffine(pixels, turn, (512, 512)))
    straight = known_faces.face_in(finder.engines["face"], pixels)
    assert known_faces.roll(leaning) - known_faces.roll(straight) == pytest.approx(10, abs=3)


def test_no_face_is_none(finder):
    assert known_faces.face_in(finder.engines["face"], np.full((300, 200, 3), 128, np.uint8)) is None
