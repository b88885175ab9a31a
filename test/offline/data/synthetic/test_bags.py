from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from caer_ros.offline.data.synthetic import bags, cues, plans
from caer_ros.perception.imaging import decoding
from caer_ros.recordings.annotations import own
from caer_ros.recordings.annotations.sample import DatasetError

SETTINGS = plans.Settings(width=160, height=120, people=(0, 0, 1, 1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return bags.write(tmp_path_factory.mktemp("bag"), SETTINGS, 3, 12, runs=2, rate=10.0)


@pytest.fixture(scope="module")
def recorded(made):
    """The messages of each topic."""
    messages = {bags.IMAGE_TOPIC: [], bags.TRUTH_TOPIC: []}
    with AnyReader([made.bag]) as reader:
        for connection, _, raw in reader.messages():
            messages[connection.topic].append(reader.deserialize(raw, connection.msgtype))
    return messages


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_each_picture_has_its_truth(recorded):
    pictures, truths = recorded[bags.IMAGE_TOPIC], recorded[bags.TRUTH_TOPIC]
    assert [stamp(message) for message in pictures] == [stamp(message) for message in truths]
    assert set(np.diff([stamp(message) for message in pictures])) == {100_000_000}
    for picture, truth in zip(pictures, truths, strict=True):
        assert decoding.decode_compressed(picture.data).shape == (120, 160, 3)
        assert (truth.image_width, truth.image_height) == (160, 120)
        assert tuple(truth.labels) == cues.EMOTIONS
        for person in truth.persons:
            assert 0 <= person.x_min < person.x_max <= 160
            assert 0 <= person.y_min < person.y_max <= 120
            assert person.scores[person.top_index] == person.scores.sum() == 1
            assert person.top_label == cues.EMOTIONS[person.top_index]


def test_people_move_smoothly_and_keep_who_they_are(recorded):
    tracks = {}
    for index, message in enumerate(recorded[bags.TRUTH_TOPIC]):
        for person in message.persons:
            tracks.setdefault(person.track_id, []).append((index, person))
    assert {track.split("-")[0] for track in tracks} == {"1", "2"}, "two scenes"
    moved = 0.0
    for track in tracks.values():
        assert len({person.top_label for _, person in track}) == 1
        for (before, a), (after, b) in pairwise(track):
            assert abs(a.x_max - b.x_max) <= 4 * (after - before)
            moved += abs(a.x_max - b.x_max)
    assert moved > 0


def test_the_json_says_the_same(made, recorded):
    content = json.loads(made.truth.read_text())
    assert [own.stamp(image) for image in content["images"]] == [stamp(m) for m in recorded[bags.TRUTH_TOPIC]]
    for image, message in zip(content["images"], recorded[bags.TRUTH_TOPIC], strict=True):
        assert image["file_name"].startswith(bags.IMAGE_TOPIC.strip("/") + "/")
        annotations = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        for annotation, person in zip(annotations, message.persons, strict=True):
            x, y, width, height = annotation["bbox"]
            assert (x, y, x + width, y + height) == (person.x_min, person.y_min, person.x_max, person.y_max)
            assert annotation["emotions"] == [person.top_label]
            assert annotation["track_id"] == person.track_id


def test_the_same_seed_gives_the_same_bag(made, tmp_path):
    again = bags.write(tmp_path / "again", SETTINGS, 3, 12, runs=2, rate=10.0)
    for path in made.bag.glob("*.mcap"):
        assert path.read_bytes() == next(again.bag.glob("*.mcap")).read_bytes()
    assert made.truth.read_text() == again.truth.read_text()


def test_nothing_is_overwritten(made):
    with pytest.raises(DatasetError, match="not empty"):
        bags.write(made.bag.parent, SETTINGS, 3, 1)
