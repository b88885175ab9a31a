"""Our messages are read by the definition that the bag carries."""

import re
import sqlite3

import pytest
from bag_files import START_NS, image, picture, write_bag
from hand_made_run import message, person
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from caer_ros import definitions
from caer_ros.definitions import PERSONS
from caer_ros.offline.bags import messages, published
from caer_ros.sources import SourceError

TOPIC = "/emotion/emotions"


def write_old(folder, drop):
    """A bag with one message, written by a version that lacked the fields ``drop``."""
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
        connection = writer.add_connection(TOPIC, PERSONS, typestore=types)
        writer.write(connection, START_NS + 10**9, types.serialize_cdr(copied(PERSONS, whole), PERSONS))
    return folder


def test_an_old_bag_is_read_by_field_name(tmp_path):
    bag = write_old(tmp_path / "old", ("saturated", "mailbox_drops", "published", "box_kind", "smoothed_scores"))
    (recorded,) = messages.read(bag, TOPIC, [])
    assert not hasattr(recorded.content, "saturated")
    assert messages.value(recorded.content, "saturated", False) is False
    said = published.read(bag)
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
    (recorded,) = messages.read(bag, TOPIC, [])
    assert recorded.content.persons[0].track_id == "4f2a-1"


def test_a_damaged_message_is_left_out_and_named(tmp_path):
    bag = write_bag(
        tmp_path / "bag", [(TOPIC, START_NS + i, message(i, person(1))) for i in range(3)], StoragePlugin.SQLITE3
    )
    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("UPDATE messages SET data = substr(data, 1, 60) WHERE id = 2")
    database.close()
    left_out = []
    assert len(list(messages.read(bag, TOPIC, left_out))) == 2
    assert len(left_out) == 1
    assert f"{TOPIC} at {START_NS + 1} ns" in left_out[0]


def test_a_topic_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/camera", START_NS, image(picture(0), START_NS))])
    with pytest.raises(SourceError, match="no topic /emotion/emotions; there are /camera"):
        list(messages.read(bag, TOPIC, []))


def test_a_truncated_bag_is_an_error_that_says_so(tmp_path):
    bag = write_bag(tmp_path / "bag", [(TOPIC, START_NS + i, message(i, person(1))) for i in range(30)])
    file = next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"broken bag: .*cut short"):
        list(messages.read(bag, TOPIC, []))
