"""A small recording with a truth in the words of ``tiny_student``, and what a node might have said about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from tiny_student import LABELS

from caer_ros.offline.data.synthetic import bags, cues, plans
from caer_ros.perception.person import BoxKind, EmotionStatus, ScoreType, TrackState
from caer_ros.recordings.definitions import PERSONS, typestore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

IMAGES = 12
RATE = 10.0
EMOTIONS = "/emotion/emotions"
SETTINGS = plans.Settings(width=160, height=120, people=(0, 0, 1, 1))
_MOODS = {"Happiness": "glad", "Excitement": "glad", "Peace": "calm"}


def mood(emotion: str) -> str:
    """Which of the tiny student's labels an emotion of the synthetic people is taken for."""
    return _MOODS.get(emotion, "cross")


def write(folder: Path, seed: int = 3, **info: Any) -> bags.SyntheticBag:
    """Twelve images, two scenes; ``info`` goes into the truth's."""
    made = bags.write(folder, SETTINGS, seed, IMAGES, runs=2, rate=RATE)
    content = json.loads(made.truth.read_text("utf-8"))
    content["info"] = {"label_set": "moods", "labels": list(LABELS), "exhaustive": True} | info
    for annotation in content["annotations"]:
        annotation["emotions"] = sorted({mood(emotion) for emotion in annotation["emotions"]})[:1]
    made.truth.write_text(json.dumps(content), "utf-8")
    return made


def answered(
    made: bags.SyntheticBag,
    folder: Path,
    delay: Callable[[int], float | None] = lambda index: 0.08,
    shift: float = 0.0,
    stamped: Callable[[int], bool] = lambda index: True,
    version: Callable[[int], str] = lambda index: "0123456789abcdef",
) -> Path:
    """A bag with what a node said that knows the truth, without the images.

    Args:
        made: as recorded.
        folder: the bag to write; must not exist.
        delay: for each image the seconds until its answer is published; None: no answer.
        shift: pixels by which every box is too far to the right.
        stamped: for each image whether its answer has a stamp.
        version: for each image that of the model that answers.
    """
    types = typestore()
    with Reader(made.bag) as reader, Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        truths = [connection for connection in reader.connections if connection.msgtype == PERSONS]
        said = [types.deserialize_cdr(data, PERSONS) for _, _, data in reader.messages(truths)]
        connection = writer.add_connection(EMOTIONS, PERSONS, typestore=types)
        for published, message in sorted(_answers(types, said, delay, shift, stamped, version), key=lambda one: one[0]):
            writer.write(connection, published, types.serialize_cdr(message, PERSONS))
    return folder


def merged(images: Path, said: Path, folder: Path) -> Path:
    """A bag with the messages of both."""
    types = typestore()
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for bag in (images, said):
            with Reader(bag) as reader:
                made = {
                    one.topic: writer.add_connection(one.topic, one.msgtype, typestore=types)
                    for one in reader.connections
                }
                for connection, log_time, data in reader.messages():
                    writer.write(made[connection.topic], log_time, data)
    return folder


def _answers(
    types: Any,
    said: Iterable[Any],
    delay: Callable[[int], float | None],
    shift: float,
    stamped: Callable[[int], bool],
    version: Callable[[int], str],
) -> Iterable[tuple[int, Any]]:
    time = types.types["builtin_interfaces/msg/Time"]
    for index, message in enumerate(said):
        seconds = delay(index)
        if seconds is None:
            continue
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        published = stamp + round(seconds * 1e9)
        message.model_id, message.model_version, message.score_type = "oracle", version(index), ScoreType.SOFTMAX
        message.labels, message.predictable = list(LABELS), np.ones(len(LABELS), bool)
        message.received = time(*divmod(stamp + 10**7, 10**9))
        message.published = time(*divmod(published, 10**9))
        message.processing_time, message.inference_time = 0.07, 0.05
        if not stamped(index):
            message.header.stamp = time(0, 0)
        for person in message.persons:
            top = LABELS.index(mood(cues.EMOTIONS[person.top_index]))
            person.scores = person.smoothed_scores = np.eye(len(LABELS), dtype=np.float32)[top]
            person.top_index, person.top_label = top, LABELS[top]
            person.x_min, person.x_max = person.x_min + shift, person.x_max + shift
            person.box_kind, person.emotion_status = int(BoxKind.BODY), int(EmotionStatus.OK)
            person.track_state, person.detection_confidence = int(TrackState.TRACKED), 0.9
        yield published, message
