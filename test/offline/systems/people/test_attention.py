from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.offline.evaluation import pooling_numpy
from caer_ros.offline.systems.people import attention

BODY = torch.tensor([[[10.0, 4.0, 30.0, 58.0]]])


def maps_with_a_face(row, column, value=1.0, strength=8.0):
    """Maps [1,1,60,80] that are ``value`` in one pixel, where a face is."""
    maps, face = torch.zeros(1, 1, 60, 80), torch.full((1, 1, 60, 80), -8.0)
    maps[..., row, column], face[..., row, column] = value, strength
    return maps, face


def test_a_face_counts_and_not_the_body():
    maps, face = maps_with_a_face(8, 20)
    assert attention.pool(maps, BODY, face).item() > 0.99
    assert maps.mean().item() < 0.001  # what the plain mean would leave of it


def test_a_neighbours_face_in_the_box_counts_less_than_ones_own():
    own, face = maps_with_a_face(8, 20)
    _, others = maps_with_a_face(40, 29)
    both = torch.maximum(face, others)
    assert attention.pool(own, BODY, both).item() > 0.9


def test_where_no_face_is_seen_the_upper_middle_is_read():
    rows = torch.linspace(0, 1, 60)[:, None].expand(1, 1, 60, 80)
    nowhere = torch.full((1, 1, 60, 80), -8.0)
    middle = attention.pool(rows, BODY, nowhere).item() * 59
    assert BODY[0, 0, 1] < middle < (BODY[0, 0, 1] + BODY[0, 0, 3]) / 2


boxes = st.tuples(
    st.floats(-40, 100, width=32), st.floats(-40, 100, width=32), st.floats(0, 90, width=32), st.floats(0, 90, width=32)
)


@given(st.lists(boxes, min_size=1, max_size=4), st.integers(0, 9))
def test_evaluation_in_numpy_reads_the_same(corners, seed):
    given_boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in corners], np.float32)
    random = np.random.default_rng(seed)
    maps, face = (random.normal(0, 5, (c, 15, 20)).astype(np.float32) for c in (3, 1))
    tensors = [torch.from_numpy(value)[None] for value in (maps, given_boxes, face)]
    expected = attention.pool(*tensors)[0].numpy()
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(pooling_numpy.pool_attention(maps, given_boxes, face[0]), expected, atol=2e-4)
    low, high = maps.min((1, 2)), maps.max((1, 2))  # a mean lies between
    assert ((expected >= low - 1e-3) & (expected <= high + 1e-3)).all()


def test_gradients_reach_maps_and_attention():
    maps, face = torch.randn(1, 2, 12, 16, requires_grad=True), torch.randn(1, 1, 12, 16, requires_grad=True)
    attention.pool(maps, torch.tensor([[[1.0, 1, 9, 11]]]), face).sum().backward()
    assert maps.grad.abs().sum() > 0
    assert torch.isfinite(face.grad).all()


def test_variance_is_that_of_the_weighted_pixels():
    maps, face = maps_with_a_face(8, 20)
    assert attention.variance(maps, BODY, face).item() < 0.02
    flat = torch.zeros_like(face)
    spread = attention.variance(torch.randn(1, 1, 60, 80, generator=torch.Generator().manual_seed(1)), BODY, flat)
    assert spread.item() == pytest.approx(1, abs=0.3)
    assert attention.variance(maps + 1e4, BODY, face).item() < 0.1
