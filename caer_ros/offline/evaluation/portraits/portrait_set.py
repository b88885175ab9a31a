"""Portraits of known people: a table of persons, and a neutral and a smiling picture of each.

The form is that of the Face Research Lab London Set (DeBruine and Jones, 2017, doi 10.6084/m9.figshare.5047666) as a
folder ``NAME`` of pictures ``{id}_neutral.jpg`` and ``{id}_smiling.jpg`` beside ``NAME.csv`` with the columns id, age,
gender, ethnicity.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

COLUMNS = ("id", "age", "gender", "ethnicity")
EXPRESSIONS = ("neutral", "smiling")
"""What turns a picture upright, for each value of EXIF's orientation but 1."""


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A row of the table, and the pictures that belong to it."""

    name: str
    """The column id."""
    age: float | None
    """Years; None where the table has none."""
    gender: str
    ethnicity: str
    pictures: dict[str, Path]
    """By expression: "neutral", "smiling"."""


def read(folder: Path) -> tuple[KnownPerson, ...]:
    """The persons of a folder of portraits, in the table's order.

    Raises:
        DatasetError: folder or table are missing, the table lacks a column, a row is wrong or has no picture.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; give the folder of portraits, {{id}}_neutral.jpg and so on")
    table = folder.with_name(f"{folder.name}.csv")
    try:
        text = table.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise DatasetError(f"{table}: is missing; it has a row for each person: {', '.join(COLUMNS)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{table}: cannot be read as UTF-8: {error}") from error
    rows = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        has = ", ".join(rows.fieldnames or ()) or "nothing"
        raise DatasetError(f"{table}: no column {' and no column '.join(missing)}; the first line has {has}")
    persons: dict[str, KnownPerson] = {}
    for number, row in enumerate(rows, 2):
        person = _person(folder, f"{table}, line {number}", row)
        if person.name in persons:
            raise DatasetError(f"{table}, line {number}: id {person.name} is there twice; give each person one row")
        persons[person.name] = person
    if not persons:
        raise DatasetError(f"{table}: no person; write a row for each below the line of the columns")
    return tuple(persons.values())


def _person(folder: Path, where: str, row: dict[str, str | None]) -> KnownPerson:
    name, age, gender, ethnicity = ((row.get(column) or "").strip() for column in COLUMNS)
    if not name or "/" in name:
        raise DatasetError(f"{where}: id {name!r}: must begin the names of the person's pictures")
    try:
        years = float(age) if age else None
    except ValueError:
        raise DatasetError(f"{where}: age {age!r}: must be years, or nothing") from None
    pictures = {expression: _picture(folder, name, expression, where) for expression in EXPRESSIONS}
    return KnownPerson(name, years, gender or "not said", ethnicity or "not said", pictures)


def _picture(folder: Path, name: str, expression: str, where: str) -> Path:
    candidates = [folder / f"{name}_{expression}{suffix}" for suffix in image_files.SUFFIXES]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise DatasetError(f"{where}: no picture {candidates[0]}; put it there, or take the row out")
    return found


def upright(path: Path, notes: dict[str, list[str]]) -> Image:
    """RGB uint8 [H,W,3] of a picture, turned as its EXIF says: it was not taken by the robot, whose frames have none.

    Args:
        path: the file.
        notes: gets the names of pictures that are "grey" or were "turned by EXIF".

    Raises:
        DatasetError: it cannot be read.
    """
    pixels, turned = image_files.upright(path)
    if turned:
        notes.setdefault("turned by EXIF", []).append(path.name)
    if (pixels[::4, ::4, 0] == pixels[::4, ::4, 1]).all() and (pixels[::4, ::4, 1] == pixels[::4, ::4, 2]).all():
        notes.setdefault("grey", []).append(path.name)
    return pixels


def readable(paths: Iterable[Path], notes: dict[str, list[str]]) -> Iterator[tuple[Path, Image]]:
    """Each picture that can be read, with its pixels; ``notes`` gets the names of the "unreadable"."""
    for path in paths:
        try:
            pixels = upright(path, notes)
        except DatasetError:
            notes.setdefault("unreadable", []).append(path.name)
            continue
        yield path, pixels
