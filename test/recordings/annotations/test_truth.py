"""What is annotated in a bag: on a topic of it, and in a json beside it."""

import dataclasses
import json

import numpy as np
import pytest
from bag_files import image, picture, write_bag
from hand_made_run import LABELS, LEFT, RIGHT, message, person, stamp_of

from caer_ros.msg import PersonEmotion, PersonEmotionArray
from caer_ros.offline.data.synthetic import bags, cues, plans
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import truth
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.definitions import TRUTH_TOPIC
from caer_ros.recordings.sources import SourceError

CAMERA = "/camera/image_raw"


def write(folder, *said, stamps=range(3), cameras=(CAMERA,)):
    """Pictures at ``stamps``, and a ground truth."""
    shown = [(camera, stamp_of(i), image(picture(i), stamp_of(i))) for i in stamps for camera in cameras]
    return write_bag(folder / "bag", [*shown, *((TRUTH_TOPIC, stamp_of(9), one) for one in said)])


def write_json(folder, names, **info):
    file = folder / "truth.json"
    images = [{"id": i, "file_name": name, "width": 640, "height": 480} for i, name in enumerate(names)]
    entries = [{"id": i, "image_id": i, "bbox": [1, 2, 30, 40], "emotions": ["Happy"]} for i in range(len(names))]
    content = {"info": {"labels": LABELS, **info}, "images": images, "annotations": entries}
    file.write_text(json.dumps(content))
    return file


def test_topic_and_json_of_a_synthetic_bag_say_the_same(tmp_path):
    settings = plans.Settings(cues.Dials(0.8, 0.5, 0.7, 0.25), 160, 120)
    made = bags.write(tmp_path / "synthetic", settings, seed=3, images=4, runs=2, rate=5)
    topic, file = truth.from_topic(made.bag), truth.from_json(made.truth, made.bag)
    assert topic.labels == file.labels
    assert len(topic.samples) == len(file.samples) == 4
    for one, other in zip(topic.samples, file.samples, strict=True):
        assert (one.image_id, one.stamp, one.size) == (other.image_id, other.stamp, other.size)
        assert (one.track_ids, one.exhaustive) == (other.track_ids, other.exhaustive)
        assert one.boxes == pytest.approx(other.boxes, abs=0.006)  # the json rounds to two digits
        assert np.array_equal(one.emotions, other.emotions)


def test_a_message_on_the_topic_says_who_is_there_what_to_ignore_and_what_is_not_known(tmp_path):
    crowd = person(0, RIGHT, box_kind=PersonEmotion.BOX_UNKNOWN)
    known, unknown = (person(1, box_kind=PersonEmotion.BOX_HEAD), person(2, label="", box_kind=PersonEmotion.BOX_HEAD))
    bag = write(tmp_path, message(0, known, unknown, crowd), message(1, saturated=True))
    first, second = truth.from_topic(bag).samples
    assert first.image_id == f"camera/image_raw/{stamp_of(0)}"
    assert first.box_kind == second.box_kind == BoxKind.HEAD
    assert first.boxes.tolist() == [list(LEFT), list(LEFT)]
    assert first.ignore.tolist() == [list(RIGHT)]
    assert first.track_ids == ("4f2a-1", "4f2a-2")
    assert first.emotions[0].tolist() == pytest.approx([0.8, 0.1, 0.1])
    assert np.isnan(first.emotions[1]).all()
    assert (first.exhaustive, second.exhaustive) == (True, False)
    assert len(second) == 0


def test_several_labels_a_person_are_told_by_the_score_type(tmp_path):
    single = write(tmp_path / "a", message(0, person(1), score_type=PersonEmotionArray.SCORE_SOFTMAX))
    several = write(tmp_path / "b", message(0, person(1), score_type=PersonEmotionArray.SCORE_SIGMOID))
    assert not truth.from_topic(single).multi_label
    assert truth.from_topic(several).multi_label


