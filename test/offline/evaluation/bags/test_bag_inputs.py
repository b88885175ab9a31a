from __future__ import annotations

import hashlib
import json
import shutil

import annotated_bag
import pytest

from caer_ros.offline.data.synthetic import bags
from caer_ros.offline.evaluation.bags import bag_inputs
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.recordings.annotations import own
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.sources import SourceError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return annotated_bag.write(tmp_path_factory.mktemp("recording") / "monday")


def test_a_bag_with_a_json(made):
    (one,) = bag_inputs.read([made.bag], [str(made.truth)], None)
    assert (one.bag, one.name, one.topic, one.images) == (made.bag, "bag", bags.IMAGE_TOPIC, 12)
    assert len(one.dataset.samples) == 12
    assert one.dataset.labels == annotated_bag.LABELS
    assert (one.left_out, one.notes) == ((), ())
    facts = bag_inputs.facts(one, one.dataset, "aa")
    assert (facts.annotated, facts.first_stamp, facts.sha256) == (12, bags.EPOCH_NS, "aa")
    assert facts.seconds == pytest.approx(1.1)
    assert (facts.emotion_topic, facts.recorded) == ("", None)


def test_the_topic_of_the_bag_is_the_default(made, tmp_path):
    (one,) = bag_inputs.read([made.bag], [], None)
    (same,) = bag_inputs.read([made.bag], ["/ground_truth/persons"], None)
    assert one.dataset.labels == same.dataset.labels == bags.cues.EMOTIONS
    other = annotated_bag.write(tmp_path / "tuesday", seed=4).bag
    two = bag_inputs.read([made.bag, other], ["/ground_truth/persons"], None)
    assert [bag.name for bag in two] == ["bag_1", "bag_2"]


def test_the_hash_of_the_truth_is_that_of_the_file_that_is_written(made, tmp_path):
    (one,) = bag_inputs.read([made.bag], [str(made.truth)], None)
    file = tmp_path / "annotations.json"
    file.write_text(own.dumps(one.dataset), "utf-8")
    assert bag_inputs.truth_sha256(one.dataset) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_is_not_in_the_bag_is_left_out_and_named(made, tmp_path):
    content = json.loads(made.truth.read_text("utf-8"))
    image = content["images"][0]
    image["file_name"] = image["file_name"].replace(str(bags.EPOCH_NS), str(bags.EPOCH_NS + 1))
    file = tmp_path / "truth.json"
    file.write_text(json.dumps(content), "utf-8")
    (one,) = bag_inputs.read([made.bag], [str(file)], None)
    assert len(one.dataset.samples) == 11
    (said,) = one.left_out
    assert f"annotated, but not in the bag: {bags.IMAGE_TOPIC} at {bags.EPOCH_NS + 1}" in said


def test_stamps_of_zero_belong_to_no_image(made, tmp_path):
    content = json.loads(made.truth.read_text("utf-8"))
    for image in content["images"][:2]:
        image["file_name"], image["stamp"] = f"{image['id']}.jpg", 0
    file = tmp_path / "truth.json"
    file.write_text(json.dumps(content), "utf-8")
    (one,) = bag_inputs.read([made.bag], [str(file)], None)
    assert len(one.dataset.samples) == 10
    assert [": has no stamp" in line for line in one.left_out] == [True, True]


@pytest.mark.parametrize(
    ("truths", "error", "says"),
    [
        (["nowhere.json"], EvaluationError, r"--truth nowhere\.json: no such file, and no topic"),
        (["persons"], EvaluationError, "--truth persons: no such file, and no topic, which would begin with /"),
        (["/nobody/persons"], SourceError, "no topic /nobody/persons"),
    ],
)
def test_what_is_no_truth(made, truths, error, says):
    with pytest.raises(error, match=says):
        bag_inputs.read([made.bag], truths, None)


def test_each_bag_needs_its_own_json(made):
    with pytest.raises(EvaluationError, match="2 bags and 1 times --truth: give one json for each bag"):
        bag_inputs.read([made.bag] * 2, [str(made.truth)], None)


def test_one_recording_is_not_two(made, tmp_path):
    copy, link = tmp_path / "copy", tmp_path / "link"
    shutil.copytree(made.bag, copy)
    link.symlink_to(made.bag)
    for again in (made.bag, link, copy):
        with pytest.raises(EvaluationError, match=f"{again} is the same recording as {made.bag}: give each once"):
            bag_inputs.read([made.bag, again], [], None)


def test_a_topic_that_is_not_there_is_named(made):
    with pytest.raises(SourceError, match="no images on /other"):
        bag_inputs.read([made.bag], [str(made.truth)], "/other")


def test_annotations_of_another_bag(made, tmp_path):
    content = json.loads(made.truth.read_text("utf-8"))
    for image in content["images"]:
        image["file_name"] = image["file_name"].replace("/15", "/16")
    file = tmp_path / "truth.json"
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(DatasetError, match=r"truth\.json: none of its 12 images"):
        bag_inputs.read([made.bag], [str(file)], None)
