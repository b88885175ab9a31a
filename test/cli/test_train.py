from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from caer_ros.cli import command_line
from caer_ros.offline.training import configuration, run

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.training.config import TrainConfig


def test_the_whole_configuration_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert (
        command_line.main(["train", "--print-config", "ka_heco", "--data.batch", "10", "--output", "runs/x"])
        == command_line.OK
    )
    (tmp_path / "c.yaml").write_text(capsys.readouterr().out)
    printed = configuration.read(str(tmp_path / "c.yaml"))
    assert printed == configuration.read("ka_heco", ["--data.batch", "10", "--output", "runs/x"])


def test_every_field_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["train", "--fields"]) == command_line.OK
    said = " ".join(capsys.readouterr().out.split())
    assert "--data.batch BATCH Images in a step, over all processes together. (type: int, default: 20)" in said
    assert "--benet.width" in said
    assert "--dsct_recipe.longest" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which configuration?"),
        (["nothing"], "nothing: no such file, nor a configuration of caer_ros"),
        (["ka_heco", "--epochs", "3"], "command line: unrecognized arguments: --epochs 3"),
        (["ka_heco", "--trainer.epochs", "soon"], "command line: trainer.epochs: Expected a int. Got value: soon"),
    ],
)
def test_a_wrong_command_line_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert command_line.main(["train", *words]) == command_line.USAGE
    error = capsys.readouterr().err
    assert error.startswith(f"caer train: {said}")
    assert error.count("\n") == 1


def test_data_that_are_not_there_are_said_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["train", "baseline_heco", "--data.root", str(tmp_path / "none"), "--output", str(tmp_path / "run")]
    assert command_line.main([*words, "--trainer.accelerator", "cpu"]) == command_line.FAILED
    error = capsys.readouterr().err
    assert f"{tmp_path / 'none'}: no such file or folder" in error
    assert not (tmp_path / "run").exists()


def test_the_best_network_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = tmp_path / "checkpoints" / "best.ckpt"

    def train(config: TrainConfig) -> run.RunResult:
        assert config.trainer.epochs == 9
        return run.RunResult(tmp_path, best, best, 9, 4, {"epoch": 4, "train/total": 1.0, "val/total": 1.2345})

    monkeypatch.setattr(run, "train", train)
    assert command_line.main(["train", "baseline_heco", "--trainer.epochs", "9"]) == command_line.OK
    assert capsys.readouterr().out.splitlines() == [f"{best}: epoch 4, the best of 9", "  total 1.234"]
