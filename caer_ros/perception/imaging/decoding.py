"""Bytes of an image message to an RGB array: one decoder for the node, the bags and the tests.

The arguments of `decode` are the fields of sensor_msgs/Image; encodings are named as in
sensor_msgs/image_encodings.hpp. 8-bit encodings are decoded here with numpy views and OpenCV,
so nothing depends on the numpy that cv_bridge was built for; the rest goes to cv_bridge where
it is installed.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    import array

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Buffer = bytes | bytearray | memoryview | array.array[int] | Image


class ImageError(ValueError):
    """The bytes are not the image that they are said to be, or not one that can be read here.

    ``kind`` tells the sorts apart: empty_image, short_image, unknown_encoding, corrupt_image; bad_image for the rest.
    """

    def __init__(self, message: str, kind: str = "bad_image") -> None:
        super().__init__(message)
        self.kind = kind


class _Layout(NamedTuple):
    channels: int
    """Bytes per pixel in a row of the data; for the 4:2:0 encodings, of the luma plane."""
    code: int | None
    """cv2.cvtColor's code; None where the data is RGB already."""


_UYVY = _Layout(2, cv2.COLOR_YUV2RGB_UYVY)
_YUYV = _Layout(2, cv2.COLOR_YUV2RGB_YUY2)
_LAYOUTS = {
    "rgb8": _Layout(3, None),
    "bgr8": _Layout(3, cv2.COLOR_BGR2RGB),
    "rgba8": _Layout(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Layout(4, cv2.COLOR_BGRA2RGB),
    "mono8": _Layout(1, cv2.COLOR_GRAY2RGB),
    # Channels without a meaning: as OpenCV stores them, which is also cv_bridge's guess for display.
    "8UC1": _Layout(1, cv2.COLOR_GRAY2RGB),
    "8UC3": _Layout(3, cv2.COLOR_BGR2RGB),
    "8UC4": _Layout(4, cv2.COLOR_BGRA2RGB),
    # ROS names the first pixels of the first two rows. OpenCV's short names (BayerBG, ...) start
    # at the second row and column, so its long ones are used.
    "bayer_rggb8": _Layout(1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": _Layout(1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": _Layout(1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": _Layout(1, cv2.COLOR_BayerGRBG2RGB),
    # YUV is read as BT.601, limited range, like OpenCV and cv_bridge.
    "uyvy": _UYVY,
    "yuv422": _UYVY,
    "yuyv": _YUYV,
    "yuv422_yuy2": _YUYV,
    "nv12": _Layout(1, cv2.COLOR_YUV2RGB_NV12),
    "nv21": _Layout(1, cv2.COLOR_YUV2RGB_NV21),
}
_SUBSAMPLED_ROWS = ("nv12", "nv21")
_SUBSAMPLED_COLUMNS = ("uyvy", "yuv422", "yuyv", "yuv422_yuy2", *_SUBSAMPLED_ROWS)
# OpenCV has nothing to interpolate from in a smaller mosaic, and answers black.
_SMALLEST_BAYER = 3

ENCODINGS = tuple(_LAYOUTS)
"""Encodings decoded without cv_bridge."""


def decode(encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Buffer) -> Image:
    """RGB uint8 [height, width, 3], C-contiguous, of a raw image.

    ``data`` holds ``height`` rows of ``step`` bytes; bytes after them are ignored, and so is
    ``is_bigendian`` for 8-bit encodings (some drivers set it). nv12 and nv21: ``height`` is that of
    the image, ``step`` that of the luma plane, and ``data`` has ``height * 3 / 2`` rows: the
    luma, then the interleaved chroma (ros2/common_interfaces#264).

    rgb8 without padding is not copied: the result is then a read-only view of ``data``.

    Raises:
        ImageError: Empty, too short or misaligned data, or an encoding that cannot be decoded.
    """
    what = f"{encoding} image of {width}x{height}"
    buffer = np.frombuffer(data, np.uint8)
    if height <= 0 or width <= 0 or not buffer.size:
        raise ImageError(
            f"{what} with {buffer.size} bytes of data is empty; is the camera delivering frames?", "empty_image"
        )
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        _check_size(buffer.size, height, step, what)
        return _decode_with_cv_bridge(encoding, height, width, step, is_bigendian, data)
    _check_shape(encoding, height, width, what)

    rows, row_bytes = height, width * layout.channels
    if encoding in _SUBSAMPLED_ROWS:
        rows = height * 3 // 2
        # Publishers that keep to "size is step * height" (depthai's bridge) count the chroma into step.
        if step * 2 == width * 3 and buffer.size < rows * step:
            step = width
    if step < row_bytes:
        raise ImageError(
            f"{what}: step is {step} bytes but a row takes {row_bytes}; "
            "the publisher must set step to the full length of a row, padding included"
        )
    _check_size(buffer.size, rows, step, what)

    channels = () if layout.channels == 1 else (layout.channels,)
    shape, strides = (rows, width, *channels), (step, layout.channels, 1)[: 2 + len(channels)]
    pixels: Image = np.ndarray(shape, np.uint8, buffer, strides=strides)
    if layout.code is not None:
        return cast("Image", cv2.cvtColor(pixels, layout.code))
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels


def decode_compressed(data: Buffer) -> Image:
    """RGB uint8 [H,W,3] of a JPEG, PNG or whatever else OpenCV reads (WebP, BMP, ...).

    ``data`` is that of sensor_msgs/CompressedImage; its bytes say what they are, ``format`` is not
    needed. Pixels come as the sensor stored them: EXIF orientation is ignored, because boxes and
    camera_info refer to the unrotated image. Alpha is dropped and 16-bit PNGs are reduced to 8 bits.

    Raises:
        ImageError: Empty, truncated or corrupt data, or no image. Damage inside a JPEG's
            coefficients that leaves its structure whole is not detectable.
    """
    raw = np.frombuffer(data, np.uint8).tobytes()  # memoryview and array have no rfind; 0.5 MB take 0.05 ms
    if not raw:
        raise ImageError(
            "compressed image with 0 bytes of data is empty; is the camera delivering frames?", "empty_image"
        )
    _check_complete(raw)
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"compressed image of {len(raw)} bytes cannot be decoded: {error}", "corrupt_image") from error
    if bgr is None:
        raise ImageError(
            f"compressed image of {len(raw)} bytes (starts {raw[:8].hex(' ')}) is corrupt, "
            "or in a format that OpenCV does not read; send JPEG or PNG",
            "corrupt_image",
        )
    return cast("Image", cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr))


def _check_shape(encoding: str, height: int, width: int, what: str) -> None:
    if encoding in _SUBSAMPLED_COLUMNS and width % 2:
        raise ImageError(f"{what}: two pixels share a colour, so the width must be even; crop at the camera")
    if encoding in _SUBSAMPLED_ROWS and height % 2:
        raise ImageError(f"{what}: two rows share a colour, so the height must be even; crop at the camera")
    if encoding.startswith("bayer_") and min(height, width) < _SMALLEST_BAYER:
        raise ImageError(f"{what}: a mosaic needs at least {_SMALLEST_BAYER}x{_SMALLEST_BAYER} pixels")


def _check_size(size: int, rows: int, step: int, what: str) -> None:
    if size < rows * step:
        raise ImageError(
            f"{what}: {rows} rows of {step} bytes are {rows * step} bytes but data has {size}; "
            "check height, step and encoding at the publisher",
            "short_image",
        )


def _decode_with_cv_bridge(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: Buffer
) -> Image:
    """Whatever cv_bridge can turn into rgb8; it scales 16-bit values by 255/65535."""
    what = f"encoding {encoding!r}"
    try:
        cv_bridge = importlib.import_module("cv_bridge")
    except ImportError as error:
        raise ImageError(
            f"{what} is not decoded here, and cv_bridge cannot be imported ({error}); "
            f"install cv_bridge, or let the camera publish one of {', '.join(ENCODINGS)}",
            "unknown_encoding",
        ) from error
    message = SimpleNamespace(
        encoding=encoding, height=height, width=width, step=step, is_bigendian=int(is_bigendian), data=data
    )
    try:
        rgb = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    except Exception as error:  # its own, and KeyError, TypeError or ImportError where the message or numpy do not suit
        raise ImageError(
            f"{what} is not decoded here, and cv_bridge cannot turn it into rgb8 ({type(error).__name__}: {error}); "
            f"let the camera publish one of {', '.join(ENCODINGS)}",
            "unknown_encoding",
        ) from error
    if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
        raise ImageError(
            f"{encoding} image of {width}x{height} with step {step}: cv_bridge made {rgb.dtype} {rgb.shape} of it; "
            "check width and step at the publisher"
        )
    return cast("Image", np.ascontiguousarray(rgb))


_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
# compressed_depth_image_transport puts an enum and two floats before the PNG.
_DEPTH_HEADER = 12


def _check_complete(raw: bytes) -> None:
    """OpenCV fills what is missing from a JPEG with grey and says nothing (4.6), so look for the end first."""
    if raw.startswith(_JPEG_START):
        kind, complete = "JPEG", raw.rfind(_JPEG_END, _jpeg_scan(raw)) >= 0
    elif raw.startswith(_PNG_START):
        kind, complete = "PNG", raw.rfind(_PNG_END) >= 0
    elif raw.startswith(_PNG_START, _DEPTH_HEADER):
        raise ImageError("this is compressedDepth data, not a colour image; subscribe to the colour camera's topic")
    else:
        return
    if not complete:
        raise ImageError(
            f"{kind} of {len(raw)} bytes is truncated: it has no end marker; "
            "was it cut by the camera, or lost in part on the network?",
            "corrupt_image",
        )


def _jpeg_scan(raw: bytes) -> int:
    """Where a JPEG's entropy-coded data starts (ITU T.81 B.1); len(raw) when it never does.

    What comes before may hold an end marker of its own: that of the thumbnail in EXIF. What comes
    after cannot, because there 0xFF is always followed by a stuffed 0 or a marker.
    """
    at = 2
    while at + 4 <= len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
        if marker == 0xDA:  # start of scan
            return at
    return len(raw)
