from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.offline.data.people import transplant

FACE = np.array([[40, 40], [60, 40], [50, 52], [50, 62], [30, 44], [70, 44]], np.float32)
"""Keypoints of a face of some 50 px: eyes 20 px apart."""


@given(st.floats(0.2, 5), st.floats(-3, 3), st.floats(-50, 50), st.floats(-50, 50))
def test_similarity_finds_turn_scale_and_shift(scale, angle, x, y):
    turn = scale * np.exp(1j * angle)
    z = (FACE[:, 0] + 1j * FACE[:, 1]) * turn + (x + 1j * y)
    found, shift = transplant.similarity(FACE, np.stack([z.real, z.imag], 1))
    assert found == pytest.approx(turn, rel=1e-4)
    assert shift == pytest.approx(x + 1j * y, abs=1e-2 * (1 + scale))


def test_only_the_face_is_replaced_and_by_the_other_one():
    canvas = np.full((120, 120, 3), 90, np.uint8)
    crop = np.full((120, 120, 3), 90, np.uint8)
    crop[58:66, 44:56] = 250  # teeth
    transplant.onto(canvas, FACE, crop, FACE, light=0.0)
    changed = np.abs(canvas.astype(int) - 90).max(2) > 20
    rows, columns = np.nonzero(changed)
    assert 56 <= rows.min() <= rows.max() <= 68
    assert 42 <= columns.min() <= columns.max() <= 58


def test_takes_the_colours_of_where_it_comes_to():
    skin = np.array([180, 120, 90], np.uint8)
    canvas = np.tile(skin, (120, 120, 1))
    grey = np.random.default_rng(0).integers(90, 170, (120, 120, 1), np.uint8).repeat(3, 2)
    transplant.onto(canvas, FACE, grey, FACE, light=1.0)
    middle = canvas[40:64, 42:58].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(middle, skin, atol=12)


def test_a_face_beyond_the_edge_is_cut_off():
    canvas = np.zeros((60, 60, 3), np.uint8)
    crop = np.full((120, 120, 3), 200, np.uint8)
    transplant.onto(canvas, FACE + 15, crop, FACE, light=0.0)
    transplant.onto(canvas, FACE + 500, crop, FACE)  # not there at all
    assert canvas[59, 59].max() > 100
    assert canvas[0, 0].max() == 0


def test_a_mask_is_as_large_as_its_face():
    mask = transplant.face_mask(FACE, (120, 120))
    assert mask[45, 50] == pytest.approx(1, abs=0.01)
    assert mask[5, 5] == 0
    twice = transplant.face_mask(FACE * 2, (240, 240))
    assert twice.sum() / mask.sum() == pytest.approx(4, rel=0.05)