def test_what_belongs_to_no_image_is_named_and_left_out(tmp_path):
    unstamped = message(0, person(1))
    unstamped.header.stamp.sec = unstamped.header.stamp.nanosec = 0
    bag = write(tmp_path, unstamped, message(1, person(1)), message(1, person(2)), message(7, person(1)))
    dataset = truth.from_topic(bag)
    assert [sample.stamp for sample in dataset.samples] == [stamp_of(1)]
    assert dataset.samples[0].track_ids == ("4f2a-1",)
    skipped = "\n".join(dataset.findings.skipped)
    assert "with stamp 0 belongs to no image" in skipped
    assert f"annotated twice: {CAMERA} at {stamp_of(1)}" in skipped
    assert f"not in the bag: {CAMERA} at {stamp_of(7)}" in skipped


def test_a_bag_without_ground_truth_is_an_error_with_the_remedy(tmp_path):
    with pytest.raises(SourceError, match=r"no ground truth: no topic /ground_truth/persons .*caer bag extract"):
        truth.from_topic(write(tmp_path))


def test_labels_that_change_and_kinds_that_mix_are_errors(tmp_path):
    other = message(1)
    other.labels = ["Joy"]
    with pytest.raises(DatasetError, match="changes its labels in mid-bag"):
        truth.from_topic(write(tmp_path / "a", message(0), other))
    mixed = (person(1, box_kind=PersonEmotion.BOX_HEAD), person(2, box_kind=PersonEmotion.BOX_BODY))
    with pytest.raises(DatasetError, match="boxes of several kinds: BODY, HEAD"):
        truth.from_topic(write(tmp_path / "b", message(0, *mixed)))


def test_a_json_is_joined_by_topic_and_stamp(tmp_path):
    bag = write(tmp_path, cameras=(CAMERA, "/back/image_raw"))
    frames = (f"camera/image_raw/{stamp_of(2)}.jpg", f"back/image_raw/{stamp_of(2)}.png", f"{stamp_of(0)}.jpg")
    names = (*frames, "x.jpg", "y.jpg")
    dataset = truth.from_json(write_json(tmp_path, names), bag, CAMERA)
    assert [sample.image_id for sample in dataset.samples] == [f"camera/image_raw/{stamp_of(i)}" for i in (0, 2)]
    unstamped = [line.partition("truth.json: ")[2].partition(":")[0] for line in dataset.findings.skipped]
    assert unstamped == ["x.jpg", "y.jpg"]
    assert all("has no stamp" in line for line in dataset.findings.skipped)
    assert "1 images of other topics than /camera/image_raw" in dataset.findings.warnings[0]


def test_cameras_with_equal_stamps_are_told_apart(tmp_path):
    bag = write(tmp_path, cameras=(CAMERA, "/back/image_raw"))
    with pytest.raises(SourceError, match="several image topics; name one: /back/image_raw, /camera/image_raw"):
        truth.from_json(write_json(tmp_path, [f"back/image_raw/{stamp_of(2)}.png"]), bag)


def test_a_json_of_another_bag_is_an_error_that_shows_what_names_should_be(tmp_path):
    with pytest.raises(DatasetError, match=rf"none of its 1 images.*camera/image_raw/{stamp_of(0)}.jpg"):
        truth.from_json(write_json(tmp_path, [f"camera/image_raw/{stamp_of(8)}.jpg"]), write(tmp_path))


def test_who_wrote_the_first_draft_comes_through(tmp_path):
    model = {"name": "bootstrap", "version": "abc", "boxes": True, "emotions": False}
    file = write_json(tmp_path, [f"{stamp_of(0)}.jpg"], prefilled_by=model)
    assert truth.from_json(file, write(tmp_path)).prefilled_by == model


def test_truth_is_plain_data(tmp_path):
    (sample,) = truth.from_topic(write(tmp_path, message(0, person(1)))).samples
    assert dataclasses.asdict(sample)["path"].name == f"{stamp_of(0)}.jpg"
