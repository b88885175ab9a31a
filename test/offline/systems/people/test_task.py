from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from caer_ros.offline.systems.people import task
from caer_ros.offline.systems.people.config import PeopleModelConfig, PeopleTrainConfig
from caer_ros.offline.systems.people.examples import Batch
from caer_ros.offline.training import checkpoint, configuration
from caer_ros.offline.training.checkpoint_card import CheckpointCard, plain_card
from caer_ros.offline.training.config import ConfigError, DataConfig
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind

NAN = torch.nan
CONFIG = PeopleTrainConfig("run", DataConfig("own", "."), model=PeopleModelConfig(widths=(8, 8), blocks=(0, 1)))


@pytest.fixture(scope="module")
def people():
    torch.manual_seed(0)
    return task.build(CONFIG, labels=2, multi_label=False)


@pytest.fixture(scope="module")
def batch():
    random = torch.Generator().manual_seed(1)
    boxes = torch.tensor([[[0.0, 0, 60, 96], [64, 0, 120, 96]], [[10, 10, 90, 90], [0, 0, 0, 0]]])
    emotions = torch.tensor([[[1.0, 0], [NAN, NAN]], [[0.2, 0.8], [NAN, NAN]]])
    face = torch.zeros(2, 1, 12, 16)
    face[0, 0, 2, 3] = face[1, 0, 4, 6] = 1
    return Batch(
        torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8, generator=random),
        boxes,
        torch.tensor([[True, True], [True, False]]),
        emotions,
        torch.tensor([[1.0, 1], [0.5, 0]]),
        torch.tensor([[1.0, 0], [1, NAN]]),
        face,
    )


def test_learns_one_batch_by_heart_and_leaves_the_detector_alone(people, batch):
    before = {name: value.clone() for name, value in people.network.detector.state_dict().items()}
    optimiser = torch.optim.AdamW(people.parameter_groups(), 2e-2)
    people.train()
    totals = []
    for _ in range(25):
        losses = people(batch).losses
        total = sum(loss.value for loss in losses.values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append({name: loss.value.item() for name, loss in losses.items()})
    for name in ("emotion", "readable", "face"):
        assert totals[-1][name] < 0.6 * totals[0][name], name
    assert not people.network.detector.training
    for name, value in people.network.detector.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_goes_on_from_a_checkpoint_of_the_same_network_or_of_one_with_fewer_blocks(tmp_path):
    learnt = task.build(CONFIG, labels=2, multi_label=False)
    torch.nn.init.constant_(learnt.network.maps.weight, 0.25)
    path = tmp_path / "last.ckpt"
    card = CheckpointCard(
        "people", configuration.to_dict(CONFIG), ("calm", "glad"), ("calm", "glad"), "moods", False, BoxKind.BODY,
        Resize("letterbox", (96, 128)), "0", "", "", "", 1, {},
    )  # fmt: skip
    state = {checkpoint.PREFIX + name: value for name, value in learnt.network.state_dict().items()}
    checkpoint.save({"state_dict": state, "caer": plain_card(card)}, path)
    again = task.build(replace(CONFIG, model=replace(CONFIG.model, weights=str(path))), 2, multi_label=False)
    torch.testing.assert_close(again.network.state_dict(), learnt.network.state_dict())
    deeper = replace(CONFIG.model, weights=str(path), blocks=(1, 3))
    grown = task.build(replace(CONFIG, model=deeper), 2, multi_label=False)
    image = torch.randn(1, 3, 96, 128)
    for one, other in zip(grown.network.eval()(image)[:3], learnt.network.eval()(image)[:3], strict=True):
        torch.testing.assert_close(one, other)  # new blocks change nothing
    for another in ({"widths": (8, 16)}, {"blocks": (0, 0)}):
        model = replace(CONFIG.model, weights=str(path), **another)
        with pytest.raises(ConfigError, match=r"model.weights: .*last.ckpt is of another network"):
            task.build(replace(CONFIG, model=model), 2, multi_label=False)


def test_counts_only_what_is_known(people, batch):
    step = people(batch)
    assert {name: int(loss.number) for name, loss in step.losses.items()} == {
        "emotion": 2, "variance": 2, "readable": 3, "face": 2 * 12 * 16,
    }  # fmt: skip
    assert step.logits.shape == step.targets.shape == (3, 2)


def test_yes_and_no_count_alike():
    logits = torch.tensor([2.0, -1.0, -1.0, -1.0, 5.0])
    few = task.yes_or_no(logits, torch.tensor([1.0, 0, 0, 0, NAN]))
    sides = torch.nn.functional.softplus(torch.tensor([-2.0, -1.0]))
    assert few.item() == pytest.approx(sides.mean().item())
    assert task.yes_or_no(logits, torch.full((5,), NAN)).item() == 0


@pytest.mark.parametrize(
    ("trunk", "match"),
    [
        ("nothing_of_this_name", "model.trunk: .*nothing_of_this_name"),
        ("student_synth", "a composed bundle is expected"),
    ],
)
def test_a_bundle_without_the_detector_is_refused(trunk, match):
    with pytest.raises(ConfigError, match=match):
        task.nanodet_of(trunk)


def test_fields_out_of_range_are_named():
    with pytest.raises(ConfigError, match=r"model.trunk_scale: 1.5"):
        PeopleTrainConfig("run", DataConfig("own", "."), model=PeopleModelConfig(trunk_scale=1.5))
    with pytest.raises(ConfigError, match=r"model.widths: 0"):
        PeopleTrainConfig("run", DataConfig("own", "."), model=PeopleModelConfig(widths=(4, 0)))
