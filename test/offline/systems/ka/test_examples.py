from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.offline import data as datasets
from caer_ros.offline.systems.ka.examples import KaExamples, collate
from caer_ros.offline.training.config import ConfigError
from caer_ros.offline.training.loader import TrainOrder, ValidationOrder, loader
from caer_ros.perception.imaging.resizing import Resize, place, plan
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.ka.config import KaConfig
    from caer_ros.recordings.annotations.sample import Dataset


@pytest.fixture
def dataset(config: KaConfig) -> Dataset:
    return datasets.load("own", config.data.root, "train")


def keys(order: TrainOrder, epoch: int = 0, first: int = 0) -> list[list[tuple[int, int]]]:
    order.epoch, order.first = epoch, first
    return list(order)


@given(length=st.integers(8, 50), processes=st.sampled_from([1, 2, 4]), epoch=st.integers(0, 5), data=st.data())
def test_processes_share_each_batch_and_a_restart_skips_what_was_seen(
    length: int, processes: int, epoch: int, data: st.DataObject
) -> None:
    whole = keys(TrainOrder(length, 8, seed=3), epoch)
    first = data.draw(st.integers(0, len(whole)))
    parts = [keys(TrainOrder(length, 8, 3, rank, processes), epoch, first) for rank in range(processes)]
    assert [[*chain(*batch)] for batch in zip(*parts, strict=True)] == whole[first:]
    seen = [index for batch in whole for _, index in batch]
    assert len(set(seen)) == len(seen) == length // 8 * 8
    assert all(at == epoch for batch in whole for at, _ in batch)


def test_each_epoch_and_seed_has_its_own_order() -> None:
    orders = [
        [index for _, index in keys(TrainOrder(20, 20, seed), epoch)[0]] for seed in range(3) for epoch in range(3)
    ]
    assert len({tuple(order) for order in orders}) == 9


@given(length=st.integers(1, 40), batch=st.integers(1, 7), processes=st.integers(1, 3))
def test_validation_visits_each_image_once(length: int, batch: int, processes: int) -> None:
    orders = [ValidationOrder(length, batch, rank, processes) for rank in range(processes)]
    assert sorted(index for order in orders for part in order for _, index in part) == list(range(length))
    assert all(len(list(order)) == len(order) for order in orders)


def test_batches_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"data.batch: 20, but there are only 7 examples"):
        TrainOrder(7, 20, seed=0)
    with pytest.raises(ConfigError, match=r"data.batch: 20 cannot be shared by 3 processes"):
        TrainOrder(50, 20, seed=0, rank=0, processes=3)


def test_an_image_depends_on_seed_epoch_and_index_alone(config: KaConfig, dataset: Dataset) -> None:
    def drawn(workers: int, seed: int, epoch: int, cache: bool = False, disturbance: int = 0) -> list[torch.Tensor]:
        torch.manual_seed(disturbance)
        examples = KaExamples(dataset, replace(config.data, cache=cache), seed)
        order = TrainOrder(len(examples), 4, seed)
        order.epoch = epoch
        return [tensor for batch in loader(examples, collate, order, workers) for tensor in batch]

    reference = drawn(0, seed=1, epoch=2)
    for same in (drawn(2, 1, 2), drawn(0, 1, 2, cache=True, disturbance=5)):
        assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(reference, same, strict=True))
    for other in (drawn(0, 1, 3), drawn(0, 2, 2)):
        assert not torch.equal(reference[0], other[0])


def test_loading_leaves_the_trainings_own_randomness_alone(config: KaConfig, dataset: Dataset) -> None:
    examples = KaExamples(dataset, config.data, seed=0)
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    _ = examples[0, 1]
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("mode", ["stretch", "letterbox"])
def test_the_network_sees_what_the_robots_would(config: KaConfig, dataset: Dataset, mode: str) -> None:
    examples = KaExamples(dataset, replace(config.data, resize=mode, size=(64, 128)), seed=None)
    sample, example = dataset.samples[3], examples[0, 3]
    fit = plan(Resize(mode, (64, 128)), *sample.size)
    pixels = image_files.read(sample.path)
    np.testing.assert_array_equal(example.image.permute(1, 2, 0).numpy(), place(pixels, fit))
    np.testing.assert_allclose(fit.to_source(example.boxes), sample.boxes, atol=1e-4)
    np.testing.assert_array_equal(example.emotions, sample.emotions)
    # A person is its colour, so its box still surrounds that colour.
    for box, colour in zip(example.boxes, example.emotions.argmax(1), strict=True):
        left, top, right, bottom = box.round().astype(int)
        inside = example.image[:, top + 2 : bottom - 2, left + 2 : right - 2].float().mean((1, 2))
        assert inside[colour] > 200 or len(example.boxes) > 1
    centres, sizes = example.targets.centres, example.targets.sizes
    assert np.abs((example.boxes[:, :2] + example.boxes[:, 2:]) / 8 - 0.5 - centres).max() <= 0.5 + 1e-6
    np.testing.assert_allclose(sizes * 4, example.boxes[:, 2:] - example.boxes[:, :2], rtol=1e-5)


