from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.offline.systems.benet import augmentation as augmentation
from caer_ros.offline.systems.benet.augmentation import Appearance, Change, Head
from caer_ros.offline.systems.benet.config import BenetRecipe

SIDE = 60
ALL = dict.fromkeys(Head, 0.25)


class Told:
    """In the place of a generator: says with which chances it was asked."""

    def choice(self, number: int, p: np.ndarray) -> int:
        self.chances = p.tolist()
        return number - 1


def chances_of(chances: dict[Head, float], boxes: list[list[float]], size: tuple[int, int]) -> list[float]:
    told = Told()
    augmentation.choose(chances, np.array(boxes, np.float32), size, told)  # type: ignore[arg-type]
    return told.chances


def test_what_is_not_possible_goes_to_the_rest_in_equal_parts() -> None:
    apart, hidden = [[0, 0, 10, 10], [20, 0, 30, 10]], [[0, 0, 10, 10], [0, 0, 10, 5]]
    assert chances_of(ALL, apart, (100, 100)) == [0.25] * 4
    assert chances_of(ALL, apart, (20, 25)) == [0.25] * 4  # 200 of 500 pixels: 0.4 is allowed
    assert chances_of(ALL, apart, (20, 24)) == pytest.approx([1 / 3] * 3)
    assert chances_of(ALL, hidden, (100, 100)) == pytest.approx([1 / 3] * 3)
    assert chances_of(ALL, hidden, (10, 10)) == [0.5, 0.5]
    three = {Head.DETECTION: 0.34, Head.BOTTOM_UP: 0.33, Head.PERSON_CENTRIC: 0.33}
    assert chances_of(three, hidden, (10, 10)) == pytest.approx([0.505, 0.495])
    # Only of the subject, which is the first, is it asked whether others cover it.
    assert len(chances_of(ALL, [[0, 0, 10, 10], [0, 0, 5, 8]], (100, 100))) == 4
    assert len(chances_of(ALL, [[0, 0, 5, 8], [0, 0, 10, 10]], (100, 100))) == 3


def test_only_heads_that_are_taught_are_drawn() -> None:
    assert augmentation.probabilities(BenetRecipe(raw=0, mask_some=1, extract=0, mask_all=0)) == {Head.BOTTOM_UP: 1}
    assert list(augmentation.probabilities(BenetRecipe())) == list(Head)


@st.composite
def people(draw: st.DrawFn) -> np.ndarray:
    boxes = draw(
        st.lists(st.tuples(*[st.integers(0, SIDE - 1)] * 2, *[st.integers(1, 30)] * 2), min_size=1, max_size=6)
    )
    return np.array([[x, y, min(x + w, SIDE), min(y + h, SIDE)] for x, y, w, h in boxes], np.float32)


@settings(deadline=None)
@given(people(), st.integers(0, 99), st.booleans())
def test_somebody_is_kept_and_can_be_seen(boxes: np.ndarray, seed: int, each_axis: bool) -> None:
    masked = augmentation.masked(boxes, np.random.default_rng(seed), each_axis)
    assert not masked.all()
    pixels = augmentation.hidden(np.full((SIDE, SIDE, 3), 255, np.uint8), boxes[masked])
    for left, top, right, bottom in boxes[~masked].astype(int).tolist():
        assert (pixels[top:bottom, left:right] > 0).mean() >= augmentation.LEAST_VISIBLE - 1e-6
    for left, top, right, bottom in boxes[masked].astype(int).tolist():
        assert not pixels[top:bottom, left:right].any()


def test_how_often_persons_are_masked() -> None:
    """Golden: kept persons in 20000 draws of the authors' RandomMaskSubject; each within 0.01 of theirs."""
    boxes = np.array([[10, 10, 40, 60], [60, 70, 95, 99], [35, 5, 70, 30]], np.float32)
    theirs = {(0, 2): 0.332, (0, 1, 2): 0.506, (1, 2): 0.042, (0, 1): 0.040, (1,): 0.081}
    random, number = np.random.default_rng(0), 10_000
    counts = dict.fromkeys(theirs, 0)
    for _ in range(number):
        counts[tuple(np.flatnonzero(~augmentation.masked(boxes, random, True)).tolist())] += 1
    assert {kept: count / number for kept, count in counts.items()} == pytest.approx(theirs, abs=0.017)


def test_people_side_by_side_are_masked_only_where_both_axes_count() -> None:
    boxes = np.array([[0, 0, 20, 50], [30, 0, 50, 50]], np.float32)
    for each_axis, expected in ((True, 0), (False, 100)):
        draws = [augmentation.masked(boxes, np.random.default_rng(seed), each_axis).any() for seed in range(200)]
        assert sum(draws) == pytest.approx(expected, abs=30 if expected else 0)


def test_projections_are_those_of_the_authors_code() -> None:
    """Golden: their matrix for 480 x 640 pixels, scale 1.1, 3.2 degrees, moved by (0.4, 0.9) of their most.

    Its last row, the perspective, was drawn at random.
    """
    change = Change(1.1, 3.2, (0.4 * 0.0075, 0.9 * 0.0075), (-3e-5, 1e-5))
    matrix = augmentation.projection((480, 640), 512, False, change)
    expected = [[0.96818, 0.05413, -68.53691], [-0.05413, 0.96818, 37.59232], [-3e-5, 1e-5, 1]]
    np.testing.assert_allclose(matrix, expected, atol=1e-5)


