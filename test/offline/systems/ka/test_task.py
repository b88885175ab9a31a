from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from caer_ros.offline import data
from caer_ros.offline.systems.components import pooling
from caer_ros.offline.systems.ka import losses, networks
from caer_ros.offline.systems.ka import task as tasks
from caer_ros.offline.systems.ka.examples import Batch, KaExamples, collate
from caer_ros.offline.training import checkpoint
from caer_ros.offline.training.checkpoint_card import CheckpointCard, plain_card
from caer_ros.offline.training.run import _Run

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.ka.config import KaConfig


@pytest.fixture
def batch(config: KaConfig) -> Batch:
    dataset = data.load("own", config.data.root, "train")
    examples = KaExamples(dataset, config.data, seed=None)
    return collate([examples[0, index] for index in (0, 1, 2, 3)])


def build(config: KaConfig, multi_label: bool = False) -> tasks.Task:
    torch.manual_seed(0)
    return tasks.build(config, 3, multi_label)


def grown(batch: Batch) -> Batch:
    """The same batch with two more places for persons, who are not there."""

    def padded(tensor: torch.Tensor, value: float) -> torch.Tensor:
        return torch.cat([tensor, torch.full_like(tensor[:, :1], value).expand(-1, 2, *tensor.shape[2:])], 1)

    return batch._replace(
        boxes=padded(batch.boxes, 0),
        present=padded(batch.present, False),
        emotions=padded(batch.emotions, torch.nan),
        weights=padded(batch.weights, 0),
        centres=padded(batch.centres, 0),
        sizes=padded(batch.sizes, 0),
    )


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_student_learns_what_the_equations_say(config: KaConfig, batch: Batch, multi_label: bool) -> None:
    task = build(config, multi_label).eval()
    step = task(batch)
    output = task.network(task.normalised(batch.images))
    logits = pooling.pool(output.emotion_maps, batch.boxes / 4)[batch.present]
    targets = batch.emotions[batch.present]
    emotion = losses.multi_label_loss if multi_label else losses.single_label_loss
    torch.testing.assert_close(step.logits, logits)
    torch.testing.assert_close(step.losses["emotion"].value, emotion(logits, targets))
    torch.testing.assert_close(step.losses["heatmap"].value, losses.focal_loss(output.heatmap, batch.heatmap))
    column, row = batch.centres[1, 0].tolist()
    one = (output.sizes[1, :, row, column] - batch.sizes[1, 0]).abs().sum()
    alone = task(Batch(*(tensor[1:2] for tensor in batch)))
    torch.testing.assert_close(alone.losses["size"].value, 0.1 * one)
    assert {name: int(loss.number) for name, loss in step.losses.items()} == dict.fromkeys(
        ("emotion", "variance", "heatmap", "size"), 6
    )


def test_padding_takes_no_part(config: KaConfig, batch: Batch) -> None:
    task = build(config).eval()
    for name, loss in task(grown(batch)).losses.items():
        torch.testing.assert_close(loss, task(batch).losses[name])


def test_unknown_and_weightless_labels_take_no_part(config: KaConfig, batch: Batch) -> None:
    task = build(config).eval()
    emotions = batch.emotions.clone()
    emotions[3, 0] = torch.nan
    loss = task(batch._replace(emotions=emotions)).losses["emotion"]
    assert loss.number == 5
    weightless = task(batch._replace(weights=torch.zeros_like(batch.weights))).losses
    assert weightless["emotion"].value == weightless["variance"].value == 0
    assert weightless["size"].value > 0


def test_a_batch_without_persons_can_be_learnt_from(config: KaConfig, batch: Batch) -> None:
    task = build(config)
    empty = Batch(*(tensor[:1].expand(2, *tensor.shape[1:]) for tensor in batch))
    step = task(
        empty._replace(
            boxes=empty.boxes[:, :0],
            present=empty.present[:, :0],
            emotions=empty.emotions[:, :0],
            weights=empty.weights[:, :0],
            centres=empty.centres[:, :0],
            sizes=empty.sizes[:, :0],
        )
    )
    total = sum(loss.value for loss in step.losses.values())
    total.backward()
    assert torch.isfinite(total)
    assert step.losses["heatmap"].value > 0
    assert all(torch.isfinite(parameter.grad).all() for parameter in task.parameters())


