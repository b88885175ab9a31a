from __future__ import annotations

import json

import numpy as np
import pytest
from graphs import write_bundle

from caer_ros.offline import datasets
from caer_ros.offline.distillation import DistillationError, label
from caer_ros.offline.frames import Frame
from caer_ros.perception import bundle, predictor
from caer_ros.perception.engine import EngineSettings

SECOND = 10**9


def teacher(folder, **changes):
    """Finds the white rectangle of an image at 0.9, and says 0.1, 0.2, 0.7 of it."""
    graph = {"scores": (0.9,), "emotions": np.array([[0.1, 0.2, 0.7]]), "batch": 1}
    fields = {"max_persons": 1, "resize": {"mode": "stretch", "size": [48, 64], "interpolation": "nearest"}}
    return predictor.load(bundle.read(write_bundle(folder, graph, **fields | changes)), EngineSettings(device="cpu"))


def frames(count):
    for index in range(count):
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[20:44, 10 + index : 30 + index] = 255
        yield Frame(f"camera/image_raw/{(index + 1) * SECOND}", (index + 1) * SECOND, pixels)


def test_what_the_teacher_says_becomes_a_data_set(tmp_path):
    model = teacher(tmp_path / "bundle")
    found = label(model, frames(10), tmp_path / "data")
    assert (found.frames, found.persons, found.with_emotions, found.doubtful) == (10, 10, 10, 0)
    assert found.labels_seen == dict(zip(model.bundle.labels, (0, 0, 10), strict=True))
    train, val = (datasets.load("own", tmp_path / "data", split) for split in ("train", "val"))
    assert (len(train.samples), len(val.samples)) == (8, 2)
    assert max(s.stamp for s in train.samples) < min(s.stamp for s in val.samples)  # the last part in time
    assert train.labels == model.bundle.labels
    first = train.samples[0]
    np.testing.assert_allclose(first.boxes, [[10, 20, 30, 44]], atol=0.01)
    np.testing.assert_allclose(first.emotions, [[0.1, 0.2, 0.7]], atol=1e-5)
    assert first.weights[0] == pytest.approx(0.9 * 0.7, abs=1e-5)
    assert first.exhaustive


def test_labels_that_the_teacher_cannot_predict_stay_unknown(tmp_path):
    names = teacher(tmp_path / "any").bundle.labels
    model = teacher(tmp_path / "bundle", predictable=[names[0], names[2]])
    label(model, frames(4), tmp_path / "data")
    emotions = datasets.load("own", tmp_path / "data", "train").samples[0].emotions[0]
    assert np.isnan(emotions[1])
    np.testing.assert_allclose(emotions[[0, 2]], [0.1 / 0.8, 0.7 / 0.8], atol=1e-5)  # what is known sums to 1


def test_who_is_only_suspected_is_a_region_to_ignore(tmp_path):
    model = teacher(tmp_path / "bundle", thresholds={"person": 0.95, "uncertain": 0.4})
    with pytest.raises(DistillationError, match=r"5 frames with 0 persons above 0\.95"):
        label(model, frames(5), tmp_path / "data")
    sure, doubtful = tmp_path / "sure", teacher(tmp_path / "sure-bundle")
    label(doubtful, frames(5), sure)
    content = json.loads((sure / "train.json").read_text())
    assert not any("iscrowd" in annotation for annotation in content["annotations"])


def test_one_frame_is_too_few(tmp_path):
    with pytest.raises(DistillationError, match="1 frames with 1 persons"):
        label(teacher(tmp_path / "bundle"), frames(1), tmp_path / "data")
