from __future__ import annotations

import numpy as np
import pytest
from graphs import write_bundle

from caer_ros.offline import data
from caer_ros.offline.data.distilled import DistillationError, claim, is_complete, label
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.predictors import predictor
from caer_ros.recordings.frames import Frame

SECOND = 10**9


ONE = {"scores": (0.9,), "emotions": np.array([[0.1, 0.2, 0.7]]), "batch": 1}


def teacher(folder, graph=ONE, **changes):
    """Finds the white rectangle of an image at 0.9, and says 0.1, 0.2, 0.7 of it."""
    fields = {"max_persons": 1, "resize": {"mode": "stretch", "size": [48, 64], "interpolation": "nearest"}}
    return predictor.load(read_bundle(write_bundle(folder, graph, **fields | changes)), EngineSettings(device="cpu"))


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
    train, val = (data.load("own", tmp_path / "data", split) for split in ("train", "val"))
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
    emotions = data.load("own", tmp_path / "data", "train").samples[0].emotions[0]
    assert np.isnan(emotions[1])
    np.testing.assert_allclose(emotions[[0, 2]], [0.1 / 0.8, 0.7 / 0.8], atol=1e-5)  # what is known sums to 1


def test_who_is_only_suspected_is_a_region_to_ignore(tmp_path):
    # Two slots: one sure, one between half the threshold and the threshold; the graph gives both the same box.
    model = teacher(
        tmp_path / "bundle",
        {"scores": (0.9, 0.3), "emotions": np.array([[0.1, 0.2, 0.7]] * 2), "batch": 1},
        max_persons=2,
        thresholds={"person": 0.4, "uncertain": 0.4},
    )
    found = label(model, frames(5), tmp_path / "data")
    assert (found.persons, found.doubtful) == (5, 5)
    for sample in data.load("own", tmp_path / "data", "train").samples:
        assert (len(sample), len(sample.ignore)) == (1, 1)


def test_nobody_sure_is_nothing_to_learn_from(tmp_path):
    model = teacher(tmp_path / "bundle", thresholds={"person": 0.95, "uncertain": 0.4})
    with pytest.raises(DistillationError, match=r"5 frames with 0 persons above 0\.95"):
        label(model, frames(5), tmp_path / "data")
    assert not is_complete(tmp_path / "data")


def test_a_folder_of_somebody_else_is_never_touched(tmp_path):
    (tmp_path / "run_frames").mkdir()
    (tmp_path / "run_frames" / "precious.jpg").write_bytes(b"mine")
    with pytest.raises(DistillationError, match="not made by `caer distill`"):
        label(teacher(tmp_path / "bundle"), frames(5), tmp_path / "run_frames")
    assert (tmp_path / "run_frames" / "precious.jpg").read_bytes() == b"mine"


def test_frames_of_a_call_that_was_broken_off_are_labelled_anew(tmp_path):
    model = teacher(tmp_path / "bundle")
    with pytest.raises(DistillationError):
        label(model, frames(1), tmp_path / "data")
    assert not is_complete(tmp_path / "data")
    label(model, frames(6), tmp_path / "data")
    assert is_complete(tmp_path / "data")
    assert len(list((tmp_path / "data").rglob("*.jpg"))) == 6


def test_a_run_belongs_to_the_frames_that_it_was_distilled_from(tmp_path):
    monday = {"source": "monday", "every": 0.5}
    claim(tmp_path / "run", monday)
    claim(tmp_path / "run", monday)
    with pytest.raises(DistillationError, match="source monday, now tuesday"):
        claim(tmp_path / "run", monday | {"source": "tuesday"})


def test_one_frame_is_too_few(tmp_path):
    with pytest.raises(DistillationError, match="1 frames with 1 persons"):
        label(teacher(tmp_path / "bundle"), frames(1), tmp_path / "data")
