"""Our messages are read by the definition that the bag carries."""

import re
import shutil
import sqlite3

import numpy as np
import pytest
from bag_files import START_NS, image, picture, write_bag
from hand_made_run import message, person, stamp_of
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from caer_ros.offline.evaluation.bags import published_messages
from caer_ros.perception.person import BoxKind
from caer_ros.recordings import definitions
from caer_ros.recordings.annotations import truth
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.bags import own_messages
from caer_ros.recordings.definitions import PERSONS, TRUTH_TOPIC
from caer_ros.recordings.sources import SourceError

TOPIC = "/emotion/emotions"


def write_old(folder, drop, topic=TOPIC, others=()):
    """A bag with one message, written by a version that lacked the fields ``drop``, and with ``others`` of today."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for file in definitions.files():
        lines = file.read_text().splitlines()
        text = "\n".join(line for line in lines if not any(re.match(rf"\S+ {field}\b", line) for field in drop))
        types.register(get_types_from_msg(text, f"caer_ros/msg/{file.stem}"))
    new = definitions.typestore()
    whole = new.deserialize_cdr(serialize_message(message(3, person(7))), PERSONS)

    def copied(msgtype, content):
        fields = {}
        for name, kind in types.fielddefs[msgtype][1]:
            value = getattr(content, name)
            if kind[0].name == "NAME":
                value = copied(kind[1], value)
            elif kind[0].name == "SEQUENCE" and kind[1][0][0].name == "NAME":
                value = [copied(kind[1][0][1], item) for item in value]
            fields[name] = value
        return types.types[msgtype](**fields)

    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(topic, PERSONS, typestore=types)
        writer.write(connection, START_NS + 10**9, types.serialize_cdr(copied(PERSONS, whole), PERSONS))
        for name, msgtype, other in others:
            writer.write(writer.add_connection(name, msgtype, typestore=new), START_NS, serialize_message(other))
    return folder


def test_an_old_bag_is_read_by_field_name(tmp_path):
    bag = write_old(tmp_path / "old", ("saturated", "mailbox_drops", "published", "box_kind", "smoothed_scores"))
    (recorded,) = own_messages.read(bag, TOPIC, [])
    assert not hasattr(recorded.content, "saturated")
    assert own_messages.value(recorded.content, "saturated", False) is False
    said = published_messages.read(bag)
    (read,) = said.predictions.images
    assert "1 of 1 messages do not say when they were published" in said.notes[0]
    assert read.tracked.ids == ("4f2a-7",)
    assert read.timing.drops == 0
    assert read.timing.published == START_NS + 10**9  # the time of the recording stands in
    assert read.tracked.smoothed.tolist() == read.emotions.tolist()


def test_a_bag_without_definitions_is_read_by_ours(tmp_path):
    bag = write_bag(tmp_path / "bag", [(TOPIC, START_NS, message(0, person(1)))], StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("DELETE FROM message_definitions")
    database.close()
    (recorded,) = own_messages.read(bag, TOPIC, [])
    assert recorded.content.persons[0].track_id == "4f2a-1"


def test_a_damaged_message_is_left_out_and_named(tmp_path):
    bag = write_bag(
        tmp_path / "bag", [(TOPIC, START_NS + i, message(i, person(1))) for i in range(3)], StoragePlugin.SQLITE3
    )
    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("UPDATE messages SET data = substr(data, 1, 60) WHERE id = 2")
    database.close()
    left_out = []
    assert len(list(own_messages.read(bag, TOPIC, left_out))) == 2
    assert len(left_out) == 1
    assert f"{TOPIC} at {START_NS + 1} ns" in left_out[0].why
    assert left_out[0].stamp == stamp_of(1)


def test_a_topic_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/camera", START_NS, image(picture(0), START_NS))])
    with pytest.raises(SourceError, match="no topic /emotion/emotions; there are /camera"):
        list(own_messages.read(bag, TOPIC, []))


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite"])
def test_a_truncated_bag_is_an_error_that_says_so(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", [(TOPIC, START_NS + i, message(i, person(1))) for i in range(30)], storage)
    (file,) = (file for file in bag.iterdir() if file.name != "metadata.yaml")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"broken bag: .*cut short"):
        list(own_messages.read(bag, TOPIC, []))


OPTIONAL = ("box_kind", "valence", "arousal", "dominance", "track_id", "top_index", "model_id", "model_version")


def test_what_is_not_essential_may_be_missing(tmp_path):
    shown = [("/camera/image_raw", "sensor_msgs/msg/Image", image(picture(0), stamp_of(3)))]
    (sample,) = truth.from_topic(write_old(tmp_path / "truth", OPTIONAL, TRUTH_TOPIC, shown)).samples
    assert (sample.box_kind, sample.track_ids) == (BoxKind.BODY, ("",))
    assert np.isnan(sample.vad).all()
    table = published_messages.read(write_old(tmp_path / "said", OPTIONAL)).predictions
    assert (table.header.model, table.header.model_version, table.header.box_kind) == ("", "", BoxKind.BODY)
    (read,) = table.images
    assert (read.vad, read.tracked.ids, read.tracked.top.tolist()) == (None, ("",), [-1])


@pytest.mark.parametrize("field", ["header", "image_width", "labels", "persons", "x_max", "scores"])
def test_what_is_essential_is_named_where_it_is_missing(tmp_path, field):
    shown = [("/camera/image_raw", "sensor_msgs/msg/Image", image(picture(0), stamp_of(3)))]
    with pytest.raises(SourceError, match=rf"said: {TOPIC}.*no field {field} in these messages"):
        published_messages.read(write_old(tmp_path / "said", (field,)))
    with pytest.raises(SourceError, match=rf"truth: {TRUTH_TOPIC}.*no field {field} in these messages"):
        truth.from_topic(write_old(tmp_path / "truth", (field,), TRUTH_TOPIC, shown))


def test_only_what_a_node_says_needs_a_detection_confidence(tmp_path):
    shown = [("/camera/image_raw", "sensor_msgs/msg/Image", image(picture(0), stamp_of(3)))]
    old = ("detection_confidence",)
    with pytest.raises(SourceError, match=f"{TOPIC}: persons: no field detection_confidence"):
        published_messages.read(write_old(tmp_path / "said", old))
    assert len(truth.from_topic(write_old(tmp_path / "truth", old, TRUTH_TOPIC, shown)).samples) == 1


def test_messages_of_another_type_are_an_error(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/camera", START_NS, image(picture(0), START_NS))])
    with pytest.raises(SourceError, match=rf"/camera: no field image_width .*: are they {PERSONS}\?"):
        published_messages.read(bag, "/camera")


@pytest.mark.parametrize(
    ("fields", "of_person"), [({"score_type": 9}, {}), ({}, {"box_kind": 7}), ({}, {"track_state": 8})]
)
def test_messages_with_numbers_that_are_not_known_are_left_out_and_named(tmp_path, fields, of_person):
    ((name, number),) = (fields | of_person).items()
    strange = message(1, person(1), person(2, **of_person), **fields)
    told = [message(0, person(1)), strange, message(2, person(1))]
    bag = write_bag(tmp_path / "bag", [(TOPIC, START_NS + i, one) for i, one in enumerate(told)])
    said = published_messages.read(bag)
    assert [one.stamp for one in said.predictions.images] == [stamp_of(0), stamp_of(2)]
    assert said.unused == {stamp_of(1)}
    assert said.left_out == (
        f"{bag}: a message of {TOPIC} at {START_NS + 1} ns: {name} {number} is not known; is it of a newer version?",
    )
    shown = [("/camera/image_raw", START_NS + i, image(picture(i), stamp_of(i))) for i in range(3)]
    annotated = write_bag(tmp_path / "truth", [*shown, *((TRUTH_TOPIC, START_NS + i, m) for i, m in enumerate(told))])
    dataset = truth.from_topic(annotated)
    assert [sample.stamp for sample in dataset.samples] == [stamp_of(0), stamp_of(2)]
    assert f"{name} {number} is not known" in dataset.findings.skipped[0]


def test_where_no_message_can_be_used_it_is_said_why(tmp_path):
    strange = message(0, person(1, box_kind=7))
    shown = ("/camera/image_raw", START_NS, image(picture(0), stamp_of(0)))
    bag = write_bag(tmp_path / "bag", [shown, (TOPIC, START_NS, strange), (TRUTH_TOPIC, START_NS, strange)])
    with pytest.raises(SourceError, match=r"nothing was published on .*; .*box_kind 7 is not known"):
        published_messages.read(bag)
    with pytest.raises(DatasetError, match=r"nothing on .*; .*box_kind 7 is not known"):
        truth.from_topic(bag)


def test_a_folder_without_metadata_is_read_like_the_file_in_it(tmp_path):
    shown = ("/camera/image_raw", START_NS, image(picture(0), stamp_of(0)))
    told = [shown, *((topic, START_NS, message(0, person(1))) for topic in (TOPIC, TRUTH_TOPIC))]
    bag = write_bag(tmp_path / "bag", told)
    (bag / "metadata.yaml").unlink()
    assert own_messages.topics(bag, PERSONS) == {TOPIC: 1, TRUTH_TOPIC: 1}
    assert published_messages.read(bag).topic == TOPIC
    assert len(truth.from_topic(bag).samples) == 1
    shutil.copy(next(bag.glob("*.mcap")), bag / "other.mcap")
    with pytest.raises(SourceError, match=r"no metadata\.yaml and 2 bag files"):
        published_messages.read(bag)
