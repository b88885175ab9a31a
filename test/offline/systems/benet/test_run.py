"""Whole runs of BENet: the loss falls, and a run that was stopped ends as an unbroken one."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from caer_ros.offline.systems.benet.config import BenetConfig, BenetRecipe, BenetTraining
from caer_ros.offline.systems.benet.network import Benet
from caer_ros.offline.training import checkpoint
from caer_ros.offline.training.config import OptimiserConfig
from caer_ros.offline.training.measures import Means
from caer_ros.offline.training.run import train

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.offline.training.run import RunResult

TIMES = ("seconds", "images_per_second")


class Stopped(Exception):
    """As if the machine went off here."""


@pytest.fixture
def benet(config: TrainConfig) -> BenetTraining:
    return BenetTraining(
        output=config.output,
        data=replace(config.data, batch=6),
        benet=BenetConfig(width=8, modules=1, blocks=1),
        benet_recipe=BenetRecipe(),
        optimiser=OptimiserConfig(learning_rate=5e-3),
        trainer=replace(config.trainer, epochs=3, checkpoint_steps=2),
    )


def rows(result: RunResult) -> list[dict[str, str]]:
    """metrics.csv without what a clock said."""
    with (result.folder / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def test_the_loss_falls_and_a_stopped_run_goes_on(
    benet: BenetTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train(benet)
    table = rows(unbroken)
    parts = ("heatmap", "size", "bottom_up", "person_centric", "background")
    for row in table:
        for kind in ("train", "val"):
            total = sum(float(row[f"{kind}/{part}"]) for part in parts)
            assert float(row[f"{kind}/total"]) == pytest.approx(total, rel=1e-6)
    # Of the validation, whose images stay the same; each epoch's training shows other images to each head.
    losses = [float(row["val/total"]) for row in table]
    assert losses[2] < losses[1] < losses[0]
    assert losses[2] < 0.96 * losses[0]
    assert "val/ap" in table[0]
    network, card = checkpoint.load_network(unbroken.best)
    assert isinstance(network, Benet)
    assert (card.task, card.resize.mode, card.resize.short, card.resize.multiple) == ("benet", "short_side", 64, 64)

    add, calls = Means.add, iter(range(100))

    def stopping(means: Means, losses: object) -> None:
        if next(calls) == 2:  # in the third step, after a checkpoint of the second
            raise Stopped
        add(means, losses)  # type: ignore[arg-type]

    broken = replace(benet, output=str(tmp_path / "broken"))
    with monkeypatch.context() as patch:
        patch.setattr(Means, "add", stopping)
        with pytest.raises(Stopped):
            train(broken)
    result = train(broken)
    assert rows(result) == table
    for name in ("last", "best"):
        one, other = (checkpoint.load(getattr(run, name))["state_dict"] for run in (unbroken, result))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[entry], other[entry]) for entry in one)
