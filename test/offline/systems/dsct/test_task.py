from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from caer_ros.offline.systems.dsct.config import BackboneConfig, DsctConfig, DsctRecipe, DsctTraining
from caer_ros.offline.systems.dsct.examples import DsctBatch
from caer_ros.offline.systems.dsct.losses import Truth, Weights, set_losses
from caer_ros.offline.systems.dsct.task import DsctTask, build
from caer_ros.offline.training import configuration
from caer_ros.offline.training.checkpoint import CheckpointError
from caer_ros.offline.training.config import ConfigError, TrainConfig

RECIPE = DsctRecipe(class_weight=9)
TINY = DsctConfig("resnet18", 4, 6, 3, 2, width=32, layers=2, heads=2, points=2, feedforward=32)


class Output(NamedTuple):
    logits: Tensor
    boxes: Tensor


class Said(nn.Module):
    """Answers what it was told, whatever it sees."""

    def __init__(self, logits: Tensor, boxes: Tensor) -> None:
        super().__init__()
        self.logits, self.boxes = logits, boxes

    def forward(self, images: Tensor, valid: Tensor) -> Output:
        self.seen = images
        return Output(self.logits, self.boxes)


@pytest.fixture
def batch() -> DsctBatch:
    """A whole image with two persons and one with padding and a person; two labels."""
    valid = torch.ones(2, 64, 64, dtype=torch.bool)
    valid[1, :, 48:] = False
    images = torch.randint(256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    truth = Truth(
        torch.tensor([[[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.4]], [[0.5, 0.5, 0.4, 0.4], [0.0, 0.0, 0.0, 0.0]]]),
        torch.tensor([[True, True], [True, False]]),
        torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [torch.nan, torch.nan]]]),
        torch.tensor([[1.0, 1.0], [1.0, 0.0]]),
        torch.zeros(2, 0, 4),
        torch.ones(2, dtype=torch.bool),
    )
    return DsctBatch(images * valid[:, None], valid, truth)


@pytest.fixture
def said() -> Said:
    """Three layers of three queries; in the last, the queries 2, 0 and 1 stand near the persons, in that order."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 2, 3, 3, generator=generator)
    boxes = torch.rand(3, 2, 3, 4, generator=generator) * 0.3 + 0.1
    boxes[-1, 0, 2] = torch.tensor([0.3, 0.3, 0.2, 0.25])
    boxes[-1, 0, 0] = torch.tensor([0.7, 0.7, 0.25, 0.4])
    boxes[-1, 1, 1] = torch.tensor([0.5, 0.5, 0.4, 0.5])
    return Said(logits, boxes)


def test_the_losses_have_their_weights_and_their_number(said: Said, batch: DsctBatch) -> None:
    step = DsctTask(said, True, RECIPE)(batch)
    parts = set_losses(said.logits, said.boxes, batch.truth, True, Weights(2, 5, 2))
    assert list(step.losses) == ["emotion", "l1", "giou"]
    for loss, part, weight in zip(step.losses.values(), parts, (9, 5, 2), strict=True):
        torch.testing.assert_close(loss.value, weight * part)
        assert loss.number == 3


def test_the_costs_of_matching_are_the_recipes(said: Said, batch: DsctBatch) -> None:
    plain = DsctTask(said, True, RECIPE)(batch).losses
    by_label = DsctTask(said, True, replace(RECIPE, match_l1=0.0, match_giou=0.0, match_class=1.0))(batch).losses
    assert by_label["l1"].value > plain["l1"].value


def test_emotions_are_read_from_the_query_of_the_best_overlap(said: Said, batch: DsctBatch) -> None:
    step = DsctTask(said, True, RECIPE)(batch)
    expected = torch.stack([said.logits[-1, 0, 2], said.logits[-1, 0, 0], said.logits[-1, 1, 1]])[:, :2]
    torch.testing.assert_close(step.logits, expected)
    assert step.targets.tolist() == [[1, 0], [0, 1], [1, 1]]


def test_padding_is_the_mean_colour(said: Said, batch: DsctBatch) -> None:
    task = DsctTask(said, True, RECIPE)
    task(batch)
    torch.testing.assert_close(said.seen[:, :, :, :48], task.normalised(batch.images)[:, :, :, :48])
    assert not said.seen[1, :, :, 48:].any()


@pytest.fixture
def tiny(config: TrainConfig) -> DsctTraining:
    return DsctTraining(
        output=config.output,
        data=config.data,
        trainer=config.trainer,
        model=BackboneConfig(None),
        dsct=TINY,
        dsct_recipe=RECIPE,
    )


@pytest.fixture
def task(tiny: DsctTraining) -> DsctTask:
    torch.manual_seed(0)
    return build(tiny, 2, True)


def test_backbone_and_sampling_learn_slower(task: DsctTask) -> None:
    groups = task.parameter_groups()
    assert [group["scale"] for group in groups] == [1, 0.1, 0.1]
    names = {id(parameter): name for name, parameter in task.network.named_parameters()}
    rest, backbone, sampling = ({names[id(parameter)] for parameter in group["params"]} for group in groups)
    assert {name.split(".")[0] for name in backbone} == {"backbone"}
    assert {name.rsplit(".", 1)[0].split(".")[-1] for name in sampling} == {"reference_points", "sampling_offsets"}
    assert {"class_head.weight", "subjects", "contexts", "level_embeddings"} <= rest
    learnt = {name for name, parameter in task.network.named_parameters() if parameter.requires_grad}
    assert rest | backbone | sampling == learnt
    assert len(rest) + len(backbone) + len(sampling) == len(learnt)


@pytest.mark.parametrize("multi_label", [True, False])
def test_all_that_is_learnt_gets_a_gradient(tiny: DsctTraining, batch: DsctBatch, multi_label: bool) -> None:
    torch.manual_seed(0)
    task = build(tiny, 2, multi_label)
    sum(loss.value for loss in task(batch).losses.values()).backward()
    without = [name for name, item in task.network.named_parameters() if item.requires_grad and item.grad is None]
    assert not without
    assert all(item.grad.isfinite().all() for item in task.network.parameters() if item.requires_grad)


def test_a_network_that_cannot_be_is_said(tiny: DsctTraining) -> None:
    with pytest.raises(ConfigError, match=r"dsct\.spatial 9"):
        build(replace(tiny, dsct=replace(TINY, spatial=9)), 2, True)


def test_weights_that_are_not_there_are_said(tiny: DsctTraining) -> None:
    absent = replace(tiny, dsct_recipe=replace(RECIPE, weights="absent.pth"))
    with pytest.raises(CheckpointError, match=r"dsct_recipe\.weights: .*absent\.pth"):
        build(absent, 2, True)
    build(absent, 2, True, initialise=False)


@pytest.mark.parametrize(
    ("name", "rate", "subjects", "fused", "weight"),
    [("dsct_emotic", 2e-4, 4, (100, 50), 5), ("dsct_caer_s", 2e-5, 9, (0, 0), 9)],
)
def test_settings_belong_to_the_data_set(
    name: str, rate: float, subjects: int, fused: tuple[int, int], weight: float
) -> None:
    config = configuration.read(name)
    assert isinstance(config, DsctTraining)
    assert (config.dsct.subjects, config.dsct.spatial, config.dsct.semantic) == (subjects, *fused)
    assert config.dsct_recipe.class_weight == weight
    optimiser = config.optimiser
    assert (optimiser.learning_rate, optimiser.weight_decay, optimiser.clip) == (rate, 1e-4, 0.1)
    assert (optimiser.schedule, optimiser.drop_epoch, config.trainer.epochs) == ("step", 40, 50)
