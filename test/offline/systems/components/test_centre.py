from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.offline.systems.components import centre

SIZE = 32


def logits(probabilities):
    return torch.logit(torch.as_tensor(probabilities)[None, None], eps=1e-4)


def size_maps(targets):
    maps = torch.zeros(1, 2, *targets.heatmap.shape)
    for (column, row), size in zip(targets.centres, targets.sizes, strict=True):
        maps[0, :, row, column] = torch.from_numpy(size)
    return maps


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_there_and_back(data):
    """One person in each cell of a grid: decoding the targets gives their boxes, to half a pixel and no more."""
    boxes = []
    for x in range(0, SIZE, 16):
        for y in range(0, SIZE, 16):
            if data.draw(st.booleans()):
                left, top = data.draw(st.integers(1, 100)) / 16, data.draw(st.integers(1, 100)) / 16
                width, height = data.draw(st.integers(16, 128)) / 16, data.draw(st.integers(16, 128)) / 16
                boxes.append([x + left, y + top, x + left + width, y + top + height])
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    targets = centre.encode(boxes, SIZE, SIZE)
    assert (targets.heatmap == 1).sum() == len(boxes)
    decoded, scores = centre.decode(logits(targets.heatmap), size_maps(targets), 10)
    found = decoded[0][scores[0] > 5].numpy()
    assert len(found) == len(boxes)
    for box, middle in zip(boxes, targets.centres + 0.5, strict=True):
        (match,) = found[np.all(np.abs((found[:, :2] + found[:, 2:]) / 2 - middle) < 1e-3, axis=1)]
        np.testing.assert_allclose(match[2:] - match[:2], box[2:] - box[:2], atol=1e-4)
        assert np.abs(match - box).max() <= 0.5 + 1e-4


def radius_by_roots(height, width, overlap=0.7):
    """CornerNet's three cases, quadratics in the corners' shift; CenterNet's code multiplies by the first term."""
    cases = (
        (1, -(height + width), height * width * (1 - overlap) / (1 + overlap)),
        (4, -2 * (height + width), height * width * (1 - overlap)),
        (4 * overlap, 2 * overlap * (height + width), height * width * (overlap - 1)),
    )
    return min(case[0] * np.roots(case).max() for case in cases[:2]), cases[2][0] * np.roots(cases[2]).max()


@given(st.integers(1, 128), st.integers(1, 128))
@settings(max_examples=60, deadline=None)
def test_the_radius_is_that_of_centernet(height, width):
    assert centre.gaussian_radius(height, width) == pytest.approx(min(radius_by_roots(height, width)), abs=1e-6)


@given(st.lists(st.tuples(*[st.integers(0, 4 * SIZE - 8)] * 2, *[st.integers(2, 4 * SIZE)] * 2), max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_heatmap_is_a_gaussian_around_each_centre(people):
    boxes = np.array([[x, y, min(x + w, 4 * SIZE), min(y + h, 4 * SIZE)] for x, y, w, h in people]).reshape(-1, 4) / 4
    targets = centre.encode(boxes, SIZE, SIZE)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    expected = np.zeros((SIZE, SIZE))
    for (column, row), (left, top, right, bottom) in zip(targets.centres, boxes, strict=True):
        radius = int(min(radius_by_roots(np.ceil(bottom - top), np.ceil(right - left))))
        drawn = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2 * ((2 * radius + 1) / 6) ** 2))
        near = (abs(columns - column) <= radius) & (abs(rows - row) <= radius)
        expected = np.maximum(expected, np.where(near, drawn, 0))
    np.testing.assert_allclose(targets.heatmap, expected, atol=1e-6)


def test_a_box_at_the_edge_has_its_centre_on_the_map():
    targets = centre.encode(np.array([[SIZE - 1e-3, 0, SIZE, 8], [0, SIZE - 1e-6, 3, SIZE]]), SIZE, SIZE)
    np.testing.assert_array_equal(targets.centres, [[SIZE - 1, 4], [1, SIZE - 1]])
    assert np.all(targets.heatmap[targets.centres[:, 1], targets.centres[:, 0]] == 1)


def test_what_is_not_known_is_ignored():
    person, crowd = np.array([[2, 2, 6, 8]]), np.array([[5.5, 6.5, 12.2, 10]])
    assert not centre.encode(person, SIZE, SIZE).ignore.any()
    ignore = centre.encode(person, SIZE, SIZE, ignore=crowd).ignore
    expected = np.zeros((SIZE, SIZE), bool)
    expected[6:10, 5:13] = True
    np.testing.assert_array_equal(ignore, expected)
    incomplete = centre.encode(person, SIZE, SIZE, exhaustive=False).ignore
    assert not incomplete[2:8, 2:6].any()
    assert incomplete.sum() == SIZE * SIZE - 24
    beyond = centre.encode(np.empty((0, 4)), SIZE, SIZE, ignore=np.array([[-9, -9, -3, -3], [30, 30, 99, 99]])).ignore
    assert beyond.sum() == 4


def test_a_centre_inside_a_crowd_is_known():
    targets = centre.encode(np.array([[4, 4, 8, 8]]), SIZE, SIZE, ignore=np.array([[0, 0, 20, 20]]))
    assert targets.ignore[:20, :20].sum() == 399
    assert not targets.ignore[6, 6]


def test_nobody():
    targets = centre.encode(np.empty((0, 4)), SIZE, SIZE)
    assert targets.heatmap.sum() == 0
    assert targets.centres.shape == targets.sizes.shape == (0, 2)


def test_peaks_come_best_first_and_neighbours_do_not_come_at_all():
    heatmap = torch.full((1, 1, 8, 8), -5.0)
    heatmap[0, 0, 2, 3], heatmap[0, 0, 2, 4], heatmap[0, 0, 6, 6] = 1.0, 0.9, 2.0
    sizes = torch.zeros(1, 2, 8, 8)
    sizes[0, :, 2, 3] = torch.tensor([4.0, 2.0])
    sizes[0, :, 6, 6] = torch.tensor([-1.0, 1.0])
    boxes, scores = centre.decode(heatmap, sizes, 3)
    np.testing.assert_allclose(scores[0, :2], [2, 1])
    np.testing.assert_allclose(boxes[0, 0], [6.5, 6, 6.5, 7])
    np.testing.assert_allclose(boxes[0, 1], [1.5, 1.5, 5.5, 3.5])
    assert scores[0, 2] == -5  # the flat background is its own peak


def test_slots_without_a_peak_say_so():
    heatmap = torch.arange(64.0).reshape(1, 1, 8, 8)
    boxes, scores = centre.decode(heatmap, torch.ones(1, 2, 8, 8), 5)
    assert scores[0, 0] == 63
    assert (scores[0, 1:] == centre.NO_PEAK).all()
    assert boxes.isfinite().all()
    assert torch.isfinite(torch.tensor(centre.NO_PEAK, dtype=torch.float16))


def test_reading_at_the_centres():
    maps = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    centres = torch.tensor([[[4, 0], [0, 3]], [[2, 1], [2, 1]]])
    values = centre.read(maps, centres)
    assert values.shape == (2, 2, 3)
    np.testing.assert_array_equal(values[0, 0], maps[0, :, 0, 4])
    np.testing.assert_array_equal(values[0, 1], maps[0, :, 3, 0])
    np.testing.assert_array_equal(values[1, 1], maps[1, :, 1, 2])
