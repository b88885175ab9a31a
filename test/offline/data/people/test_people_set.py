from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import people_pictures
import pytest

from caer_ros.offline import data
from caer_ros.offline.data.people import people_set
from caer_ros.offline.data.people.collage import CanvasPerson
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import CAER_S

NOTHING = np.full(7, np.nan, np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    folders = people_pictures.write(root / "pictures")
    return root / "out", people_set.make(root / "out", folders, {"train": 6, "val": 3}, (240, 320), seed=2), folders


def test_is_a_data_set_of_ones_own(made):
    out, result, _ = made
    train = data.load("own", out, "train")
    assert (len(train.samples), len(data.load("own", out, "val").samples)) == (6, 3)
    assert train.labels == CAER_S
    assert any(face == "readable" for sample in train.samples for face in sample.faces)
    assert not train.findings.skipped
    assert image_files.read(train.samples[0].path).shape == (240, 320, 3)
    assert result.canvases == {"train": 6, "val": 3}
    assert sum(result.persons.values()) == sum(map(len, train.samples)) + sum(
        map(len, data.load("own", out, "val").samples)
    )


def test_says_what_it_left_out(made):
    out, result, _ = made
    assert result.left_out["pictures that cannot be read"] == 1
    said = people_set.in_words(out, result)
    assert "6 canvases for train" in said
    assert "1 pictures that cannot be read" in said


def test_the_same_seed_gives_the_same_pictures_however_many_work(made, tmp_path):
    out, _, folders = made
    people_set.make(tmp_path / "again", folders, {"train": 2, "val": 1}, (240, 320), seed=2, processes=2)
    for name in ("train/000000.jpg", "train/000001.jpg", "val/000000.jpg"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def test_refuses_a_folder_that_is_not_empty_and_pictures_without_people(made, tmp_path):
    out, _, folders = made
    with pytest.raises(DatasetError, match="not empty"):
        people_set.make(out, folders, {"train": 1, "val": 1}, (240, 320))
    grey = tmp_path / "grey"
    grey.mkdir()
    cv2.imwrite(str(grey / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
    nobody = replace(folders, bodies=(grey,))
    with pytest.raises(DatasetError, match="too few usable pictures for the split train: 0 of people"):
        people_set.make(tmp_path / "nobody", nobody, {"train": 1, "val": 1}, (240, 320))
    assert not (tmp_path / "nobody").exists()


def person(box, face_box=None, face="readable"):
    return CanvasPerson(np.float32(box), None if face_box is None else np.float32(face_box), face, NOTHING, 1.0)


def test_persons_get_the_boxes_in_which_they_are_found():
    persons = [person([0, 0, 40, 100], [10, 5, 30, 25]), person([100, 0, 140, 100], None, "none")]
    boxes = np.float32([[2, 0, 40, 96], [4, 2, 44, 100], [101, 2, 141, 98], [200, 0, 240, 90]])
    found, unknown = people_set.as_detected(persons, boxes)
    assert [p.face for p in found] == ["readable", "readable", "none", ""]  # found twice, learnt from twice
    np.testing.assert_array_equal([p.box for p in found], boxes)
    assert not unknown


def test_a_box_without_the_face_is_not_taken_for_the_person():
    found, unknown = people_set.as_detected([person([0, 0, 40, 100], [10, 5, 30, 25])], np.float32([[0, 30, 40, 100]]))
    assert [p.face for p in found] == [""]
    np.testing.assert_array_equal(unknown, [[10, 5, 30, 25]])


def test_in_an_empty_picture_nobody_has_a_face():
    found, _ = people_set.as_detected([], np.float32([[0, 0, 10, 10]]))
    assert [p.face for p in found] == ["none"]
