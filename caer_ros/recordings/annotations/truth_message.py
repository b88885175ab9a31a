"""What is true of an image as a message of our own type: what ``truth`` reads.

A person's scores are the annotated emotions (beliefs 0..1), NaN where nobody was asked; everything else that only a
model could know is NaN. A region to ignore is a person without a kind of box. ``saturated`` says that there may be more
people than those, as it does of a model's list. Gender, age, weights and single votes have no place in a message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rosbags.convert.converter import default_message

from caer_ros.perception.person import BoxKind, EmotionStatus, ScoreType, TrackState
from caer_ros.recordings.definitions import PERSONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rosbags.typesys.store import Typestore

    from caer_ros.recordings.annotations.sample import Array, Dataset, Drafts, Sample

MODEL_ID = "ground_truth"
_PREFILLED = " prefilled_by="
_PERSON = "caer_ros/msg/PersonEmotion"
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class TruePerson:
    """One person, or a region to ignore."""

    box: Sequence[float]
    """x_min, y_min, x_max, y_max in pixels of the source image."""
    box_kind: BoxKind
    """UNKNOWN for a region to ignore."""
    emotions: Array
    """[E] 0..1, NaN where not annotated."""
    vad: Sequence[float] = (_NAN, _NAN, _NAN)
    """Valence, arousal, dominance, -1..1; NaN where not annotated."""
    track_id: str = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What all messages of a topic share."""

    labels: tuple[str, ...]
    multi_label: bool
    prefilled_by: Drafts = None
    """Drafts as in ``Dataset``."""

    @classmethod
    def of(cls, dataset: Dataset) -> Scheme:
        return cls(dataset.labels, dataset.multi_label, dataset.prefilled_by)


def persons_of(sample: Sample) -> list[TruePerson]:
    """Everybody in a sample, then its regions to ignore."""
    people = [
        TruePerson(
            sample.boxes[index].tolist(),
            sample.box_kind,
            sample.emotions[index],
            sample.vad[index].tolist(),
            sample.track_ids[index],
        )
        for index in range(len(sample))
    ]
    unknown = np.full(sample.emotions.shape[1], _NAN, np.float32)
    return people + [TruePerson(region.tolist(), BoxKind.UNKNOWN, unknown) for region in sample.ignore]


def prefilled_by(model_id: str) -> Drafts:
    """Which model wrote the first draft of a ground truth, by the ``model_id`` of its messages; as in ``Dataset``."""
    _, found, draft = model_id.partition(_PREFILLED)
    try:
        said = json.loads(draft) if found else None
    except ValueError:  # somebody else's id
        return None
    models = said if isinstance(said, list) else [said]
    known = all(isinstance(model, dict) and {"name", "version"} <= model.keys() for model in models)
    return said if known else None


def time(types: Typestore, stamp: int) -> Any:
    """A builtin_interfaces/Time of nanoseconds."""
    seconds, nanoseconds = divmod(stamp, 10**9)
    return types.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)


def header(types: Typestore, stamp: int, frame_id: str) -> Any:
    """A std_msgs/Header; ``stamp`` in nanoseconds."""
    return types.types["std_msgs/msg/Header"](stamp=time(types, stamp), frame_id=frame_id)


def message(
    types: Typestore,
    stamp: int,
    frame_id: str,
    size: tuple[int, int],
    scheme: Scheme,
    persons: Iterable[TruePerson],
    exhaustive: bool = True,
) -> Any:
    """A PersonEmotionArray that is true.

    Args:
        types: with a definition of our messages; fields that it lacks are left out.
        stamp: of the image's header, in nanoseconds.
        frame_id: of the image's header.
        size: height, width of the image in pixels.
        scheme: labels and their kind.
        persons: everybody, and the regions to ignore.
        exhaustive: are these all the people in the image?
    """
    count = len(scheme.labels)
    draft = _PREFILLED + json.dumps(scheme.prefilled_by) if scheme.prefilled_by else ""
    return _make(
        types,
        PERSONS,
        header=header(types, stamp, frame_id),
        image_width=size[1],
        image_height=size[0],
        model_id=MODEL_ID + draft,
        model_version="",
        score_type=int(ScoreType.SIGMOID if scheme.multi_label else ScoreType.SOFTMAX),
        labels=list(scheme.labels),
        labels_version=1,
        predictable=np.ones(count, bool),
        taught_labels=[],
        received=time(types, stamp),
        published=time(types, stamp),
        processing_time=0.0,
        inference_time=0.0,
        mailbox_drops=0,
        saturated=not exhaustive,
        persons=[_person(types, person, scheme.labels) for person in persons],
    )


def _person(types: Typestore, person: TruePerson, labels: tuple[str, ...]) -> Any:
    status, top = _top(person.emotions)
    left, upper, right, lower = person.box
    valence, arousal, dominance = person.vad
    return _make(
        types,
        _PERSON,
        track_id=person.track_id,
        track_state=int(TrackState.TRACKED if person.track_id else TrackState.UNTRACKED),
        track_age=_NAN,
        x_min=left,
        y_min=upper,
        x_max=right,
        y_max=lower,
        box_kind=int(person.box_kind),
        detection_confidence=1.0,
        face_x_min=_NAN,
        face_y_min=_NAN,
        face_x_max=_NAN,
        face_y_max=_NAN,
        emotion_status=int(status),
        scores=person.emotions,
        smoothed_scores=person.emotions,
        taught_scores=np.empty(0, np.float32),
        top_index=top,
        top_label=labels[top] if top >= 0 else "",
        top_score=float(person.emotions[top]) if top >= 0 else _NAN,
        valence=valence,
        arousal=arousal,
        dominance=dominance,
        direction=types.types["geometry_msgs/msg/Vector3"](x=_NAN, y=_NAN, z=_NAN),
        position=types.types["geometry_msgs/msg/Point"](x=_NAN, y=_NAN, z=_NAN),
    )


def _top(emotions: Array) -> tuple[EmotionStatus, int]:
    """Status and index of the strongest emotion; of several the first, -1 where none is annotated or none applies."""
    if np.isnan(emotions).all():
        return EmotionStatus.NOT_PREDICTED, -1
    top = int(np.nanargmax(emotions))
    return (EmotionStatus.OK, top) if emotions[top] > 0 else (EmotionStatus.UNCERTAIN, -1)


def _make(types: Typestore, msgtype: str, **fields: Any) -> Any:
    """A message of those of the fields that its definition has; a field that only the definition has is empty."""
    names = [name for name, _ in types.fielddefs[msgtype][1]]
    if not fields.keys() >= set(names):
        default: Any = default_message(types, msgtype)
        fields = {name: getattr(default, name) for name in names} | fields
    return types.types[msgtype](**{name: fields[name] for name in names})
