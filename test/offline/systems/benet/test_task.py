from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from caer_ros.offline import data
from caer_ros.offline.systems.benet import losses
from caer_ros.offline.systems.benet import task as task_module
from caer_ros.offline.systems.benet.augmentation import Head
from caer_ros.offline.systems.benet.config import BenetConfig, BenetRecipe, BenetTraining
from caer_ros.offline.systems.benet.examples import BenetExamples, collate
from caer_ros.offline.systems.benet.task import BenetTask
from caer_ros.offline.systems.components import centre
from caer_ros.offline.training.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from caer_ros.offline.systems.benet.examples import BenetBatch
    from caer_ros.offline.training.config import TrainConfig

NAMES = {
    Head.DETECTION: {"heatmap.0", "heatmap.1", "size.0", "size.1"},
    Head.BOTTOM_UP: {"bottom_up.0", "bottom_up.1"},
    Head.PERSON_CENTRIC: {"person_centric"},
    Head.BACKGROUND: {"background"},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Of torch: several are slower for tensors this small, and by far where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def benet(config: TrainConfig) -> BenetTraining:
    return BenetTraining(
        output=config.output, data=config.data, trainer=config.trainer, benet=BenetConfig(width=8, modules=1, blocks=1)
    )


@pytest.fixture
def batch(benet: BenetTraining, colours: Path) -> BenetBatch:
    """Two images for each head, seen straight."""
    examples = BenetExamples(data.load("own", colours, "train"), benet, None)
    every = [examples[0, index] for index in range(len(examples))]
    return collate([[example for example in every if example.head == head][index] for head in Head for index in (0, 1)])


def build(config: BenetTraining) -> BenetTask:
    torch.manual_seed(0)
    task = task_module.build(config, 3, True)
    assert isinstance(task, BenetTask)
    return task


def part(batch: BenetBatch, rows: list[int]) -> BenetBatch:
    """Some images of the batch; those that teach detection are its first two."""
    detecting = [row for row in rows if row < 2]

    def chosen(scale: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (scale[0][rows], scale[1][rows], scale[2][detecting], scale[3][detecting])

    first = (value[rows] for value in batch[:-2])
    return type(batch)(*first, *(type(scale)(*chosen(scale)) for scale in batch[-2:]))


def test_each_image_teaches_its_head_alone(benet: BenetTraining, batch: BenetBatch) -> None:
    task = build(benet).eval()
    step = task(batch)
    assert set(step.losses) == set.union(*NAMES.values())
    network, weights = task.network, batch.weights
    features = network.features(task.normalised(batch.images))
    stream = [[value[2 * head : 2 * head + 2] for value in features] for head in range(4)]
    heatmaps, sizes = network.detection(stream[0])
    maps = network.emotion_maps(stream[1])
    expected = {
        "person_centric": losses.emotion_loss(
            network.person_centric(stream[2])[:, None], batch.emotions[4:6, :1], weights[4:6, :1]
        ).value,
        "background": losses.emotion_loss(
            network.background(stream[3])[:, None], batch.emotions[6:, :1], weights[6:, :1]
        ).value,
    }
    for index, scale in enumerate((batch.coarse, batch.fine)):
        heat = losses.heatmap_loss(heatmaps[index], scale.heatmap)
        read = centre.read(sizes[index], scale.centres[:2])
        expected[f"heatmap.{index}"] = heat.value
        expected[f"size.{index}"] = 0.1 * losses.size_loss(read, scale.sizes[:2], batch.present[:2]).value
        logits = centre.read(maps[index], scale.centres[2:4])
        expected[f"bottom_up.{index}"] = losses.emotion_loss(logits, batch.emotions[2:4], weights[2:4]).value
    for name, loss in step.losses.items():
        torch.testing.assert_close(loss.value, expected[name], rtol=1e-4, atol=1e-5)
        assert loss.number == 2
    assert len(step.logits) == len(step.targets) == batch.present[2:4].sum()
    finest = centre.read(maps[1], batch.fine.centres[2:4])[batch.present[2:4]].sigmoid()
    coarsest = centre.read(maps[0], batch.coarse.centres[2:4])[batch.present[2:4]].sigmoid()
    torch.testing.assert_close(step.logits.sigmoid(), (finest + coarsest) / 2)


def test_padding_takes_no_part(benet: BenetTraining, batch: BenetBatch) -> None:
    task = build(benet).eval()
    grown = part(batch, list(range(8)))._replace(
        present=torch.nn.functional.pad(batch.present, (0, 2)),
        emotions=torch.nn.functional.pad(batch.emotions, (0, 0, 0, 2), value=torch.nan),
        extra_emotions=torch.nn.functional.pad(batch.extra_emotions, (0, 0, 0, 2), value=torch.nan),
        weights=torch.nn.functional.pad(batch.weights, (0, 2)),
        **{
            name: scale._replace(
                centres=torch.nn.functional.pad(scale.centres, (0, 0, 0, 2)),
                sizes=torch.nn.functional.pad(scale.sizes, (0, 0, 0, 2)),
            )
            for name, scale in (("coarse", batch.coarse), ("fine", batch.fine))
        },
    )
    before = task(batch)
    for name, loss in task(grown).losses.items():
        torch.testing.assert_close(loss, before.losses[name])


@pytest.mark.parametrize("left", list(Head))
def test_a_head_without_images_has_no_loss_but_a_gradient(benet: BenetTraining, batch: BenetBatch, left: Head) -> None:
    task = build(benet)
    step = task(part(batch, [row for row in range(8) if batch.heads[row] != left]))
    for name, loss in step.losses.items():
        assert (loss.number == 0) == (name in NAMES[left])
        assert name not in NAMES[left] or loss.value == 0 or name == next(iter(step.losses))
    torch.stack([loss.value for loss in step.losses.values()]).sum().backward()
    heads = {
        Head.DETECTION: task.network.heatmap_head,
        Head.BOTTOM_UP: task.network.emotion_head,
        Head.PERSON_CENTRIC: task.network.person_head,
        Head.BACKGROUND: task.network.background_head,
    }
    for head, module in heads.items():
        gradients = [parameter.grad for parameter in module.parameters()]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients) == (head != left)


def test_it_learns_a_batch_by_heart(benet: BenetTraining, batch: BenetBatch) -> None:
    task = build(benet)
    optimiser = torch.optim.Adam(task.parameters(), 5e-3)
    totals: list[dict[str, float]] = []
    for _ in range(15):
        parts = task(batch).losses
        totals.append({name: loss.value.item() for name, loss in parts.items()})
        optimiser.zero_grad()
        torch.stack([loss.value for loss in parts.values()]).sum().backward()
        optimiser.step()
    assert all(totals[-1][name] < 0.9 * totals[0][name] for name in totals[0])
    assert totals[-1]["person_centric"] < 0.7 * totals[0]["person_centric"]


def test_the_adaptor_learns_from_the_extra_data_alone(benet: BenetTraining, batch: BenetBatch) -> None:
    config = replace(benet, benet=replace(benet.benet, extra_labels=2))
    task = build(config)
    extra = torch.full((*batch.present.shape, 2), torch.nan)
    emotions = batch.emotions.clone()
    for row in range(1, 8, 2):  # every second image is of the extra data
        extra[row, batch.present[row]] = torch.tensor([1.0, 0.0])
        emotions[row] = torch.nan
    step = task(batch._replace(emotions=emotions, extra_emotions=extra))
    emotional = {name: loss for name, loss in step.losses.items() if "size" not in name and "heatmap" not in name}
    names = {f"{prefix}{name}" for prefix in ("", "extra_") for name in emotional if "extra" not in name}
    assert set(emotional) == names
    assert all(loss.number == 1 and loss.value > 0 for loss in emotional.values())
    assert not step.targets.isnan().any()
    step.losses["extra_background"].value.backward()
    assert task.network.background_adaptor.weight.grad.any()
    assert task.network.background_head.classifier[-1].weight.grad.any()


def test_weights_of_the_losses(benet: BenetTraining, batch: BenetBatch) -> None:
    plain, task = build(benet).eval(), build(benet).eval()
    task.recipe = BenetRecipe(heatmap_weight=2, size_weight=0.3, emotion_weight=5)
    before, after = plain(batch).losses, task(batch).losses
    factors = {name: 2 if "heatmap" in name else 3 if "size" in name else 5 for name in before}
    for name, factor in factors.items():
        torch.testing.assert_close(after[name].value, factor * before[name].value)


def test_heads_and_pre_transforms_belong_together(benet: BenetTraining) -> None:
    with pytest.raises(ConfigError, match=r"benet_recipe.raw: 0.25, but benet.detection is false"):
        build(replace(benet, benet=replace(benet.benet, detection=False)))
    with pytest.raises(ConfigError, match=r"benet_recipe.mask_all: 0, but benet.background is true"):
        build(replace(benet, benet_recipe=BenetRecipe(mask_all=0)))
