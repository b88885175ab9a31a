"""Some frames of a bag, a video or pictures, spread evenly over it, as RGB; the others are not decoded. Without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from caer_ros.recordings import frames
from caer_ros.recordings.sources import CAMERA_INFO, FIRST_NS, Bag, Pictures, SourceError, note, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.recordings.sources import Source


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame."""

    name: str
    """Name of the file, or the time in the recording."""
    pixels: NDArray[np.uint8]
    """RGB [H,W,3]."""


@dataclass(frozen=True)
class Chosen:
    """The frames of a source that are looked at."""

    source: Source
    topic: str
    """Topic of a bag; "" for a video or pictures."""
    available: int
    """Frames of the source."""
    indices: tuple[int, ...]
    """Indices of the frames that are looked at, growing."""

    @classmethod
    def of(cls, path: Path, topic: str | None, number: int | None) -> Chosen:
        """``number`` frames (None: all) of what is at ``path``; ``topic`` is needed where a bag has several cameras.

        Raises:
            SourceError: it cannot be read, or has not got such a topic, or several where none is named.
        """
        source = open_source(path)
        found = frames.image_topic(source, topic) if isinstance(source, Bag) else ""
        if topic and not found:
            raise SourceError(f"{path}: --topic {topic}: not a bag, so it has no topics")
        available = sum(s.count for s in source.streams if s.msgtype != CAMERA_INFO and found in ("", s.topic))
        if not available:  # a video that does not say
            available = sum(1 for _ in source.frames())
        return cls(source, found, available, spread(available, number))

    def __iter__(self) -> Iterator[Picture]:
        """Frames in their order. Raises SourceError where the source breaks off, or no frame of it can be decoded.

        Frames that cannot be decoded are left out and noted in ``source.problems``.
        """
        count = 0
        for picture in self._pictures():
            count += 1
            yield picture
        if not count:
            problems = "; ".join(self.source.problems[:3])
            raise SourceError(f"{self.source.path}: none of {len(self.indices)} frames can be decoded; {problems}")

    def _pictures(self) -> Iterator[Picture]:
        if isinstance(self.source, Bag):
            return self._of_bag(self.source)
        return self._of_files(self.source) if isinstance(self.source, Pictures) else self._of_video()

    def _of_files(self, source: Pictures) -> Iterator[Picture]:
        for file in (source.files[index] for index in self.indices):
            one = Pictures(source.path, [file], 1.0)
            try:
                yield from (Picture(file.name, _rgb(frame.data)) for frame in one.frames())
            except SourceError:
                note(source.problems, one.problems[0])

    def _of_video(self) -> Iterator[Picture]:
        wanted = set(self.indices)
        for index, frame in enumerate(self.source.frames()):
            if index in wanted:
                yield Picture(f"{(frame.stamp_ns - FIRST_NS) * 1e-9:.2f} s", _rgb(frame.data))

    def _of_bag(self, source: Bag) -> Iterator[Picture]:
        decode = frames.bag_decoder(source, self.topic)
        wanted, first_ns = set(self.indices), None
        for index, frame in enumerate(frame for frame in source.frames() if frame.topic == self.topic):
            first_ns = frame.stamp_ns if first_ns is None else first_ns
            if index not in wanted:
                continue
            try:
                stamp, message = decode(bytes(frame.data))
                pixels = frames.pixels_of(message)
            except Exception as error:  # rosbags asserts, slices and unpacks: a damaged message may raise anything
                reason = " ".join(str(error).split()) or type(error).__name__
                note(source.problems, f"{source.path}: image {index} of {self.topic}: {reason}")
                continue
            since = (frame.stamp_ns - first_ns) * 1e-9
            yield Picture(f"{since:.2f} s, stamp {stamp}", pixels)


def spread(available: int, number: int | None) -> tuple[int, ...]:
    """``number`` (None: all) of ``available`` indices from the first to the last, evenly."""
    if number is None or number >= available:
        return tuple(range(available))
    return tuple(np.linspace(0, available - 1, number).round().astype(int).tolist())


def _rgb(bgr: Any) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