def test_where_nobody_looked_nothing_is_background(config: KaConfig, dataset: Dataset) -> None:
    partial = replace(dataset, samples=tuple(replace(sample, exhaustive=False) for sample in dataset.samples))

    def ignored(dataset: Dataset, negative: bool) -> np.ndarray:
        examples = KaExamples(dataset, replace(config.data, unlabelled_are_negative=negative), seed=None)
        return examples[0, 1].targets.ignore

    assert not ignored(dataset, negative=False).any()
    assert not ignored(partial, negative=True).any()
    mask, (box,) = ignored(partial, negative=False), KaExamples(dataset, config.data, seed=None)[0, 1].boxes / 4
    rows, columns = np.nonzero(~mask)
    assert (columns.min(), rows.min()) == tuple(np.floor(box[:2]))
    assert (columns.max() + 1, rows.max() + 1) == tuple(np.ceil(box[2:]))


def test_regions_to_ignore_are_no_negatives(config: KaConfig, dataset: Dataset) -> None:
    crowd = np.array([[0, 0, 48, 36]], np.float32)
    samples = tuple(replace(sample, ignore=crowd) for sample in dataset.samples)
    targets = KaExamples(replace(dataset, samples=samples), config.data, seed=None)[0, 0].targets
    assert targets.ignore[:8, :8].all()
    assert not targets.ignore[8:].any()


def test_crops_are_one_person_each(config: KaConfig, dataset: Dataset) -> None:
    unknown = replace(dataset.samples[1], emotions=np.full((1, 3), np.nan, np.float32))
    samples = (unknown, *dataset.samples[2:4])
    examples = KaExamples(replace(dataset, samples=samples), config.data, seed=0, crops=True)
    assert len(examples) == 2 + 3
    batch = collate([examples[0, index] for index in range(5)])
    assert batch.emotions.shape == (5, 1, 3)
    assert torch.equal(
        batch.emotions[:, 0].argmax(1), torch.from_numpy(np.concatenate([s.emotions for s in samples[1:]])).argmax(1)
    )
    still = KaExamples(replace(dataset, samples=samples), config.data, seed=None, crops=True)
    # Persons painted later may hide a part of it.
    colours = torch.stack([still[0, index].image.float().mean((1, 2)) for index in range(5)])
    assert (colours.argmax(1) == batch.emotions[:, 0].argmax(1)).sum() >= 4


def test_padding_is_told_apart(config: KaConfig, dataset: Dataset) -> None:
    examples = KaExamples(dataset, config.data, seed=None)
    batch = collate([examples[0, index] for index in (0, 3, 1)])
    assert batch.present.sum(1).tolist() == [0, 3, 1]
    assert batch.emotions[~batch.present].isnan().all()
    assert not batch.emotions[batch.present].isnan().any()
    assert (batch.weights == batch.present).all()
    assert (batch.heatmap == 1).sum((1, 2, 3)).tolist() == [0, 3, 1]
    assert collate([examples[0, 0]]).boxes.shape == (1, 0, 4)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_named(own_colours: KaConfig, workers: int) -> None:
    from caer_ros.offline.training.run import _whole

    dataset = datasets.load("own", own_colours.data.root, "train")
    examples = KaExamples(dataset, own_colours.data, seed=0)
    broken: Path = dataset.samples[4].path
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DatasetError) as raised:
        list(_whole(loader(examples, collate, TrainOrder(len(examples), 4, 0), workers)))
    assert str(raised.value).startswith(f"{broken}: ")
    assert "\n" not in str(raised.value)
    with pytest.raises(DatasetError, match=str(broken)):
        KaExamples(dataset, replace(own_colours.data, cache=True), seed=0)


def test_an_image_that_was_replaced_is_named(own_colours: KaConfig) -> None:
    dataset = datasets.load("own", own_colours.data.root, "train")
    sample = replace(dataset.samples[1], size=(10, 10))
    with pytest.raises(DatasetError, match="96 x 72 pixels, but 10 x 10 when the set was loaded"):
        _ = KaExamples(replace(dataset, samples=(sample,)), own_colours.data, seed=0)[0, 0]


def test_nothing_to_learn_from(config: KaConfig, dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="the train split of own has no image"):
        KaExamples(replace(dataset, samples=()), config.data, seed=0)
    with pytest.raises(DatasetError, match="has no person with a label"):
        KaExamples(replace(dataset, samples=dataset.samples[:1]), config.data, seed=0, crops=True)
