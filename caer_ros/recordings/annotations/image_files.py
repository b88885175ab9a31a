"""Image files of data sets: pixels, and the size without decoding.

Both speak of the pixels as they are stored. EXIF orientation is ignored, as Matlab, pycocotools and the node's own
decoder do, so boxes refer to the unturned image; a picture that a viewer turns must be saved turned before it is
annotated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caer_ros.perception.imaging.decoding import ImageError, decode_compressed
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

_END_MARKS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
_TAIL = 4096
"""Bytes at the end of a file that hold the mark, with room for what cameras write after it."""


def read(path: Path) -> NDArray[np.uint8]:
    """RGB uint8 [H,W,3] of an image file.

    Raises:
        DatasetError: it is missing, truncated or no image; names the file.
    """
    try:
        return decode_compressed(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from error
    except ImageError as error:
        raise DatasetError(f"{path}: {error}") from error


def size(path: Path) -> tuple[int, int]:
    """Height and width in pixels from the header, in a tenth of a millisecond.

    Files that were cut short are found by their missing end mark; only a file without one near its end is decoded.

    Raises:
        DatasetError: it is missing, truncated or no image; names the file.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with path.open("rb") as file:
            with Image.open(file) as image:
                width, height = image.size
                mark = _END_MARKS.get(image.format or "")
            length = file.seek(0, 2)
            file.seek(max(0, length - _TAIL))
            # In a short file the mark may be that of the thumbnail in the header.
            complete = mark is None or (length > _TAIL and mark in file.read())
    except UnidentifiedImageError as error:
        raise DatasetError(f"{path}: no image, or its header is broken") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:  # what Pillow raises on bad headers
        raise DatasetError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not complete:
        height, width = read(path).shape[:2]
    return height, width