def test_an_unchanged_square_stays_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    matrix = augmentation.projection((SIDE, SIDE), SIDE, False, Change())
    np.testing.assert_array_equal(augmentation.warp(pixels, matrix, SIDE), pixels)
    flipped = augmentation.projection((SIDE, SIDE), SIDE, False, Change(flip=True))
    np.testing.assert_array_equal(augmentation.warp(pixels, flipped, SIDE), pixels[:, ::-1])
    boxes = np.array([[10, 20, 30, 50]], np.float32)
    np.testing.assert_allclose(augmentation.moved(boxes, flipped), [[30, 20, 50, 50]])


def test_of_an_image_the_middle_is_seen_and_of_a_crop_all() -> None:
    pixels = np.full((30, 60, 3), 255, np.uint8)
    middle, whole = (augmentation.projection((30, 60), SIDE, crop, Change()) for crop in (False, True))
    assert augmentation.warp(pixels, middle, SIDE).min() > 150  # the edge is mixed with black
    np.testing.assert_allclose(augmentation.moved(np.array([[15, 0, 45, 30]], np.float32), middle), [[0, 0, 60, 60]])
    seen = augmentation.warp(pixels, whole, SIDE)
    assert seen[15:45, 1:-1].min() > 100
    assert not seen[:14].any()
    assert not seen[46:].any()


def test_boxes_move_with_the_pixels() -> None:
    """Centres always; sides on average, as two corners make a turned box too narrow as often as too wide."""
    random, recipe = np.random.default_rng(0), BenetRecipe(rotation=5)
    centres, sides = [], []
    for _ in range(150):
        left, top, width, height = random.integers((60, 60, 20, 20), (90, 90, 60, 60)).tolist()
        pixels = np.zeros((200, 240, 3), np.uint8)
        pixels[top : top + height, left : left + width] = 255
        matrix = augmentation.projection((200, 240), 200, False, augmentation.draw_change(recipe, random))
        rows, columns = np.nonzero(augmentation.warp(pixels, matrix, 200)[..., 0] > 127)
        (box,) = augmentation.moved(np.array([[left, top, left + width, top + height]], np.float32), matrix)
        inside = box.min() > 1 and box.max() < 199
        if inside:
            centres.append((box[:2] + box[2:]) / 2 - (columns.mean() + 0.5, rows.mean() + 0.5))
            sides.append(np.prod(box[2:] - box[:2]) / len(rows))
    assert len(centres) > 60
    assert np.abs(centres).max() < 1
    assert np.abs(np.mean(centres, axis=0)).max() < 0.2
    assert np.mean(sides) == pytest.approx(1, abs=0.03)


def test_changes_stay_in_their_ranges() -> None:
    random, recipe = np.random.default_rng(0), BenetRecipe()
    changes = [augmentation.draw_change(recipe, random) for _ in range(500)]
    assert 0.75 <= min(change.scale for change in changes) < 0.77
    assert 1.48 < max(change.scale for change in changes) <= 1.5
    assert 4.9 < max(abs(change.rotation) for change in changes) <= 5
    assert min(min(change.translation) for change in changes) >= 0
    assert 4.8e-5 < max(max(map(abs, change.perspective)) for change in changes) <= 5e-5
    assert np.mean([change.flip for change in changes]) == pytest.approx(0.5, abs=0.07)
    looks = np.array([augmentation.draw_appearance(recipe, random) for _ in range(500)])
    assert (looks >= [0, 0.85, 0.85, 0.85, 0, 0.1]).all()
    assert (looks <= [5e-4**0.5, 1, 1, 1, 0.1, 2]).all()
    assert np.ptp(looks, axis=0) == pytest.approx([5e-4**0.5, 0.15, 0.15, 0.15, 0.1, 1.9], rel=0.07)


def test_appearance() -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 40, 40), np.uint8))

    def seen(*values: float) -> torch.Tensor:
        return augmentation.recoloured(image, Appearance(*values), np.random.default_rng(1))

    assert torch.equal(seen(0, 1, 1, 1, 0, 0.1), image)
    assert (seen(0, 0.85, 1, 1, 0, 0.1).float().mean() / image.float().mean()).item() == pytest.approx(0.85, abs=0.01)
    noise = seen(0.02, 1, 1, 1, 0, 0.1).float() - image.float()
    middle = (image > 30) & (image < 225)
    assert noise[middle].std().item() == pytest.approx(0.02 * 255, rel=0.05)
    assert seen(0, 1, 1, 1, 0, 2).float().std() < 0.6 * image.float().std()
    assert (seen(0, 1, 1, 1, 0.1, 0.1) != image).any()


def test_a_crop_is_never_empty() -> None:
    pixels = np.zeros((10, 20, 3), np.uint8)
    for box in ([19.6, 9.7, 20, 10], [3.2, 3.2, 3.4, 3.4]):
        assert augmentation.crop(pixels, np.array(box, np.float32)).shape == (1, 1, 3)
    assert augmentation.crop(pixels, np.array([2, 3, 7, 9], np.float32)).shape == (6, 5, 3)
