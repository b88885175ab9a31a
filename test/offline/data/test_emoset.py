from __future__ import annotations

import json

import numpy as np
import pytest

from caer_ros.offline.data import load
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import EMOSET

LABEL2IDX = {label: index for index, label in enumerate(EMOSET)}


def entry(label, number=0):
    name = f"{label}_{number:05d}"
    return [label, name, f"image/{label}/{name}.jpg", f"annotation/{label}/{name}.json"]


@pytest.fixture
def write(tmp_path, picture):
    def write(entries, info=None):
        for row in entries:
            picture(tmp_path / row[-2])
        (tmp_path / "train.json").write_text(json.dumps(entries))
        if info is not None:
            (tmp_path / "info.json").write_text(json.dumps(info))
        return tmp_path

    return write


@pytest.mark.parametrize(
    "info",
    [
        None,
        LABEL2IDX,
        {"label2idx": LABEL2IDX, "idx2label": {}},
        {"emotion": {"label2idx": LABEL2IDX, "idx2label": {}}, "scene": {"label2idx": {"bar": 0}}},
        {"emotion": dict(reversed(LABEL2IDX.items()))},
    ],
    ids=["none", "flat", "label2idx", "nested", "other order"],
)
def test_every_label(write, info):
    root = write([entry(label) for label in EMOSET], info)
    dataset = load("emoset", root, "train")
    assert [EMOSET[s.emotions[0].argmax()] for s in dataset.samples] == list(EMOSET)
    first = dataset.samples[0]
    assert first.image_id == "image/amusement/amusement_00000.jpg"
    np.testing.assert_array_equal(first.boxes, [[0, 0, 80, 60]])
    assert np.isnan(first.vad).all()


def test_lists_without_the_id(write):
    label, _, image, annotation = entry("awe")
    assert len(load("emoset", write([[label, image, annotation]]), "train").samples) == 1


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([entry("awe"), entry("joy")], r"train\.json: entry 1: 'joy' is no label of EmoSet"),
        ([entry("awe"), ["awe", "image/a.jpg"]], r"train\.json: entry 1: \[emotion, id"),
        ([], "no usable image"),
    ],
)
def test_wrong_lists(tmp_path, entries, says):
    (tmp_path / "train.json").write_text(json.dumps(entries))
    with pytest.raises(DatasetError, match=says):
        load("emoset", tmp_path, "train")


def test_other_emotions_in_info(write):
    with pytest.raises(DatasetError, match=r"info\.json: emotions positive, negative"):
        load("emoset", write([entry("awe")], {"emotion": {"label2idx": {"positive": 0, "negative": 1}}}), "train")


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DatasetError, match=r"val\.json: No such file"):
        load("emoset", tmp_path, "val")
    (tmp_path / "val.json").write_text("{}")
    with pytest.raises(DatasetError, match="a list of"):
        load("emoset", tmp_path, "val")
