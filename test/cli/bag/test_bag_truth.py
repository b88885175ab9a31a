from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from bag_files import START_NS, compressed, picture, write_bag

from caer_ros.cli.bag import bag_truth
from caer_ros.cli.demo import demo_bag, scoring
from caer_ros.cli.demo.scoring import GroundTruth, TrueImage, TruePerson
from caer_ros.offline.data.synthetic import bags, cues, plans
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.sources import SourceError

if TYPE_CHECKING:
    from pathlib import Path

CAMERA = "/cam/image/compressed"
STAMPS = [START_NS + index * 10**8 for index in range(3)]
HERE, OUTSIDE, AT_THE_EDGE = (1.0, 2.0, 6.0, 8.0), (50.0, 50.0, 60.0, 60.0), (4.0, -5.0, 99.0, 4.0)


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    messages = [(CAMERA, stamp, compressed(picture(1), stamp)) for stamp in STAMPS]
    return write_bag(tmp_path / "bag", messages)


def person(box: scoring.Box, ignore: bool = False, who: str = "ann/1") -> TruePerson:
    return TruePerson(who.split("/")[0], who, box, OUTSIDE, 0.5, ignore)


def write(file: Path, *images: TrueImage) -> Path:
    file.write_text(GroundTruth(images, {}).to_json())
    return file


def test_the_demo_s_form_has_boxes_and_identities_and_no_label(bag: Path) -> None:
    truth = write(
        bag.parent / "ground_truth.json",
        TrueImage(STAMPS[2], False, (person(HERE), person(AT_THE_EDGE, who="bob/2"), person(HERE, ignore=True))),
        TrueImage(STAMPS[0], True, ()),
        TrueImage(7, False, (person(HERE),)),
    )
    dataset = bag_truth.read(bag, CAMERA)
    height, width = picture(1).shape[:2]
    assert (dataset.labels, dataset.split, len(dataset.samples)) == ((), "test", 2)
    last, first = dataset.samples
    assert (last.image_id, last.stamp, last.size) == (f"cam/image/compressed/{STAMPS[2]}", STAMPS[2], (height, width))
    assert last.boxes.tolist() == [list(HERE), [4.0, 0.0, min(99.0, width), 4.0]]  # what is visible, in the image
    assert last.track_ids == ("ann/1", "bob/2")
    assert last.ignore.tolist() == [list(HERE)]
    assert last.emotions.shape == (2, 0)
    assert last.box_kind == BoxKind.BODY
    assert last.exhaustive
    assert (len(first), len(first.ignore), first.stamp) == (0, 0, STAMPS[0])
    assert dataset.findings.warnings == [f"{truth}: 1 images are not in {bag}; left out"]


def test_the_committed_demo_bag_is_read_whole() -> None:
    demo = demo_bag.committed()
    truth = scoring.read(demo.truth)
    dataset = bag_truth.read(demo.bag, demo_bag.IMAGE_TOPIC)
    assert [sample.stamp for sample in dataset.samples] == [image.stamp_ns for image in truth.images]
    demanded = sum(not someone.ignore for image in truth.images for someone in image.persons)
    ignored = sum(someone.ignore for image in truth.images for someone in image.persons)
    assert sum(map(len, dataset.samples)) == demanded
    assert sum(len(sample.ignore) for sample in dataset.samples) == ignored
    assert not dataset.findings.skipped


def test_a_file_that_is_named_comes_before_the_one_beside(bag: Path) -> None:
    write(bag.parent / "ground_truth.json", TrueImage(STAMPS[0], False, ()))
    named = write(bag.parent / "named.json", TrueImage(STAMPS[1], False, ()))
    assert [sample.stamp for sample in bag_truth.read(bag, CAMERA, named).samples] == [STAMPS[1]]


def test_a_json_of_one_s_own_has_emotions(bag: Path) -> None:
    height, width = picture(1).shape[:2]
    name = f"{CAMERA.lstrip('/')}/{STAMPS[1]}.jpg"
    content = {
        "info": {"label_set": "heco"},
        "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
        "annotations": [{"id": 1, "image_id": 1, "bbox": [1, 2, 5, 6], "emotions": ["Fear"], "track_id": 3}],
    }
    file = bag.parent / "own.json"
    file.write_text(json.dumps(content))
    dataset = bag_truth.read(bag, CAMERA, file)
    (sample,) = dataset.samples
    assert (sample.stamp, sample.boxes.tolist(), sample.track_ids) == (STAMPS[1], [list(HERE)], ("3",))
    assert dataset.labels[int(sample.emotions[0].argmax())] == "Fear"


def test_the_bag_s_topic_is_the_last_resort(tmp_path: Path) -> None:
    made = bags.write(tmp_path / "made", plans.Settings(cues.Dials(), 96, 80), 0, 3)
    dataset = bag_truth.read(made.bag, bags.IMAGE_TOPIC)
    assert len(dataset.samples) == 3
    assert dataset.labels == cues.EMOTIONS


def test_what_is_no_ground_truth_of_this_bag_is_refused(bag: Path) -> None:
    with pytest.raises(SourceError, match="no ground truth"):
        bag_truth.read(bag, CAMERA)
    foreign = write(bag.parent / "foreign.json", TrueImage(7, False, ()))
    with pytest.raises(DatasetError, match=r"foreign\.json: none of its 1 images is one of /cam/image/compressed in"):
        bag_truth.read(bag, CAMERA, foreign)
    foreign.write_text('{"meta": {}, "images": [{"stamp_ns": 7}]}')
    with pytest.raises(scoring.GroundTruthError, match="is no ground truth: KeyError"):
        bag_truth.read(bag, CAMERA, foreign)
    foreign.write_text("{")
    with pytest.raises(DatasetError, match=r"foreign\.json"):
        bag_truth.read(bag, CAMERA, foreign)
    with pytest.raises(DatasetError, match=r"none\.json"):
        bag_truth.read(bag, CAMERA, bag.parent / "none.json")
