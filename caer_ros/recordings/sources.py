"""A bag, a video or pictures as a timed sequence of camera images, read one by one as they are needed; without ROS."""

from __future__ import annotations

import os
import re
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import cv2
    import numpy as np
    from numpy.typing import NDArray

    Payload = bytes | NDArray[np.uint8]

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

BAG_FILES = (".mcap", ".db3")
PICTURE_FILES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")

PICTURE_TOPIC = "camera/image_raw"
"""Where videos and pictures are published unless told otherwise."""

FIRST_NS = 10**9
"""Videos and pictures start at one second: ROS takes a stamp of zero as "not set"."""


class SourceError(Exception):
    """A source cannot be read; says which, why, and what to do."""


@dataclass(frozen=True)
class Stream:
    """One topic of a source: its name as recorded, its ROS type, and how many messages it has."""

    topic: str
    msgtype: str
    count: int


@dataclass(frozen=True)
class Frame:
    """One message of a stream and when it is due."""

    stamp_ns: int
    """Time on the source's own clock: when a bag recorded the message, or a picture's position in its video."""
    topic: str
    data: Payload
    """A recorded message in CDR, or the pixels of a picture: BGR uint8 [H,W,3]."""


class Source(Protocol):
    """What can be played."""

    path: Path
    streams: tuple[Stream, ...]
    """The camera topics, sorted by name. The ``count`` of a video is an estimate, 0 where it has none."""
    period_ns: int
    """Mean time between two images; the pause before a loop starts over."""
    problems: list[str]
    """What could not be read so far and was left out, one line each."""

    def frames(self) -> Iterator[Frame]:
        """Every frame from the start, in the order of time. Raises SourceError where the source breaks off."""


def note(problems: list[str], problem: str) -> None:
    """Add a problem once: a source that is played in a loop meets the same ones again and again."""
    if problem not in problems:
        problems.append(problem)


def open_source(path: Path, fps: float = 10.0) -> Source:
    """Open a rosbag (a folder, .mcap or .db3), a video, a folder of pictures or one picture.

    Args:
        path: What to open.
        fps: Pictures a second, for pictures alone.

    Raises:
        SourceError: ``path`` is missing, is none of these, or cannot be read.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    if suffix == ".bag":
        raise SourceError(f"{path}: a ROS 1 bag; convert it with: rosbags-convert --src {path} --dst {path.stem}")
    if path.is_dir():
        return _open_folder(path, fps)
    if suffix in BAG_FILES:
        return Bag(path)
    return Pictures(path, [path], fps) if suffix in PICTURE_FILES else Video(path)


def _open_folder(path: Path, fps: float) -> Source:
    if (path / "metadata.yaml").exists():
        return Bag(path)
    files = sorted((file for file in path.iterdir() if file.is_file()), key=_natural_order)
    recordings = [file for file in files if file.suffix.lower() in BAG_FILES]
    if len(recordings) > 1:
        raise SourceError(
            f"{path}: {len(recordings)} bag files and no metadata.yaml; play one of them, or: ros2 bag reindex {path}"
        )
    if recordings:
        return Bag(recordings[0])
    pictures = [file for file in files if file.suffix.lower() in PICTURE_FILES]
    if not pictures:
        raise SourceError(f"{path}: no bag (metadata.yaml, {', '.join(BAG_FILES)}) and no picture in this folder")
    return Pictures(path, pictures, fps)


class Bag:
    """The camera topics of a ROS 2 bag, due when they were recorded. Nothing is decoded."""

    def __init__(self, path: Path) -> None:
        """Read the index. Raises SourceError when there is none, or no image topic."""
        from rosbags.rosbag2 import Reader

        self.path = path
        self.problems: list[str] = []
        with bag_errors(path), Reader(path) as reader:
            types = {name: str(info.msgtype) for name, info in reader.topics.items()}
            counts = {name: info.msgcount for name, info in reader.topics.items()}
            duration = reader.duration
        wanted = {name: kind for name, kind in types.items() if kind in (IMAGE, COMPRESSED_IMAGE, CAMERA_INFO)}
        self.streams = tuple(Stream(name, kind, counts[name]) for name, kind in sorted(wanted.items()))
        images = max((stream.count for stream in self.streams if stream.msgtype != CAMERA_INFO), default=0)
        if not images:
            there = ", ".join(f"{name} ({kind})" for name, kind in sorted(types.items())) or "none"
            raise SourceError(f"{path}: no image in this bag; its topics: {there}")
        self.period_ns = duration // (images - 1) if images > 1 else 10**8

    def frames(self) -> Iterator[Frame]:
        """See Source."""
        from rosbags.rosbag2 import Reader

        topics = {stream.topic for stream in self.streams}
        with bag_errors(self.path), Reader(self.path) as reader:
            connections = [connection for connection in reader.connections if connection.topic in topics]
            # Closed before its reader: an open cursor keeps an sqlite bag open.
            with closing(reader.messages(connections)) as messages:
                for connection, stamp_ns, data in messages:
                    yield Frame(stamp_ns, connection.topic, bytes(data))


@contextmanager
def bag_errors(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong with a bag into a SourceError that names it.

    On broken files rosbags raises its own errors and those of sqlite, zstd, struct and assert.
    """
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{path}: broken bag: {reason}; if the recording was cut short, "
            "`ros2 bag reindex` or `mcap recover` may mend it"
        ) from error


