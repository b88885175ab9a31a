from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from offline.metrics.tables import prediction, random_set, sample, table

from caer_ros.offline.data import predictions as prediction_table
from caer_ros.offline.evaluation import compare, results
from caer_ros.offline.metrics.detection import pd
from caer_ros.offline.metrics.emotion_recognition import er
from caer_ros.offline.metrics.joined import MetricsError, join
from caer_ros.offline.metrics.on_the_field import oer
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import own
from caer_ros.recordings.annotations.sample import Dataset, Findings

LABELS = ("calm", "cross", "glad")


def dataset(samples, labels=LABELS):
    return Dataset("own", Path("set"), "test", "moods", labels, True, tuple(samples), Findings())


def write(folder, samples, images, labels=LABELS, metrics=None, **header):
    """A result folder."""
    header = {"label_set": "moods"} | header
    prediction_table.write(folder / "predictions.jsonl", table(images, labels, **header))
    (folder / "annotations.json").write_text(json.dumps(own.content(dataset(samples, labels))), "utf-8")
    content = {"format": "caer evaluate dataset"} | (metrics or {})
    (folder / "metrics.json").write_text(json.dumps(content), "utf-8")
    return folder


def blurred(images, amount, seed=5):
    """Predictions with scores less sure of themselves."""
    generator = np.random.default_rng(seed)

    def noisy(scores):
        return np.clip(scores + generator.normal(0, amount, scores.shape), 0, 1).astype(np.float32)

    return [replace(image, emotions=noisy(image.emotions), pooled=noisy(image.pooled)) for image in images]


@pytest.fixture(scope="module")
def answers():
    """Samples, and predictions whose scores say something."""
    samples, images = random_set(1, images=40)
    informed = []
    for one, image in zip(samples, images, strict=True):
        targets = np.nan_to_num(one.emotions, nan=0.5)
        informed.append(replace(image, pooled=np.clip(0.8 * targets + 0.2 * image.pooled, 0, 1).astype(np.float32)))
    return samples, informed


def metric(comparison, name):
    return next(one for one in comparison.metrics if one.metric == name)


def test_all_are_measured_on_the_same_frames(answers, tmp_path):
    samples, images = answers
    worse = blurred(images, 0.3)
    folders = [write(tmp_path / name, samples, some) for name, some in (("good", images), ("noisy", worse))]
    found = compare.compare([results.read(folder) for folder in folders], replicates=20)
    assert (found.names, found.frames, found.persons) == (("good", "noisy"), 40, sum(map(len, samples)))
    together = [join(samples, table(some, LABELS)) for some in (images, worse)]
    for name, measure in (
        ("ER", lambda joined: er(joined).mean_average_precision),
        ("PD", lambda joined: pd(joined).ap),
        ("OER", lambda joined: oer(joined).mean_average_precision),
    ):
        assert metric(found, name).values == pytest.approx([measure(joined) for joined in together], abs=1e-6), name


def test_a_difference_is_that_to_the_first_and_conclusive_where_it_is_large(answers, tmp_path):
    samples, images = answers
    folders = [
        write(tmp_path / name, samples, blurred(images, amount))
        for name, amount in (("a", 0.01), ("b", 0.011), ("c", 2))
    ]
    found = compare.compare([results.read(folder) for folder in folders], replicates=100)
    near, far = metric(found, "ER").differences
    values = metric(found, "ER").values
    assert near.value == pytest.approx(values[1] - values[0])
    assert far.value == pytest.approx(values[2] - values[0]) != 0
    assert far.value < -0.2
    assert far.conclusive
    assert not near.conclusive
    content = found.to_dict()["metrics"][0]["differences"]
    assert [one["conclusive"] for one in content] == [False, True]


def test_a_result_does_not_differ_from_itself(answers, tmp_path):
    samples, images = answers
    folder = write(tmp_path / "a", samples, images)
    found = compare.compare([results.read(folder)] * 2, replicates=10)
    for one in found.metrics:
        assert one.values[0] == one.values[1]
        (difference,) = one.differences
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)
        assert not difference.conclusive
    assert found.names == (str(folder),) * 2


def test_other_frames_are_refused_and_named(answers, tmp_path):
    samples, images = answers
    first = results.read(write(tmp_path / "first", samples[:30], images[:30]))
    second = results.read(write(tmp_path / "second", samples[1:32], images[1:32]))
    with pytest.raises(
        MetricsError, match=r"1 only in .*first \(0\.png\); 2 only in .*second \(30\.png, 31\.png\).*--common"
    ):
        compare.compare([first, second])
    found = compare.compare([first, second], replicates=0, common=True)
    assert (found.frames, found.left_out) == (29, 3)
    assert "29 frames" in compare.table(found).title
    assert "3 others left out" in compare.table(found).title


