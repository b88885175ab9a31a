"""The camera of a benchmark: pictures of a bag, brought to one size and one transport beforehand.

`caer play` then only has to send bytes, and takes as little as possible of the machine that is being measured.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo

from caer_ros.cli.console.ros_node import message_class
from caer_ros.cli.play.image_messages import image_message
from caer_ros.node.messages import decode
from caer_ros.recordings.sources import BAG_FILES, CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, Bag, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

IMAGE_TOPIC, CAMERA_INFO_TOPIC = "/camera/image_raw", "/camera/camera_info"
RATE = 10.0
"""Pictures a second in the bags written here; `caer play --rate` makes any other rate of it."""
FRAMES = 33
"""Pictures taken from the source, evenly spread: 33 raw ones of 1920×1080 are 205 MB."""
FRAME_ID = "camera_optical_frame"
FOCAL_WIDTHS = 0.866
"""Focal length in image widths: 60 degrees from left to right."""


def pictures(source: Path, count: int = FRAMES) -> list[Pixels]:
    """RGB uint8 [H,W,3] of at most ``count`` evenly spread images of a bag. Raises SourceError or ImageError."""
    bag = Bag(source)
    stream = next(stream for stream in bag.streams if stream.msgtype != CAMERA_INFO)
    recorded = (bytes(frame.data) for frame in bag.frames() if frame.topic == stream.topic)
    step = max(1, stream.count // count)
    kind = message_class(stream.msgtype)
    return [decode(deserialize_message(cdr, kind)) for cdr in islice(recorded, 0, step * count, step)]


def write(images: Sequence[Pixels], size: tuple[int, int], transport: str, out: Path) -> Path:
    """Write a bag of ``images`` in ``size`` (width, height), ``raw`` (rgb8) or ``compressed`` (JPEG), with camera_info.

    Returns:
        The bag's folder, ``out``.
    """
    msgtype = COMPRESSED_IMAGE if transport == "compressed" else IMAGE
    topic = IMAGE_TOPIC + ("/compressed" if transport == "compressed" else "")
    types = get_typestore(Stores.ROS2_JAZZY)
    with Writer(out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        infos = writer.add_connection(CAMERA_INFO_TOPIC, CAMERA_INFO, typestore=types)
        connection = writer.add_connection(topic, msgtype, typestore=types)
        for stamp_ns, message in _messages(images, size, msgtype):
            writer.write(infos, stamp_ns, serialize_message(_camera_info(message.header, *size)))
            writer.write(connection, stamp_ns, serialize_message(message))
    return out


def fitted(image: Pixels, size: tuple[int, int]) -> Pixels:
    """The whole image as large as it fits into ``size`` (width, height), its borders drawn out to fill the rest.

    So every size shows the same people, and asks the same of the model.
    """
    width, height = size
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    resized = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    right, bottom = width - inner[0] - left, height - inner[1] - top
    return np.asarray(cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_REPLICATE), np.uint8)


def sha256(bag: Path) -> str:
    """Hash of a bag's recordings (.mcap, .db3), in the order of their names."""
    files = sorted(path for path in bag.iterdir() if path.suffix in BAG_FILES) if bag.is_dir() else [bag]
    if not files:
        raise SourceError(f"{bag}: no recording ({', '.join(BAG_FILES)}) in this folder")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _messages(images: Sequence[Pixels], size: tuple[int, int], msgtype: str) -> Iterator[tuple[int, Any]]:
    for index, image in enumerate(images):
        stamp_ns = round((index + 1) * 1e9 / RATE)  # a stamp of zero means "not set"
        message = image_message(fitted(image, size), "rgb8", FRAME_ID, msgtype)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        yield stamp_ns, message


def _camera_info(header: Any, width: int, height: int) -> CameraInfo:
    """A lens without distortion."""
    focal, x, y = FOCAL_WIDTHS * width, width / 2, height / 2
    return CameraInfo(
        header=header,
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