class Video:
    """A video file that OpenCV can read. Pictures are due at their time in the video, also where it varies."""

    def __init__(self, path: Path) -> None:
        """Read the first picture. Raises SourceError when there is none."""
        import cv2

        self.path = path
        self.problems: list[str] = []
        capture = self._open()
        try:
            if not capture.grab():
                raise SourceError(f"{path}: not a bag, a picture or a video that OpenCV can read")
            rate = capture.get(cv2.CAP_PROP_FPS)
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        finally:
            capture.release()
        self.period_ns = int(1e9 / rate) if 0.01 < rate < 1000 else 10**9 // 30
        self.streams: tuple[Stream, ...] = (Stream(PICTURE_TOPIC, IMAGE, max(count, 0)),)

    def frames(self) -> Iterator[Frame]:
        """See Source."""
        import cv2
        import numpy as np

        capture = self._open()
        first = last = None
        index = 0
        try:
            while True:
                intact, pixels = capture.read()
                if not intact:
                    break
                position = int(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
                first = position if first is None else first
                due = later(FIRST_NS + position - first, last, self.period_ns)
                yield Frame(due, PICTURE_TOPIC, np.asarray(pixels, np.uint8))
                last, index = due, index + 1
        finally:
            capture.release()
        announced = self.streams[0].count
        if index < 0.95 * announced - 1:
            note(self.problems, f"{self.path}: ended after {index} of {announced} pictures; was it cut short?")

    def _open(self) -> cv2.VideoCapture:
        # FFmpeg writes to stderr by itself; what matters is said by us.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        import cv2

        return cv2.VideoCapture(str(self.path))


def later(position_ns: int, last_ns: int | None, period_ns: int) -> int:
    """When a picture is due: at its position, or a period after the last one where the video carries no times."""
    return position_ns if last_ns is None or position_ns > last_ns else last_ns + period_ns


class Pictures:
    """Picture files in the natural order of their names (2 before 10), at an even rate."""

    def __init__(self, path: Path, files: Sequence[Path], fps: float) -> None:
        """Note the files; none is read yet."""
        self.path = path
        self.files = tuple(files)
        self.problems: list[str] = []
        self.period_ns = int(1e9 / fps)
        self.streams: tuple[Stream, ...] = (Stream(PICTURE_TOPIC, IMAGE, len(files)),)

    def frames(self) -> Iterator[Frame]:
        """See Source. A file that cannot be read is left out and noted; all of them are an error."""
        import cv2
        import numpy as np

        readable = 0
        for index, file in enumerate(self.files):
            encoded = np.fromfile(file, np.uint8)
            # Turned as the camera was held (EXIF): the file is a photograph for people, not a camera's message.
            pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
            if pixels is None:
                note(self.problems, f"{file}: not a picture that OpenCV can read")
                continue
            readable += 1
            yield Frame(FIRST_NS + index * self.period_ns, PICTURE_TOPIC, np.asarray(pixels, np.uint8))
        if not readable:
            raise SourceError(f"{self.path}: none of {len(self.files)} pictures can be read")


def _natural_order(file: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name.lower())]
