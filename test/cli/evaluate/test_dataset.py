from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_student import write_checkpoint, write_own

from caer_ros.cli import main
from caer_ros.cli.evaluate.dataset import SHARED_IMAGES
from caer_ros.offline import data
from caer_ros.offline.data import predictions
from caer_ros.offline.evaluation import predict
from caer_ros.offline.metrics import summary
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.perception.person import BoxKind


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return write_own(tmp_path_factory.mktemp("own"))


def evaluate(own, *options):
    return main(["evaluate", "dataset", "own", str(own), "--device", "cpu", *map(str, options)])


def test_a_bundle_is_measured_and_written_down(own, student_bundle, tmp_path, capsys):
    assert evaluate(own, "--model", student_bundle, "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "ER, mAP" in said
    assert "report.html" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "annotations.json",
        "metrics.json",
        "predictions.jsonl",
        "report.html",
    ]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))
    assert metrics["format"] == "caer evaluate dataset"
    assert metrics["er"]["persons"] == 6
    assert metrics["er"]["chance"] == pytest.approx(1 / 3)
    table = predictions.read(tmp_path / "out" / "predictions.jsonl")
    assert table.header.source == "own test"
    assert len(table.images) == 6


def test_a_checkpoint_gives_the_numbers_of_its_bundle(own, student_bundle, student_checkpoint, capsys):
    measured = []
    for model in (student_bundle, student_checkpoint):
        assert evaluate(own, "--model", model, "--json") == 0
        measured.append(json.loads(capsys.readouterr().out))
    for metric, value in (("er", "mean_average_precision"), ("er", "chance"), ("pd", "ap50")):
        assert measured[0][metric][value] == pytest.approx(measured[1][metric][value], abs=0.02), metric


def test_a_part_of_the_images_and_no_pictures(own, student_checkpoint, tmp_path, capsys):
    options = ("--limit", 4, "--no-images", "--output", tmp_path, "--json")
    assert evaluate(own, "--model", student_checkpoint, *options) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["images"] == 4
    assert "4 images drawn at random." in first["notes"]
    assert "image/jpeg" not in (tmp_path / "report.html").read_text("utf-8")
    ids = [image.image_id for image in predictions.iterate(tmp_path / "predictions.jsonl")]
    assert evaluate(own, "--model", student_checkpoint, *options) == 0
    assert ids == [image.image_id for image in predictions.iterate(tmp_path / "predictions.jsonl")]


def test_other_labels_are_said(own, student_checkpoint, tmp_path, capsys):
    checkpoint = write_checkpoint(tmp_path / "other.ckpt", labels=("glad", "bored", "calm"), label_set="mine")
    assert evaluate(own, "--model", checkpoint, "--json") == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "Never predicted, so at chance: cross." in notes[0]
    checkpoint = write_checkpoint(tmp_path / "other.ckpt", labels=("a", "b", "c"), label_set="mine")
    assert evaluate(own, "--model", checkpoint) == 1
    assert 'predicts "mine" (a, b, c), and none of these' in capsys.readouterr().err


def test_what_goes_wrong_is_said_in_one_line(own, student_bundle, tmp_path, capsys):
    for options, code, says in (
        (("--model", tmp_path / "gone.ckpt"), 1, "no such file"),
        (("--model", "nothing_of_that_name"), 1, "no model bundle named"),
        (("--model", student_bundle, "--split", "val"), 1, "val"),
        (("--model", student_bundle, "--limit", "0"), 2, "1 or more"),
    ):
        assert evaluate(own, *options) == code
        assert says in capsys.readouterr().err


def test_what_cannot_be_measured_is_said_before_anything_is_predicted(
    own, student_bundle, student_checkpoint, tmp_path, capsys, monkeypatch
):
    def reached(*_):
        raise AssertionError("an image was read")

    monkeypatch.setattr(predict, "read_ahead", reached)
    heads = write_own(tmp_path / "heads", box_kind="head")
    other = write_checkpoint(tmp_path / "other.ckpt", labels=("a", "b", "c"), label_set="mine")
    for model in (student_bundle, student_checkpoint):
        assert evaluate(heads, "--model", model) == 1
        assert "head boxes, predicted body boxes" in capsys.readouterr().err
        assert evaluate(own, "--model", model, "--annotations", "majority") == 1
        assert 'annotations "majority": the samples hold no single votes' in capsys.readouterr().err
    assert evaluate(own, "--model", other) == 1
    assert "none of these means a label" in capsys.readouterr().err


