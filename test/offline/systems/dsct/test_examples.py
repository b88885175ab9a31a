from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torchvision.ops import box_convert

from caer_ros.offline import data
from caer_ros.offline.systems.dsct.config import DsctRecipe, DsctTraining
from caer_ros.offline.systems.dsct.examples import DsctExample, DsctExamples, collate, resize_rule
from caer_ros.offline.training.config import ConfigError, TrainConfig
from caer_ros.perception.imaging.resizing import plan
from caer_ros.recordings.annotations.sample import Dataset, DatasetError

if TYPE_CHECKING:
    from typing import Any

SMALL = DsctRecipe(
    short_sides=(48, 64, 80), val_short=64, longest=96, crop_short_sides=(60, 70), crop=(40, 56), crop_probability=0.5
)


@pytest.fixture
def small(config: TrainConfig) -> DsctTraining:
    return DsctTraining(output=config.output, data=config.data, trainer=config.trainer, dsct_recipe=SMALL)


@pytest.fixture
def dataset(small: DsctTraining) -> Dataset:
    """14 images of 72 x 96 pixels with 0 to 3 persons; a person is of one colour, purely."""
    return data.load("own", small.data.root, "train")


def changed(config: DsctTraining, **fields: Any) -> DsctTraining:
    return replace(config, dsct_recipe=replace(SMALL, **fields))


def colours_match(example: DsctExample) -> list[bool]:
    """Is the middle of each person's box of its colour, and not another?"""
    result = []
    for box, emotions in zip(example.boxes, example.emotions, strict=True):
        x, y = ((box[:2] + box[2:]) / 2).astype(int)
        result.append(int(example.image[:, y, x].argmax()) == int(emotions.argmax()))
    return result


def test_validation_shows_images_as_the_robot_does(small: DsctTraining, dataset: Dataset) -> None:
    examples = DsctExamples(dataset, small, None)
    rule = resize_rule(SMALL)
    assert (rule.mode, rule.short, rule.longest, rule.multiple) == ("short_side", 64, 96, 1)
    for index, sample in enumerate(dataset.samples):
        example = examples[0, index]
        fit = plan(rule, *sample.size)
        assert example.image.shape == (3, *fit.resized) == (3, 64, 85)
        np.testing.assert_allclose(fit.to_source(example.boxes), sample.boxes, atol=1e-4)
        np.testing.assert_array_equal(example.emotions, sample.emotions)


def test_training_changes_size_part_and_side(small: DsctTraining, dataset: Dataset) -> None:
    """Persons overlap here and there, so most and not all middles show their colour; other places seldom would."""
    examples = DsctExamples(dataset, small, 0)
    seen = [examples[epoch, index] for epoch in range(4) for index in range(len(dataset.samples))]
    shapes = {tuple(example.image.shape[1:]) for example in seen}
    assert {min(shape) for shape in shapes} >= {48, 64}
    assert max(max(shape) for shape in shapes) <= 96
    assert len({round(height / width, 2) for height, width in shapes}) > 5
    right = [match for example in seen for match in colours_match(example)]
    assert len(right) > 60
    assert np.mean(right) > 0.85
    for example in seen:
        height, width = example.image.shape[1:]
        assert (example.boxes[:, 2:] > example.boxes[:, :2]).all()
        assert (example.boxes >= 0).all()
        assert (example.boxes <= [width, height] * 2).all()


def test_the_part_has_the_size_asked_for_and_lies_in_the_image(small: DsctTraining, dataset: Dataset) -> None:
    """The last resizing has nothing to do. No pixel of the images is black, what is beside them is."""
    config = changed(small, crop_probability=1.0, crop=(50, 50), short_sides=(50,))
    examples = DsctExamples(dataset, config, 0)
    for index in range(14):
        image = examples[0, index].image
        assert image.shape == (3, 50, 50)
        assert (image.amax(0) > 50).all()


def test_a_part_is_never_larger_than_its_image(small: DsctTraining, dataset: Dataset) -> None:
    config = changed(small, crop_probability=1.0, crop=(500, 600), short_sides=(60,), crop_short_sides=(60,))
    assert DsctExamples(dataset, config, 0)[0, 0].image.shape == (3, 60, 80)


