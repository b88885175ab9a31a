from __future__ import annotations

import pytest
import torch

from caer_ros.cli import command_line
from caer_ros.offline.data.synthetic import bags, plans
from caer_ros.offline.training.checkpoint import load_network

pytestmark = pytest.mark.timeout(300)
TINY = ["--", "--data.size", "[64,64]", "--data.batch", "2", "--data.workers", "0", "--data.cache", "true"]
TINY += ["--model.backbone", "mobilenetv4_conv_small_050", "--model.head_width", "8", "--model.head_blocks", "1"]
TINY += [
    "--trainer.epochs",
    "1",
    "--trainer.accelerator",
    "cpu",
    "--trainer.threads",
    "1",
    "--optimiser.warmup_epochs",
    "0",
]


def test_a_student_learns_from_a_bundle_on_a_bag_and_the_frames_are_removed(
    tmp_path, capsys, student_checkpoint, student_bundle
):
    bag = bags.write(tmp_path / "bag", plans.Settings(width=96, height=64), 0, 10, rate=5).bag
    out = tmp_path / "run"
    arguments = ["distill", "--bag", str(bag), "--every", "0", "--teacher", str(student_bundle), "--device", "cpu"]
    arguments += ["--network", str(student_checkpoint), "--output", str(out), *TINY, "--recipe.channels", "8"]
    assert command_line.main(arguments) == 0
    said = capsys.readouterr().out
    assert said.startswith("10 frames, ")
    assert "agreement with the teacher on the last 2 frames: PD" in said
    assert f"caer export {out}/checkpoints/best.ckpt" in said
    assert not (tmp_path / "run_frames").exists()
    student, card = load_network(out / "checkpoints" / "best.ckpt")
    assert card.labels == ("calm", "cross", "glad")
    assert card.config["recipe"]["name"] == "ka"  # a teacher network was at hand
    assert all(value.isfinite().all() for value in student.state_dict().values() if torch.is_floating_point(value))


def test_frames_are_kept_only_when_asked_for(tmp_path, capsys, student_bundle):
    bag = bags.write(tmp_path / "bag", plans.Settings(width=96, height=64), 0, 8, rate=5).bag
    out = tmp_path / "run"
    arguments = ["distill", "--bag", str(bag), "--every", "0", "--teacher", str(student_bundle), "--device", "cpu"]
    assert command_line.main([*arguments, "--output", str(out), "--keep-frames", *TINY]) == 0
    assert len(list((tmp_path / "run_frames").rglob("*.jpg"))) == 8


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "one of the arguments --bag --video --images is required"),
        (["--bag", "nowhere"], 1, "nowhere: no such file or folder"),
        (["--bag", "nowhere", "--every", "-1"], 2, "--every: must be a number, 0 or more, not '-1'"),
        (["--bag", "nowhere", "--every", "nan"], 2, "--every: must be a number, 0 or more, not 'nan'"),
        (["--bag", "nowhere", "--config", "nope"], 1, "nope: no such file, nor a configuration of caer_ros"),
        (["--bag", "nowhere", "--", "--trainer.epoch", "3"], 1, "trainer.epoch"),
    ],
)
def test_wrong_arguments_are_told(arguments, code, says, tmp_path, capsys):
    assert command_line.main(["distill", *arguments[:2], "--output", str(tmp_path / "run"), *arguments[2:]]) == code
    assert says in capsys.readouterr().err
