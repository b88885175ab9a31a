"""Write small ROS 2 bags of real messages."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CompressedImage, Image

from caer_ros.recordings.definitions import typestore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START_NS = 1_600_000_000 * 10**9
"""When the bags begin: long ago, so that a kept stamp is told from a new one."""


def write_bag(
    path: Path, messages: Iterable[tuple[str, int, Any]], storage: StoragePlugin = StoragePlugin.MCAP
) -> Path:
    """Write (topic, record time in ns, message) to the new folder ``path``; standard messages and ours."""
    types = typestore()
    connections: dict[str, Any] = {}
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, stamp_ns, message in messages:
            if topic not in connections:
                name = message.__class__.__module__.split(".")[0] + "/msg/" + message.__class__.__name__
                connections[topic] = writer.add_connection(topic, name, typestore=types)
            writer.write(connections[topic], stamp_ns, serialize_message(message))
    return path


def picture(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """BGR uint8 [H,W,3] of one colour for each index from 0 to 11; ``picture_index`` tells them apart after JPEG."""
    return np.full((height, width, 3), (0, 20 * index + 5, 200), np.uint8)


def picture_index(rgb: np.ndarray) -> int:
    """The index of a ``picture``, decoded to RGB uint8 [H,W,3]."""
    red, green, blue = rgb.reshape(-1, 3).mean(0)
    assert red > 150, f"red is {red}"
    assert blue < 50, f"blue is {blue}"
    return round((green - 5) / 20)


def stamped(message: Any, stamp_ns: int, frame_id: str = "camera") -> Any:
    """The message with this header."""
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    message.header.frame_id = frame_id
    return message


def image(pixels: np.ndarray, stamp_ns: int) -> Image:
    """sensor_msgs/Image (bgr8)."""
    height, width = pixels.shape[:2]
    data = array("B", pixels.tobytes())
    return stamped(Image(height=height, width=width, encoding="bgr8", step=3 * width, data=data), stamp_ns)


def compressed(pixels: np.ndarray, stamp_ns: int) -> CompressedImage:
    """sensor_msgs/CompressedImage (JPEG)."""
    jpeg = cv2.imencode(".jpg", pixels)[1]
    return stamped(CompressedImage(format="bgr8; jpeg compressed bgr8", data=array("B", jpeg.tobytes())), stamp_ns)
