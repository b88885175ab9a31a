"""A whole training of a tiny DSCT, by the loop of all trainings."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from caer_ros.offline.systems.dsct.config import BackboneConfig, DsctConfig, DsctRecipe, DsctTraining
from caer_ros.offline.training import checkpoint
from caer_ros.offline.training.config import OptimiserConfig, TrainConfig
from caer_ros.offline.training.measures import Means
from caer_ros.offline.training.run import RunResult, train
from caer_ros.perception.imaging.resizing import Resize

if TYPE_CHECKING:
    from pathlib import Path

PARTS = ("emotion", "l1", "giou")


class Stopped(Exception):
    """As if the machine went off here."""


@pytest.fixture
def tiny(config: TrainConfig) -> DsctTraining:
    """Two epochs of three steps; more would take long, as a checkpoint has 11 million weights."""
    return DsctTraining(
        output=config.output,
        data=config.data,
        model=BackboneConfig(None),
        dsct=DsctConfig("resnet18", 4, 6, 3, 2, width=32, layers=2, heads=2, points=2, feedforward=32),
        dsct_recipe=DsctRecipe(short_sides=(40, 48), val_short=48, longest=64, crop_short_sides=(48,), crop=(32, 44)),
        optimiser=OptimiserConfig(3e-3, weight_decay=1e-4, schedule="step", drop_epoch=9, clip=0.1),
        trainer=replace(config.trainer, epochs=2),
    )


def rows(result: RunResult) -> list[dict[str, float]]:
    with (result.folder / "metrics.csv").open(newline="") as file:
        table = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [{name: value for name, value in row.items() if "second" not in name} for row in table]


def test_the_loss_falls_and_a_broken_run_goes_on_as_if_nothing_had_been(
    tiny: DsctTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = train(tiny)
    table = rows(reference)
    assert table[-1]["val/total"] < 0.95 * table[0]["val/total"]
    for row in table:
        assert row["val/total"] == pytest.approx(sum(row[f"val/{part}"] for part in PARTS), rel=1e-6)
        assert 0 <= row["val/ap"] <= 1

    broken = replace(tiny, output=str(tmp_path / "broken"), trainer=replace(tiny.trainer, checkpoint_steps=2))
    add = Means.add
    calls = iter(range(1, 100))

    def failing(means: Means, losses: object) -> None:
        if next(calls) == 3:  # in the first epoch's last step, after a checkpoint of its middle
            raise Stopped
        add(means, losses)

    with monkeypatch.context() as patch:
        patch.setattr(Means, "add", failing)
        with pytest.raises(Stopped):
            train(broken)
    resumed = train(broken)
    assert rows(resumed) == table
    one, other = (checkpoint.load(result.last) for result in (reference, resumed))
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name
    groups = other["optimizer_states"][0]["param_groups"]
    assert [group["lr"] for group in groups] == pytest.approx([3e-3, 3e-4, 3e-4])

    network, card = checkpoint.load_network(resumed.best)
    assert (card.task, card.labels) == ("dsct", ("red", "green", "blue"))
    assert card.resize == Resize("short_side", short=48, longest=64)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 96, 64)).logits.shape == (2, 1, 4, 4)
