from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from graphs import LABELS, write_bundle
from offline.metrics.tables import prediction, sample
from scipy.special import softmax
from tiny_student import write_own

from caer_ros.cli import main
from caer_ros.offline.data import predictions as prediction_table
from caer_ros.offline.data.predictions import PredictionHeader, Predictions, Tracked
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.calibration import Calibration, calibrated
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.person import BoxKind
from caer_ros.perception.pipeline import Pipeline, PipelineSettings
from caer_ros.perception.predictors import predictor
from caer_ros.recordings.annotations import own
from caer_ros.recordings.annotations.sample import Dataset, Findings

if TYPE_CHECKING:
    from pathlib import Path

BOX, ELSEWHERE = [10, 10, 60, 90], [120, 10, 180, 90]
TRUE = Calibration((3.0, 3.0, 3.0), (0.0, 0.5, -0.5))
"""What makes the raw scores of ``write_result`` honest."""
EMOTIONS = np.array([[0.9, 0.08, 0.02], [0.2, 0.3, 0.5]], np.float32)


@pytest.fixture
def bundle(tmp_path):
    return read_bundle(write_bundle(tmp_path / "models" / "finder", {"emotions": EMOTIONS}))


def write_result(
    folder: Path,
    bundle,
    seed=0,
    images=200,
    pooled=True,
    calibration=TRUE,
    labels=LABELS,
    exhaustive=True,
    prefilled_by=None,
    annotated=True,
    shares=False,
    tracks=True,
    **header,
):
    """One person an image, ten images a track; the model is over-confident, and every second image has a false one.

    Persons are found with 0.6 to 1, false ones with 0.5 to 0.9.
    """
    generator = np.random.default_rng(seed)
    raw = softmax(generator.normal(0, 3, (images, 3)), axis=1).astype(np.float32)
    samples, predicted = [], []
    for number, scores in enumerate(raw):
        name = f"camera/{1_000_000_000_000_000_000 * (seed + 1) + number}"
        true = calibrated(scores, calibration, bundle.score_type)
        truth = true if shares else np.eye(3)[generator.choice(3, p=true / true.sum(dtype=float))]
        truth = truth if annotated else np.full(3, np.nan)
        samples.append(
            sample(
                name,
                [BOX],
                truth,
                3,
                exhaustive=exhaustive,
                track_ids=(f"{seed}-{number // 10}" if tracks else "",),
                stamp=1_000_000_000_000_000_000 * (seed + 1) + number,
            )
        )
        found = ([BOX, ELSEWHERE], generator.uniform([0.6, 0.5], [1, 0.9]), [scores, [0.3, 0.3, 0.4]])
        found = [rows[: 1 + number % 2] for rows in found]
        predicted.append(prediction(name, *found, 3, pooled=[scores] if pooled else None, stamp=samples[-1].stamp))
    dataset = Dataset(
        "own", folder, "test", "moods", tuple(labels), False, tuple(samples), Findings(), prefilled_by=prefilled_by
    )
    fields = {
        "model": bundle.name,
        "model_version": bundle.model_version,
        "label_set": "moods",
        "labels": tuple(labels),
        "score_type": bundle.score_type,
        "box_kind": BoxKind.BODY,
        "source": "/somewhere/lab.bag",
        "max_persons": 2,
        "thresholds": {"person": 0.5, "uncertain": 0.4, "kept": 0.01},
    }
    prediction_table.write(folder / "predictions.jsonl", Predictions(PredictionHeader(**(fields | header)), predicted))
    (folder / "annotations.json").write_text(json.dumps(own.content(dataset)))
    return folder


def calibrate(bundle, output, *arguments):
    return main(["calibrate", *map(str, arguments), "--model", str(bundle.path), "--output", str(output)])


