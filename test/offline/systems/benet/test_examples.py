from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from caer_ros.offline import data
from caer_ros.offline.systems.benet import examples as benet_data
from caer_ros.offline.systems.benet.augmentation import Head
from caer_ros.offline.systems.benet.config import BenetConfig, BenetRecipe, BenetTraining, ExtraData
from caer_ros.offline.systems.benet.examples import BenetExamples, collate
from caer_ros.offline.training.config import ConfigError
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.benet.examples import BenetExample
    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.recordings.annotations.sample import Dataset

ONLY = {
    Head.DETECTION: BenetRecipe(raw=1, mask_some=0.001, extract=0, mask_all=0),
    Head.BOTTOM_UP: BenetRecipe(raw=0, mask_some=1, extract=0, mask_all=0),
    Head.PERSON_CENTRIC: BenetRecipe(raw=0, mask_some=0.001, extract=1, mask_all=0),
    Head.BACKGROUND: BenetRecipe(raw=0, mask_some=0.001, extract=0, mask_all=1),
}


@pytest.fixture
def benet(config: TrainConfig) -> BenetTraining:
    return BenetTraining(
        output=config.output, data=config.data, trainer=config.trainer, benet=BenetConfig(width=8, modules=1, blocks=1)
    )


@pytest.fixture
def dataset(colours: Path) -> Dataset:
    return data.load("own", colours, "train")


def of_head(dataset: Dataset, config: BenetTraining, head: Head, seed: int | None = None) -> list[BenetExample]:
    recipe = ONLY[head]
    examples = BenetExamples(dataset, replace(config, benet_recipe=recipe), seed)
    return [example for index in range(len(examples)) if (example := examples[0, index]).head == head]


def coloured(image: torch.Tensor) -> torch.Tensor:
    """[S,S] what is a person: a pure colour in scenes of grey noise."""
    return (image.amax(0) > 160) & (image.amin(0) < 90)


def test_an_example_for_each_person_with_a_label(dataset: Dataset, benet: BenetTraining) -> None:
    persons = sum(map(len, dataset.samples))
    assert len(BenetExamples(dataset, benet, 0)) == persons
    emotions = dataset.samples[1].emotions.copy()
    emotions[0] = np.nan
    unlabelled = replace(dataset.samples[1], emotions=emotions)
    rest = replace(dataset, samples=(dataset.samples[0], unlabelled, *dataset.samples[2:]))
    assert len(BenetExamples(rest, benet, 0)) == persons - 1
    with pytest.raises(DatasetError, match="has no person with a label"):
        BenetExamples(replace(dataset, samples=(dataset.samples[0], unlabelled)), benet, 0)


def test_its_key_alone_says_what_an_example_is(dataset: Dataset, benet: BenetTraining) -> None:
    examples = BenetExamples(dataset, benet, 3)
    first = [examples[2, index] for index in range(len(examples))]
    again = [BenetExamples(dataset, benet, 3)[2, index] for index in reversed(range(len(examples)))][::-1]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.image, other.image)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        assert one.head == other.head
    later = [examples[3, index] for index in range(len(examples))]
    assert not any(torch.equal(one.image, other.image) for one, other in zip(first, later, strict=True))
    assert any(one.head != other.head for one, other in zip(first, later, strict=True))
    assert {example.head for example in first} == set(Head)


def test_validation_is_the_same_in_all_epochs_and_unchanged(dataset: Dataset, benet: BenetTraining) -> None:
    examples = BenetExamples(dataset, benet, None)
    assert len({examples[0, index].head for index in range(len(examples))}) == 4
    for index in range(len(examples)):
        assert torch.equal(examples[0, index].image, examples[0, index].image)
    for example in of_head(dataset, benet, Head.DETECTION):
        assert coloured(example.image).any()


def test_bottom_up_labels_are_of_those_who_are_seen_at_the_centres(dataset: Dataset, benet: BenetTraining) -> None:
    exact = replace(ONLY[Head.BOTTOM_UP], apart="inside", min_visible=0.99)
    examples = BenetExamples(dataset, replace(benet, benet_recipe=exact), None)
    persons = seen = 0
    for index in range(len(examples)):
        example = examples[0, index]
        assert len(example.targets[0].centres) == len(example.boxes) == len(example.emotions)
        for row, box in enumerate(example.boxes):
            for stride, targets in zip((4, 2), example.targets, strict=True):
                middle = (box[:2] + box[2:]) / 2 / stride
                np.testing.assert_array_equal(targets.centres[row], np.floor(middle))
                np.testing.assert_allclose(targets.sizes[row], (box[2:] - box[:2])[::-1] / stride, rtol=1e-5)
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            # Others may stand in front: most centres show their person, and none a mask.
            assert example.image[:, y, x].amax() > 0
            seen += example.image[:, y, x].argmax() == example.emotions[row].argmax()
            persons += 1
    assert persons > 15
    assert seen > 0.65 * persons


def test_a_crop_shows_its_person(dataset: Dataset, benet: BenetTraining) -> None:
    examples = of_head(dataset, benet, Head.PERSON_CENTRIC)
    assert len(examples) > 5
    for example in examples:
        assert example.emotions.shape == (1, 3)
        means = example.image.float().mean((1, 2))
        assert means.argmax() == example.emotions[0].argmax()
        assert coloured(example.image).float().mean() > 0.3


