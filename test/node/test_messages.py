"""Persons become messages and come back the same."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from caer_ros.msg import PersonEmotion, PersonEvent
from caer_ros.node import messages
from caer_ros.node.events import Event, EventType
from caer_ros.perception.imaging.decoding import ImageError
from caer_ros.perception.person import BoxKind, EmotionStatus, Person, TrackState
from caer_ros.recordings.stamps import nanoseconds

LABELS = ("calm", "happy", "sad")
float32 = st.floats(0, 4096, width=32)
scores = npst.arrays(np.float32, 3, elements=st.floats(0, 1, width=32) | st.just(float("nan")))


def persons() -> st.SearchStrategy[Person]:
    box = npst.arrays(np.float32, 4, elements=float32)
    return st.builds(
        Person,
        box=box,
        confidence=st.floats(0, 1, width=32),
        box_kind=st.sampled_from(BoxKind),
        scores=scores,
        status=st.sampled_from([s for s in EmotionStatus if s is not EmotionStatus.OK]),
        face_box=st.none() | box,
        vad=st.none() | npst.arrays(np.float32, 3, elements=st.floats(-1, 1, width=32)),
        track_id=st.sampled_from(["", "a1b2c3-7"]),
        track_state=st.sampled_from(TrackState),
        track_age=st.floats(0, 1e5, width=32),
        smoothed_scores=scores,
    )


@given(persons())
def test_there_over_the_wire_and_back(person: Person) -> None:
    wire = serialize_message(messages.person_message(person, LABELS))
    back = messages.person_from_message(deserialize_message(wire, PersonEmotion))
    for field in Person.__slots__:
        if field != "embedding":  # not part of the message
            np.testing.assert_array_equal(getattr(back, field), getattr(person, field), err_msg=field)


def test_top_is_named_only_when_it_holds() -> None:
    person = Person(
        box=np.zeros(4, np.float32),
        confidence=1.0,
        box_kind=BoxKind.BODY,
        scores=np.array([np.nan, 0.5, 0.25], np.float32),
        status=EmotionStatus.OK,
        smoothed_scores=np.array([np.nan, 0.25, 0.75], np.float32),
    )
    message = messages.person_message(person, LABELS)
    assert (message.top_index, message.top_label, message.top_score) == (2, "sad", 0.75)
    person.status = EmotionStatus.UNCERTAIN
    message = messages.person_message(person, LABELS)
    assert (message.top_index, message.top_label) == (-1, "")
    assert isnan(message.top_score)
    assert isnan(message.valence)
    assert isnan(message.direction.x)
    assert isnan(message.position.z)
    assert isnan(message.face_x_min)


def test_an_image_message_goes_out_and_comes_back() -> None:
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    message = messages.image_message(picture, Header(frame_id="camera"))
    assert message.header.frame_id == "camera"
    np.testing.assert_array_equal(messages.decode(message), picture)


def test_broken_images_are_image_errors() -> None:
    with pytest.raises(ImageError):
        messages.decode(Image(height=4, width=5, encoding="rgb8", step=15))
    with pytest.raises(ImageError):
        messages.decode(CompressedImage(data=b"no jpeg"))


def test_stamps_are_nanoseconds() -> None:
    header = Header()
    header.stamp.sec, header.stamp.nanosec = 12, 345
    assert nanoseconds(header.stamp) == 12_000_000_345


def test_events_have_the_values_of_the_message() -> None:
    for kind in EventType:
        assert kind == getattr(PersonEvent, kind.name)
    event = Event(EventType.LEFT, "r-1", 3, previous_label="happy", hold_time=2.5, present=("r-2",))
    message = messages.event_message(event, Header(frame_id="camera"))
    assert (message.type, message.track_id, message.sequence) == (PersonEvent.LEFT, "r-1", 3)
    assert message.previous_label == "happy"
    assert list(message.present) == ["r-2"]
    assert isnan(message.score)
