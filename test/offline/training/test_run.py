from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from caer_ros.offline.systems.ka import system
from caer_ros.offline.training import checkpoint, configuration, run
from caer_ros.offline.training.config import AugmentationConfig, ConfigError, OptimiserConfig
from caer_ros.offline.training.measures import Means
from caer_ros.offline.training.run import TrainingError, learning_rate, train
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.offline.training.run import RunResult
    from caer_ros.offline.training.task import Task

TIMES = ("seconds", "images_per_second")


def rows(result: RunResult) -> list[dict[str, str]]:
    """metrics.csv without what a clock said."""
    with (result.folder / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def assert_same(a: object, b: object) -> None:
    """Bitwise, through all levels of a checkpoint."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a.keys() - {"config", *TIMES}:
            assert_same(a[name], b[name])
    elif isinstance(a, list):
        for left, right in zip(a, b, strict=True):
            assert_same(left, right)
    else:
        assert a == b


def assert_same_run(one: RunResult, other: RunResult) -> None:
    assert rows(one) == rows(other)
    for name in ("last", "best"):
        assert_same(*(checkpoint.load(getattr(result, name)) for result in (one, other)))


def changed(config: TrainConfig, **groups: dict[str, object]) -> TrainConfig:
    return replace(config, **{group: replace(getattr(config, group), **fields) for group, fields in groups.items()})


def test_what_a_run_leaves(config: TrainConfig) -> None:
    result = train(config)
    assert {path.name for path in result.folder.iterdir()} == {
        *("config.yaml", "environment.json", "metrics.csv", "train.log", "tensorboard", "checkpoints")
    }
    assert {path.name for path in result.last.parent.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert configuration.read(str(result.folder / "config.yaml")) == config
    (start,) = json.loads((result.folder / "environment.json").read_text())
    assert start["seed"] == 0
    assert {"torch", "torchvision", "lightning", "timm"} <= start["packages"].keys()
    table = rows(result)
    assert [row["epoch"] for row in table] == ["1", "2"]
    parts = ("emotion", "variance", "heatmap", "size")
    for row in table:
        for kind in ("train", "val"):
            total = sum(float(row[f"{kind}/{part}"]) for part in parts)
            assert float(row[f"{kind}/total"]) == pytest.approx(total, rel=1e-6)
    losses = [float(row["val/total"]) for row in table]
    assert result.best_epoch == 1 + int(np.argmin(losses))
    _, card = checkpoint.load_network(result.best)
    assert (card.epoch, card.metrics, card.labels) == (result.best_epoch, result.metrics, ("red", "green", "blue"))
    assert card.data == "own, train: 14 images, 19 persons"
    assert checkpoint.load_network(result.last)[1].epoch == 2
    log = (result.folder / "train.log").read_text()
    assert "3 steps an epoch" in log
    assert "epoch 2 of 2: train" in log
    assert list((result.folder / "tensorboard").glob("events.*"))


def test_labels_that_nobody_was_annotated_for_are_not_known(own_colours: TrainConfig) -> None:
    file = Path(own_colours.data.root) / "train.json"
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        annotation["emotions"] = {"red": 0.4, "blue": 0.6}
    file.write_text(json.dumps(content))
    _, card = checkpoint.load_network(train(changed(own_colours, trainer={"epochs": 1})).best)
    assert card.labels == ("red", "green", "blue")
    assert card.known == ("red", "blue")


def test_a_teacher_then_students_by_each_recipe(config: TrainConfig, tmp_path: Path) -> None:
    teacher = train(replace(config, task="classifier", output=str(tmp_path / "teacher")))
    table = [float(row["val/f1"]) for row in rows(teacher)]
    assert teacher.best_epoch == 1 + int(np.argmax(table))
    once = changed(config, trainer={"epochs": 1})
    by_hand = changed(once, recipe={"name": "ft", "teachers": (str(teacher.best),)}, model={"detection": False})
    fine_tuned = train(replace(by_hand, output=str(tmp_path / "ft")))
    assert "val/heatmap" not in fine_tuned.metrics
    amalgamated = changed(once, recipe={"name": "ka", "teachers": (str(teacher.best), str(fine_tuned.best))})
    result = train(replace(amalgamated, output=str(tmp_path / "ka")))
    assert {"val/feature", "val/reconstruction", "val/heatmap", "val/ap"} <= result.metrics.keys()
    assert checkpoint.load_network(result.best)[1].recipe == "ka of 2 teachers"
    entries = checkpoint.load(result.last)["state_dict"]
    assert {name.split(".")[0] for name in entries} == {"network", "amalgamation"}


def test_a_run_of_before_parameters_had_groups_goes_on(config: TrainConfig) -> None:
    last = train(changed(config, trainer={"epochs": 1})).last
    content = checkpoint.load(last)
    for group in content["optimizer_states"][0]["param_groups"]:
        del group["scale"]
    checkpoint.save(content, last)
    assert train(config).epochs == config.trainer.epochs


class Stopped(Exception):
    """As if the machine went off here."""


def stop_at(call: int, function: Callable[..., object], after: bool = False) -> Callable[..., object]:
    calls = iter(range(1, 1000))

    def wrapped(*args: object, **options: object) -> object:
        number = next(calls)
        if number == call and not after:
            raise Stopped
        result = function(*args, **options)
        if number == call:
            raise Stopped
        return result

    return wrapped


def test_a_run_goes_on_from_anywhere_as_if_nothing_had_been(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, a schedule, weight decay and clipping, and checkpoints within its epochs of three steps."""
    build = system.task

    def with_dropout(*args: object, **options: object) -> Task:
        task = build(*args, **options)
        task.network.emotion_head = nn.Sequential(nn.Dropout(0.5), task.network.emotion_head)
        return task

    monkeypatch.setattr(system, "task", with_dropout)
    config = changed(
        config,
        trainer={"checkpoint_steps": 2},
        optimiser={"schedule": "cosine", "warmup_epochs": 0.5, "clip": 1.0, "weight_decay": 0.01},
    )
    reference = train(config)
    points = [
        (Means, "add", 1, False),  # before any checkpoint: it begins anew
        (Means, "add", 3, False),  # within the first epoch, after a checkpoint of its middle
        (Means, "add", 4, False),  # in the first validation
        (Means, "add", 8, False),  # within the second epoch
        (run, "_in_words", 2, True),  # after the second epoch's row and best.ckpt, before its last.ckpt
        (checkpoint, "save", 3, True),  # right after the first epoch's last.ckpt
    ]
    for number, (owner, name, call, after) in enumerate(points):
        broken = replace(config, output=str(tmp_path / f"broken_{number}"))
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stop_at(call, getattr(owner, name), after))
            with pytest.raises(Stopped):
                train(broken)
        assert_same_run(train(broken), reference)


