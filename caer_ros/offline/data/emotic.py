"""EMOTIC (Kosti et al.): 26 labels, several a person, and valence, arousal, dominance; not everybody is annotated.

Three forms are read; the first of these that is found, or the one that ``root`` names as a file:

- ``Annotations.mat`` of the PAMI'19 release: body boxes, and in val and test each annotator's choice;
- ``{train,val,test}.csv``, the common conversion of it, whose boxes are partly clipped wrongly, and without the votes;
- ``*{train,val,test}_bi.json``, the CVPR'17 release in COCO's form: head boxes, a category that is a mask of 26 bits.

Images lie in ``{mscoco,framesdb,emodb_small,ade20k}/images``, below ``emotic/``, ``images/`` or the root itself.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import files
from caer_ros.recordings.annotations.assembly import (
    AGES,
    GENDERS,
    Annotation,
    assemble,
    finish,
    from_ten,
    multi_hot,
    number,
    one_of,
)
from caer_ros.recordings.annotations.sample import Array, Dataset, DatasetError, Findings
from caer_ros.taxonomy import EMOTIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SPLITS = ("train", "val", "test")
DATABASES = ("mscoco", "framesdb", "emodb_small", "ade20k")
COLUMNS = ("Folder", "Filename", "BBox", "Categorical_Labels", "Continuous_Labels", "Gender", "Age")

_PLACES = ("", "*/", "*/*/")
_FORMS = ("Annotations.mat", "{split}.csv", "*{split}_bi.json")

CSV_WARNING = (
    "{file}: boxes of this conversion were clipped to wrong image sizes (406 of 735 in emodb_small's test part); they "
    "are clipped anew, but what was cut off is lost, and so are the annotators' votes: Annotations.mat is better"
)
HEADS_WARNING = (
    "{file}: boxes of heads, and labels of all annotators together, from the CVPR'17 release; scores do not compare "
    "with those of the body boxes of Annotations.mat"
)


def load(root: Path, split: str) -> Dataset:
    """One split of EMOTIC, all annotated persons of an image together.

    Emotions in val and test are the union over the annotators. Persons without a usable box or label, or with a label
    that EMOTIC has not, are counted in ``findings.skipped``; a missing valence, arousal or dominance is NaN.

    Raises:
        DatasetError: no annotations, no images, or annotations in another form.
    """
    findings = Findings()
    file = _annotations_file(root, split, findings)
    folder = _image_folder(root, file)
    if file.suffix == ".mat":
        rows = _from_mat(file, split, findings)
    elif file.suffix == ".csv":
        rows = _from_csv(file, findings)
    else:
        rows = _from_json(file, findings)
    kind = BoxKind.HEAD if file.suffix == ".json" else BoxKind.BODY
    persons: dict[str, list[Annotation]] = {}
    for image_id, annotation in rows:
        persons.setdefault(image_id, []).append(annotation)
    samples = (
        assemble(image_id, folder / image_id, annotations, len(EMOTIC), kind, findings)
        for image_id, annotations in persons.items()
    )
    return finish("emotic", root, split, "emotic", EMOTIC, True, samples, findings)


def _annotations_file(root: Path, split: str, findings: Findings) -> Path:
    if root.is_file():
        return root if root.suffix == ".mat" else _beside(root, split)
    by_form = [
        [path for place in _PLACES for path in sorted(root.glob(place + form.format(split=split)))] for form in _FORMS
    ]
    found = [paths[0] for paths in by_form if paths]
    if not found:
        raise DatasetError(
            f"{root}: no EMOTIC annotations for split {split!r} ({', '.join(_FORMS).format(split=split)}); "
            "is this the folder that holds Annotations/ and emotic/?"
        )
    for other in found[1:]:
        findings.warnings.append(f"{other} is not used, because there is {found[0]}; name a file to read that one")
    return found[0]


def _beside(file: Path, split: str) -> Path:
    """The file of ``split`` beside that of another one, or the same."""
    named = [other for other in SPLITS if other in file.stem]
    if len(named) != 1:
        raise DatasetError(f"{file}: the name should say which one of {', '.join(SPLITS)} it is")
    return file.with_name(file.name.replace(named[0], split))


def _image_folder(root: Path, file: Path) -> Path:
    for parent in (root, file.parent, file.parent.parent, file.parent.parent.parent):
        for folder in (parent / "emotic", parent / "images", parent):
            if any((folder / database).is_dir() for database in DATABASES):
                return folder
    places = f"neither here nor in {root.name}/emotic/ or {root.name}/images/"
    raise DatasetError(f"{root}: no folder {' or '.join(DATABASES)}, {places}; unpack the images there")


def _from_mat(file: Path, split: str, findings: Findings) -> Iterator[tuple[str, Annotation]]:
    from scipy.io import loadmat

    try:
        entries = loadmat(file, struct_as_record=False, squeeze_me=True, variable_names=[split])[split]
    except KeyError as error:
        raise DatasetError(f"{file}: no array {split!r}; EMOTIC's file has train, val and test") from error
    except Exception as error:  # of loadmat: a dozen sorts, for a file of another kind or a damaged one
        raise DatasetError(f"{file}: cannot be read as a Matlab file: {error}") from error
    for number_, entry in enumerate(np.atleast_1d(entries), 1):
        where = f"{file.name} {split}({number_})"
        try:
            image_id = f"{entry.folder}/{entry.filename}"
            persons = np.atleast_1d(entry.person)
            if not len(persons):
                findings.skipped.append(f"{where} {image_id}: nobody is annotated")
            for order, person in enumerate(persons, 1):
                annotation = _person(person, f"{where}.person({order}) {image_id}", findings)
                if annotation is not None:
                    yield image_id, annotation
        except AttributeError as error:
            raise DatasetError(f"{file}: {where} is not as in EMOTIC's release: {error}") from error


def _person(person: Any, where: str, findings: Findings) -> Annotation | None:
    """One person of Annotations.mat: in train of one annotator, in val and test of several and their union."""
    annotators = [_words(choice.categories) for choice in np.atleast_1d(person.annotations_categories)]
    combined = getattr(person, "combined_categories", None)
    chosen = {label for labels in annotators for label in labels} if combined is None else set(_words(combined))
    emotions = _emotions(chosen, where, findings)
    if emotions is None:
        return None
    known = [multi_hot((label for label in labels if label in EMOTIC), EMOTIC) for labels in annotators]
    affect = getattr(person, "combined_continuous", None)
    affect = person.annotations_continuous if affect is None else affect
    return Annotation(
        where,
        _box(np.atleast_1d(person.body_bbox)),
        emotions,
        _vad((affect.valence, affect.arousal, affect.dominance), where, findings),
        np.mean(known, axis=0, dtype=np.float32),
        one_of(person.gender, GENDERS),
        one_of(person.age, AGES),
    )


def _from_csv(file: Path, findings: Findings) -> Iterator[tuple[str, Annotation]]:
    findings.warnings.append(CSV_WARNING.format(file=file))
    for line, row in files.rows(file, COLUMNS):
        image_id = f"{row['Folder']}/{row['Filename']}"
        where = f"{file.name}:{line} {image_id}"
        emotions = _emotions(_listed(row["Categorical_Labels"]), where, findings)
        if emotions is not None:
            box = _box(_numbers(row["BBox"]))
            vad = _vad(_numbers(row["Continuous_Labels"]), where, findings)
            gender, age = one_of(row["Gender"], GENDERS), one_of(row["Age"], AGES)
            yield image_id, Annotation(where, box, emotions, vad, gender=gender, age=age)


def _from_json(file: Path, findings: Findings) -> Iterator[tuple[str, Annotation]]:
    findings.warnings.append(HEADS_WARNING.format(file=file))
    images, annotations, _ = files.read_coco(file)
    for annotation in annotations:
        image_id = images[annotation["image_id"]]["file_name"]
        where = f"{file.name} annotation {annotation.get('id')} {image_id}"
        try:
            mask, box = int(annotation["category_id"]), files.coco_box(annotation)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{file}: {where}: category_id or bbox [x, y, width, height]: {error!r}") from error
        if not 0 < mask < 1 << len(EMOTIC):
            findings.skipped.append(f"{where}: category_id {mask} is not a mask of 1 to 26 labels")
            continue
        bits = [mask >> shift & 1 for shift in reversed(range(len(EMOTIC)))]
        yield image_id, Annotation(where, box, np.array(bits, np.float32))


def _emotions(chosen: Iterable[str], where: str, findings: Findings) -> Array | None:
    chosen = sorted(chosen)
    unknown = [label for label in chosen if label not in EMOTIC]
    if unknown or not chosen:
        findings.skipped.append(f"{where}: {f'{unknown[0]!r} is no label of EMOTIC' if unknown else 'no label'}")
        return None
    return multi_hot(chosen, EMOTIC)


def _vad(values: Iterable[object], where: str, findings: Findings) -> Array:
    ten = [number(value) for value in values]
    vad = from_ten(ten) if len(ten) == 3 else from_ten([np.nan] * 3)
    if np.isnan(vad).any():
        findings.unknown.append(f"{where}: valence, arousal, dominance {ten}: 1 to 10 expected")
    return vad


def _box(edges: Iterable[object]) -> tuple[float, float, float, float]:
    values = [number(edge) for edge in edges]
    return (values[0], values[1], values[2], values[3]) if len(values) == 4 else (np.nan,) * 4


def _words(cell: Any) -> list[str]:
    """Strings of a Matlab cell, which is squeezed to a plain string when it holds one."""
    return [str(word).strip() for word in np.atleast_1d(cell)]


def _listed(text: str) -> list[str]:
    try:
        value = ast.literal_eval(text or "[]")
    except (ValueError, SyntaxError):
        return [text]  # reported as a label that EMOTIC has not
    return [str(label).strip() for label in (value if isinstance(value, list | tuple) else [value])]


def _numbers(text: str) -> list[str]:
    """literal_eval knows no nan, float() does."""
    return text.strip("[]() ").split(",")