def test_the_background_has_all_labels_and_nobody_in_it(dataset: Dataset, benet: BenetTraining) -> None:
    examples = of_head(dataset, benet, Head.BACKGROUND)
    assert len(examples) > 5
    assert not any(coloured(example.image).any() for example in examples)
    assert all((example.image == 0).any() for example in examples)
    several = [sample for sample in dataset.samples if len({*sample.emotions.argmax(1).tolist()}) > 1]
    unions = {tuple(sample.emotions.max(0).tolist()) for sample in several}
    assert {tuple(example.emotions[0].tolist()) for example in examples} & unions


def test_the_union_of_what_is_not_known() -> None:
    nan = np.nan
    union = benet_data._union(np.array([[1, nan, 0, nan, 0.5], [nan, nan, 0, 0, nan]], np.float32))
    np.testing.assert_array_equal(union, [[1, nan, 0, nan, nan]])


def test_what_is_not_known_is_ignored(dataset: Dataset, benet: BenetTraining) -> None:
    dataset = replace(dataset, samples=tuple(replace(sample, exhaustive=False) for sample in dataset.samples[:4]))
    for negative in (True, False):
        config = replace(benet, data=replace(benet.data, unlabelled_are_negative=negative))
        (example, *_) = of_head(dataset, config, Head.DETECTION)
        assert example.targets[1].ignore.any() == (not negative)


def test_persons_who_went_out_are_left_out_or_at_the_edge(dataset: Dataset, benet: BenetTraining) -> None:
    numbers = []
    for visible in (0.0, 0.9):
        recipe = replace(ONLY[Head.DETECTION], min_visible=visible, scale=(0.4, 0.5))
        examples = BenetExamples(dataset, replace(benet, benet_recipe=recipe), 0)
        all_of_them = [examples[0, index] for index in range(len(examples))]
        assert all(0 <= example.boxes.min(initial=0) <= example.boxes.max(initial=0) <= 64 for example in all_of_them)
        assert all((target.sizes >= 0).all() for example in all_of_them for target in example.targets)
        numbers.append(sum(len(example.boxes) for example in all_of_them))
    assert numbers[0] > 1.5 * numbers[1]


def test_extra_data_follows_with_labels_of_its_own(dataset: Dataset, benet: BenetTraining, colours: Path) -> None:
    extra = ExtraData("own", str(colours), ("train", "val"))
    recipe = replace(BenetRecipe(), extra=extra)
    config = replace(benet, benet=replace(benet.benet, extra_labels=3), benet_recipe=recipe)
    examples = benet_data.examples(dataset, config, 0)
    main = sum(map(len, dataset.samples))
    assert len(examples) == 2 * main + sum(map(len, data.load("own", colours, "val").samples))
    assert len(benet_data.examples(dataset, config, None)) == main
    batch = collate([examples[0, index] for index in (0, main, main + 1)])
    assert batch.emotions.shape == batch.extra_emotions.shape
    assert batch.emotions[1:].isnan().all()
    assert batch.extra_emotions[0].isnan().all()
    assert not batch.extra_emotions[1:][batch.present[1:]].isnan().any()
    assert benet_data.examples(dataset, config, None).extra_seen == ""
    assert benet_data.examples(dataset, config, 0).extra_seen.startswith("; own, train+val: ")
    with pytest.raises(ConfigError, match=r"benet.extra_labels: 8, but own has 3 labels"):
        benet_data.examples(dataset, replace(config, benet=replace(config.benet, extra_labels=8)), 0)


def test_batches_are_padded_and_only_detection_has_maps(dataset: Dataset, benet: BenetTraining) -> None:
    examples = BenetExamples(dataset, benet, 0)
    chosen = [examples[0, index] for index in range(len(examples))]
    batch = collate(chosen).to(torch.device("cpu"))
    detecting = [example for example in chosen if example.head == Head.DETECTION]
    for scale, index, side in ((batch.coarse, 0, 16), (batch.fine, 1, 32)):
        assert scale.heatmap.shape == scale.ignore.shape == (len(detecting), 1, side, side)
        for row, example in enumerate(detecting):
            np.testing.assert_array_equal(scale.heatmap[row, 0], example.targets[index].heatmap)
    assert batch.present.sum(1).tolist() == [len(example.boxes) for example in chosen]
    assert batch.emotions[~batch.present].isnan().all()
    assert not batch.weights[~batch.present].any()
    assert batch.extra_emotions.shape == (*batch.present.shape, 0)


def test_fields_that_do_not_fit(dataset: Dataset, benet: BenetTraining) -> None:
    with pytest.raises(ConfigError, match=r"data.size: \[64, 96\], but BENet learns from squares"):
        BenetExamples(dataset, replace(benet, data=replace(benet.data, size=(64, 96))), 0)
    with pytest.raises(ConfigError, match=r"data.cache"):
        BenetExamples(dataset, replace(benet, data=replace(benet.data, cache=True)), 0)
    for fields, message in (
        ({"raw": 2.0}, r"benet_recipe.raw: 2.0, expected 0 to 1"),
        ({"mask_some": 0.0}, "benet_recipe.mask_some: 0"),
        ({"blur": (2.0, 1.0)}, r"benet_recipe.blur: \[2.0, 1.0\]"),
        ({"size_weight": float("nan")}, r"benet_recipe.size_weight: nan, expected 0 or more"),
    ):
        with pytest.raises(ConfigError, match=message):
            replace(benet, benet_recipe=BenetRecipe(**fields))
