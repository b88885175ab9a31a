"""HECO (Yang et al. 2022): 8 labels, one a person, and valence, arousal, dominance.

``{Data,Images}/*`` and ``Labels/HECO_Labels.csv``, one row a person. The set has no split of its own:

- ``splits/test.txt`` below the root, where somebody has put it, is a given test list (see `splits.by_test_list`);
- else it is the KA paper's split with seed 0, written to ``splits/ka_seed0_{train,val,test}.txt``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from caer_ros.offline.data import splits
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import files
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish, from_ten, number, one_hot
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings
from caer_ros.taxonomy import HECO

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("train", "val", "test")
EDGES = ("xmin", "ymin", "xmax", "ymax")
AFFECT = ("Valence", "Arousal", "Dominance")
COLUMNS = ("Image", *EDGES, "Category", "Label_SA", "Label_CA", *AFFECT)
SELF_ASSURANCE = ("ExtremelyN-Sa", "SlightlyN-Sa", "Neutral", "Slightly-Sa", "Extremely-Sa")
CATHARSIS = ("Neutral", "Slightly-Ca", "Mildly-Ca", "Highly-Ca")
TYPOS = {"Happinesst": "Happiness"}
"""Line 9736 of the release."""

PREFIX = "ka_seed0_"


def load(root: Path, split: str) -> Dataset:
    """One split of HECO, all annotated persons of an image together.

    Self-assurance and catharsis (``Label_SA``, ``Label_CA``) are checked, and not carried along.

    Raises:
        DatasetError: no labels, no images, labels in another form, or lists in ``splits/`` that do not fit them.
    """
    findings = Findings()
    root = root if (root / "Labels").is_dir() or not (root / "HECO").is_dir() else root / "HECO"
    folder = next((root / name for name in ("Data", "Images") if (root / name).is_dir()), None)
    if folder is None:
        raise DatasetError(f"{root}: neither Data/ nor Images/; is this HECO's folder?")
    everybody = _read(root / "Labels" / "HECO_Labels.csv")
    chosen = _split({image: len(rows) for image, rows in everybody.items()}, root, findings)[split]
    persons = {image: [_person(*row, findings) for row in everybody[image]] for image in chosen}
    samples = (
        assemble(image, folder / image, [row for row in rows if row], len(HECO), BoxKind.BODY, findings)
        for image, rows in persons.items()
        if any(rows)
    )
    return finish("heco", root, split, "heco", HECO, False, samples, findings)


def _read(file: Path) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """The rows of each image, each with where it stands."""
    images: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for line, row in files.rows(file, COLUMNS):
        images.setdefault(row["Image"].strip(), []).append((f"{file.name}:{line} {row['Image']}", row))
    if not images:
        raise DatasetError(f"{file}: no row")
    return images


def _person(where: str, row: dict[str, str], findings: Findings) -> Annotation | None:
    label = row["Category"].strip()
    if label in TYPOS:
        findings.typos.append(f"{where}: {label!r} read as {TYPOS[label]!r}")
        label = TYPOS[label]
    if label not in HECO:
        findings.skipped.append(f"{where}: {label!r} is no label of HECO")
        return None
    for column, allowed in (("Label_SA", SELF_ASSURANCE), ("Label_CA", CATHARSIS)):
        if row[column].strip() not in allowed:
            findings.unknown.append(f"{where}: {column} {row[column]!r}: one of {', '.join(allowed)} expected")
    values = [number(row[column]) for column in AFFECT]
    vad = from_ten(values)
    if any(map(math.isnan, vad)):
        findings.unknown.append(f"{where}: valence, arousal, dominance {values}: 1 to 10 expected")
    left, top, right, bottom = (number(row[edge]) for edge in EDGES)
    return Annotation(where, (left, top, right, bottom), one_hot(label, HECO), vad)


def _split(persons: dict[str, int], root: Path, findings: Findings) -> splits.Split:
    folder = root / "splits"
    given = folder / "test.txt"
    if given.is_file():
        try:
            return splits.by_test_list(persons, splits.read_list(given))
        except DatasetError as error:
            raise DatasetError(f"{given}: {error}") from error
    written = splits.read(folder, PREFIX, persons)
    if written is not None:
        return written
    split = splits.by_persons(persons)
    try:
        splits.write(split, folder, PREFIX)
    except OSError as error:
        findings.warnings.append(
            f"{folder}: the split's lists cannot be written ({error.strerror}); the split is made anew at each "
            "loading, always the same for the same annotations"
        )
    return split
