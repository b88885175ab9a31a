from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_portraits import NEUTRAL, PHOTOS, SMILING, before_grey, photo

from caer_ros.offline.evaluation.portraits import heads, known_faces


@pytest.mark.parametrize("name", [SMILING, NEUTRAL])
def test_the_person_is_cut_out_of_a_plain_background(finder, name):
    pixels = before_grey(name)
    face = known_faces.face_in(finder.engines["face"], pixels)
    person = heads.silhouette(pixels, face)
    truth = cv2.imread(str(PHOTOS / f"{name}_mask.png"), 0) / 255
    near = heads.ellipse(pixels.shape, face) > 0.5
    assert np.abs(person - truth)[near].mean() < 0.05
    head = heads.cut(pixels, face)
    assert head.alpha[0].max() == 0
    assert head.alpha[-1].max() == 0
    y, x = (round(value) for value in reversed(known_faces.middle(face).tolist()))
    assert head.alpha[y, x] == 1


def test_before_other_backgrounds_the_ellipse_alone_cuts(finder):
    pixels = photo(SMILING)
    face = known_faces.face_in(finder.engines["face"], pixels)
    assert heads.silhouette(pixels, face).min() == 1
    np.testing.assert_array_equal(heads.cut(pixels, face).alpha, heads.ellipse(pixels.shape, face))


def test_the_edge_is_soft(finder):
    face = known_faces.face_in(finder.engines["face"], photo(SMILING))
    alpha = heads.ellipse((512, 512), face)
    assert np.abs(np.diff(alpha, axis=0)).max() < 0.25
    assert np.abs(np.diff(alpha, axis=1)).max() < 0.25
