"""Writes a bag of a camera that looks at people who move a little, with the truth on a topic of its own.

The folder gets ``bag/`` (mcap: JPEG images and, at the same stamps, ``PersonEmotionArray`` messages that are true) and
``truth.json`` in the format "own", whose images are named by topic and header stamp. The same seed gives the same
stamps, pictures and truth.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from caer_ros.offline.data.synthetic import cues, drawn_people, folders, pictures, plans, render
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import truth_message
from caer_ros.recordings.annotations.assembly import one_hot
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.definitions import PERSONS, TRUTH_TOPIC, typestore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rosbags.typesys.store import Typestore

IMAGE_TOPIC = "/camera/image_raw/compressed"
FRAME_ID = "camera_optical_frame"
EPOCH_NS = 1_577_836_800_000_000_000
"""Stamp of the first picture: 2020-01-01 00:00 UTC."""
_ROOM = 0.08
"""Widths of the picture by which people sway to either side; the scene's objects keep as much away."""
_PERIODS = (4.0, 9.0)
"""Seconds, the quickest and the slowest."""
_IMAGE = "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a recording."""

    stamp: int
    """Nanoseconds."""
    run: int
    """Which scene it shows; stands before its track ids."""
    image: render.Image
    persons: tuple[render.Truth, ...]

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        return int(self.image.shape[1])


@dataclass(frozen=True, slots=True)
class SyntheticBag:
    """What was written."""

    bag: Path
    truth: Path


def write(
    folder: Path, settings: plans.Settings, seed: int, images: int, *, runs: int = 1, rate: float = 10.0
) -> SyntheticBag:
    """Write ``bag/`` and ``truth.json`` into a folder.

    Args:
        folder: must be empty or not exist.
        settings: what pictures are like.
        seed: of everything.
        images: how many pictures.
        runs: scenes that follow each other, with other people in each.
        rate: pictures per second.

    Raises:
        DatasetError: the folder is not empty.
        FileNotFoundError: our message definitions are not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} exists already and is not empty: remove it, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    made = SyntheticBag(folder / "bag", folder / "truth.json")
    types = typestore()
    named = []
    with Writer(made.bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image_connection = writer.add_connection(IMAGE_TOPIC, _IMAGE, typestore=types)
        truth_connection = writer.add_connection(TRUTH_TOPIC, PERSONS, typestore=types)
        for frame in frames(settings, seed, images, runs=runs, rate=rate):
            image, persons = _image_message(types, frame), _truth_message(types, frame)
            writer.write(image_connection, frame.stamp, types.serialize_cdr(image, _IMAGE))
            writer.write(truth_connection, frame.stamp, types.serialize_cdr(persons, PERSONS))
            name = f"{IMAGE_TOPIC.strip('/')}/{frame.stamp}.jpg"
            named.append((name, replace(frame, image=frame.image[:, :, :0]), f"{frame.run}-"))
    made.truth.write_text(json.dumps(folders.own_content(named)), "utf-8")
    return made


def frames(settings: plans.Settings, seed: int, images: int, *, runs: int = 1, rate: float = 10.0) -> Iterator[Frame]:
    """The pictures one after the other. People sway sideways, each at their own pace; everything else stands still."""
    atlas = drawn_people.load()
    length = math.ceil(images / runs)
    for number in range(images):
        run, step = divmod(number, length)
        if step == 0:
            random = np.random.default_rng([seed, len(pictures.SPLITS), run])
            scene = plans.plan(settings, atlas, random, margin=_ROOM * settings.width + 4.0)
            sways = [_Sway(*random.uniform((0.3, _PERIODS[0], 0.0), (1.0, _PERIODS[1], 1.0))) for _ in scene.persons]
        persons = tuple(
            replace(person, box=sway.moved(person.box, step / rate, settings.width))
            for person, sway in zip(scene.persons, sways, strict=True)
        )
        image, truths = render.render(replace(scene, persons=persons, grain=scene.grain + step), atlas)
        yield Frame(EPOCH_NS + round(number * 1e9 / rate), run + 1, image, truths)


@dataclass(frozen=True, slots=True)
class _Sway:
    reach: float
    """Part of the room that there is."""
    period: float
    """Seconds."""
    phase: float
    """Periods."""

    def moved(self, box: plans.Box, seconds: float, width: int) -> plans.Box:
        x = self.reach * _ROOM * width * math.sin(2 * math.pi * (seconds / self.period + self.phase))
        return box[0] + x, box[1], box[2] + x, box[3]


def _image_message(types: Typestore, frame: Frame) -> Any:
    options = [cv2.IMWRITE_JPEG_QUALITY, pictures.JPEG_QUALITY]
    data = cv2.imencode(".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), options)[1].reshape(-1)
    header = truth_message.header(types, frame.stamp, FRAME_ID)
    return types.types[_IMAGE](header=header, format="rgb8; jpeg compressed bgr8", data=data)


def _truth_message(types: Typestore, frame: Frame) -> Any:
    persons = [
        truth_message.TruePerson(
            person.box,
            BoxKind.BODY,
            one_hot(cues.EMOTIONS[person.cues.emotion], cues.EMOTIONS),
            person.vad,
            f"{frame.run}-{person.track_id}",
        )
        for person in frame.persons
    ]
    scheme = truth_message.Scheme(cues.EMOTIONS, multi_label=False)
    return truth_message.message(types, frame.stamp, FRAME_ID, (frame.height, frame.width), scheme, persons)
