"""A whole training of a small student on canvases of the demo's photographs, by the loop of all trainings."""

from __future__ import annotations

from dataclasses import replace

import people_pictures
import pytest
import torch

from caer_ros.offline.data.people import people_set
from caer_ros.offline.systems.people.config import PeopleModelConfig, PeopleTrainConfig
from caer_ros.offline.training import checkpoint
from caer_ros.offline.training.config import AugmentationConfig, DataConfig, OptimiserConfig, TrainerConfig
from caer_ros.offline.training.measures import Means
from caer_ros.offline.training.run import train


class Stopped(Exception):
    """As if the machine went off here."""


@pytest.fixture
def config(tmp_path):
    folders = people_pictures.write(tmp_path / "pictures")
    people_set.make(tmp_path / "set", folders, {"train": 6, "val": 2}, (160, 224), seed=4)
    return PeopleTrainConfig(
        output=str(tmp_path / "run"),
        data=DataConfig(
            "own", str(tmp_path / "set"), size=(160, 224), resize="letterbox", batch=2, workers=0,
            augmentation=AugmentationConfig(0, 0),
        ),
        model=PeopleModelConfig(widths=(8, 8), blocks=(0, 1)),
        optimiser=OptimiserConfig(5e-3),
        trainer=TrainerConfig(epochs=2, accelerator="cpu", devices=1, threads=1),
    )  # fmt: skip


def test_a_broken_run_goes_on_as_if_nothing_had_been(config, tmp_path, monkeypatch):
    reference = train(config)
    broken = replace(config, output=str(tmp_path / "broken"), trainer=replace(config.trainer, checkpoint_steps=1))
    add, left = Means.add, 4

    def stop_in_the_second_epoch(means, losses):
        nonlocal left
        if torch.is_grad_enabled():
            left -= 1
            if not left:
                raise Stopped
        add(means, losses)

    monkeypatch.setattr(Means, "add", stop_in_the_second_epoch)
    with pytest.raises(Stopped):
        train(broken)
    monkeypatch.undo()
    again = train(broken)
    one, other = (checkpoint.load(result.last)["state_dict"] for result in (reference, again))
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0)
