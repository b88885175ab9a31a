"""What a node published in the field: the PersonEmotionArray messages of a bag as a table of predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import taxonomy
from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions, Timing, Tracked, stacked
from caer_ros.perception.person import BoxKind, ScoreType, TrackState
from caer_ros.recordings.bags import own_messages
from caer_ros.recordings.bags.own_messages import box_of, vad_of, value
from caer_ros.recordings.definitions import PERSONS, STATUS, TRUTH_TOPIC
from caer_ros.recordings.frames import frame_name
from caer_ros.recordings.sources import SourceError
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from caer_ros.offline.data.predictions import Array
    from caer_ros.recordings.bags.own_messages import LeftOut, Recorded


@dataclass(frozen=True, slots=True)
class Counted:
    """Images that the node counted in its PerceptionStatus, from the first to the last that is recorded."""

    dropped: int
    """Replaced by a newer image before they were processed."""
    rejected: int
    """Could not be decoded, or came too late."""


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
    """What is not in the table: messages that cannot be used, and persons without a box or detection score."""
    unused: frozenset[int]
    """Header stamps (ns) of the messages that cannot be used, where they have one: these images were answered."""
    notes: tuple[str, ...]
    """What is odd about the others, one sentence each."""
    counted: Counted | None
    """None: the node's status is not recorded, or once only."""


def read(bag: Path, topic: str | None = None) -> Published:
    """The messages that a node published.

    Where models with different labels spoke, only the messages with the most frequent labels are taken.

    Args:
        bag: a rosbag2.
        topic: of type PersonEmotionArray; None where there is only one beside the ground truth's.

    Raises:
        SourceError: the bag cannot be read, has no such topic, several where none is named, or nothing on it; or the
            messages lack a field that is needed.
    """
    topic = topic or _only_topic(bag)
    unusable: list[LeftOut] = []
    recorded = list(own_messages.persons(bag, topic, unusable, ("detection_confidence",)))
    left_out = [one.why for one in unusable]
    if not recorded:
        raise SourceError("; ".join((f"{bag}: nothing was published on {topic}", *left_out[:3])))
    speakers = Counter(_speaker(message) for message in recorded)
    chosen = speakers.most_common(1)[0][0]
    for speaker, count in speakers.items():
        if speaker != chosen:
            left_out.append(
                f"{bag}: {count} messages of {topic} have other labels than most: {', '.join(speaker[0]) or 'none'}"
            )
    taken = [message for message in recorded if _speaker(message) == chosen]
    unused = {one.stamp for one in unusable} | {_stamp(message) for message in recorded if _speaker(message) != chosen}
    images = sorted((_image(topic, message) for message in taken), key=_published)
    if lost := sum(len(message.content.persons) for message in taken) - sum(len(image.boxes) for image in images):
        left_out.append(f"{bag}: {lost} persons of {topic} have no box or no detection confidence: not a number")
    lowest = min((float(image.scores.min()) for image in images if len(image.scores)), default=0.0)
    models = tuple(dict.fromkeys(map(_model, taken)))
    labels, score_type = chosen
    header = PredictionHeader(
        model=models[0][0],
        model_version=models[0][1],
        label_set=taxonomy.name_of(labels) or "own",
        labels=labels,
        score_type=score_type,
        box_kind=_box_kind(taken),
        source=f"{bag}: {topic}, as recorded",
        max_persons=max(1, *(len(image.boxes) for image in images)),
        thresholds={"person": lowest, "kept": lowest},
    )
    silent = sum(_publishing(message) == 0 for message in taken)
    odd = f"{topic}: {silent} of {len(taken)} messages do not say when they were published; the recorder's time counts."
    return Published(
        predictions=Predictions(header, images),
        topic=topic,
        models=tuple(map(" ".join, models)),
        left_out=tuple(left_out),
        unused=frozenset(unused - {0}),
        notes=(odd,) if silent else (),
        counted=_counted(bag, topic),
    )


def _counted(bag: Path, topic: str) -> Counted | None:
    """By the status beside ``topic``: the node's ~/status beside its ~/emotions."""
    status = f"{topic.rpartition('/')[0]}/status"
    if status not in own_messages.topics(bag, STATUS):
        return None
    told = [message.content for message in own_messages.read(bag, status, [])]
    if len(told) < 2:
        return None
    return Counted(
        dropped=_growth([int(value(one, "mailbox_drops", 0)) for one in told]),
        rejected=_growth([int(value(one, "images_rejected", 0)) for one in told]),
    )


def _growth(counts: Sequence[int]) -> int:
    """By how much a count grew that begins anew whenever the node is activated."""
    return sum(now - before if now >= before else now for before, now in pairwise(counts))


def _only_topic(bag: Path) -> str:
    there: list[str] = [name for name in own_messages.topics(bag, PERSONS) if name != TRUTH_TOPIC]
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


def _model(message: Recorded) -> tuple[str, str]:
    """Name and version."""
    return str(value(message.content, "model_id", "")), str(value(message.content, "model_version", ""))


def _stamp(message: Recorded) -> int:
    return nanoseconds(message.content.header.stamp)


def _box_kind(recorded: Sequence[Recorded]) -> BoxKind:
    """Kind of the boxes of most persons."""
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
    stamp, labels = _stamp(message), len(content.labels)
    persons = [one for one in content.persons if all(map(isfinite, (*box_of(one), one.detection_confidence)))]
    received = nanoseconds(content.received) if hasattr(content, "received") else 0
    vad = _rows([vad_of(person) for person in persons], 3)
    states = [int(value(person, "track_state", 0)) for person in persons]
    return ImagePrediction(
        image_id=frame_name(topic, stamp),
        size=(int(content.image_height), int(content.image_width)),
        boxes=_rows([box_of(person) for person in persons], 4),
        scores=np.array([person.detection_confidence for person in persons], np.float32),
        emotions=_rows([person.scores for person in persons], labels),
        vad=None if np.isnan(vad).all() else vad,
        stamp=stamp,
        saturated=bool(value(content, "saturated", False)),
        tracked=Tracked(
            ids=tuple(str(value(person, "track_id", "")) for person in persons),
            coasted=np.array([state == TrackState.COASTED for state in states], bool),
            smoothed=_rows([value(person, "smoothed_scores", person.scores) for person in persons], labels),
            top=np.array([value(person, "top_index", -1) for person in persons], np.intp),
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
    return stacked(whole, width)