def test_the_calibration_is_found_told_and_written(bundle, tmp_path, capsys):
    (bundle.path / "LICENSE").write_text("free")
    (bundle.path / "README.md").write_text("# finder\n")
    before = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    output = tmp_path / "models" / "honest"
    assert calibrate(bundle, output, write_result(tmp_path / "result", bundle, images=1500)) == 0
    assert before == {path.name: path.read_bytes() for path in bundle.path.iterdir()}

    written = read_bundle(output, verify=True)
    assert (written.name, written.version) == ("honest", bundle.version)
    assert written.model_version != bundle.model_version
    assert {name: file.sha256 for name, file in written.files.items()} == {
        name: file.sha256 for name, file in bundle.files.items()
    }
    np.testing.assert_allclose(written.calibration.temperature, TRUE.temperature, rtol=0.25)
    bias = np.array(written.calibration.bias)
    np.testing.assert_allclose(bias - bias.mean(), TRUE.bias, atol=0.25)
    # 1500 persons from 0.6 on and 750 false ones up to 0.9: as many detections as persons from about 0.69 on.
    assert written.thresholds.person == pytest.approx(0.7, abs=0.03)
    assert 0.4 < written.thresholds.uncertain < 0.7
    assert {path.name for path in output.iterdir()} == {"LICENSE", "README.md", "model.onnx", "model.yaml"}
    assert main(["models", "verify", str(output)]) == 0

    measured = {metric.name: metric.value for metric in written.provenance.metrics}
    assert measured["ECE after calibration"] < 0.5 * measured["ECE before calibration"]
    assert measured["NLL after calibration"] < measured["NLL before calibration"]
    assert "5 parts by track or recording, 1500 persons" in written.provenance.metrics[0].protocol
    assert f"Calibrated from finder 1.0.0 ({bundle.model_version})" in written.provenance.recipe
    assert "1500 frames of lab.bag" in written.provenance.recipe
    assert "/somewhere" not in (output / "model.yaml").read_text()
    card = (output / "README.md").read_text()
    assert card.startswith("# finder\n")
    assert f"a label is certain from a score of {written.thresholds.uncertain:g} on" in card
    said = capsys.readouterr().out
    assert "against labels" in said
    assert "against votes" not in said
    assert "Scores are read in the annotated boxes." in said


def test_the_robot_gives_the_calibrated_scores(bundle, tmp_path, capsys):
    assert calibrate(bundle, tmp_path / "honest", write_result(tmp_path / "result", bundle)) == 0
    written = read_bundle(tmp_path / "honest")
    image = np.zeros((64, 64, 3), np.uint8)
    image[10:50, 10:30] = 255
    found = []
    for one in (bundle, written):
        pipeline = Pipeline(predictor.load(one, EngineSettings(device="cpu")), PipelineSettings(0.1), "run")
        found.append(pipeline(image, 0).persons)
    for raw, honest in zip(*found, strict=True):
        np.testing.assert_array_equal(
            honest.scores, calibrated(raw.scores, written.calibration, written.score_type), strict=True
        )
        assert honest.scores.sum() == pytest.approx(1, abs=1e-5)
    assert found[0][0].scores.max() == pytest.approx(0.9)
    assert found[1][0].scores.max() < 0.75


def test_persons_found_stand_in_where_nothing_was_read_in_the_boxes(bundle, tmp_path, capsys):
    """The found scores are the pooled ones here, so both give the same calibration; coasted persons say nothing."""
    pooled = write_result(tmp_path / "pooled", bundle)
    found = write_result(tmp_path / "found", bundle, pooled=False)
    table = prediction_table.read(found / "predictions.jsonl")
    images = []
    for image in table.images:
        count = len(image.boxes) + 1
        tracked = Tracked(
            ("1",) * count,
            np.arange(count) == 0,
            np.full((count, 3), np.nan, np.float32),
            np.full(count, -1),
        )
        images.append(
            replace(
                image,
                boxes=np.vstack([image.boxes[:1], image.boxes]),
                scores=np.concatenate([np.ones(1, np.float32), image.scores]),
                emotions=np.vstack([np.full((1, 3), np.nan, np.float32), image.emotions]),
                tracked=tracked,
            )
        )
    prediction_table.write(found / "predictions.jsonl", Predictions(table.header, images))
    assert calibrate(bundle, tmp_path / "a", pooled) == 0
    assert calibrate(bundle, tmp_path / "b", found) == 0
    first, second = read_bundle(tmp_path / "a"), read_bundle(tmp_path / "b")
    assert first.calibration == second.calibration
    assert first.thresholds == second.thresholds
    assert "those of detections at IoU 0.5" in capsys.readouterr().out


def test_several_results_are_split_by_folder(bundle, tmp_path, capsys):
    folders = [write_result(tmp_path / f"result{seed}", bundle, seed, tracks=False) for seed in range(3)]
    assert calibrate(bundle, tmp_path / "honest", *folders) == 0
    assert "3 parts by result folder, 600 persons" in capsys.readouterr().out


def test_votes(bundle, tmp_path, capsys):
    result = write_result(tmp_path / "result", bundle, shares=True, images=300)
    assert calibrate(bundle, tmp_path / "honest", result, "--against", "votes") == 0
    written = read_bundle(tmp_path / "honest").calibration
    np.testing.assert_allclose(written.temperature, TRUE.temperature, rtol=0.2)
    said = capsys.readouterr().out
    assert "against labels" in said
    assert "against votes" in said


