"""Frames of a recording as picture files, named by topic and header stamp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.recordings.frames import Frame

JPEG_QUALITY = 95


def write(folder: Path, frame: Frame, suffix: str = ".jpg") -> str:
    """Write a frame below a folder.

    Args:
        folder: the frame's own folders are made in it.
        frame: RGB.
        suffix: ".jpg" or ".png".

    Returns:
        The file's name below the folder, such as "camera/image_raw/1718000000123456789.jpg".

    Raises:
        OSError: it cannot be written.
    """
    name = f"{frame.name}{suffix}"
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(file), frame.pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)):
        raise OSError(f"{file}: cannot be written; is the disk full?")
    return name
