"""Pictures and a video of a run: what the node said, drawn on the images that it said it about."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rclpy.serialization import deserialize_message

from caer_ros.cli.console.ros_node import message_class
from caer_ros.cli.demo.run_summary import box, detected, stamp_ns
from caer_ros.cli.play.image_messages import resized
from caer_ros.node.messages import decode, person_from_message
from caer_ros.perception.imaging.decoding import ImageError
from caer_ros.perception.imaging.drawing import draw
from caer_ros.perception.person import EmotionStatus
from caer_ros.recordings.stamps import stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.cli.demo.demo_truth import Box, TrueImage, Truth
    from caer_ros.cli.demo.run_summary import Sighting, Subject
    from caer_ros.msg import PersonEmotionArray
    from caer_ros.recordings.sources import Source, Stream

    Image = NDArray[np.uint8]

LABELS_DRAWN = 3
MOST_TRACKS = 6
"""Without ground truth, so many tracks get a picture of their own."""
SETTLED_NS = 10**9
"""Who returns is shown this much later, when the track is confirmed and its scores are smooth."""
WHOLE, PARTLY = 0.95, 0.8
"""Visible part of a person, 0..1: from the first on they are well visible, below the second partly hidden."""
JPEG_QUALITY = 92
FORMATS = (("VP80", ".webm"), ("mp4v", ".mp4"))
"""Codecs that OpenCV's builds can write. Every browser plays the first; the second is for builds without it."""
VIDEO_RATES = (1.0, 30.0)
"""Pictures a second, at least and at most."""


class AlbumError(Exception):
    """An image that was played cannot be read."""


@dataclass(frozen=True)
class Shot:
    """An image worth showing."""

    stamp_ns: int
    name: str
    """Name of the file, without suffix."""
    caption: str
    subject: str = ""
    """Name of the person it shows."""
    box: Box | None = None
    """Where they are in it."""


@dataclass(frozen=True)
class Picture:
    """A shot that was written. Images are RGB uint8 [H,W,3]."""

    shot: Shot
    path: Path
    image: Image
    """As written, with everybody's box and emotions."""
    portrait: Image | None
    """The head and shoulders of the shot's subject, without anything drawn on it."""


def choose(
    messages: Sequence[PersonEmotionArray],
    seen: Sequence[Sighting],
    people: Sequence[Subject],
    truth: Truth | None,
) -> list[Shot]:
    """A handful of images: each person at their best, everybody together, and what is hard. One shot an image."""
    processed = {stamp_ns(message) for message in messages}
    images = [image for image in truth.images if image.stamp_ns in processed] if truth else []
    wishes = [*_portraits(seen, people), _most_people(messages, seen), _empty(messages, truth)]
    wishes += [_hidden(seen), *_returned(seen), _noise(images)]
    shots: dict[int, Shot] = {}
    for candidates in wishes:
        best = next((shot for shot in candidates if shot.stamp_ns not in shots), None)
        if best:
            shots[best.stamp_ns] = best
    return list(shots.values())


# What to look for. Each gives images for the same purpose, the best first.


def _portraits(seen: Sequence[Sighting], people: Sequence[Subject]) -> Iterator[list[Shot]]:
    shown = sorted(people, key=lambda subject: -subject.found)[:MOST_TRACKS]
    for subject in (subject for subject in people if subject in shown):
        theirs = [s for s in seen if subject.name == (s.true.person if s.true else s.person.track_id)]
        usual = [s for s in theirs if s.word == (subject.label or subject.status)]
        usual.sort(key=lambda s: (s.true.visible >= WHOLE if s.true else True, _area(s)), reverse=True)
        name = subject.name if any(s.true for s in theirs) else f"track_{subject.name.rpartition('-')[2]}"
        caption = f"{_plain(subject.name)}: " + (
            f"apparently {subject.label}" if subject.label else _plain(subject.status)
        )
        yield [Shot(s.stamp_ns, name, caption, subject.name, box(s.person)) for s in usual]


