"""What is in a bag: topics, rates, gaps, header stamps and images, found in one pass without decoding a picture."""

from __future__ import annotations

import math
from array import array
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.perception.imaging import decoding as images
from caer_ros.recordings import frames
from caer_ros.recordings.bags import raw
from caer_ros.recordings.bags.own_messages import types_of
from caer_ros.recordings.sources import COMPRESSED_IMAGE, IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from rosbags.interfaces import Connection
    from rosbags.rosbag2 import Reader
    from rosbags.typesys.store import Typestore

    from caer_ros.recordings.bags.raw import Message

    Watch = Callable[[Iterable[Message], int], Iterable[Message]]

GAP = 5.0
"""An interval of more than so many medians is a gap."""
_HEADER = "std_msgs/msg/Header"


@dataclass(frozen=True, slots=True)
class Stamps:
    """The header stamps of a topic, in the order of the recording."""

    zero: int
    """Messages whose stamp is not set."""
    out_of_order: int
    """Messages stamped earlier than one that was recorded before them; zero stamps are not counted."""
    duplicate: int
    """Messages whose stamp an earlier one has; zero stamps are not counted."""
    offset: float
    """Median of recording time minus stamp, in seconds; NaN where no stamp is set."""


@dataclass(frozen=True, slots=True)
class Images:
    """The pictures of an image topic."""

    encoding: str
    """``encoding`` of the first Image, or ``format`` of the first CompressedImage."""
    width: int | None
    """Pixels of the first picture; None where its header cannot be read."""
    height: int | None
    undecodable: int | None
    """Pictures that cannot be decoded; None: it was not tried."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; times are those of the recording."""

    name: str
    msgtype: str
    count: int
    bytes: int
    """Size of the serialized messages."""
    duration: float
    """Seconds from the first message to the last."""
    rate: float
    """Messages a second; NaN below two messages."""
    longest: float
    """Longest interval between two messages in seconds; NaN below two messages."""
    gaps: int
    """Intervals of more than ``GAP`` times the median."""
    stamps: Stamps | None
    """None where the type has no header."""
    images: Images | None
    """None where the topic has no pictures."""


@dataclass(frozen=True, slots=True)
class BagIndex:
    """A bag as it lies on disk."""

    path: Path
    storage: str
    """mcap or sqlite3."""
    compression: str
    """Such as "zstd"; "" for none."""
    size: int
    """Bytes on disk, all files of the bag."""
    start: int
    """Recording time of the first message in nanoseconds; 0 in an empty bag."""
    duration: float
    """Seconds from the first message to the last."""
    count: int
    topics: tuple[Topic, ...]
    """Topics in the order of their names."""
    warnings: tuple[str, ...]
    """What is wrong with the bag as a whole."""


def index(path: Path, decode: bool = False, watch: Watch = lambda messages, count: messages) -> BagIndex:
    """Read every message of a bag once, and no picture unless asked.

    Args:
        path: a bag's folder, or its .mcap or .db3 file.
        decode: try to decode every picture.
        watch: wraps the messages, given their number, to show progress.

    Raises:
        SourceError: it is no bag, or it is broken: cut short, for example.
    """
    with raw.opened(path) as reader:
        topics = {connection.topic: _Topic(connection, decode) for connection in reader.connections}
        announced, compression = reader.message_count, _compression(reader)
        with closing(raw.messages(path, reader)) as messages:
            for connection, time, data in watch(messages, announced):
                topics[connection.topic].add(time, data)
    found = sum(len(topic.times) for topic in topics.values())
    filled = [topic.times for topic in topics.values() if topic.times]
    start, end = (min(map(min, filled)), max(map(max, filled))) if filled else (0, 0)
    return BagIndex(
        path,
        raw.storage(path).name.lower(),
        compression,
        sum(file.stat().st_size for file in raw.files(path)),
        start,
        (end - start) / 1e9,
        found,
        tuple(topics[name].topic() for name in sorted(topics)),
        _warnings(path, found, announced),
    )


def _compression(reader: Reader) -> str:
    """Compression of the files, of the messages or, in mcap, of the chunks."""
    if reader.compression_mode:
        return f"{reader.compression_format} ({reader.compression_mode})"
    return ", ".join(sorted(raw.chunk_compressions(reader)))


