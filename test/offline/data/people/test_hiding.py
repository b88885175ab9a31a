from __future__ import annotations

import numpy as np
import pytest

from caer_ros.offline.data.people import hiding

FACE = np.array([[80, 80], [120, 80], [100, 104], [100, 124], [60, 88], [140, 88]], np.float32)


@pytest.mark.parametrize("seed", range(40))
def test_changes_the_face_and_leaves_the_rest(seed):
    canvas = np.full((240, 240, 3), 128, np.uint8)
    hiding.cover(canvas, FACE, np.random.default_rng(seed))
    changed = np.abs(canvas.astype(int) - 128).max(2) > 15
    assert changed[60:150, 50:150].mean() > 0.05
    assert not changed[:10].any()
    assert not changed[-10:].any()


def test_every_way_of_hiding_is_drawn():
    kinds = {hiding.cover(np.full((240, 240, 3), 128, np.uint8), FACE, np.random.default_rng(s)) for s in range(40)}
    assert kinds == {True, False}  # a part of the face is left, or none


@pytest.mark.parametrize("shift", [-300, -95, 0, 130, 300])
@pytest.mark.parametrize("seed", range(12))
def test_takes_a_face_at_the_edge_and_a_tiny_one(seed, shift):
    canvas = np.full((240, 240, 3), 128, np.uint8)
    hiding.cover(canvas, FACE + shift, np.random.default_rng(seed))
    hiding.cover(canvas, FACE / 25, np.random.default_rng(seed))
