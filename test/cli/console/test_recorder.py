"""A run's messages become a bag that says everything about itself."""

import pytest
from hand_made_run import LABELS, message, person, stamp_of
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import Header

from caer_ros.cli.console.recorder import RecordingError, Topic, recorded, write
from caer_ros.msg import EmotionLabels, PerceptionStatus, PersonEvent

EMOTIONS = Topic("/emotion/emotions", "caer_ros/msg/PersonEmotionArray")
EVENTS = Topic("/emotion/events", "caer_ros/msg/PersonEvent")
STATUS = Topic("/emotion/status", "caer_ros/msg/PerceptionStatus", latched=True)
LABEL_INFO = Topic("/emotion/label_info", "caer_ros/msg/EmotionLabels", latched=True)


def header(index):
    made = Header()
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_of(index), 10**9)
    return made


@pytest.fixture
def bag(tmp_path):
    messages = [
        recorded(LABEL_INFO, EmotionLabels(labels=LABELS, licence="MIT")),  # before the clock starts: no stamp
        recorded(STATUS, PerceptionStatus(state=PerceptionStatus.ACTIVE, reason="ä")),
        recorded(EMOTIONS, message(1, person(7, label="Sad"), delay_ns=250_000_000)),
        recorded(EVENTS, PersonEvent(header=header(1), type=PersonEvent.APPEARED, track_id="4f2a-7")),
        recorded(EMOTIONS, message(3)),
    ]
    write(tmp_path / "messages", messages)
    return tmp_path / "messages"


def read(bag):
    # The empty store knows no type at all: what is read comes from the bag itself.
    with AnyReader([bag], default_typestore=get_typestore(Stores.EMPTY)) as reader:
        connections = {connection.topic: connection for connection in reader.connections}
        return connections, [(c.topic, t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]


def test_it_is_read_back_without_our_message_definitions(bag):
    _, messages = read(bag)
    said = {topic: message for topic, _, message in messages[:4]}
    (found,) = said["/emotion/emotions"].persons
    assert (found.track_id, found.top_label, found.top_score) == ("4f2a-7", "Sad", pytest.approx(0.8))
    assert list(found.scores) == pytest.approx([0.1, 0.1, 0.8])
    assert said["/emotion/status"].reason == "ä"
    assert said["/emotion/label_info"].licence == "MIT"
    assert said["/emotion/events"].type == PersonEvent.APPEARED


def test_messages_keep_their_order_and_bear_the_nodes_time(bag):
    _, messages = read(bag)
    assert [(topic, time) for topic, time, _ in messages] == [
        ("/emotion/label_info", stamp_of(1)),  # what has no time comes first, and not in 1970
        ("/emotion/status", stamp_of(1)),
        ("/emotion/emotions", stamp_of(1) + 250_000_000),
        ("/emotion/events", stamp_of(1) + 250_000_000),  # bears its image's stamp, and came after the persons
        ("/emotion/emotions", stamp_of(3) + 100_000_000),
    ]


def test_late_joiners_get_what_the_node_latches(bag):
    connections, _ = read(bag)
    latched = {
        topic: connection.ext.offered_qos_profiles[0].durability is QosDurability.TRANSIENT_LOCAL
        for topic, connection in connections.items()
    }
    assert latched == {
        "/emotion/emotions": False,
        "/emotion/events": False,
        "/emotion/status": True,
        "/emotion/label_info": True,
    }


def test_a_run_without_messages_is_an_empty_bag(tmp_path):
    write(tmp_path / "messages", [])
    assert (tmp_path / "messages" / "metadata.yaml").exists()


def test_an_existing_bag_is_not_touched(bag):
    before = (bag / "messages.mcap").read_bytes()
    with pytest.raises(RecordingError, match=r"messages exists already"):
        write(bag, [])
    assert (bag / "messages.mcap").read_bytes() == before
