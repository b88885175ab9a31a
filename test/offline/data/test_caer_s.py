from __future__ import annotations

import numpy as np
import pytest

from caer_ros.offline.data import load
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import CAER_S


@pytest.fixture
def root(tmp_path, picture):
    for number, label in enumerate(CAER_S):
        picture(tmp_path / "CAER-S" / "train" / label / f"000{number}.png")
    (tmp_path / "CAER-S" / "train" / ".cache").mkdir()
    return tmp_path


def labels(dataset):
    return {s.image_id: [dataset.labels[index] for index in s.emotions.argmax(axis=1)] for s in dataset.samples}


def test_folders_are_labels(root):
    dataset = load("caer_s", root, "train")
    assert labels(dataset) == {f"train/{label}/000{number}.png": [label] for number, label in enumerate(CAER_S)}
    assert not dataset.multi_label
    np.testing.assert_array_equal(dataset.samples[0].boxes, [[0, 0, 80, 60]])
    assert dataset.samples[0].box_kind == BoxKind.UNKNOWN


@pytest.mark.parametrize("name", ["train.txt", "train.csv"])
def test_a_list_of_faces(root, name):
    lines = [
        "Anger/0000.png,Angry,10,5,30,25.5",
        "Anger/0000.png,3,40,5,60,25",  # a number counts in the order of the labels
        "train/Sad/0005.png,Sad,-4,0,20,99",
        "Fear/0002.png, Fear, 9, 9, 9, 20",
    ]
    (root / "CAER-S" / name).write_text("\n".join(lines))
    dataset = load("caer_s", root / "CAER-S", "train")
    assert labels(dataset) == {"train/Anger/0000.png": ["Anger", "Happy"], "train/Sad/0005.png": ["Sad"]}
    np.testing.assert_array_equal(dataset.samples[0].boxes, [[10, 5, 30, 25.5], [40, 5, 60, 25]])
    np.testing.assert_array_equal(dataset.samples[1].boxes, [[0, 0, 20, 60]])
    assert dataset.samples[0].box_kind == BoxKind.FACE
    assert len(dataset.findings.repaired) == len(dataset.findings.skipped) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Anger/0000.png,Joy,1,1,9,9", r"train\.txt:2: 'Joy' is no label"),
        ("Anger/0000.png,1,1", "txt:2: 3 fields; path,label"),
    ],
)
def test_wrong_lines(root, line, says):
    (root / "CAER-S" / "train.txt").write_text(f"path,label,x1,y1,x2,y2\n{line}\n")
    with pytest.raises(DatasetError, match=says):
        load("caer_s", root, "train")


def test_a_list_that_is_no_text(root):
    (root / "CAER-S" / "train.txt").write_bytes(b"Anger/0000.png,Angry,1,1,9,9\n\xff\xfe")
    with pytest.raises(DatasetError, match=r"train\.txt: .*utf-8"):
        load("caer_s", root, "train")


def test_wrong_folders(root):
    (root / "CAER-S" / "train" / "Joy").mkdir()
    with pytest.raises(DatasetError, match=r"train/Joy: 'Joy' is no label"):
        load("caer_s", root, "train")
    with pytest.raises(DatasetError, match="no folder test/"):
        load("caer_s", root, "test")
    with pytest.raises(DatasetError, match="caer_s has no split 'val'; it has train, test"):
        load("caer_s", root, "val")
    (root / "CAER-S" / "test" / "Sad").mkdir(parents=True)
    with pytest.raises(DatasetError, match="split 'test' of caer_s has no usable image"):
        load("caer_s", root, "test")
