"""What a node published in the field: the PersonEmotionArray messages of a bag as a table of predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import taxonomy
from caer_ros.definitions import PERSONS, TRUTH_TOPIC
from caer_ros.offline.bags import messages
from caer_ros.offline.bags.messages import nanoseconds, value
from caer_ros.offline.frames import frame_name
from caer_ros.offline.predictions import ImagePrediction, PredictionHeader, Predictions, Timing, Tracked
from caer_ros.perception.person import BoxKind, ScoreType, TrackState
from caer_ros.sources import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from caer_ros.offline.bags.messages import Recorded
    from caer_ros.offline.predictions import Array


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """The messages of one topic."""

    predictions: Predictions
    """In the order of publishing. Image ids are topic and header stamp of the message. The header's thresholds are the
    lowest detection score that was published: all that a node publishes it takes for persons."""
    topic: str
    models: tuple[str, ...]
    """Name and version of each model that spoke, in the order of their first message."""
    left_out: tuple[str, ...]
    """Messages that are not in the table, one line each."""
    notes: tuple[str, ...]
    """What is odd about the others, one sentence each."""


def read(bag: Path, topic: str | None = None) -> Published:
    """The messages that a node published.

    Where models with different labels spoke, only the messages with the most frequent labels are taken.

    Args:
        bag: a rosbag2.
        topic: of type PersonEmotionArray; None where there is only one beside the ground truth's.

    Raises:
        SourceError: the bag cannot be read, has no such topic, several where none is named, or nothing on it.
    """
    topic = topic or _only_topic(bag)
    left_out: list[str] = []
    recorded = list(messages.read(bag, topic, left_out))
    if not recorded:
        raise SourceError(f"{bag}: nothing was published on {topic}{'; ' if left_out else ''}{'; '.join(left_out[:3])}")
    speakers = Counter(_speaker(message) for message in recorded)
    chosen = speakers.most_common(1)[0][0]
    for speaker, count in speakers.items():
        if speaker != chosen:
            left_out.append(
                f"{bag}: {count} messages of {topic} have other labels than most: {', '.join(speaker[0]) or 'none'}"
            )
    taken = [message for message in recorded if _speaker(message) == chosen]
    images = sorted((_image(topic, message) for message in taken), key=_published)
    lowest = min((float(image.scores.min()) for image in images if len(image.scores)), default=0.0)
    models = tuple(dict.fromkeys(f"{m.content.model_id} {m.content.model_version}" for m in taken))
    labels, score_type = chosen
    header = PredictionHeader(
        model=str(taken[0].content.model_id),
        model_version=str(taken[0].content.model_version),
        label_set=next((name for name, known in taxonomy.LABEL_SETS.items() if known == labels), "own"),
        labels=labels,
        score_type=score_type,
        box_kind=_box_kind(taken),
        source=f"{bag}: {topic}, as recorded",
        max_persons=max(1, *(len(image.boxes) for image in images)),
        thresholds={"person": lowest, "kept": lowest},
    )
    silent = sum(_publishing(message) == 0 for message in taken)
    odd = f"{topic}: {silent} of {len(taken)} messages do not say when they were published; the recorder's time counts."
    return Published(Predictions(header, images), topic, models, tuple(left_out), (odd,) if silent else ())


def _only_topic(bag: Path) -> str:
    there = [name for name in messages.topics(bag, PERSONS) if name != TRUTH_TOPIC]
    if len(there) != 1:
        raise SourceError(
            f"{bag}: {'several topics' if there else 'no topic'} of {PERSONS} beside {TRUTH_TOPIC}"
            f"{'; name one: ' + ', '.join(there) if there else ': was ~/emotions of the node recorded?'}"
        )
    return there[0]


def _speaker(message: Recorded) -> tuple[tuple[str, ...], ScoreType]:
    """Labels and score type: what the messages of one table share."""
    content = message.content
    return tuple(map(str, content.labels)), ScoreType(int(value(content, "score_type", ScoreType.UNKNOWN)))


def _box_kind(recorded: Sequence[Recorded]) -> BoxKind:
    """That of most persons."""
    kinds = Counter(
        int(value(person, "box_kind", BoxKind.BODY)) for message in recorded for person in message.content.persons
    )
    return BoxKind(kinds.most_common(1)[0][0]) if kinds else BoxKind.BODY


def _published(image: ImagePrediction) -> int:
    assert image.timing is not None
    return image.timing.published


def _publishing(message: Recorded) -> int:
    """Nanoseconds on the ROS clock; 0 where the message does not say."""
    return nanoseconds(message.content.published) if hasattr(message.content, "published") else 0


def _image(topic: str, message: Recorded) -> ImagePrediction:
    content = message.content
    stamp, labels, persons = nanoseconds(content.header.stamp), len(content.labels), content.persons
    received = nanoseconds(content.received) if hasattr(content, "received") else 0
    vad = _rows([(person.valence, person.arousal, person.dominance) for person in persons], 3)
    states = [int(value(person, "track_state", 0)) for person in persons]
    return ImagePrediction(
        image_id=frame_name(topic, stamp),
        size=(int(content.image_height), int(content.image_width)),
        boxes=_rows([(person.x_min, person.y_min, person.x_max, person.y_max) for person in persons], 4),
        scores=np.array([person.detection_confidence for person in persons], np.float32),
        emotions=_rows([person.scores for person in persons], labels),
        vad=None if np.isnan(vad).all() else vad,
        stamp=stamp,
        saturated=bool(value(content, "saturated", False)),
        tracked=Tracked(
            ids=tuple(str(person.track_id) for person in persons),
            coasted=np.array([state == TrackState.COASTED for state in states], bool),
            smoothed=_rows([value(person, "smoothed_scores", person.scores) for person in persons], labels),
            top=np.array([person.top_index for person in persons], np.intp),
        ),
        timing=Timing(
            received=received,
            published=_publishing(message) or message.log_ns,
            processing=float(value(content, "processing_time", np.nan)),
            inference=float(value(content, "inference_time", np.nan)),
            drops=int(value(content, "mailbox_drops", 0)),
        ),
    )


def _rows(rows: Sequence[Any], width: int) -> Array:
    """[P,width]; a row of another length, such as no scores at all, is not known."""
    unknown = np.full(width, np.nan, np.float32)
    whole = [np.asarray(row, np.float32) if len(row) == width else unknown for row in rows]
    return np.stack(whole) if whole else np.empty((0, width), np.float32)