def command(config: TrainConfig, path: Path) -> list[str]:
    path.write_text(configuration.dump(config))
    return [sys.executable, "-m", "caer_ros.cli", "train", str(path)]


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.mark.timeout(300)
def test_a_killed_run_goes_on_as_if_nothing_had_been(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(config, trainer={"epochs": 5})
    reference = train(config)
    killed = replace(config, output=str(tmp_path / "killed"))
    process = subprocess.Popen(command(killed, tmp_path / "killed.yaml"), env=ENVIRONMENT)
    last = Path(killed.output, "checkpoints", "last.ckpt")
    while process.poll() is None and not last.exists():
        time.sleep(0.001)
    time.sleep(0.02)  # into the second epoch
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 1 <= checkpoint.load(last)["progress"]["epoch"] < 5
    assert_same_run(train(killed), reference)


@pytest.mark.timeout(300)
def test_two_processes_share_the_work(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(config, trainer={"epochs": 1})
    two = changed(config, trainer={"devices": 2, "strategy": "ddp"})
    done = subprocess.run(
        command(two, tmp_path / "two.yaml"), env=ENVIRONMENT, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best.ckpt: epoch") == 1
    result = train(config)  # finished, so only reported; on how many processes it ran does not matter
    assert [row["epoch"] for row in rows(result)] == ["1"]
    assert "2 x cpu" in (result.folder / "train.log").read_text()
    # What was judged, on all images, is the network that was saved.
    alone = run._Run(config, run.Folder(config), Fabric(accelerator="cpu", devices=1), run._load(config))
    for name, value in alone._validate().items():
        assert value == pytest.approx(float(rows(result)[-1][f"val/{name}"]), rel=1e-5), name


def test_a_finished_run_is_reported_and_a_longer_one_goes_on(config: TrainConfig) -> None:
    short = train(changed(config, trainer={"epochs": 1}))
    before = short.last.stat().st_mtime_ns
    again = train(changed(config, trainer={"epochs": 1}))
    assert again == short
    assert short.last.stat().st_mtime_ns == before
    longer = train(config)
    assert longer.epochs == 2
    assert len(rows(longer)) == 2


def test_a_run_whose_last_checkpoint_is_gone_is_not_trained_again(config: TrainConfig) -> None:
    result = train(config)
    result.last.unlink()
    before = result.best.read_bytes()
    with pytest.raises(ConfigError, match=r"last.ckpt is gone, so the run cannot go on; use best.ckpt, or delete"):
        train(config)
    assert result.best.read_bytes() == before


def test_a_run_does_not_go_on_with_other_data(own_colours: TrainConfig) -> None:
    config = changed(own_colours, trainer={"epochs": 1})
    train(config)
    files = [Path(config.data.root, f"{split}.json") for split in ("train", "val")]
    for path in files:
        content = json.loads(path.read_text())
        content["info"]["labels"].reverse()
        path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"on other labels \(red, green, blue -> blue, green, red\)"):
        train(config)
    content = json.loads(files[0].read_text())
    content["annotations"].pop()
    files[0].write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"on other data \(own, train: 9 images, 12 persons -> .* 11 persons\)"):
        train(config)


@pytest.mark.parametrize(
    ("name", "call", "after"),
    [("mkdir", 1, True), ("replace", 1, False), ("replace", 1, True), ("mkdir", 2, True), ("replace", 2, False)],
)
def test_a_kill_while_the_folder_is_made_does_no_harm(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, name: str, call: int, after: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, name, stop_at(call, getattr(Path, name), after))
        with pytest.raises(Stopped):
            run.Folder(config).create(config)
    folder = run.Folder(config)
    folder.create(config)
    assert configuration.read(str(folder.config)) == config
    assert len(json.loads(folder.environment.read_text())) == 1
    assert not list(folder.path.glob(".*"))


def test_a_folder_of_something_else_is_left_alone(config: TrainConfig, tmp_path: Path) -> None:
    train(changed(config, trainer={"epochs": 1}))
    with pytest.raises(ConfigError, match=r"another configuration \(data.batch: 4 -> 5\): choose another --output"):
        train(changed(config, data={"batch": 5}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ConfigError, match="mine is there already, and is no training run"):
        train(replace(config, output=str(tmp_path / "mine")))


def test_nothing_is_left_of_a_run_that_could_not_begin(config: TrainConfig) -> None:
    for wrong in (
        changed(config, data={"root": "nowhere"}),
        changed(config, data={"batch": 500}),
        changed(config, recipe={"name": "ka", "teachers": ("none.ckpt",)}),
    ):
        with pytest.raises((ConfigError, DatasetError, checkpoint.CheckpointError)):
            train(wrong)
        assert not Path(config.output).exists()


def test_a_worker_that_dies_is_an_error(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, read = os.getpid(), image_files.read

    def killed(path: Path) -> object:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(path)

    monkeypatch.setattr(image_files, "read", killed)
    with pytest.raises(TrainingError, match=r"a process that loads images died .* Lower data.workers"):
        train(changed(config, data={"workers": 1}))


def test_a_loss_that_is_no_number_ends_the_run_before_its_checkpoint(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither with clipped gradients, nor with checkpoints within its epochs."""
    config = changed(config, optimiser={"clip": 1.0})
    train(changed(config, trainer={"epochs": 1}))
    before = checkpoint.load(Path(config.output, "checkpoints", "last.ckpt"))
    monkeypatch.setattr(run, "learning_rate", lambda *_: float("nan"))
    with pytest.raises(TrainingError, match=r"the loss is no number in epoch 2; .* Lower optimiser.learning_rate"):
        train(changed(config, trainer={"checkpoint_steps": 1}))
    assert_same(checkpoint.load(Path(config.output, "checkpoints", "last.ckpt")), before)


def test_a_student_learns(config: TrainConfig) -> None:
    """Colours are easy: after a few epochs the emotion loss is below ln 3, that of not knowing."""
    result = train(
        changed(
            config,
            trainer={"epochs": 12},
            optimiser={"learning_rate": 5e-3, "schedule": "cosine"},
            data={"cache": True, "augmentation": AugmentationConfig(perspective_probability=0)},
        )
    )
    table = rows(result)
    assert float(table[-1]["train/emotion"]) < 0.9
    assert float(table[-1]["train/total"]) < 0.75 * float(table[0]["train/total"])


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_mixed_precision(config: TrainConfig, precision: str) -> None:
    result = train(changed(config, trainer={"precision": precision, "epochs": 1}))
    assert np.isfinite(result.metrics["val/total"])
    assert all(value.dtype != torch.bfloat16 for value in checkpoint.load(result.best)["state_dict"].values())


def test_learning_rates() -> None:
    def rates(epochs: int = 4, **fields: object) -> list[float]:
        config = OptimiserConfig(learning_rate=1.0, **fields)
        return [learning_rate(config, step, 5, epochs) for step in range(5 * epochs)]

    assert rates() == [1.0] * 20
    assert rates(warmup_epochs=1.0) == pytest.approx([0.2, 0.4, 0.6, 0.8, *[1.0] * 16])
    cosine = rates(schedule="cosine")
    assert cosine[0] == 1
    assert cosine[10] == pytest.approx(0.5)
    assert cosine == sorted(cosine, reverse=True)
    assert 0 < cosine[-1] < 0.01
    both = rates(schedule="cosine", warmup_epochs=1.0)
    assert both[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0], abs=0.02)
    assert both[5:] == sorted(both[5:], reverse=True)
