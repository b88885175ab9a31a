from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_portraits import photo, scene, write

from caer_ros.offline.evaluation.portraits import bodies, known_faces
from caer_ros.recordings.annotations.sample import DatasetError


def every(finder, folder, split="all", seed=0):
    notes: dict[str, list[str]] = {}
    return list(bodies.bodies(finder, folder, split, seed, notes)), notes


def test_a_standing_person_suits(finder, street_scenes):
    (body,), notes = every(finder, street_scenes)
    assert notes == {}
    assert body.name == "wall.png"
    assert body.box[3] - body.box[1] > bodies.MIN_TALL * known_faces.width_of(body.face)
    network = finder.engines["face"]
    place = (*known_faces.centre(body.face), known_faces.width_of(body.face))
    assert known_faces.face_in(network, body.pixels, place) is not None
    assert known_faces.face_in(network, body.headless, place) is None
    x_min, x_max = int(body.box[0]), int(body.box[2])
    orange = (body.street[..., 0].astype(int) - body.street[..., 2]) > 90
    assert orange[:, x_min:x_max].mean() < 0.05
    assert ((body.pixels[..., 0].astype(int) - body.pixels[..., 2]) > 90)[:, x_min:x_max].mean() > 0.2


def test_what_does_not_suit_is_named(finder, tmp_path):
    whole = scene()
    write(tmp_path / "empty.png", np.full((300, 200, 3), (120, 130, 140), np.uint8))
    write(tmp_path / "half.png", photo("astronaut"))
    write(tmp_path / "small.png", cv2.resize(whole, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA))
    write(tmp_path / "turned.png", photo("cameraman"))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    found, notes = every(finder, tmp_path)
    assert found == []
    assert notes["unreadable"] == ["broken.jpg"]
    assert "half.png" in notes["body not whole"]
    assert "empty.png" in notes["no person with a face"]
    left_out = {name for reason, names in notes.items() if reason != "grey" for name in names}
    assert left_out == {"broken.jpg", "half.png", "empty.png", "small.png", "turned.png"}


def test_scenes_come_by_split_and_seed(finder, tmp_path):
    for number in range(30):
        write(tmp_path / f"{number:04}.png", np.full((64, 64, 3), (90, number, 20), np.uint8))
    chosen = {split: every(finder, tmp_path, split)[1]["no person with a face"] for split in ("train", "val", "test")}
    assert sorted(name for names in chosen.values() for name in names) == [f"{number:04}.png" for number in range(30)]
    assert every(finder, tmp_path, "train", 0)[1] == every(finder, tmp_path, "train", 0)[1]
    assert every(finder, tmp_path, "train", 1)[1] != every(finder, tmp_path, "train", 0)[1]


def test_an_empty_folder_is_an_error(finder, tmp_path, street_scenes):
    with pytest.raises(DatasetError, match="no picture in it"):
        every(finder, tmp_path)
    with pytest.raises(DatasetError, match="none of its pictures is of the split 'val'; see --scenes-split"):
        every(finder, street_scenes, "val")  # wall.png is not


def test_folded_goes_to_and_fro():
    assert bodies.folded(np.arange(8), 3).tolist() == [0, 1, 2, 2, 1, 0, 0, 1]


def test_nobody_else_stands_beside(finder, tmp_path):
    one = scene()
    write(tmp_path / "two.png", np.concatenate([one, one[:, ::-1]], axis=1))
    assert every(finder, tmp_path) == ([], {"another person in the way": ["two.png"]})


def test_a_street_without_its_person_has_the_edges_of_the_picture(finder, street_scenes):
    (body,), _ = every(finder, street_scenes)
    np.testing.assert_array_equal(body.street[[0, -1]], body.pixels[[0, -1]])
    np.testing.assert_array_equal(body.street[:, [0, -1]], body.pixels[:, [0, -1]])