def test_thresholds_are_left_where_they_cannot_be_told(bundle, tmp_path, capsys):
    for name, changes, says in (
        ("part", {"exhaustive": False}, "no frame is annotated in full"),
        (
            "drafted",
            {"prefilled_by": {"name": "f", "version": bundle.model_version, "boxes": True, "emotions": False}},
            "this model drew the first draft of the boxes itself",
        ),
    ):
        assert calibrate(bundle, tmp_path / name, write_result(tmp_path / f"of_{name}", bundle, **changes)) == 0
        assert read_bundle(tmp_path / name).thresholds.person == bundle.thresholds.person
        assert says in capsys.readouterr().out


def test_below_the_threshold_of_a_pipeline_detections_are_not_all_there(bundle, tmp_path, capsys):
    """In a table that went through a pipeline from 0.9 on, there are fewer detections than persons from there on."""
    result = write_result(tmp_path / "result", bundle, thresholds={"person": 0.9, "kept": 0.45})
    table = prediction_table.read(result / "predictions.jsonl")
    images = [
        replace(
            image,
            tracked=Tracked(
                ("1",) * len(image.boxes),
                np.zeros(len(image.boxes), bool),
                image.emotions,
                np.zeros(len(image.boxes), np.intp),
            ),
        )
        for image in table.images
    ]
    assert calibrate(bundle, tmp_path / "untracked", result) == 0
    assert read_bundle(tmp_path / "untracked").thresholds.person > 0.6
    prediction_table.write(result / "predictions.jsonl", Predictions(table.header, images))
    capsys.readouterr()
    assert calibrate(bundle, tmp_path / "tracked", result) == 0
    assert read_bundle(tmp_path / "tracked").thresholds.person == bundle.thresholds.person
    assert "The person threshold is left: from a score of 0.9 on" in capsys.readouterr().out


def test_persons_who_are_always_seen_together_are_split_by_track(bundle, tmp_path, capsys):
    first, second = (write_result(tmp_path / name, bundle, seed) for seed, name in enumerate(("left", "right")))
    datasets = [own.read(folder / "annotations.json") for folder in (first, second)]
    tables = [prediction_table.read(folder / "predictions.jsonl") for folder in (first, second)]
    samples, images = [], []
    for pair, predicted in zip(
        zip(*(dataset.samples for dataset in datasets), strict=True),
        zip(*(table.images for table in tables), strict=True),
        strict=True,
    ):
        emotions = np.concatenate([one.emotions for one in pair])
        both = sample(pair[0].image_id, [BOX, ELSEWHERE], emotions, 3, track_ids=("1", "2"), stamp=pair[0].stamp)
        samples.append(both)
        images.append(replace(predicted[0], pooled=np.concatenate([one.pooled for one in predicted])))
    dataset = replace(datasets[0], samples=tuple(samples))
    (first / "annotations.json").write_text(json.dumps(own.content(dataset)))
    prediction_table.write(first / "predictions.jsonl", Predictions(tables[0].header, images))
    assert calibrate(bundle, tmp_path / "honest", first) == 0
    assert "2 parts by track, 400 persons" in capsys.readouterr().out


def test_what_gets_worse_is_not_written_unless_forced(bundle, tmp_path, capsys):
    """In each of the two results another label is always right, whatever the model says."""
    folders = [write_result(tmp_path / f"result{seed}", bundle, seed) for seed in range(2)]
    for number, folder in enumerate(folders):
        content = json.loads((folder / "annotations.json").read_text())
        for index, annotation in enumerate(content["annotations"]):
            annotation["emotions"] = [LABELS[number if index % 20 else 1 - number]]
        (folder / "annotations.json").write_text(json.dumps(content))
    output = tmp_path / "honest"
    assert calibrate(bundle, output, *folders) == 1
    told = capsys.readouterr()
    assert "of persons it was not fitted on worse: ECE from" in told.err
    assert "→" in told.out
    assert not output.exists()
    assert calibrate(bundle, output, *folders, "--force") == 0
    assert "WARNING" in capsys.readouterr().err
    assert read_bundle(output).calibration is not None


def test_a_models_own_opinion_is_refused(bundle, tmp_path, capsys):
    drafted = {"name": "finder", "version": bundle.model_version, "boxes": False, "emotions": True}
    result = write_result(tmp_path / "result", bundle, prefilled_by=drafted)
    assert calibrate(bundle, tmp_path / "honest", result) == 1
    assert "would be calibrated on its own opinion" in capsys.readouterr().err
    assert calibrate(bundle, tmp_path / "honest", result, "--force") == 0
    told = capsys.readouterr()
    assert "WARNING" in told.err
    assert "this very model wrote the first draft" in told.out
    other = drafted | {"name": "other", "version": "0123456789abcdef"}
    assert calibrate(bundle, tmp_path / "more", write_result(tmp_path / "b", bundle, prefilled_by=other)) == 0
    assert "other wrote the first draft of the emotions" in capsys.readouterr().out
    both = write_result(tmp_path / "c", bundle, prefilled_by=[other, drafted])
    assert calibrate(bundle, tmp_path / "last", both) == 1
    assert "would be calibrated on its own opinion" in capsys.readouterr().err