def test_who_is_cut_off_is_not_learnt(small: DsctTraining, dataset: Dataset) -> None:
    config = changed(small, crop_probability=1.0, crop=(20, 20))
    examples = DsctExamples(dataset, config, 0)
    kept = sum(len(examples[0, index].boxes) for index in range(14))
    assert 0 < kept < sum(map(len, dataset.samples))


def test_randomness_comes_from_seed_epoch_and_index_alone(small: DsctTraining, dataset: Dataset) -> None:
    examples = DsctExamples(dataset, small, 3)
    first = examples[2, 7]
    torch.rand(5)
    examples[0, 1]
    before = torch.get_rng_state()
    again = DsctExamples(dataset, replace(small, data=replace(small.data, cache=True)), 3)[2, 7]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes, again.boxes)
    for other in (examples[1, 7], DsctExamples(dataset, small, 4)[2, 7]):
        assert first.image.shape != other.image.shape or not torch.equal(first.image, other.image)


def test_a_batch_holds_all_and_pads_the_rest(small: DsctTraining, dataset: Dataset) -> None:
    examples = DsctExamples(dataset, small, 0)
    ones = [examples[0, index] for index in range(8)]
    ignore = np.array([[1, 2, 11, 22]], np.float32)
    ones[2] = ones[2]._replace(ignore=ignore, complete=False)
    batch = collate(ones).to(torch.device("cpu"))
    truth = batch.truth
    assert truth.complete.tolist() == [index != 2 for index in range(8)]
    assert truth.ignore.shape == (8, 1, 4)
    for index, one in enumerate(ones):
        height, width = one.image.shape[1:]
        assert torch.equal(batch.images[index, :, :height, :width], one.image)
        assert batch.valid[index].sum() == height * width
        assert batch.valid[index, :height, :width].all()
        assert not batch.images[index].masked_select(~batch.valid[index]).any()
        number, scale = len(one.boxes), torch.tensor([width, height] * 2)
        assert truth.present[index].tolist() == [True] * number + [False] * (truth.present.shape[1] - number)
        back = box_convert(truth.boxes[index, :number], "cxcywh", "xyxy") * scale
        torch.testing.assert_close(back, torch.from_numpy(one.boxes), atol=1e-4, rtol=0)
        np.testing.assert_array_equal(truth.emotions[index, :number], one.emotions)
        assert truth.emotions[index, number:].isnan().all()
        assert not truth.boxes[index, number:].any()
        if index == 2:
            back = box_convert(truth.ignore[index], "cxcywh", "xyxy") * scale
            torch.testing.assert_close(back, torch.from_numpy(ignore), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("exhaustive", "negative", "complete"), [(0, 0, False), (0, 1, True), (1, 0, True)])
def test_the_unlabelled_are_nobody_only_if_said_so(
    small: DsctTraining, dataset: Dataset, exhaustive: int, negative: int, complete: bool
) -> None:
    samples = tuple(replace(sample, exhaustive=bool(exhaustive)) for sample in dataset.samples)
    config = replace(small, data=replace(small.data, unlabelled_are_negative=bool(negative)))
    assert DsctExamples(replace(dataset, samples=samples), config, None)[0, 0].complete == complete


def test_regions_to_ignore_move_along(small: DsctTraining, dataset: Dataset) -> None:
    """A region as large as the one person stays upon it, whatever is done to the image."""
    sample = next(sample for sample in dataset.samples if len(sample) == 1)
    both = replace(dataset, samples=(replace(sample, ignore=sample.boxes),))
    examples = DsctExamples(both, small, 0)
    for epoch in range(8):
        example = examples[epoch, 0]
        np.testing.assert_array_equal(example.ignore, example.boxes)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"short_sides": ()}, "short_sides"),
        ({"val_short": 0}, "val_short"),
        ({"crop": (60, 40)}, "least first"),
        ({"crop": (0, 40)}, "dsct_recipe.crop"),
    ],
)
def test_sizes_that_cannot_be_are_said(
    small: DsctTraining, dataset: Dataset, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        DsctExamples(dataset, changed(small, **fields), None)


def test_an_empty_split_is_said(small: DsctTraining, dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="caer data check own"):
        DsctExamples(replace(dataset, samples=()), small, None)
