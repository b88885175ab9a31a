"""Pixels to image messages and serialized image messages to pixels."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rclpy.serialization import deserialize_message

from caer_ros.cli.console.ros_node import message_class
from caer_ros.node.messages import decode
from caer_ros.perception.imaging.decoding import ImageError
from caer_ros.recordings.sources import COMPRESSED_IMAGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

JPEG_QUALITY = 95


class ConversionError(ValueError):
    """A recorded image cannot be decoded."""


def image_message(pixels: Pixels, encoding: str, frame_id: str, msgtype: str) -> Any:
    """An Image, or a CompressedImage in JPEG, of uint8 [H,W,3] pixels in ``encoding`` (bgr8 or rgb8); no stamp yet."""
    message = message_class(msgtype)()
    message.header.frame_id = frame_id
    # rclpy checks each element of anything but an array.array, which takes a second for a large image.
    if msgtype == COMPRESSED_IMAGE:
        message.format = f"{encoding}; jpeg compressed bgr8"
        message.data = array("B", _jpeg(pixels, encoding))
        return message
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.step = pixels.shape[1] * 3
    message.data = array("B", pixels.tobytes())
    return message


def converted(cdr: bytes, msgtype: str, wanted: str) -> Any:
    """The message of type ``wanted`` that shows the same image as a serialized one of ``msgtype``.

    Both are Image or CompressedImage; the header is kept. Raises ConversionError when it cannot be decoded.
    """
    try:
        message = deserialize_message(cdr, message_class(msgtype))
        pixels = decode(message)
    except (ImageError, RuntimeError) as error:  # rclpy's errors for bytes that are no message are RuntimeErrors
        raise ConversionError(str(error)) from error
    result = image_message(pixels, "rgb8", message.header.frame_id, wanted)
    result.header = message.header
    return result


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """uint8 [H,W,3] pixels stretched to ``size`` (width, height)."""
    if pixels.shape[1::-1] == size:
        return pixels
    smaller = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)


def _jpeg(pixels: Pixels, encoding: str) -> bytes:
    bgr = pixels if encoding == "bgr8" else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return bytes(jpeg)