@pytest.fixture
def amalgamating(config: KaConfig, tmp_path: Path) -> KaConfig:
    """The same with two teachers: a classifier's and a detector's backbone."""
    paths = []
    for task in ("classifier", "detector"):
        teacher = networks.build(task, config.model, 3)
        paths.append(str(tmp_path / f"{task}.ckpt"))
        card = CheckpointCard(
            task,
            {"model": vars(config.model)},
            ("a", "b", "c"),
            ("a", "b", "c"),
            "abc",
            False,
            checkpoint.BoxKind.BODY,
            checkpoint.Resize("stretch", (64, 64)),
            "0",
            "",
            "",
            "",
            1,
            {},
        )
        entries = {checkpoint.PREFIX + name: value for name, value in teacher.state_dict().items()}
        checkpoint.save({"state_dict": entries, "caer": plain_card(card)}, tmp_path / f"{task}.ckpt")
    return replace(config, recipe=replace(config.recipe, name="ka", teachers=tuple(paths)))


def test_teachers_teach_and_do_not_move(amalgamating: KaConfig, batch: Batch) -> None:
    task = build(amalgamating)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in task.parameters() if p.requires_grad], 0.1)
    step = task.train()(batch)
    sum(loss.value for loss in step.losses.values()).backward()
    optimiser.step()
    assert {"feature", "reconstruction.0", "reconstruction.1"} < step.losses.keys()
    moved = {name.split(".")[0] for name, value in task.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"network", "amalgamation"}
    assert all(parameter.grad is None for parameter in task.teachers.parameters())


def test_the_decoders_are_as_wide_as_asked(amalgamating: KaConfig) -> None:
    task = build(replace(amalgamating, recipe=replace(amalgamating.recipe, decoder_width=6)))
    assert [decoder[0].out_channels for decoder in task.amalgamation.decoders] == [6, 6]


def test_fine_tuning_begins_with_the_teachers_backbone(config: KaConfig, tmp_path) -> None:
    from safetensors.torch import save_file

    teacher = networks.build("detector", config.model, 3)
    save_file({f"backbone.{k}": v for k, v in teacher.backbone.body.state_dict().items()}, tmp_path / "t.safetensors")
    path = str(tmp_path / "t.safetensors")
    task = build(replace(config, recipe=replace(config.recipe, name="ft", teachers=(path,))))
    for name, value in teacher.backbone.state_dict().items():
        assert torch.equal(task.network.backbone.state_dict()[name], value)


def test_a_classifier_and_a_detector(config: KaConfig, batch: Batch) -> None:
    detector = build(replace(config, task="detector"))(batch)
    assert detector.losses.keys() == {"heatmap", "size"}
    assert detector.logits.shape == (0, 3)
    one = Batch(*(tensor[1:] for tensor in batch))
    classifier = build(replace(config, task="classifier"))(
        one._replace(emotions=one.emotions[:, :1], weights=one.weights[:, :1])
    )
    assert classifier.losses.keys() == {"emotion"}
    torch.testing.assert_close(
        classifier.losses["emotion"].value,
        torch.nn.functional.cross_entropy(classifier.logits, one.emotions[:, 0].argmax(1)),
    )


@pytest.mark.parametrize("recipe", ["config", "amalgamating"])
def test_processes_with_more_persons_count_more(recipe: str, batch: Batch, request: pytest.FixtureRequest) -> None:
    """The mean of the gradients of two halves is the gradient of the whole batch, whoever stands where."""
    config = request.getfixturevalue(recipe)

    class TwoProcesses:
        world_size = 2

        def all_reduce(self, numbers: torch.Tensor, reduce_op: str) -> torch.Tensor:
            assert reduce_op == "sum"
            return whole_numbers

    class OneProcess:
        world_size = 1

    def gradient(fabric: object, part: Batch) -> torch.Tensor:
        run = object.__new__(_Run)
        run.fabric = fabric
        task.zero_grad()
        run._total(task(part).losses).backward()
        return torch.cat([parameter.grad.flatten() for parameter in task.parameters() if parameter.requires_grad])

    task = build(config).eval()
    whole_numbers = torch.stack([loss.number for loss in task(batch).losses.values()]).float()
    halves = [Batch(*(tensor[part] for tensor in batch)) for part in (slice(0, 2), slice(2, 4))]
    assert halves[0].present.sum() == 1
    mean = sum(gradient(TwoProcesses(), half) for half in halves) / 2
    torch.testing.assert_close(mean, gradient(OneProcess(), batch), rtol=1e-4, atol=1e-6)
