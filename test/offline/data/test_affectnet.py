from __future__ import annotations

import numpy as np
import pytest

from caer_ros.offline.data import load
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import AFFECTNET

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


def row(name, expression=1, valence="0.5", arousal="-0.25", box="10,5,30,40"):
    return f"{name},{box},1.5;2.5;3;4,{expression},{valence},{arousal}"


@pytest.fixture
def write(tmp_path, picture):
    def write(rows, name="training.csv", folder="", header=True):
        for line in rows:
            picture(tmp_path / folder / line.split(",")[0])
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join([HEADER] * header + rows) + "\n")
        return tmp_path

    return write


@pytest.mark.parametrize("folder", ["", "Manually_Annotated_Images"])
@pytest.mark.parametrize("header", [True, False])
def test_csv(write, folder, header):
    rows = [row("689/a.jpg"), row("392/b.jpg", 7, "-2", "-2.0"), row("392/c.jpg", 0, box="-5,0,200,20")]
    root = write(rows, folder=folder, header=header)
    dataset = load("affectnet", root, "train")
    assert [AFFECTNET[s.emotions[0].argmax()] for s in dataset.samples] == ["Happy", "Contempt", "Neutral"]
    first, second, third = dataset.samples
    assert first.path == root / folder / "689/a.jpg"
    np.testing.assert_array_equal(first.boxes, [[10, 5, 40, 45]])
    np.testing.assert_array_equal(third.boxes, [[0, 0, 80, 20]])
    np.testing.assert_array_equal(first.vad, np.array([[0.5, -0.25, np.nan]], np.float32))
    assert np.isnan(second.vad).all()
    assert first.box_kind == BoxKind.FACE


def test_csv_dirt(write):
    rows = [
        row("a.jpg"),
        row("b.jpg", 8),
        row("c.jpg", 10),
        row("d.jpg", "NULL"),
        row("e.jpg", box="NULL,NULL,NULL,NULL"),
        row("f.jpg", 11),
        row("g.jpg", box="5,5,0,9"),
    ]
    dataset = load("affectnet", write(rows, "Manually_Annotated_file_lists/validation.csv"), "val")
    assert [sample.image_id for sample in dataset.samples] == ["a.jpg"]
    assert "2 rows are None, Uncertain, No-face" in dataset.findings.warnings[0]
    assert [line.split(":")[1] for line in dataset.findings.skipped] == ["5", "6", "7", "8"]


def test_the_first_picture_may_be_missing(write):
    root = write([row("a.jpg"), row("b.jpg")], folder="Manually_Annotated_Images")
    (root / "Manually_Annotated_Images" / "a.jpg").unlink()
    dataset = load("affectnet", root, "train")
    assert [sample.image_id for sample in dataset.samples] == ["Manually_Annotated_Images/b.jpg"]
    assert "Manually_Annotated_Images/a.jpg" in dataset.findings.unreadable[0]


@pytest.mark.parametrize("header", [True, False])
def test_a_list_that_is_no_text(write, header):
    root = write([row("a.jpg")], header=header)
    (root / "training.csv").write_bytes((root / "training.csv").read_bytes() + row("b.jpg").encode() + b"\xff\n")
    with pytest.raises(DatasetError, match=r"training\.csv: .*utf-8"):
        load("affectnet", root, "train")


def write_npy(root, picture, name, text=False, folder="train_set", **values):
    picture(root / folder / "images" / f"{name}.jpg")
    (root / folder / "annotations").mkdir(exist_ok=True)
    for kind, value in values.items():
        np.save(root / folder / "annotations" / f"{name}_{kind}.npy", np.array(str(value) if text else value))


@pytest.mark.parametrize("text", [True, False])
def test_npy(tmp_path, picture, text):
    write_npy(tmp_path, picture, "0", text, exp=6, val=-0.5, aro=0.75)
    write_npy(tmp_path, picture, "1", text, exp=0, val=-2, aro=-2)
    write_npy(tmp_path, picture, "2", text, exp=8, val=-2, aro=-2)
    write_npy(tmp_path, picture, "3", text, exp=12, val=0.0, aro=0.0)
    write_npy(tmp_path, picture, "4", text, exp=1, val=0.0)
    write_npy(tmp_path, picture, "5", text, exp=1, val=0.0, aro=0.0)
    (tmp_path / "train_set/annotations/5_exp.npy").write_bytes(b"")  # a copy that was broken off
    dataset = load("affectnet", tmp_path, "train")
    first, second = dataset.samples
    assert AFFECTNET[first.emotions[0].argmax()] == "Anger"
    np.testing.assert_array_equal(first.vad, np.array([[-0.5, 0.75, np.nan]], np.float32))
    np.testing.assert_array_equal(first.boxes, [[0, 0, 80, 60]])
    assert first.image_id == "train_set/images/0.jpg"
    assert np.isnan(second.vad).all()
    assert len(dataset.findings.skipped) == 3
    assert "1 faces are None" in dataset.findings.warnings[0]


def test_nothing_is_unpickled(tmp_path, picture):
    write_npy(tmp_path, picture, "0", exp=6, val=0.0, aro=0.0)
    np.save(tmp_path / "train_set/annotations/0_exp.npy", np.array({"a": 1}, object), allow_pickle=True)
    with pytest.raises(DatasetError, match=r"no usable image.*0\.jpg.*allow_pickle"):
        load("affectnet", tmp_path, "train")


def test_what_is_missing_is_said(tmp_path, write):
    with pytest.raises(DatasetError, match=r"neither training\.csv nor train_set/"):
        load("affectnet", tmp_path, "train")
    (tmp_path / "training.csv").write_text("subDirectory_filePath,face_x\n")
    with pytest.raises(DatasetError, match="no column face_y"):
        load("affectnet", tmp_path, "train")
    with pytest.raises(DatasetError, match="affectnet has no split 'test'"):
        load("affectnet", tmp_path, "test")