def test_what_cannot_be_calibrated_is_told(bundle, tmp_path, capsys):
    good = write_result(tmp_path / "good", bundle)
    (tmp_path / "empty").mkdir()
    unlike = ("calm", "cross", "sad")
    for name, changes, says in (
        ("version", {"model_version": "f" * 64}, "predicted by finder ffffffffffffffff, not by finder"),
        ("labels", {"labels": unlike}, 'the predictions have the labels of "moods" (calm, cross, sad)'),
        ("blank", {"annotated": False}, "no emotion is annotated; annotate some"),
        ("alone", {"tracks": False}, "give the results of a second bag, or annotate track ids"),
        ("found", {"pooled": False, "thresholds": {"person": 1.0, "kept": 0.0}}, "persons with annotated emotions"),
    ):
        assert calibrate(bundle, tmp_path / "out", write_result(tmp_path / name, bundle, **changes)) == 1
        assert says in capsys.readouterr().err, name
    one_label = json.loads((good / "annotations.json").read_text())
    for annotation in one_label["annotations"]:
        annotation["emotions"] = ["calm"]
    single = write_result(tmp_path / "single", bundle)
    (single / "annotations.json").write_text(json.dumps(one_label))
    other_frames = write_result(tmp_path / "frames", bundle)
    (other_frames / "annotations.json").write_text(
        (good / "annotations.json").read_text().replace('"file_name": "camera/', '"file_name": "other/')
    )
    undecided = write_result(tmp_path / "undecided", bundle)
    content = json.loads((undecided / "annotations.json").read_text())
    for annotation in content["annotations"]:
        annotation["emotions"] = {"calm": 0.4, "cross": 0.3, "glad": 0.3}
    (undecided / "annotations.json").write_text(json.dumps(content))
    for arguments, says in (
        ((undecided,), "of no person with a score a label is decided on"),
        ((tmp_path / "empty",), "no predictions.jsonl; give a folder that `caer evaluate bag`"),
        ((good, good), "given twice"),
        ((good, write_result(tmp_path / "again", bundle)), "give each frame once"),
        ((good, "--against", "votes"), "the annotations hold no single votes"),
        ((single,), "nothing can be learnt"),
        ((other_frames,), "no annotated frame has a prediction of its own"),
    ):
        assert calibrate(bundle, tmp_path / "out", *arguments) == 1
        assert says in capsys.readouterr().err, says
    assert calibrate(bundle, bundle.path, good) == 1
    assert "exists; give another folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_calibrated_bundle_is_not_calibrated_again(bundle, tmp_path, capsys):
    result = write_result(tmp_path / "result", bundle)
    assert calibrate(bundle, tmp_path / "honest", result) == 0
    honest = read_bundle(tmp_path / "honest")
    assert calibrate(honest, tmp_path / "twice", write_result(tmp_path / "b", honest)) == 1
    assert "is calibrated already" in capsys.readouterr().err
    # The remedy that the error names: its copy without the section is a bundle that can be evaluated and calibrated.
    document = yaml.safe_load((honest.path / "model.yaml").read_text())
    del document["calibration"]
    (honest.path / "model.yaml").write_text(yaml.safe_dump(document))
    raw = read_bundle(honest.path)
    assert calibrate(raw, tmp_path / "twice", write_result(tmp_path / "c", raw)) == 0


def test_from_an_evaluation_to_a_bundle(student_bundle, tmp_path, capsys):
    """A real network, sigmoids, by the commands alone; an evaluation of the new bundle reads calibrated scores."""
    data = write_own(tmp_path / "own", images=12)

    def evaluate(model, output):
        arguments = ["own", str(data), "--model", str(model), "--output", str(output), "--device", "cpu", "--no-images"]
        assert main(["evaluate", "dataset", *arguments]) == 0

    evaluate(student_bundle, tmp_path / "result")
    assert calibrate(read_bundle(student_bundle), tmp_path / "honest", tmp_path / "result", "--force") == 0
    honest = read_bundle(tmp_path / "honest")
    evaluate(honest.path, tmp_path / "after")
    before, after = (prediction_table.read(tmp_path / name / "predictions.jsonl") for name in ("result", "after"))
    rows = 0
    for raw, now in zip(before.images, after.images, strict=True):
        pairs = zip(np.vstack([raw.emotions, raw.pooled]), np.vstack([now.emotions, now.pooled]), strict=True)
        for scores, result in pairs:
            expected = calibrated(scores, honest.calibration, honest.score_type)
            np.testing.assert_allclose(result, expected, atol=1e-6)
            rows += 1
    assert rows > 12