def test_predictions_outlive_what_fails_later(own, student_checkpoint, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise MetricsError("a metric")

    monkeypatch.setattr(summary, "evaluate", broken)
    assert evaluate(own, "--model", student_checkpoint, "--output", tmp_path) == 1
    assert len(predictions.read(tmp_path / "predictions.jsonl").images) == 6


def test_a_set_without_emotions(student_checkpoint, tmp_path, capsys):
    root = write_own(tmp_path / "own")
    content = json.loads((root / "test.json").read_text())
    for annotation in content["annotations"]:
        annotation["category_id"] = 1
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    root.rename(tmp_path / "val2017")
    options = ("--split", "val", "--device", "cpu", "--model", str(student_checkpoint), "--intervals", "5")
    assert main(["evaluate", "dataset", "coco", str(tmp_path), *options, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "· The set has no emotions: PD only." in said
    assert "PD, COCO AP" in said
    assert "OER" not in said


@pytest.mark.parametrize(
    ("name", "card", "noted"),
    [
        ("emotic", {"data": "coco, train: 9 images"}, True),
        ("emotic", {"recipe": "ka of teacher_od_COCO"}, True),
        ("emotic", {}, False),
        ("own", {"data": "coco, train: 9 images"}, False),
    ],
)
def test_images_that_a_teacher_has_seen_are_noted(own, tmp_path, capsys, monkeypatch, name, card, noted):
    monkeypatch.setattr(data, "load", lambda *_: replace(data.own.load(own, "test"), name=name))
    assert evaluate(own, "--model", write_checkpoint(tmp_path / "a.ckpt", **card), "--json") == 0
    assert (SHARED_IMAGES in json.loads(capsys.readouterr().out)["notes"]) == noted


def test_heads_are_not_held_against_bodies_unless_asked(student_checkpoint, tmp_path, capsys):
    heads = write_own(tmp_path / "heads", box_kind="head")
    assert evaluate(heads, "--model", student_checkpoint) == 1
    assert "head boxes, predicted body boxes" in capsys.readouterr().err
    assert evaluate(heads, "--model", student_checkpoint, "--any-box-kind", "--json") == 0
    assert np.isfinite(json.loads(capsys.readouterr().out)["pd"]["ap"])


def test_heads_against_emotic_s_bodies_name_the_release_that_has_heads(own, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(data, "load", lambda *_: replace(data.own.load(own, "test"), name="emotic"))
    heads = write_checkpoint(tmp_path / "heads.ckpt", box_kind=BoxKind.HEAD)
    assert evaluate(own, "--model", heads) == 1
    said = capsys.readouterr().err
    assert (
        "annotated are body boxes, predicted head boxes; these are not compared unless that is asked for (--any" in said
    )
    assert "EMOTIC's head boxes are those of the CVPR'17 release" in said
    assert "test_bi.json" in said
    assert evaluate(own, "--model", heads, "--any-box-kind", "--json") == 0
    assert "Predicted are head boxes, annotated body boxes." in json.loads(capsys.readouterr().out)["notes"]


def test_er_says_how_it_was_read(own, student_checkpoint, capsys):
    assert evaluate(own, "--model", student_checkpoint) == 0
    assert "read: the mean over the box" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("option", ["--flip", "--person-centric"])
def test_what_belongs_to_benet_is_refused_of_others(own, student_bundle, student_checkpoint, capsys, option):
    assert evaluate(own, "--model", student_checkpoint, option) == 1
    assert "holds a student, which is not evaluated with " in capsys.readouterr().err
    assert evaluate(own, "--model", student_bundle, option) == 1
    assert (
        f"{option}: {student_bundle} is a bundle; give the checkpoint (.ckpt) that it was made of"
        in capsys.readouterr().err
    )
