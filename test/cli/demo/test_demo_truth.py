"""What the demo knows of a bag, from the file beside it or the bag's own topic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from bag_files import START_NS, compressed, picture, stamped, write_bag

from caer_ros.cli.demo import demo_truth
from caer_ros.cli.demo.demo_truth import TruePerson
from caer_ros.msg import PersonEmotion, PersonEmotionArray
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.definitions import TRUTH_TOPIC

if TYPE_CHECKING:
    from pathlib import Path

CAMERA = "/cam/image/compressed"
STAMPS = [START_NS + index * 10**8 for index in range(2)]
HEIGHT, WIDTH = picture(1).shape[:2]
HERE = (1.0, 2.0, 6.0, 8.0)


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write_bag(tmp_path / "bag", [(CAMERA, stamp, compressed(picture(1), stamp)) for stamp in STAMPS])


def write(bag: Path, images: list[dict], annotations: list[dict], **info: object) -> None:
    named = [
        {"id": stamp, "file_name": f"{CAMERA[1:]}/{stamp}.jpg", "width": WIDTH, "height": HEIGHT, **image}
        for stamp, image in zip(STAMPS, images, strict=False)
    ]
    content = {"info": {"labels": [], **info}, "images": named, "annotations": annotations}
    (bag.parent / "ground_truth.json").write_text(json.dumps(content))


def test_a_file_may_tell_who_is_ignored_and_how_much_of_a_person_is_seen(bag: Path) -> None:
    here = {"image_id": STAMPS[0], "bbox": [1, 2, 5, 6]}
    annotations = [
        {"id": 1, **here, "track_id": "ann/2", "visible": 0.6},
        {"id": 2, **here, "track_id": "bob/1", "visible": 0.1, "iscrowd": 1},
        {"id": 3, **here, "iscrowd": 1},
        {"id": 4, **here},
    ]
    write(bag, [{}, {"noise": True}], annotations, persons={"ann": {"status": "OK"}})
    known = demo_truth.read(bag, CAMERA)
    assert known is not None
    first, second = known.images
    assert first.persons == (
        TruePerson("ann", "ann/2", HERE, 0.6),
        TruePerson(f"{STAMPS[0]}.1", f"{STAMPS[0]}.1", HERE),
        TruePerson("bob", "bob/1", HERE, 0.1, ignore=True),
    )
    assert (first.noise, second.noise, second.persons) == (False, True, ())
    assert known.info["persons"] == {"ann": {"status": "OK"}}
    assert [(sample.track_ids, len(sample.ignore)) for sample in known.samples] == [(("ann/2", ""), 2), ((), 0)]


def test_a_bags_own_truth_names_people_by_emotion_and_track(tmp_path: Path) -> None:
    sides = dict(zip(("x_min", "y_min", "x_max", "y_max"), HERE, strict=True))
    nameless = PersonEmotion(box_kind=PersonEmotion.BOX_BODY, scores=[0.0, 1.0], **sides)
    tracked = PersonEmotion(box_kind=PersonEmotion.BOX_BODY, scores=[0.0, 1.0], track_id="4", **sides)
    crowd = PersonEmotion(box_kind=PersonEmotion.BOX_UNKNOWN, **sides)
    said = {"labels": ["Happy", "Not/Sad"], "image_width": WIDTH, "image_height": HEIGHT}
    recorded = []
    for stamp in STAMPS:
        recorded.append((CAMERA, stamp, compressed(picture(1), stamp)))
        recorded.append(
            (TRUTH_TOPIC, stamp, stamped(PersonEmotionArray(persons=[tracked, nameless, crowd], **said), stamp))
        )
    known = demo_truth.read(write_bag(tmp_path / "bag", recorded), CAMERA)
    assert known is not None
    names = [[person.person for person in image.persons] for image in known.images]
    assert names == [["Not-Sad_4", f"Not-Sad_{stamp}.1"] for stamp in STAMPS]
    assert [person.identity for person in known.images[0].persons] == ["4", f"{STAMPS[0]}.1"]
    assert not known.info


def test_a_bag_of_which_nothing_is_known(bag: Path) -> None:
    assert demo_truth.read(bag, CAMERA) is None
    (bag.parent / "ground_truth.json").write_text('{"meta": {}, "images": []}')
    with pytest.raises(DatasetError, match=r"ground_truth\.json"):
        demo_truth.read(bag, CAMERA)