def _most_people(messages: Sequence[PersonEmotionArray], seen: Sequence[Sighting]) -> list[Shot]:
    strangers = {s.stamp_ns for s in seen if s.true is None} if any(s.true for s in seen) else set()
    crowds = [m for m in messages if len(detected(m)) > 1 and stamp_ns(m) not in strangers]
    crowds.sort(key=lambda m: (len(detected(m)), _readable(m), _smallest(m)), reverse=True)
    return [Shot(stamp_ns(m), "side_by_side", f"{len(detected(m))} people side by side") for m in crowds]


def _empty(messages: Sequence[PersonEmotionArray], truth: Truth | None) -> list[Shot]:
    unwanted = {image.stamp_ns for image in truth.images if image.persons or image.noise} if truth else set()
    empty = [stamp_ns(m) for m in messages if not m.persons and stamp_ns(m) not in unwanted]
    middle = len(empty) // 2
    caption = "an empty scene: nobody is reported"
    return [Shot(stamp, "empty_scene", caption) for stamp in empty[middle:] + empty[:middle]]


def _hidden(seen: Sequence[Sighting]) -> list[Shot]:
    partly = [(s.true.visible, s) for s in seen if s.true and s.true.visible < PARTLY and not s.true.ignore]
    partly.sort(key=lambda pair: pair[0])
    return [
        Shot(s.stamp_ns, "partly_hidden", f"{_plain(s.true.person)}, of whom {visible:.0%} can be seen")
        for visible, s in partly
        if s.true
    ]


def _returned(seen: Sequence[Sighting]) -> Iterator[list[Shot]]:
    again: dict[str, list[Sighting]] = {}
    for s in seen:
        number = s.true.identity.partition("/")[2] if s.true else ""
        if s.true and number.isdecimal() and int(number) > 1:
            again.setdefault(s.true.identity, []).append(s)
    for identity, theirs in again.items():
        who, _, number = identity.partition("/")
        name = f"{who}_returned" + (f"_{int(number) - 1}" if number != "2" else "")
        settled = [s for s in theirs if s.stamp_ns - theirs[0].stamp_ns >= SETTLED_NS] or theirs
        yield [Shot(s.stamp_ns, name, f"{_plain(who)}, back after a long absence, with a new id") for s in settled]


def _noise(images: Sequence[TrueImage]) -> list[Shot]:
    caption = "the camera delivers noise: nobody is invented (dashed: the tracker remembers)"
    return [Shot(image.stamp_ns, "noise", caption) for image in images if image.noise]


def _area(sighting: Sighting) -> float:
    person = sighting.person
    return float((person.x_max - person.x_min) * (person.y_max - person.y_min))


def _readable(message: PersonEmotionArray) -> int:
    return sum(person.emotion_status == EmotionStatus.OK for person in detected(message))


def _smallest(message: PersonEmotionArray) -> float:
    """The shortest side of all boxes: small where somebody is cut off by another or by the image's border."""
    return min((min(p.x_max - p.x_min, p.y_max - p.y_min) for p in detected(message)), default=0.0)


def _plain(name: str) -> str:
    """A name or a status in words."""
    return name.lower().replace("_", " ")


