from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.perception.imaging.resizing import Resize, place, plan, squares

SIDES = st.integers(1, 2000)
RULES = st.one_of(
    st.builds(lambda h, w: Resize("stretch", size=(h, w)), st.integers(1, 600), st.integers(1, 600)),
    st.builds(lambda h, w: Resize("letterbox", size=(h, w)), st.integers(1, 600), st.integers(1, 600)),
    st.builds(
        lambda short, more, multiple: Resize("short_side", short=short, longest=short + more, multiple=multiple),
        st.integers(8, 600),
        st.integers(0, 600),
        st.integers(1, 64),
    ),
)


@given(RULES, SIDES, SIDES)
def test_corners_of_the_image_map_back_exactly(rule, height, width):
    fit = plan(rule, height, width)
    rows, columns = fit.resized
    assert 1 <= rows <= fit.canvas[0]
    assert 1 <= columns <= fit.canvas[1]
    box = fit.to_source(np.array([[0, 0, columns, rows], [columns / 4, rows / 2, columns / 2, rows]], np.float32))
    np.testing.assert_allclose(box[0], [0, 0, width, height], rtol=1e-6)
    np.testing.assert_allclose(box[1], [width / 4, height / 2, width / 2, height], rtol=1e-6)


@given(SIDES, SIDES)
def test_letterbox_fills_one_side_and_keeps_the_aspect(height, width):
    fit = plan(Resize("letterbox", size=(240, 320)), height, width)
    assert fit.canvas == (240, 320)
    assert fit.resized[0] == 240 or fit.resized[1] == 320
    assert (
        abs(fit.resized[0] * width / height - fit.resized[1]) <= max(1, width / height) / 2 + 0.51 or 1 in fit.resized
    )


@pytest.mark.parametrize(
    ("size", "multiple", "expected"),
    [
        ((480, 640), 1, (800, 1067)),  # DETR's own: the short side decides
        ((500, 1500), 1, (444, 1333)),  # the long side is at its limit
        ((480, 640), 64, (768, 1088)),  # nearest multiples: 12.5 goes to the even 12, 16.7 to 17
        ((7, 7000), 32, (32, 1344)),  # never nothing
    ],
)
def test_short_side(size, multiple, expected):
    fit = plan(Resize("short_side", short=800, longest=1333, multiple=multiple), *size)
    assert fit.resized == fit.canvas == expected


@pytest.mark.parametrize("shape", [(10, 40), (40, 10), (20, 20), (20, 7)])
def test_letterbox_puts_the_image_at_the_top_left_and_black_elsewhere(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    fit = plan(Resize("letterbox", size=(20, 20)), *shape)
    rows, columns = fit.resized
    kept = np.full((20, 20, 3), 99, np.uint8)  # of another image
    for canvas in (place(image, fit), place(image, fit, kept)):
        assert canvas.shape == (20, 20, 3)
        assert np.all(canvas[:rows, :columns] == 200)
        assert not canvas[rows:].any()
        assert not canvas[:, columns:].any()
    np.testing.assert_array_equal(kept, place(image, fit))


def test_clips_to_the_image():
    fit = plan(Resize("letterbox", size=(20, 20)), 10, 40)
    np.testing.assert_array_equal(fit.to_source(np.array([-3, -1, 25, 20], np.float32)), [0, 0, 40, 10])


@pytest.mark.parametrize("centre", [(50.0, 40.0), (0.0, 0.0), (99.0, 79.0), (-500.0, 40.0), (30.5, 900.0)])
@pytest.mark.parametrize("side", [1.0, 16.0, 33.3, 300.0])
@pytest.mark.parametrize("antialias", [False, True])
def test_square_maps_back(centre, side, antialias):
    """Each pixel of the image tells its own place, so a pixel of the square tells where it came from."""
    rows, columns = np.mgrid[:80, :100]
    image = np.stack([columns + 1, rows + 1, np.full_like(rows, 255)], axis=-1).astype(np.uint8)
    crops = squares(image, np.float32([(20, 20), centre]), np.float32([7, side]), 32, antialias)
    assert crops.pixels.shape == (2, 32, 32, 3)
    y, x = np.nonzero(crops.pixels[1, ..., 2] == 255)  # not at all mixed with the black around
    points = np.stack([x, y], axis=1) + np.float32(0.5)
    expected = crops.to_source(points[None], np.array([1]))[0] - 0.5
    found = crops.pixels[1, y, x, :2].astype(float) - 1
    scale = crops.scales[1]
    limit = 0.51 + (0.5 * scale if scale > 1 else 0)
    inside = np.all((expected >= 0) & (expected <= [99, 79]), axis=1)
    assert np.all(np.abs(found - expected)[inside] <= limit)


def test_square_beyond_the_image_is_black():
    image = np.full((20, 20, 3), 255, np.uint8)
    half, none = squares(image, np.float32([(0, 10), (500, 10)]), np.float32([20, 20]), 20).pixels
    assert not half[:, :10].any()
    assert np.all(half[:, 10:] == 255)
    assert not none.any()
