"""Frames of a bag, a video or a folder of pictures, decoded to RGB and thinned out evenly in time; without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.perception.imaging import decoding
from caer_ros.recordings.sources import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    PICTURE_TOPIC,
    Bag,
    SourceError,
    bag_errors,
    note,
    open_source,
)
from caer_ros.recordings.stamps import StampError, nanoseconds, stamp_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.recordings.sources import Source


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded image of a recording."""

    name: str
    """Topic and stamp, such as "camera/image_raw/1718000000123456789": unique, and a file's name without its ending."""
    stamp_ns: int
    """Stamp of the header in a bag, or of the position in a video or folder."""
    pixels: NDArray[np.uint8]
    """RGB [H,W,3]."""


def read(path: Path, topic: str | None = None, every: float = 0.0) -> Iterator[Frame]:
    """Frames in the order of the recording.

    Args:
        path: a bag, a video, a folder of pictures, or a picture; see ``sources.open_source``.
        topic: image topic of a bag; needed where it has several.
        every: seconds by header stamp between two frames at least; 0 takes all.

    Raises:
        SourceError: it cannot be read, the topic is not in it, or no image of it can be decoded.
    """
    source = open_source(path)
    decode = bag_decoder(source, topic) if isinstance(source, Bag) else None
    topic = topic or PICTURE_TOPIC if decode is None else image_topic(source, topic)
    step, last, count = int(every * 1e9), None, 0
    for frame in source.frames():
        if decode is None:
            stamp, pixels = frame.stamp_ns, np.ascontiguousarray(np.asarray(frame.data, np.uint8)[..., ::-1])
        elif frame.topic != topic:
            continue
        else:
            try:
                stamp, message = decode(frame.data)
                if last is not None and 0 <= stamp - last < step:
                    continue
                pixels = pixels_of(message)
            except Exception as error:  # as in ``at``
                note(source.problems, f"{path}: an image of {topic} at {frame.stamp_ns} ns: {_reason(error)}")
                continue
        if last is not None and 0 <= stamp - last < step:
            continue
        last, count = stamp, count + 1
        yield Frame(frame_name(topic, stamp), stamp, pixels)
    if not count:
        raise SourceError(f"{path}: no image of {topic} can be decoded; {'; '.join(source.problems[:3])}")


def at(path: Path, topic: str, stamps: Collection[int], problems: list[str]) -> Iterator[Frame]:
    """The frames of a bag that have these header stamps, in the order of the recording; no other one is decoded.

    Args:
        path, topic: of the bag.
        stamps: nanoseconds. Of several images with one stamp the first that can be decoded is taken.
        problems: gets a line for each image that cannot be decoded.

    Raises:
        SourceError: it cannot be read, or the topic is not in it.
    """
    source = open_bag(path)
    decode = bag_decoder(source, topic)
    missing = set(stamps)
    for frame in source.frames() if missing else ():
        if frame.topic != topic or (stamp := header_stamp(bytes(frame.data))) not in missing:
            continue
        try:
            _, message = decode(frame.data)
            pixels = pixels_of(message)
        except Exception as error:  # rosbags asserts, slices and unpacks: a damaged message may raise anything
            note(problems, f"{path}: the image of {topic} at stamp {stamp}: {_reason(error)}")
            continue
        missing.remove(stamp)
        yield Frame(frame_name(topic, stamp), stamp, pixels)
        if not missing:
            return


def stamps(path: Path, topic: str | None = None) -> tuple[str, list[int]]:
    """An image topic of a bag, and the header stamps (ns) of its images in the order of the recording.

    Args:
        path: of the bag.
        topic: None where the bag has only one.

    Raises:
        SourceError: it cannot be read, or has no such topic, or several where none is named.
    """
    source = open_bag(path)
    topic = image_topic(source, topic)
    with bag_errors(path):
        return topic, [header_stamp(bytes(frame.data)) for frame in source.frames() if frame.topic == topic]


def header_stamp(message: bytes) -> int:
    """Header stamp of a serialized message, in nanoseconds; 0 where it is not set, or the message is too short."""
    try:
        return stamp_of(message)
    except StampError:
        return 0


def frame_name(topic: str, stamp: int) -> str:
    """Topic and header stamp as the name of a frame, and of its file without the ending."""
    return str(PurePosixPath(topic.lstrip("/"), str(stamp)))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def open_bag(path: Path) -> Bag:
    """Open a bag. Raises SourceError where it cannot be read, holds no images, or is no bag."""
    source = open_source(path)
    if not isinstance(source, Bag):
        raise SourceError(f"{path}: not a bag")
    return source


def image_topic(source: Source, topic: str | None) -> str:
    """The named image topic of a bag, or its only one. Raises SourceError: there is none, or there are several."""
    topics = [stream.topic for stream in source.streams if stream.msgtype != CAMERA_INFO and stream.count]
    if topic is None and len(topics) == 1:
        return topics[0]
    if topic not in topics:
        asked = "several image topics; name one" if topic is None else f"no images on {topic}"
        raise SourceError(f"{source.path}: {asked}: {', '.join(topics)}")
    return topic


def bag_decoder(source: Source, topic: str | None) -> Any:
    """A function from a serialized message of the topic to its header stamp in nanoseconds and itself."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    topic = image_topic(source, topic)
    msgtype = next(stream.msgtype for stream in source.streams if stream.topic == topic)

    def decode(data: bytes) -> tuple[int, Any]:
        message: Any = store.deserialize_cdr(data, msgtype)
        return nanoseconds(message.header.stamp), message

    return decode


def pixels_of(message: Any) -> NDArray[np.uint8]:
    """RGB uint8 [H,W,3] of a deserialized Image or CompressedImage. Raises ImageError."""
    if message.__msgtype__ == COMPRESSED_IMAGE:
        return decoding.decode_compressed(message.data)
    return decoding.decode(
        message.encoding, message.height, message.width, message.step, bool(message.is_bigendian), message.data
    )
