from __future__ import annotations

import numpy as np
import pytest
import torch

from caer_ros.offline.training.augmentation import Augmentation
from caer_ros.offline.training.config import AugmentationConfig

NOTHING = np.empty((0, 4), np.float32)
OFF = AugmentationConfig(perspective_probability=0, flip_probability=0)


def one_person(random: np.random.Generator, size: int = 192) -> tuple[torch.Tensor, np.ndarray]:
    """A white rectangle on black, and its box."""
    (x, y), (width, height) = random.integers(0, 100, 2), random.integers(30, 90, 2)
    image = torch.zeros(3, size, size, dtype=torch.uint8)
    image[:, y : y + height, x : x + width] = 255
    return image, np.array([[x, y, x + width, y + height]], np.float32)


def seen(image: torch.Tensor) -> np.ndarray:
    """The box of what is white."""
    rows, columns = torch.where(image[0] > 127)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)


@pytest.mark.parametrize(
    "config",
    [
        AugmentationConfig(perspective_probability=1, flip_probability=0),
        AugmentationConfig(perspective_probability=0, flip_probability=1),
        AugmentationConfig(perspective_probability=0.5, flip_probability=0.5, scale=(0.7, 1.2)),
    ],
    ids=["perspective", "flip", "with scale"],
)
def test_boxes_move_with_the_pixels(config: AugmentationConfig) -> None:
    random = np.random.default_rng(0)
    augment = Augmentation(config)
    errors, moved = [], 0
    for seed in range(40):
        image, boxes = one_person(random)
        torch.manual_seed(seed)
        view = augment(image, boxes, NOTHING)
        errors.append(seen(view.image) - view.boxes[0])
        moved += not np.allclose(view.boxes, boxes)
    # A sheared corner's last pixel is less than half covered, so what is seen may end a pixel earlier.
    assert np.abs(errors).max() < 1.5
    assert np.abs(np.mean(errors, axis=0)).max() < 0.3
    assert moved > 20


def test_boxes_stay_within_the_image() -> None:
    augment = Augmentation(AugmentationConfig(perspective_probability=1, scale=(1.5, 2)))
    random = np.random.default_rng(1)
    for seed in range(20):
        image, boxes = one_person(random)
        torch.manual_seed(seed)
        view = augment(image, boxes, boxes)
        assert np.concatenate([view.boxes, view.ignore]).min() >= 0
        assert np.concatenate([view.boxes, view.ignore]).max() <= 192


def test_of_a_person_who_went_out_the_rest_is_ignored() -> None:
    """Twice as large, the middle half of the image stays: 48 to 144 of 192."""
    boxes = np.array([[60, 60, 90, 90], [0, 60, 60, 90], [0, 0, 40, 40]], np.float32)
    crowd = np.array([[40, 40, 60, 60]], np.float32)
    image = torch.zeros(3, 192, 192, dtype=torch.uint8)
    augment = Augmentation(AugmentationConfig(perspective_probability=0, flip_probability=0, scale=(2, 2)))
    view = augment(image, boxes, crowd)
    assert view.visible.tolist() == [True, False, False]  # all, a fifth, nothing
    np.testing.assert_allclose(view.boxes[0], [24, 24, 84, 84])
    np.testing.assert_allclose(view.ignore, [[0, 24, 24, 84], [0, 0, 24, 24]])


def test_nothing_changes_when_all_is_off() -> None:
    image, boxes = one_person(np.random.default_rng(2))
    view = Augmentation(OFF)(image, boxes, boxes)
    assert torch.equal(view.image, image)
    np.testing.assert_array_equal(view.boxes, boxes)
    np.testing.assert_array_equal(view.ignore, boxes)
    assert view.visible.all()


def test_an_image_without_persons() -> None:
    view = Augmentation(AugmentationConfig(perspective_probability=1))(
        torch.zeros(3, 64, 64, dtype=torch.uint8), NOTHING, NOTHING
    )
    assert view.boxes.shape == view.ignore.shape == (0, 4)


def test_jitter_changes_colours_and_not_boxes() -> None:
    image, boxes = one_person(np.random.default_rng(3))
    image = image // 2 + 20
    view = Augmentation(AugmentationConfig(perspective_probability=0, flip_probability=0, jitter=0.5))(
        image, boxes, NOTHING
    )
    assert not torch.equal(view.image, image)
    np.testing.assert_array_equal(view.boxes, boxes)
