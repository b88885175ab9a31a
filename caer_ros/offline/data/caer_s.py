"""CAER-S (Lee et al. 2019): frames of television series, 7 labels; train and test.

``{train,test}/{Anger,Disgust,Fear,Happy,Neutral,Sad,Surprise}/*``. Where there is a text file of faces,
``{train,test}.txt`` or ``.csv`` with lines ``path,label,x1,y1,x2,y2``, each of its faces is a person, and images that
it does not name are left out; else the whole image is the one person.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import files, image_files
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish, number, one_hot
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings
from caer_ros.taxonomy import CAER_S

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("train", "test")
ALIASES = {"Angry": "Anger"}
"""What face lists call a label."""


def load(root: Path, split: str) -> Dataset:
    """One split of CAER-S.

    Raises:
        DatasetError: no folder of the split, or a folder or line with a label that CAER-S has not.
    """
    findings = Findings()
    root = root if (root / split).is_dir() or not (root / "CAER-S").is_dir() else root / "CAER-S"
    if not (root / split).is_dir():
        raise DatasetError(f"{root}: no folder {split}/; is this CAER-S's folder?")
    faces = next((file for end in ("txt", "csv") if (file := root / f"{split}.{end}").is_file()), None)
    persons = _from_folders(root, split) if faces is None else _from_list(root, split, faces)
    kind = BoxKind.UNKNOWN if faces is None else BoxKind.FACE
    samples = (assemble(image, root / image, rows, len(CAER_S), kind, findings) for image, rows in persons.items())
    return finish("caer_s", root, split, "caer_s", CAER_S, False, samples, findings)


def _from_folders(root: Path, split: str) -> dict[str, list[Annotation]]:
    persons = {}
    for folder in sorted(path for path in (root / split).iterdir() if path.is_dir() and path.name[0] not in "._"):
        emotions = one_hot(_label(folder.name, str(folder)), CAER_S)
        for file in sorted(path for path in folder.iterdir() if path.suffix.lower() in image_files.SUFFIXES):
            image = f"{split}/{folder.name}/{file.name}"
            persons[image] = [Annotation(image, None, emotions)]
    return persons


def _from_list(root: Path, split: str, faces: Path) -> dict[str, list[Annotation]]:
    persons: dict[str, list[Annotation]] = {}
    with files.open_text(faces) as text:
        lines = csv.reader(text, skipinitialspace=True)
        for line in lines:
            if not line or (lines.line_num == 1 and line[0] == "path"):
                continue
            where = f"{faces}:{lines.line_num}"
            if len(line) != 6:
                raise DatasetError(f"{where}: {len(line)} fields; path,label,x1,y1,x2,y2 are expected")
            name, word, *edges = (field.strip() for field in line)
            image = name if name.startswith(f"{split}/") else f"{split}/{name}"
            left, top, right, bottom = map(number, edges)
            emotions = one_hot(_label(word, where), CAER_S)
            persons.setdefault(image, []).append(Annotation(where, (left, top, right, bottom), emotions))
    return persons


def _label(word: str, where: str) -> str:
    """The label that a folder or a face list means by a name, an alias, or a number in the order of the labels."""
    label = CAER_S[int(word)] if word.isdecimal() and int(word) < len(CAER_S) else ALIASES.get(word, word)
    if label not in CAER_S:
        raise DatasetError(f"{where}: {word!r} is no label of CAER-S; there are {', '.join(CAER_S)}")
    return label