def _warnings(path: Path, found: int, announced: int) -> tuple[str, ...]:
    """What is wrong with the bag as a whole."""
    warnings = []
    recording = raw.find(path)
    if path.is_dir() and recording != path:
        warnings.append("no metadata.yaml: was the recorder killed? `ros2 bag reindex` writes it")
    if found != announced:
        warnings.append(f"{found:,} messages, but {announced:,} are announced; `ros2 bag reindex` counts anew")
    folder = recording if recording.is_dir() else recording.parent
    return (
        *warnings,
        *(
            f"{file.name}: a write-ahead log; the recorder was killed, and what is in it is not read: "
            "`ros2 bag reindex`"
            for file in sorted(folder.glob("*.db3-wal"))
            if file.stat().st_size
        ),
    )


@dataclass(slots=True)
class _Topic:
    """One topic while the bag is read: 16 bytes a message."""

    connection: Connection
    decode: bool
    times: array[int] = field(default_factory=lambda: array("q"))
    stamps: array[int] = field(default_factory=lambda: array("q"))
    first: bytes = b""
    size: int = 0
    undecodable: int = 0
    has_header: bool = field(init=False)
    pictures: bool = field(init=False)
    types: Typestore | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.has_header = _has_header(self.connection)
        self.pictures = self.connection.msgtype in (IMAGE, COMPRESSED_IMAGE)
        if self.pictures:
            self.types = types_of(self.connection)

    def add(self, time: int, data: bytes) -> None:
        self.times.append(time)
        self.size += len(data)
        if self.has_header:
            self.stamps.append(frames.header_stamp(data))
        if self.pictures:
            self.first = self.first or data
            self.undecodable += self.decode and not self._decodable(data)

    def topic(self) -> Topic:
        times = np.sort(np.frombuffer(self.times, np.int64)) if self.times else np.empty(0, np.int64)
        duration = float(times[-1] - times[0]) / 1e9 if len(times) else 0.0
        intervals = np.diff(times) / 1e9
        return Topic(
            self.connection.topic,
            self.connection.msgtype,
            len(times),
            self.size,
            duration,
            (len(times) - 1) / duration if duration else math.nan,
            float(intervals.max()) if len(intervals) else math.nan,
            gaps(intervals),
            self._stamps() if self.has_header else None,
            self._images() if self.pictures else None,
        )

    def _stamps(self) -> Stamps:
        times, stamps = np.array(self.times, np.int64), np.array(self.stamps, np.int64)
        known = stamps != 0
        times, stamps = times[known], stamps[known]
        if not len(stamps):
            return Stamps(len(known), 0, 0, math.nan)
        late = stamps < np.maximum.accumulate(stamps)
        return Stamps(
            int((~known).sum()),
            int(late.sum()),
            len(stamps) - len(np.unique(stamps)),
            float(np.median((times - stamps) / 1e9)),
        )

    def _images(self) -> Images:
        undecodable = self.undecodable if self.decode else None
        message = self._message(self.first)
        if message is None:
            return Images("", None, None, undecodable)
        if self.connection.msgtype == IMAGE:
            return Images(message.encoding, message.width, message.height, undecodable)
        width, height = _header_size(message.data)
        return Images(message.format, width, height, undecodable)

    def _message(self, data: bytes) -> Any:
        """Deserialize a message; None where it is broken."""
        assert self.types is not None
        try:
            return self.types.deserialize_cdr(data, self.connection.msgtype)
        except Exception:  # on broken bytes rosbags raises its own errors and those of struct, numpy and assert
            return None

    def _decodable(self, data: bytes) -> bool:
        message = self._message(data)
        if message is None:
            return False
        try:
            frames.pixels_of(message)
        except images.ImageError:
            return False
        return True


def gaps(intervals: NDArray[np.float64]) -> int:
    """How many of the intervals are longer than ``GAP`` times their median; none where that is 0."""
    median = float(np.median(intervals)) if len(intervals) else 0.0
    return int((intervals > GAP * median).sum()) if median > 0 else 0


def _has_header(connection: Connection) -> bool:
    """Does the type begin with a std_msgs/Header? By the definition in the bag, else by those that we know."""
    try:
        (_, (_, first)), *_ = types_of(connection).fielddefs[connection.msgtype][1]
    except Exception:  # a definition that cannot be parsed or is not there: the topic is counted all the same
        return False
    return bool(first == _HEADER)


def _header_size(data: NDArray[np.uint8]) -> tuple[int, int] | tuple[None, None]:
    """Width and height of a compressed picture, from its header."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data.tobytes())) as picture:
            return picture.size
    except Exception:  # Pillow raises many kinds on broken headers
        return None, None
