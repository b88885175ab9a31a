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


def upright(path: Path) -> tuple[NDArray[np.uint8], bool]:
    """RGB uint8 [H,W,3] of a picture that is no robot's frame, turned as its EXIF says, and whether it was turned.

    Raises:
        DatasetError: as ``read``.
    """
    import numpy as np
    from PIL import Image

    pixels = read(path)
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(_orientation(path))
    if turn is None:
        return pixels, False
    return np.ascontiguousarray(Image.fromarray(pixels).transpose(turn), np.uint8), True


def _orientation(path: Path) -> int:
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as image:
            return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, SyntaxError, ValueError, TypeError):  # a broken header, of a picture that OpenCV could read
        return 1


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder and all that is below it, by name.

    Raises:
        DatasetError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise DatasetError(f"{folder}: no picture in it; they end in {', '.join(SUFFIXES)}")
    return found


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
