"""Small files: annotations opened and parsed, with errors that name the file."""

from __future__ import annotations

import csv
import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def open_text(file: Path) -> Iterator[TextIO]:
    """The file as UTF-8 text, with or without a byte order mark.

    Raises:
        DatasetError: it cannot be opened, or what is read of it is no such text, or no CSV.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            yield text
    except OSError as error:
        raise DatasetError(f"{file}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{file}: {error}") from error


def read_json(file: Path) -> Any:
    """What a JSON file holds. Raises DatasetError."""
    with open_text(file) as text:
        try:
            return json.load(text)
        except ValueError as error:
            raise DatasetError(f"{file}: no valid JSON: {error}") from error


def read_coco(file: Path) -> tuple[dict[Any, dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Images by their id, annotations, and the whole of a COCO-style json. Raises DatasetError."""
    content = read_json(file)
    try:
        images = {image["id"]: image | {"file_name": str(image["file_name"])} for image in content["images"]}
        annotations = content["annotations"]
        alone = next((a for a in annotations if a["image_id"] not in images), None)
    except (KeyError, TypeError) as error:
        raise DatasetError(
            f"{file}: not in COCO's form: images with id and file_name, annotations with image_id ({error!r})"
        ) from error
    if alone is not None:
        raise DatasetError(f"{file}: annotation {alone.get('id')}: no image has the id {alone['image_id']!r}")
    if len(images) < len(content["images"]):
        raise DatasetError(f"{file}: two images have the same id")
    return images, annotations, content


def rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields by column of a CSV file; a field that is not there is "".

    Raises:
        DatasetError: the file cannot be read, or lacks one of ``columns``.
    """
    with open_text(file) as lines:
        reader = csv.DictReader(lines, restval="", skipinitialspace=True)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise DatasetError(f"{file}: no column {', '.join(missing)}; expected are {', '.join(columns)}")
        for row in reader:
            yield reader.line_num, row


def coco_box(annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    """Xyxy of COCO's ``bbox`` [x, y, width, height]. Raises KeyError, TypeError or ValueError where it is none."""
    left, top, width, height = map(float, annotation["bbox"])
    if not all(map(math.isfinite, (left, top, width, height))):
        raise ValueError("a number that is not finite")
    return left, top, left + width, top + height