class Album:
    """Takes the images in their order, and writes those chosen and a video of all that were processed.

    The video has the images' own rate. One that was dropped shows its predecessor, as the robot saw it.
    """

    def __init__(
        self, folder: Path, messages: Sequence[PersonEmotionArray], shots: Sequence[Shot], rate: float, first_ns: int
    ) -> None:
        """Write into ``folder``; ``rate`` is in images a second, ``first_ns`` the stamp of the first image."""
        self.folder = folder
        self.rate = min(max(rate, VIDEO_RATES[0]), VIDEO_RATES[1])
        self.pictures: list[Picture] = []
        self._messages: Mapping[int, PersonEmotionArray] = {stamp_ns(message): message for message in messages}
        self._shots = {shot.stamp_ns: shot for shot in shots}
        self._order = {shot.name: index for index, shot in enumerate(shots)}
        self._first_ns = first_ns
        self._video: Video | None = None
        self._held: Image | None = None

    def take(self, stamp: int, image: Image | None) -> None:
        """Take the next image, RGB uint8 [H,W,3]; None where it cannot be decoded."""
        message = self._messages.get(stamp)
        if image is None or (message is None and self._held is not None):
            self._show_until(stamp)
            return
        drawn = image
        if message is not None:
            drawn = draw(image, [person_from_message(p) for p in message.persons], message.labels, top=LABELS_DRAWN)
        if stamp in self._shots:
            self._write(self._shots[stamp], image, drawn)
        if self._video is None:
            self._video = open_video(self.folder / "video", image.shape[1::-1], self.rate)
        self._show_until(stamp)
        self._held = drawn

    def finish(self, last_ns: int) -> Path | None:
        """End the video with the image of stamp ``last_ns``. Returns its file; None where OpenCV cannot write one."""
        self.pictures.sort(key=lambda picture: self._order[picture.shot.name])
        if self._video is None:
            return None
        self._show_until(last_ns + int(1e9 / self.rate))
        return self._video.close()

    def _show_until(self, stamp: int) -> None:
        """Show the held picture until ``stamp``."""
        if self._video is not None and self._held is not None:
            until = round((stamp - self._first_ns) * 1e-9 * self.rate)
            for _ in range(until - self._video.length):
                self._video.add(self._held)

    def _write(self, shot: Shot, image: Image, drawn: Image) -> None:
        path = self.folder / "pictures" / f"{shot.name}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(drawn, JPEG_QUALITY))
        self.pictures.append(Picture(shot, path, drawn, _head(image, shot.box) if shot.box else None))


class Video:
    """A video file that grows picture by picture."""

    def __init__(self, writer: cv2.VideoWriter, path: Path, size: tuple[int, int]) -> None:
        """Made by ``open_video``."""
        self._writer = writer
        self.path = path
        self._size = size
        self.length = 0
        """Pictures so far."""

    def add(self, picture: Image) -> None:
        """Append RGB uint8 [H,W,3]; one of another size is resized."""
        self._writer.write(cv2.cvtColor(resized(picture, self._size), cv2.COLOR_RGB2BGR))
        self.length += 1

    def close(self) -> Path:
        """Finish the file. Raises AlbumError when it does not hold what was written."""
        self._writer.release()
        capture = cv2.VideoCapture(str(self.path))
        there = 0
        while capture.grab():
            there += 1
        capture.release()
        if there != self.length:
            raise AlbumError(f"{self.path}: OpenCV wrote {there} of {self.length} pictures")
        return self.path


def open_video(path: Path, size: tuple[int, int], rate: float) -> Video | None:
    """A new video beside ``path`` with the suffix of the first format that works; None when none does."""
    for codec, suffix in FORMATS:
        file = path.with_suffix(suffix)
        with _silent_opencv():
            writer = cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate, size)
        if writer.isOpened():
            return Video(writer, file, size)
        file.unlink(missing_ok=True)
    return None


@contextmanager
def _silent_opencv() -> Iterator[None]:
    # OpenCV tells stderr itself what it thinks of a codec's tag, and also when all is well.
    with tempfile.TemporaryFile() as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def images(source: Source, stream: Stream) -> Iterator[tuple[int, Image | None]]:
    """Stamp and RGB pixels of each image of a bag's stream, in order; None where it cannot be decoded."""
    kind = message_class(stream.msgtype)
    for frame in source.frames():
        if frame.topic != stream.topic or not isinstance(frame.data, bytes):
            continue
        try:
            yield stamp_of(frame.data), decode(deserialize_message(frame.data, kind))
        except ImageError:
            yield stamp_of(frame.data), None


def _head(image: Image, place: Box) -> Image:
    """The upper part of a person's box, square where the image is large enough."""
    height, width = image.shape[:2]
    x_min, y_min, x_max, y_max = place
    side = round(min(x_max - x_min, y_max - y_min))
    left = min(max(round((x_min + x_max - side) / 2), 0), max(width - side, 0))
    top = min(max(round(y_min), 0), max(height - side, 0))
    return np.ascontiguousarray(image[top : top + max(side, 1), left : left + max(side, 1)])


def jpeg(image: Image, quality: int, width: int | None = None) -> bytes:
    """RGB uint8 [H,W,3] as JPEG, made smaller where it is wider than ``width``."""
    if width is not None and image.shape[1] > width:
        image = resized(image, (width, round(image.shape[0] * width / image.shape[1])))
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    return bytes(data)