def test_other_annotations_are_refused_and_named(answers, tmp_path):
    samples, images = answers
    number = next(index for index, one in enumerate(samples) if len(one) > 1)
    moved = list(samples)
    moved[number] = replace(samples[number], boxes=samples[number].boxes + np.float32([1, 0, 1, 0]))
    first = results.read(write(tmp_path / "first", samples, images))
    second = results.read(write(tmp_path / "second", moved, images))
    with pytest.raises(MetricsError, match=rf"1 annotated otherwise in .*second \({number}\.png\)"):
        compare.compare([first, second])
    found = compare.compare([first, second], replicates=0, common=True)
    assert found.frames == 39


def test_nothing_in_common(answers, tmp_path):
    samples, images = answers
    first = results.read(write(tmp_path / "first", samples[:3], images[:3]))
    second = results.read(write(tmp_path / "second", samples[3:6], images[3:6]))
    with pytest.raises(MetricsError, match=r"no frame has the same annotations in all results; .* 0\.png, 3\.png"):
        compare.compare([first, second], common=True)


def test_other_labels(answers, tmp_path):
    samples, images = answers
    first = results.read(write(tmp_path / "first", samples, images))
    second = results.read(write(tmp_path / "second", samples, images, ("x", "y", "z")))
    for common in (True, False):
        with pytest.raises(MetricsError, match=r"first is annotated with calm, cross, glad, .*second with x, y, z"):
            compare.compare([first, second], common=common)


def test_other_boxes_only_when_asked_for(answers, tmp_path):
    samples, images = answers
    first = results.read(write(tmp_path / "first", samples, images))
    second = results.read(write(tmp_path / "second", samples, images, box_kind=BoxKind.HEAD))
    with pytest.raises(MetricsError, match=r"first predicts body boxes, .*second head boxes; .*--any-box-kind"):
        compare.compare([first, second])
    found = compare.compare([first, second], replicates=0, any_box_kind=True)
    assert "The results are of different boxes: body and head." in found.notes


def test_tables_cut_at_other_scores_are_noted(answers, tmp_path):
    samples, images = answers
    first = results.read(write(tmp_path / "first", samples, images))
    second = results.read(write(tmp_path / "second", samples, images, thresholds={"kept": 0.3}))
    found = compare.compare([first, second], replicates=0)
    assert any("cut at different detection scores (0, 0.3)" in note for note in found.notes)
    assert not any("cut at" in note for note in compare.compare([first, first], replicates=0).notes)


def test_one_recording_gives_no_interval(tmp_path):
    box = [[0, 0, 50, 50]]
    samples = [sample(f"camera/{n}", box, [[1, 0]], stamp=n + 1) for n in range(3)]
    images = [prediction(f"camera/{n}", box, [0.9], [[0.8, 0.1]]) for n in range(3)]
    result = results.read(write(tmp_path / "a", samples, images, ("calm", "cross")))
    found = compare.compare([result, result])
    assert metric(found, "OER").differences == (None,)
    assert any("one track or recording" in note for note in found.notes)
    assert [one.metric for one in found.metrics][:2] == ["PD", "OER"]


def test_what_is_no_result_is_said(answers, tmp_path):
    samples, images = answers
    with pytest.raises(MetricsError, match=r"gone: no metrics\.json and no annotations\.json .*--output"):
        results.read(tmp_path / "gone")
    folder = write(tmp_path / "a", samples, images)
    (folder / "annotations.json").unlink()
    with pytest.raises(MetricsError, match=r"a: no annotations\.json;"):
        results.read(folder)
    folder = write(tmp_path / "b", samples, images, metrics={"format": "something else"})
    with pytest.raises(MetricsError, match='no field format of "caer evaluate bag"'):
        results.read(folder)
    folder = write(tmp_path / "c", samples, images[:-1])
    good = write(tmp_path / "d", samples, images)
    with pytest.raises(MetricsError, match=r"c: images not in the predictions: 39\.png"):
        compare.compare([results.read(good), results.read(folder)])


@pytest.mark.parametrize(
    ("ways", "noted"), [((("box_mean",), ("query",)), True), ((("centre",), ("centre",)), False), (((), ()), False)]
)
def test_er_that_was_read_in_different_ways_is_noted(answers, tmp_path, ways, noted):
    samples, images = answers
    folders = [write(tmp_path / str(place), samples, images, pooling=way) for place, way in enumerate(ways)]
    notes = compare.compare([results.read(folder) for folder in folders], replicates=0).notes
    said = "in different ways: the mean over the box; of the query with the highest IoU."
    assert any(note.endswith(said) for note in notes) == noted
