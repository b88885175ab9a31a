from __future__ import annotations

import cv2
import numpy as np
import people_pictures
import pytest

from caer_ros.offline.data.people import source_pictures
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import CAER_S


@pytest.fixture(scope="module")
def teachers():
    return source_pictures.Teachers()


def test_a_body_has_its_persons_and_their_faces(teachers):
    body = teachers.body(people_pictures.PHOTOS / "astronaut.png")
    (person,) = [p for p in body.persons if p.face is not None]
    face = person.face
    left, top, right, bottom = face.box
    assert 170 < left < right < 290
    assert 50 < top < bottom < 180
    assert face.yaw < 30
    assert face.eyes > source_pictures.DARK
    assert CAER_S[int(face.emotions.argmax())] == "Happy"
    assert face.weight == source_pictures.BELIEVED
    assert not person.faceless


def test_whose_face_is_not_seen_has_none(teachers):
    (person,) = teachers.body(people_pictures.PHOTOS / "camera.png").persons[:1]
    assert person.face is None or person.face.yaw > 40


def test_dark_glasses_are_seen(teachers):
    picture = image_files.read(people_pictures.PHOTOS / "grace_hopper.jpg")
    body = teachers.body(people_pictures.PHOTOS / "grace_hopper.jpg")
    points = body.persons[0].face.points
    assert source_pictures.brightness(picture, points) > source_pictures.DARK
    for eye in points[:2]:
        cv2.circle(picture, tuple(map(int, eye)), 14, (8, 8, 8), -1)
    assert source_pictures.brightness(picture, points) < source_pictures.DARK


def test_people_count_most_and_networks_a_little(teachers, tmp_path):
    folders = people_pictures.write(tmp_path)
    path = next(folders.faces.glob("*.png"))
    face = teachers.face(path, {"Surprise": 2, "Happy": 1})
    assert face.label == "Surprise"
    told = np.array([{"Surprise": 2, "Happy": 1}.get(label, 0) / 3 for label in CAER_S])
    assert face.face.emotions.sum() == pytest.approx(1, abs=1e-4)
    assert np.abs(face.face.emotions - source_pictures.HUMAN * told).max() <= 1 - source_pictures.HUMAN + 1e-6


def test_no_face_is_none(teachers, tmp_path):
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((144, 144, 3), 128, np.uint8))
    assert teachers.face(grey, {"Happy": 1}) is None


def test_labels_of_several_annotators(tmp_path):
    file = tmp_path / "faces.csv"
    file.write_text("file,labels\na.jpg,neutral;Happiness;neutral\nb.jpg,contempt\nc.jpg,\n")
    assert source_pictures.read_labels(file) == {"a.jpg": {"Neutral": 2, "Happy": 1}}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("file,labels\na.jpg,neutral\nb.jpg,bored\n", r"faces.csv: row 3: 'bored' is no label; there are neutral"),
        ("name,label\na.jpg,neutral\n", "columns file and labels"),
        ("", "columns file and labels"),
    ],
)
def test_labels_that_are_none_are_named(tmp_path, text, match):
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(DatasetError, match=match):
        source_pictures.read_labels(tmp_path / "faces.csv")
