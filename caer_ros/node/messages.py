"""Perception's results as ROS messages, and back."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point, Vector3
from sensor_msgs.msg import CompressedImage, Image

from caer_ros.msg import EmotionLabels, PersonEmotion, PersonEvent
from caer_ros.perception.imaging import decoding
from caer_ros.perception.person import BoxKind, EmotionStatus, Person, TrackState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from std_msgs.msg import Header

    from caer_ros.node.events import Event
    from caer_ros.perception.bundle.bundle import Bundle

NAN = float("nan")


def decode(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """RGB uint8 [H,W,3] of an image message; may share its memory. Raises ImageError."""
    if isinstance(message, CompressedImage):
        return decoding.decode_compressed(message.data)
    return decoding.decode(
        message.encoding, message.height, message.width, message.step, bool(message.is_bigendian), message.data
    )


def image_message(picture: NDArray[np.uint8], header: Header) -> Image:
    """sensor_msgs/Image (rgb8) of RGB uint8 [H,W,3]."""
    height, width = picture.shape[:2]
    # array.array is the one type that the field takes without checking each byte.
    data = array("B", picture.tobytes())
    return Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width, data=data)


def _floats(values: NDArray[np.float32] | None) -> array[float]:
    # An array.array is taken as it is; any other sequence is checked element by element.
    return array("f", b"" if values is None else np.ascontiguousarray(values, np.float32).tobytes())


def person_message(
    person: Person, labels: Sequence[str], direction: NDArray[np.float64] | None = None
) -> PersonEmotion:
    """msg/PersonEmotion of a person; ``direction`` is a unit vector [3] or None where there is no calibration."""
    top = person.top_index
    face = (NAN,) * 4 if person.face_box is None else (float(v) for v in person.face_box)
    valence, arousal, dominance = (NAN,) * 3 if person.vad is None else (float(v) for v in person.vad)
    x_min, y_min, x_max, y_max = (float(v) for v in person.box)
    face_x_min, face_y_min, face_x_max, face_y_max = face
    x, y, z = (NAN,) * 3 if direction is None else (float(v) for v in direction)
    return PersonEmotion(
        track_id=person.track_id,
        track_state=int(person.track_state),
        track_age=float(person.track_age),
        x_min=x_min,
        y_min=y_min,
        x_max=x_max,
        y_max=y_max,
        box_kind=int(person.box_kind),
        detection_confidence=float(person.confidence),
        face_x_min=face_x_min,
        face_y_min=face_y_min,
        face_x_max=face_x_max,
        face_y_max=face_y_max,
        emotion_status=int(person.status),
        scores=_floats(person.scores),
        smoothed_scores=_floats(person.smoothed_scores),
        top_index=top,
        top_label=labels[top] if top >= 0 else "",
        top_score=float(person.smoothed_scores[top]) if top >= 0 else NAN,
        valence=valence,
        arousal=arousal,
        dominance=dominance,
        direction=Vector3(x=x, y=y, z=z),
        position=Point(x=NAN, y=NAN, z=NAN),
    )


def person_from_message(message: PersonEmotion) -> Person:
    """The person a msg/PersonEmotion speaks of."""
    face = np.array([message.face_x_min, message.face_y_min, message.face_x_max, message.face_y_max], np.float32)
    vad = np.array([message.valence, message.arousal, message.dominance], np.float32)
    return Person(
        box=np.array([message.x_min, message.y_min, message.x_max, message.y_max], np.float32),
        confidence=message.detection_confidence,
        box_kind=BoxKind(message.box_kind),
        scores=np.asarray(message.scores, np.float32),
        status=EmotionStatus(message.emotion_status),
        face_box=None if np.isnan(face).any() else face,
        vad=None if np.isnan(vad).all() else vad,
        track_id=message.track_id,
        track_state=TrackState(message.track_state),
        track_age=message.track_age,
        smoothed_scores=np.asarray(message.smoothed_scores, np.float32),
    )


def labels_message(bundle: Bundle, labels_version: int, uncertain_below: float, header: Header) -> EmotionLabels:
    """msg/EmotionLabels of a model bundle."""
    return EmotionLabels(
        header=header,
        model_id=bundle.name,
        model_version=bundle.model_version,
        score_type=int(bundle.score_type),
        box_kind=int(bundle.box_kind),
        label_set=bundle.label_set,
        labels=list(bundle.labels),
        labels_version=labels_version,
        predictable=list(bundle.predictable),
        uncertain_below=float(uncertain_below),
        licence=bundle.licence,
        commercial_use=bundle.commercial_use is True,
    )


def event_message(event: Event, header: Header) -> PersonEvent:
    """msg/PersonEvent of an event; ``header`` is that of the image which confirmed it."""
    return PersonEvent(
        header=header,
        sequence=event.sequence,
        type=int(event.type),
        track_id=event.track_id,
        label=event.label,
        previous_label=event.previous_label,
        score=event.score,
        hold_time=event.hold_time,
        present=list(event.present),
    )
