from __future__ import annotations

import pytest
import torch

from caer_ros.cli import main
from caer_ros.offline.export.card import ExportSettings
from caer_ros.offline.export.graph import ExportError
from caer_ros.offline.importers import imported
from caer_ros.offline.importers.imported import Imported
from caer_ros.offline.systems.benet import published
from caer_ros.offline.training import checkpoint
from caer_ros.perception.bundle.bundle import Metric
from caer_ros.perception.bundle.reading import read_bundle

SCORE = {"name": "ER mAP in %", "value": 28.75, "protocol": "published by the authors, not measured here"}
DSCT = ("--backbone", "resnet50", "--dataset", "emotic")


@pytest.fixture
def found(student_checkpoint, tmp_path):
    """A network that takes seconds to export, as if it had been imported."""
    content = checkpoint.load(student_checkpoint)
    settings = ExportSettings(
        person=0.05,
        uncertain=0.4,
        max_persons=8,
        licence="LicenseRef-unknown",
        note="Weights: theirs.",
        published=(SCORE,),
    )
    card = checkpoint.card_of(content, student_checkpoint)
    path = tmp_path / "model_best.pth.tar"
    left = ("fusion.mlp.0.weight", "fusion.mlp.0.bias", "fusion_mixed.weight")
    return Imported(path, card, content, settings, left, ('took "module." off each name',), "Ask the authors")


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_bundle_and_a_checkpoint(found, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(published, "load", lambda path, short: asked.append((path, short)) or found)
    folder, kept = tmp_path / "models" / "benet_emotic", tmp_path / "kept" / "benet.ckpt"
    arguments = ["import", "benet", str(found.path), "--output", str(folder), "--checkpoint", str(kept)]
    assert main([*arguments, "--short", "256", "--weights", "float32"]) == 0
    assert asked == [(found.path, 256)]
    bundle = read_bundle(folder)
    assert bundle.name == "benet_emotic"
    assert (bundle.licence, bundle.commercial_use) == ("LicenseRef-unknown", None)
    assert bundle.provenance.metrics[-1] == Metric(*SCORE.values())
    assert (bundle.thresholds.person, bundle.thresholds.uncertain) == (0.05, 0.4)
    assert "Weights: theirs." in (folder / "README.md").read_text()
    network, card = checkpoint.load_network(kept)
    assert repr(card) == repr(found.card)  # NaN stands in it
    assert torch.equal(
        next(network.parameters()), found.content["state_dict"]["network." + next(iter(network.state_dict()))]
    )
    out = capsys.readouterr().out
    for said in (
        'model_best.pth.tar: took "module." off each name',
        "entries of the file that are not needed: fusion (2), fusion_mixed (1)",
        "benet_emotic 1.0.0",
        "ONNX Runtime against PyTorch",
        "Licence LicenseRef-unknown, commercial use unknown. Ask the authors.",
    ):
        assert said in out
    # And again: not without being told to.
    assert main(arguments) == 1
    assert "exists; give another name, or --overwrite" in capsys.readouterr().err


def test_a_network_that_answers_differently_is_not_written(found, tmp_path, monkeypatch, capsys):
    def refuse(path, *_, **__):
        raise ExportError(f"{path}: ONNX Runtime and PyTorch differ; nothing was written")

    monkeypatch.setattr(published, "load", lambda path, short: found)
    monkeypatch.setattr(imported, "export", refuse)
    kept = tmp_path / "benet.ckpt"
    assert main(["import", "benet", "x", "--output", str(tmp_path / "made"), "--checkpoint", str(kept)]) == 1
    said = f"caer import benet: {found.path}: ONNX Runtime and PyTorch differ; nothing was written\n"
    assert capsys.readouterr().err == said
    assert written(tmp_path) == []


class Bomb:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def bad(kind, tmp_path):
    """A file of a kind that users have."""
    path = tmp_path / "given.pth"
    if kind == "web page":
        path.write_bytes(b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")
    elif kind == "truncated":
        torch.save({"conv1.weight": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "code":
        torch.save({"model": {"a": torch.zeros(1)}, "args": Bomb(tmp_path / "left_behind")}, path)
    elif kind == "NaN":
        torch.save({"a": torch.tensor(float("nan"))}, path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "another":
        torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    return path


@pytest.mark.parametrize("command", [("benet",), ("dsct", *DSCT)])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("web page", "is a web page"),
        ("truncated", "truncated, or no file of weights"),
        ("code", "holds code (io.open)"),
        ("NaN", "holds NaN or infinity"),
        ("folder", "is a folder"),
        ("missing", "no such file"),
        ("another", "name a checkpoint of DSCT's authors"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, capsys, command, kind, says):
    path = bad(kind, tmp_path)
    before = written(tmp_path)
    output, kept = tmp_path / "models" / "made", tmp_path / "kept" / "made.ckpt"
    assert main(["import", *command, str(path), "--output", str(output), "--checkpoint", str(kept)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"caer import {command[0]}: {path}")
    assert (says if (kind, command[0]) != ("another", "benet") else "not a trained BENet") in said
    assert written(tmp_path) == before


def test_a_checkpoint_of_our_own(student_checkpoint, tmp_path, capsys):
    assert main(["import", "benet", str(student_checkpoint), "--output", str(tmp_path / "made")]) == 1
    assert "is a checkpoint of caer_ros already; make a bundle of it with `caer export`" in capsys.readouterr().err
