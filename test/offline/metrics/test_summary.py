from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from offline.metrics.tables import joined, prediction, random_set, sample, table

from caer_ros.offline.data.predictions import read, write
from caer_ros.offline.metrics.emotion_recognition import er
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.on_the_field import oer
from caer_ros.offline.metrics.summary import evaluate
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.sample import Dataset, Findings


def dataset(samples, labels=3, multi_label=True):
    names = tuple(f"label {number}" for number in range(labels))
    return Dataset("own", Path("own"), "test", "own", names, multi_label, tuple(samples), Findings())


def test_everything_that_applies_is_there_and_ready_for_json(tmp_path):
    samples, images = random_set(0, images=30)
    predictions = table(images, 3)
    result = evaluate(dataset(samples), predictions, replicates=20)
    together = joined(samples, images)
    assert result.er.mean_average_precision == er(together).mean_average_precision
    assert result.oer.mean_average_precision == oer(together).mean_average_precision
    assert result.oer_relative == pytest.approx(result.oer.relative_to(result.er))
    assert result.oer_strict.strict
    assert result.oer_benet_compat.benet_compat
    assert result.pd_benet_compat.benet_compat
    assert set(result.intervals) == {"er", "oer", "pd"}
    for name, value in (("er", result.er), ("oer", result.oer)):
        assert result.intervals[name].low < value.mean_average_precision < result.intervals[name].high
    assert (result.classification, result.affect, result.against_votes, result.agreement) == (None,) * 4
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["model"]["box_kind"] == "body"
    assert plain["er"]["average_precision"] == pytest.approx(result.er.average_precision.tolist())
    assert any(None in row for row in plain["against_labels"]["score"])  # a bin without a score
    # The table on disk gives the same numbers.
    write(tmp_path / "predictions.jsonl", predictions)
    assert evaluate(dataset(samples), read(tmp_path / "predictions.jsonl"), replicates=20).to_dict() == result.to_dict()


def test_a_bag_as_it_was_recorded():
    """No pooled scores, detections cut at the robot's threshold, not every person annotated."""
    samples, images = random_set(1, exhaustive=False)
    images = [prediction(item.image_id, item.boxes, item.scores, item.emotions, 3) for item in images]
    result = evaluate(dataset(samples), table(images, 3, thresholds={"person": 0.5, "kept": 0.6}))
    assert (result.er, result.oer_strict, result.operating_point, result.label_shuffle) == (None,) * 4
    assert result.oer.threshold == 0.6
    assert result.to_dict()["oer_relative"] is None
    notes = "\n".join(result.notes)
    for said in ("Only 0 of 12 images", "below a score of 0.6", "there is no ER"):
        assert said in notes


def test_one_recording_has_no_intervals_and_it_is_said():
    samples, images = random_set(1)
    recorded = [replace(item, stamp=number) for number, item in enumerate(samples)]
    for given, groups in ((recorded, None), (samples, ["one"] * 12)):
        result = evaluate(dataset(given), table(images, 3), replicates=20, groups=groups)
        assert result.intervals == {}
        assert sum("No intervals" in note for note in result.notes) == 1
    assert not any("No intervals" in note for note in evaluate(dataset(recorded), table(images, 3)).notes)


def test_a_set_without_labels_has_only_pd():
    samples = [replace(item, emotions=item.emotions[:, :0], votes=item.votes[:, :0]) for item in random_set(1)[0]]
    images = [replace(item, emotions=item.emotions[:, :0], pooled=None) for item in random_set(1)[1]]
    result = evaluate(dataset(samples, 0), table(images, 0), replicates=20)
    assert result.pd.ap > 0
    assert set(result.intervals) == {"pd"}
    assert result.er is None
    assert not any("there is no ER" in note for note in result.notes)
    json.dumps(result.to_dict(), allow_nan=False)


def test_votes_and_single_labels():
    votes = np.array([[1, 0], [1 / 3, 2 / 3], [0, 1]], np.float32)
    samples = [sample("a", [[0, 0, 9, 9]] * 3, np.round(votes), votes=votes)]
    predictions = table([prediction("a", pooled=votes, vad=np.empty((0, 3), np.float32))])
    result = evaluate(dataset(samples, 2, multi_label=False), predictions)
    assert result.classification.top1 == 1
    assert result.against_votes.mean_brier == pytest.approx(0, abs=1e-6)
    assert result.agreement.annotators == 3
    assert result.affect.persons == 0
    assert evaluate(dataset(samples, 2), predictions, "any_vote").er.positives.tolist() == [2, 2]


def test_images_of_nobody():
    result = evaluate(dataset([sample("a"), sample("b")], 2), table([prediction("a"), prediction("b")]))
    assert result.persons == 0
    assert np.isnan([result.oer.mean_average_precision, result.pd.ap]).all()
    json.dumps(result.to_dict(), allow_nan=False)


def test_other_labels():
    with pytest.raises(MetricsError, match=r'own test has the labels of "own" \(label 0, .*model predicts .*\(x, y\)'):
        evaluate(dataset([sample("a")], 2), table([prediction("a")], labels=("x", "y")))


def test_other_boxes_are_said():
    predictions = table([prediction("a")], box_kind=BoxKind.FACE)
    with pytest.raises(MetricsError, match="face boxes"):
        evaluate(dataset([sample("a")], 2), predictions)
    result = evaluate(dataset([sample("a")], 2), predictions, any_box_kind=True)
    assert "Predicted are face boxes, annotated body boxes." in result.notes
