from __future__ import annotations

import pytest
from graphs import LABELS, edit_card, write_bundle

from caer_ros.perception.bundle.bundle import BundleError, Readability
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.calibration import Calibration
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind, ScoreType


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "finder")


def test_reads_every_field(tmp_path):
    folder = write_bundle(
        tmp_path / "finder",
        predictable=["glad"],
        calibration={"temperature": [1, 2.0, 3], "bias": [0, 0, 0.5]},
        readability={"readable": 0.6, "face": 0.4, "small": 70},
        provenance={
            "data": "EMOTIC",
            "recipe": "ka.yaml",
            "commit": "abc",
            "metrics": [{"name": "mAP", "value": 30, "protocol": "ground-truth boxes"}],
        },
    )
    bundle = read_bundle(folder)
    assert (bundle.path, bundle.name, bundle.version, bundle.kind) == (folder, "finder", "1.0.0", "single_shot")
    assert (bundle.label_set, bundle.labels, bundle.predictable) == ("moods", LABELS, (False, False, True))
    assert (bundle.score_type, bundle.box_kind, bundle.max_persons) == (ScoreType.SOFTMAX, BoxKind.BODY, 2)
    assert (bundle.person_score, bundle.pooling) == ("max_class", "box_mean")
    assert bundle.resize == Resize("stretch", size=(64, 64), interpolation="nearest")
    assert (bundle.thresholds.person, bundle.thresholds.uncertain) == (0.5, 0.4)
    assert bundle.readability == Readability(0.6, 0.4, 70)
    assert bundle.calibration == Calibration((1.0, 2.0, 3.0), (0.0, 0.0, 0.5))
    assert (bundle.licence, bundle.commercial_use, bundle.faces) == ("Apache-2.0", True, None)
    assert bundle.provenance.metrics[0].value == 30
    assert bundle.files["model"].path == folder / "model.onnx"
    assert len(bundle.sha256) == 64
    assert bundle.model_version == bundle.sha256[:16]


def test_short_side_rule(tmp_path):
    rule = {"mode": "short_side", "short": 800, "max": 1333, "multiple": 32, "interpolation": "linear"}
    bundle = read_bundle(write_bundle(tmp_path / "finder", resize=rule))
    assert bundle.resize == Resize("short_side", short=800, longest=1333, multiple=32)


@pytest.mark.parametrize(("written", "expected"), [(True, True), (False, False), ("unknown", None)])
def test_commercial_use(folder, written, expected):
    edit_card(folder, "commercial_use", written)
    assert read_bundle(folder).commercial_use is expected


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", ..., "name is missing"),
        ("name", "", "name: expected text"),
        ("version", 1.0, "version: expected text .in quotes.*found 1.0"),
        ("kind", "two_stage", "kind: expected one of single_shot, composed, found 'two_stage'"),
        ("labels", "calm", "labels: expected a list of names"),
        ("labels", ["calm", "cross", 3], "labels: expected a list of names"),
        ("labels", ["calm", "calm", "glad"], "labels: expected a list of different names"),
        ("label_set", "caer_s", 'labels: expected exactly those of label set "caer_s".*Anger, Disgust'),
        ("predictable", ["sad"], "predictable: expected names out of labels, found 'sad'"),
        ("score_type", "logits", "score_type: expected one of softmax, sigmoid"),
        ("box_kind", ["body"], "box_kind: expected one of body, head, face"),
        ("max_persons", 0, "max_persons: expected a whole number, at least 1, found 0"),
        ("max_persons", True, "max_persons: expected a whole number"),
        ("max_persons", 2.0, "max_persons: expected a whole number"),
        ("person_score", "probability", "person_score: expected one of logit, max_class"),
        ("pooling", ..., "pooling is missing; add it: one of box_mean, box_attention, centre, query"),
        ("thresholds.person", 1.5, "thresholds.person: expected a number from 0 to 1, found 1.5"),
        ("thresholds.person", float("nan"), "thresholds.person: expected a number from 0 to 1, found nan"),
        ("thresholds.person", "0.5", "thresholds.person: expected a number"),
        ("thresholds.uncertain", ..., "thresholds.uncertain is missing"),
        ("thresholds.unsure", 0.3, "thresholds.unsure is not a field.*correct its name: person, uncertain"),
        ("thresholds", 0.5, "expected fields .name: value. under thresholds, found 0.5"),
        ("resize.mode", "crop", "resize.mode: expected one of stretch, letterbox, short_side"),
        ("resize.size", [64], r"resize.size: expected \[height, width\] in pixels"),
        ("resize.size", [64, 0], r"resize.size: expected \[height, width\] in pixels"),
        ("resize.interpolation", "lanczos", "resize.interpolation: expected one of nearest, linear"),
        ("resize.short", 800, "resize.short is not a field"),
        ("readability", {"readable": 0.5, "face": 0.5}, "readability.small is missing"),
        (
            "readability",
            {"readable": 2, "face": 0.5, "small": 9},
            "readability.readable: expected a number from 0 to 1",
        ),
        ("readability", {"readable": 0.5, "face": 0.5, "small": -1}, "readability.small: expected a number"),
        ("calibration", {"temperature": [1, 1], "bias": [0, 0, 0]}, "calibration.temperature: expected a list of 3"),
        ("calibration", {"temperature": [1, 1, 0], "bias": [0, 0, 0]}, "calibration.temperature: .* above 0"),
        ("calibration", {"temperature": [1, 1, 1]}, "calibration.bias is missing"),
        ("provenance.commit", ..., "provenance.commit is missing"),
        ("provenance.metrics", [{"name": "mAP", "value": 3}], r"provenance.metrics\[0\].protocol is missing"),
        ("provenance.metrics", None, "provenance.metrics: expected a list"),
        ("commercial_use", 1, "commercial_use: expected one of true, false, unknown"),
        ("files.model", ..., "files.model is missing"),
        ("files.other", {}, "files.other is not a field"),
        ("files.model.sha256", "abc", "files.model.sha256: expected 64 hex digits"),
        ("files.model.path", "../model.onnx", "files.model.path: expected a path inside the bundle's folder"),
        ("files.model.path", "a/../../model.onnx", "files.model.path: expected a path inside"),
        ("files.model.path", "/etc/passwd", "files.model.path: expected a path inside"),
        ("files.model.path", "..\\model.onnx", "files.model.path: expected a path inside"),
        ("faces", {}, "faces is not a field of this kind of bundle"),
        ("colour", "red", "colour is not a field of this kind of bundle"),
    ],
)
def test_a_wrong_field_is_named(folder, field, value, says):
    edit_card(folder, field, value)
    with pytest.raises(BundleError, match=f"model.yaml: {says}"):
        read_bundle(folder, verify=False)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name: [", "not valid YAML"),
        (b"name: \xff\xfe", "not valid YAML"),
        (b"- a", "expected fields"),
        (b"", "found None"),
    ],
)
def test_not_a_manifest(folder, content, says):
    (folder / "model.yaml").write_bytes(content)
    with pytest.raises(BundleError, match=f"model.yaml: .*{says}"):
        read_bundle(folder)


def test_no_manifest(tmp_path):
    with pytest.raises(BundleError, match=r"model\.yaml: cannot be read"):
        read_bundle(tmp_path)


def test_the_bootstrap_bundle_is_whole():
    bundle = read_bundle(find_bundle("bootstrap"))
    assert bundle.kind == "composed"
    assert bundle.commercial_use is None
    assert all(bundle.predictable)
    assert bundle.resize is None
    assert bundle.faces is not None
