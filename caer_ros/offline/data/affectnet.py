"""AffectNet (Mollahosseini et al. 2017): faces, 8 labels, valence and arousal; train and val.

Two forms are read:

- ``{training,validation}.csv``, here or in ``Manually_Annotated_file_lists/``, whole pictures and face boxes;
- ``{train_set,val_set}/images/ID.jpg`` and ``annotations/ID_{exp,val,aro}.npy``: faces cut out, so
  that the box is the whole image.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import files
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish, number, one_hot
from caer_ros.recordings.annotations.sample import Array, Dataset, DatasetError, Findings
from caer_ros.taxonomy import AFFECTNET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPLITS = ("train", "val")
"""The test part is not public."""
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
WITHOUT_EMOTION = {8: "None", 9: "Uncertain", 10: "No-face"}
IMAGE_FOLDERS = ("", "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "images")


def load(root: Path, split: str) -> Dataset:
    """One split of AffectNet; the faces without one of the 8 expressions are left out, and counted in a warning.

    Raises:
        DatasetError: neither form is there, or the annotations are in another one.
    """
    findings = Findings()
    persons = (_from_npy if (root / f"{split}_set").is_dir() else _from_csv)(root, split, findings)
    samples = (
        assemble(image, root / image, rows, len(AFFECTNET), BoxKind.FACE, findings) for image, rows in persons.items()
    )
    return finish("affectnet", root, split, "affectnet", AFFECTNET, False, samples, findings)


def _from_csv(root: Path, split: str, findings: Findings) -> dict[str, list[Annotation]]:
    name = {"train": "training.csv", "val": "validation.csv"}[split]
    places = (root / name, root / "Manually_Annotated_file_lists" / name)
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise DatasetError(f"{root}: neither {name} nor {split}_set/; is this AffectNet's folder?")
    persons: dict[str, list[Annotation]] = {}
    left_out = 0
    for line, row in _rows(file):
        where = f"{file.name}:{line}"
        expression = number(row["expression"])
        if expression in WITHOUT_EMOTION:
            left_out += 1
            continue
        left, top, width, height = (number(row[column]) for column in COLUMNS[1:5])
        if expression not in range(len(AFFECTNET)) or math.isnan(left + top + width + height):
            findings.skipped.append(f"{where}: expression {row['expression']!r}, or a box that is no number")
            continue
        name = row["subDirectory_filePath"].strip()
        persons.setdefault(name, []).append(
            Annotation(
                where,
                (left, top, left + width, top + height),
                one_hot(AFFECTNET[int(expression)], AFFECTNET),
                _vad(number(row["valence"]), number(row["arousal"])),
            )
        )
    if left_out:
        findings.warnings.append(f"{file}: {left_out} rows are {', '.join(WITHOUT_EMOTION.values())}: left out")
    # Where the first that is there lies: single pictures may be missing.
    folder = next((place for name in persons for place in IMAGE_FOLDERS if (root / place / name).is_file()), "")
    return {f"{folder}/{name}".lstrip("/"): rows for name, rows in persons.items()}


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with their line; copies of the lists without a header go about."""
    with files.open_text(file) as text:
        headed = text.readline().startswith(COLUMNS[0])
    if headed:
        yield from files.rows(file, COLUMNS)
        return
    with files.open_text(file) as text:
        lines = csv.DictReader(text, COLUMNS, restval="")
        for row in lines:
            yield lines.line_num, row


def _from_npy(root: Path, split: str, findings: Findings) -> dict[str, list[Annotation]]:
    folder = root / f"{split}_set"
    persons = {}
    left_out = 0
    for image in sorted((folder / "images").glob("*.jpg")):
        try:
            expression, valence, arousal = (
                _value(folder / "annotations" / f"{image.stem}_{kind}.npy") for kind in ("exp", "val", "aro")
            )
        except (OSError, ValueError, EOFError) as error:
            findings.skipped.append(f"{image}: annotation missing or broken: {error}")
            continue
        if expression in WITHOUT_EMOTION:
            left_out += 1
        elif expression not in range(len(AFFECTNET)):
            findings.skipped.append(f"{image}: expression {expression:g} is none of 0 to 10")
        else:
            name = f"{folder.name}/images/{image.name}"
            emotions = one_hot(AFFECTNET[int(expression)], AFFECTNET)
            persons[name] = [Annotation(name, None, emotions, _vad(valence, arousal))]
    if left_out:
        findings.warnings.append(f"{folder}: {left_out} faces are {', '.join(WITHOUT_EMOTION.values())}: left out")
    return persons


def _value(file: Path) -> float:
    """The one value of an npy file, a number or the text of one. Raises OSError, ValueError or EOFError."""
    return float(np.load(file, allow_pickle=False).item())


def _vad(valence: float, arousal: float) -> Array:
    """[3] -2, and whatever else lies beyond -1..1, means that it was not annotated; there is no dominance."""
    vad = np.array([valence, arousal, math.nan], np.float32)
    return np.where(np.abs(vad) <= 1, vad, np.nan).astype(np.float32)
