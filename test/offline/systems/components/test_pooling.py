from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.offline.evaluation import pooling_numpy
from caer_ros.offline.systems.components import pooling

HEIGHT, WIDTH = 6, 9


def maps(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@st.composite
def boxes(draw, margin=4.0):
    """A box of any place and size, also beyond the map, whose edges are multiples of 1/8."""
    left = draw(st.integers(-int(8 * margin), 8 * WIDTH)) / 8
    top = draw(st.integers(-int(8 * margin), 8 * HEIGHT)) / 8
    width = draw(st.integers(0, int(8 * (WIDTH + margin)))) / 8
    height = draw(st.integers(0, int(8 * (HEIGHT + margin)))) / 8
    return [left, top, left + width, top + height]


def test_a_hand_computed_mean():
    values = torch.arange(4.0).reshape(1, 1, 2, 2)  # 0 1 / 2 3
    box = torch.tensor([[[0.5, 0.0, 2.0, 1.25]]])
    # Columns count 0.5 and 1, rows 1 and 0.25.
    expected = (0.5 * 0 + 1 * 1 + 0.125 * 2 + 0.25 * 3) / (1.5 * 1.25)
    assert pooling.pool(values, box).item() == pytest.approx(expected)
    mean_of_squares = (1 * 1 + 0.125 * 4 + 0.25 * 9) / (1.5 * 1.25)
    assert pooling.variance(values, box).item() == pytest.approx(mean_of_squares - expected**2)


def test_coverage_says_how_much_of_each_row_and_column():
    rows, columns = pooling.coverage(torch.tensor([[1.25, -3.0, 3.5, 1.5]]), 3, 4)
    np.testing.assert_allclose(rows, [[1, 0.5, 0]])
    np.testing.assert_allclose(columns, [[0, 0.75, 1, 0.5]])


@given(boxes())
@settings(max_examples=60, deadline=None)
def test_the_mean_is_the_integral_over_a_fine_grid(box):
    values = maps(1, 2, HEIGHT, WIDTH)
    fine = values[0].repeat_interleave(8, 1).repeat_interleave(8, 2)  # edges are multiples of 1/8: exact
    left, top, right, bottom = (int(8 * edge) for edge in box)
    inside = fine[:, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    pooled = pooling.pool(values, torch.tensor([[box]]))[0, 0]
    if inside.numel():
        np.testing.assert_allclose(pooled, inside.mean((1, 2)), atol=1e-5)
        variance = pooling.variance(values, torch.tensor([[box]]))[0, 0]
        np.testing.assert_allclose(variance, inside.flatten(1).var(1, correction=0), atol=1e-5)
    else:  # nothing of it is on the map: the nearest pixel is read
        row, column = (min(max(edge, 0) // 8, size - 1) for edge, size in ((top, HEIGHT), (left, WIDTH)))
        assert pooled.isfinite().all()
        if top == bottom and left == right and 0 <= left < 8 * WIDTH and 0 <= top < 8 * HEIGHT:
            np.testing.assert_allclose(pooled, values[0, :, row, column], atol=1e-5)


@given(boxes(), st.floats(-50, 50, width=32))
@settings(max_examples=60, deadline=None)
def test_a_constant_map_gives_the_constant_and_no_variance(box, constant):
    values = torch.full((1, 1, HEIGHT, WIDTH), constant)
    box = torch.tensor([[box]])
    assert pooling.pool(values, box).item() == pytest.approx(constant, rel=1e-5)
    assert 0 <= pooling.variance(values, box).item() < 1e-6


@given(st.lists(boxes(), max_size=5))
@settings(max_examples=40, deadline=None)
def test_the_numpy_twin_agrees(several):
    values, several = maps(1, 3, HEIGHT, WIDTH), np.array(several, np.float32).reshape(-1, 4)
    ours = pooling.pool(values, torch.from_numpy(several)[None])[0]
    twin = pooling_numpy.pool(values[0].numpy(), several)
    assert twin.dtype == np.float32
    assert twin.shape == (len(several), 3)
    np.testing.assert_allclose(twin, ours, atol=1e-5)


def test_a_box_beyond_the_map_is_cut_off():
    values = maps(1, 2, HEIGHT, WIDTH)
    beyond = torch.tensor([[[-5.0, 2.0, 3.5, 99.0], [0.0, 2.0, 3.5, HEIGHT]]])
    outside, inside = pooling.pool(values, beyond)[0]
    np.testing.assert_array_equal(outside, inside)


@pytest.mark.parametrize(
    ("box", "row", "column"),
    [([0, 0, 0, 0], 0, 0), ([WIDTH, HEIGHT, WIDTH, HEIGHT], -1, -1), ([99, -9, 120, -5], 0, -1), ([5, 3, 2, 1], 3, 5)],
)
def test_a_box_without_area_reads_one_pixel(box, row, column):
    values = maps(1, 2, HEIGHT, WIDTH)
    pooled = pooling.pool(values, torch.tensor([[box]], dtype=torch.float32))[0, 0]
    np.testing.assert_allclose(pooled, values[0, :, row, column], rtol=1e-3, atol=1e-3)


def test_gradients_reach_the_map_and_the_box():
    values = maps(1, 1, HEIGHT, WIDTH).requires_grad_()
    box = torch.tensor([[[1.5, 1.0, 4.0, 3.0]]], requires_grad=True)
    pooling.pool(values, box).sum().backward()
    expected = np.zeros((HEIGHT, WIDTH))
    expected[1:3, 1:4] = np.array([0.5, 1, 1]) / (2.5 * 2)
    np.testing.assert_allclose(values.grad[0, 0], expected, atol=1e-6)
    assert box.grad.isfinite().all()
    assert box.grad.abs().sum() > 0


def test_nobody_is_no_row():
    values = maps(2, 3, HEIGHT, WIDTH)
    assert pooling.pool(values, torch.zeros(2, 0, 4)).shape == (2, 0, 3)
    assert pooling.variance(values, torch.zeros(2, 0, 4)).shape == (2, 0, 3)


def test_half_precision_neither_overflows_nor_rounds_the_result():
    values = torch.full((1, 1, 128, 128), 60000.0, dtype=torch.float16)
    box = torch.tensor([[[0.0, 0.0, 128.0, 128.0]]])
    assert pooling.pool(values, box).item() == pytest.approx(60000, rel=1e-3)
    rows, columns = pooling.coverage(box, 128, 128)
    halves = (weights.half() / 128 for weights in (rows, columns))
    assert pooling._mean(values, *halves).item() == pytest.approx(60000, rel=2e-3)  # as a graph in fp16 does
    exact = maps(1, 4, 32, 32)
    box = torch.tensor([[[3.3, 4.4, 20.1, 30.2]]])
    with torch.autocast("cpu", torch.bfloat16):
        pooled = pooling.pool(exact, box)
    assert pooled.dtype == torch.float32
    np.testing.assert_array_equal(pooled, pooling.pool(exact, box))


def test_a_variance_far_from_zero_is_still_right():
    values = maps(1, 1, HEIGHT, WIDTH) * 1e-2
    box = torch.tensor([[[0.5, 0.5, 8.0, 5.0]]])
    near, far = pooling.variance(values, box).item(), pooling.variance(values + 100, box).item()
    assert far == pytest.approx(near, rel=1e-2)


# --- At centres, and of queries --------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_reading_is_enlarging_and_then_reading(down, across, seed):
    """Every pixel of the enlarged map; PyTorch's bilinear enlarging is the reference."""
    values = maps(1, 3, HEIGHT, WIDTH, seed=seed)
    height, width = down * HEIGHT, across * WIDTH
    enlarged = torch.nn.functional.interpolate(values, (height, width), mode="bilinear", align_corners=False)[0]
    rows, columns = np.mgrid[:height, :width].reshape(2, -1)
    read = pooling_numpy.read_enlarged(values[0].numpy(), np.stack([columns, rows], 1), height, width)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read.T.reshape(3, height, width), enlarged, atol=1e-5)


def test_centres_are_cut_to_whole_pixels_twice():
    boxes = np.array([[10, 20, 15, 31], [0, 0, 1, 1], [-50, 0, 20, 9], [90, 70, 130, 109]], np.float32)
    # 12.5, 25.5 -> 12, 25 -> 19.2, 26.25 -> 19, 26; the third lies to the left of the image, the last below it.
    pixels = pooling_numpy.centre_pixels(boxes, np.array([1.6, 1.05], np.float32), 90, 176)
    np.testing.assert_array_equal(pixels, [[19, 26], [0, 0], [0, 4], [175, 89]])


@given(st.lists(boxes(), min_size=1, max_size=4), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_the_centre_is_read_as_benet_s_codec_does(several, seed):
    """Of boxes with whole centres in an image of the input's size, where both cut alike."""
    from caer_ros.offline.systems.benet import codec

    probabilities = torch.sigmoid(maps(1, 3, HEIGHT, WIDTH, seed=seed))
    several = np.array(several, np.float32).round()
    height, width = 2 * HEIGHT, 2 * WIDTH
    pixels = pooling_numpy.centre_pixels(several, np.ones(2, np.float32), height, width)
    read = pooling_numpy.read_enlarged(probabilities[0].numpy(), pixels, height, width)
    np.testing.assert_allclose(read, codec.read_at_boxes(probabilities, torch.from_numpy(several)[None])[0], atol=1e-6)


def test_the_query_that_overlaps_most_is_taken_whatever_its_rank():
    queries = np.array([[0, 0, 9, 9], [0, 0, 5, 9], [100, 100, 109, 109], [101, 100, 110, 109]], np.float32)
    given = np.array([[0, 0, 9, 9], [0, 0, 4, 9], [103, 100, 112, 109], [100, 100, 109, 109]], np.float32)
    assert pooling_numpy.best_queries(queries, given).tolist() == [0, 1, 3, 2]
    same = np.array([[1, 1, 8, 8], [0, 0, 9, 9]], np.float32)
    assert pooling_numpy.best_queries(queries, same).tolist() == [0, 0]  # two persons, one query
    assert pooling_numpy.best_queries(queries, np.empty((0, 4), np.float32)).tolist() == []


def test_without_overlap_the_last_query_is_taken_and_broken_ones_never():
    far = np.array([[500, 500, 510, 510]], np.float32)
    queries = np.array([[0, 0, 9, 9], [20, 20, 29, 29], [np.nan] * 4], np.float32)
    assert pooling_numpy.best_queries(queries, far).tolist() == [1]


def test_corners_belong_to_boxes_of_queries():
    """Pixels 0 to 9 and 10 to 19 do not meet; with a corner in common two boxes share one pixel, of 100 + 100 - 1."""
    box = np.array([[0, 0, 9, 9]], np.float32)
    apart, corner = [10.0, 0, 19, 9], [9.0, 9, 18, 18]
    assert pooling_numpy.best_queries(np.array([corner, apart], np.float32), box).tolist() == [0]
