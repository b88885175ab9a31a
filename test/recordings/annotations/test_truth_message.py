"""What is true of an image as a message; the way through a bag and back is tested with `merge`."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.serialization import deserialize_message

from caer_ros.msg import PersonEmotion, PersonEmotionArray
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import truth_message
from caer_ros.recordings.annotations.truth_message import Scheme, TruePerson
from caer_ros.recordings.definitions import PERSONS, typestore

NAN = float("nan")
TYPES = typestore()


def written(emotions, multi_label=False, exhaustive=True, kind=BoxKind.HEAD):
    """The message with one person, as the node's own types read it."""
    person = TruePerson((1.0, 2.0, 3.0, 4.5), kind, np.array(emotions, np.float32), track_id="7")
    scheme = Scheme(("calm", "tense"), multi_label)
    message = truth_message.message(TYPES, 5 * 10**9 + 6, "camera", (480, 640), scheme, [person], exhaustive)
    return deserialize_message(bytes(TYPES.serialize_cdr(message, PERSONS)), PersonEmotionArray)


def test_the_nodes_own_types_read_it():
    message = written([0, 1])
    assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (5, 6, "camera")
    assert (message.image_width, message.image_height, message.model_id) == (640, 480, "ground_truth")
    assert (list(message.labels), message.score_type) == (["calm", "tense"], PersonEmotionArray.SCORE_SOFTMAX)
    (person,) = message.persons
    assert (person.x_min, person.y_min, person.x_max, person.y_max) == (1.0, 2.0, 3.0, 4.5)
    assert (person.box_kind, person.track_id, person.track_state) == (
        PersonEmotion.BOX_HEAD,
        "7",
        PersonEmotion.TRACK_TRACKED,
    )
    assert np.isnan([person.valence, person.face_x_min, person.track_age, person.direction.x, person.position.z]).all()


@pytest.mark.parametrize(
    ("emotions", "status", "top", "label"),
    [
        ([0, 1], PersonEmotion.EMOTION_OK, 1, "tense"),
        ([1, 1], PersonEmotion.EMOTION_OK, 0, "calm"),
        ([0.3, 0.7], PersonEmotion.EMOTION_OK, 1, "tense"),
        ([NAN, 0.2], PersonEmotion.EMOTION_OK, 1, "tense"),
        ([0, 0], PersonEmotion.EMOTION_UNCERTAIN, -1, ""),
        ([NAN, NAN], PersonEmotion.EMOTION_NOT_PREDICTED, -1, ""),
    ],
)
def test_the_strongest_emotion(emotions, status, top, label):
    (person,) = written(emotions).persons
    assert (person.emotion_status, person.top_index, person.top_label) == (status, top, label)
    assert person.top_score == pytest.approx(emotions[top] if label else NAN, nan_ok=True)
    np.testing.assert_array_equal(person.scores, np.array(emotions, np.float32))


def test_several_labels_and_people_who_are_not_annotated():
    assert written([1, 1], multi_label=True).score_type == PersonEmotionArray.SCORE_SIGMOID
    assert [written([0, 1], exhaustive=whole).saturated for whole in (True, False)] == [False, True]
