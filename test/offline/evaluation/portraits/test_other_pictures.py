from __future__ import annotations

import numpy as np
import pytest
from made_portraits import photo, write

from caer_ros.offline.evaluation.portraits import other_pictures
from caer_ros.offline.evaluation.portraits.portrait_cases import Answer
from caer_ros.recordings.annotations.sample import DatasetError


def test_every_picture_is_shown_as_it_is(finder, tmp_path):
    write(tmp_path / "deep" / "turned.png", photo("cameraman"))
    write(tmp_path / "empty.png", np.full((200, 300, 3), (120, 130, 140), np.uint8))
    write(tmp_path / "tiny.png", np.full((20, 300, 3), (120, 130, 140), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"")
    other = other_pictures.look_through(other_pictures.TURNED, tmp_path, {"bootstrap": finder})
    assert other.pictures == ("deep/turned.png", "empty.png")
    assert other.left_out == {"unreadable": ["broken.jpg"], "grey": ["turned.png"], "smaller than 32 px": ["tiny.png"]}
    of = other_pictures.of_folder(other, "bootstrap")
    assert (of.pictures.hits, of.pictures.cases, of.found) == (1, 2, 1)
    assert (of.certain.hits, of.certain.cases, of.labelled.hits) == (0, 1, 0)
    assert other.answers["bootstrap"]["deep/turned.png"][0].status == "PROFILE_OR_OCCLUDED"


def test_labels_are_counted_by_person_and_by_picture():
    label, none = Answer(True, "OK", "Happy"), Answer(True, "NO_FACE")
    answers = {"m": {"1": [label, label], "2": [none], "3": [label, none], "4": []}}
    of = other_pictures.of_folder(other_pictures.OtherPictures("turned", "x", ("1", "2", "3", "4"), {}, answers), "m")
    assert (of.found, of.certain.hits, of.certain.cases, of.certain.persons) == (5, 3, 5, 3)
    assert (of.pictures.hits, of.labelled.hits, of.labelled.cases) == (3, 2, 4)


def test_a_folder_without_a_usable_picture_is_an_error(finder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"none of its pictures can be used \(unreadable: 1\)"):
        other_pictures.look_through(other_pictures.TURNED, tmp_path, {"bootstrap": finder})
