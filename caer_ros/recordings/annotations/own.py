"""Data of one's own: a json in COCO's form, with emotions.

``{train,val,test}.json`` in the root or in ``annotations/``, images below the root or in ``images/``; or one json
file, ``root`` itself or ``annotations.json`` in it, of whose images those with ``"split": "train"`` (and so on) are
taken, or all where none has that field. Fields that are not named here are left alone.
A small example::

    {
      "info": {"label_set": "heco", "box_kind": "body", "exhaustive": true},
      "images": [{"id": 1, "file_name": "front_camera/image_raw/1718000000123456789.jpg", "width": 640, "height": 480}],
      "annotations": [
        {"id": 1, "image_id": 1, "bbox": [120, 80, 90, 260], "emotions": ["Happiness"], "vad": [0.6, 0.2, 0.1],
         "track_id": 7}
      ]
    }

``info``
    ``label_set``: a name of `taxonomy.LABEL_SETS`; or any name beside ``labels``, the labels in their order. Without
    either the labels are the names of ``categories`` in the order of their ids ("person" is none), and a person without
    ``emotions`` has that of its category: what labelling tools export. ``multi_label``: may a person have several?
    (default: as EMOTIC does for its set, else no). ``box_kind``: body (default), head or face. ``exhaustive``: is every
    person of every image annotated? (default: no; an image's own ``exhaustive`` comes first). ``prefilled_by``: the
    ``name`` and ``version`` of a model that wrote the first draft, and whether it wrote ``boxes`` and ``emotions``; a
    list where several models did. Empty ``labels`` say that only boxes are annotated.
``images``
    ``file_name`` below the image folder. A name that ends in 16 to 19 digits is that of an image topic's folder and
    header stamp in nanoseconds; other stamps go into ``stamp``. ``width`` and ``height``, where given, must be those of
    the file.
``annotations``
    ``bbox`` [x, y, width, height] in pixels. Optional: ``emotions`` (a list of labels; or beliefs by label such as
    ``{"Happiness": 0.7, "Peace": 0.3}``, of which those left out are not known; missing or null: not annotated),
    ``vad`` (three numbers -1..1, null where unknown), ``track_id``, ``gender``, ``age``, ``weight`` (0..1), ``iscrowd``
    (1: a region to ignore), ``face`` (what can be seen of it: none, hidden for one that is turned away, covered or too
    small, or readable; missing: not known), ``face_box`` as ``bbox``.

Such a file was made on purpose, so what is wrong in it is an error that names the annotation; only images that cannot
be read are left out and counted.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import files
from caer_ros.recordings.annotations.assembly import (
    AGES,
    GENDERS,
    Annotation,
    Box,
    assemble,
    finish,
    multi_hot,
    number,
    one_of,
)
from caer_ros.recordings.annotations.sample import FACES, Array, Dataset, DatasetError, Drafts, Findings, Sample
from caer_ros.taxonomy import LABEL_SETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPLITS = ("train", "val", "test")
WHOLE = "annotations.json"
"""File in the root of a set with all splits."""
BOX_KINDS = {"body": BoxKind.BODY, "head": BoxKind.HEAD, "face": BoxKind.FACE}
_Images = dict[Any, dict[str, Any]]
_STAMP = re.compile(r"(?:^|\D)(\d{16,19})$")


@dataclass(frozen=True)
class _Scheme:
    """What ``info`` and ``categories`` say about the whole file."""

    label_set: str
    labels: tuple[str, ...]
    categories: dict[Any, str]
    """Which label each category means; empty unless the categories are the labels."""
    multi_label: bool
    box_kind: BoxKind
    exhaustive: bool
    prefilled_by: Drafts


def load(root: Path, split: str) -> Dataset:
    """One split of a data set of one's own, in the form that this module's docstring describes.

    Raises:
        DatasetError: no such file, or something in it is not as described.
    """
    findings = Findings()
    file = root if root.is_file() else _annotations_file(root, split)
    images, entries, scheme = _parse(file)
    if file == root or file.name == WHOLE:
        images = _of_split(file, images, split, findings)
    folder = _image_folder(file, images)
    samples = list(_samples(file, images, entries, scheme, folder, findings, sized=False))
    return _dataset(root, split, scheme, samples, findings)


def read(file: Path) -> Dataset:
    """All that is annotated in a file, without a look at the images: each needs ``width`` and ``height``.

    Raises:
        DatasetError: no such file, or something in it is not as described.
    """
    findings = Findings()
    images, entries, scheme = _parse(file)
    samples = list(_samples(file, images, entries, scheme, file.parent, findings, sized=True))
    return _dataset(file, "test", scheme, samples, findings)


def content(dataset: Dataset) -> dict[str, Any]:
    """The json of a data set, whose image ids become file names: the inverse of ``read``.

    Single votes of annotators are not part of the format.
    """
    images, entries = [], []
    for number_, sample in enumerate(dataset.samples, start=1):
        height, width = sample.size
        image = {"id": number_, "file_name": sample.image_id, "width": width, "height": height}
        image |= {"stamp": sample.stamp} if sample.stamp is not None else {}
        images.append(image | {"exhaustive": sample.exhaustive})
        entries += [
            {"image_id": number_, "bbox": _xywh(box), **_person_fields(sample, index, dataset)}
            for index, box in enumerate(sample.boxes)
        ]
        entries += [{"image_id": number_, "bbox": _xywh(box), "iscrowd": 1} for box in sample.ignore]
    kind = dataset.samples[0].box_kind if dataset.samples else BoxKind.BODY
    info: dict[str, Any] = {
        "label_set": dataset.label_set,
        "multi_label": dataset.multi_label,
        "box_kind": kind.name.lower(),
    }
    info |= {} if dataset.label_set in LABEL_SETS else {"labels": list(dataset.labels)}
    info |= {"prefilled_by": dataset.prefilled_by} if dataset.prefilled_by else {}
    return {
        "info": info,
        "images": images,
        "annotations": [{"id": number_} | entry for number_, entry in enumerate(entries, start=1)],
    }


def dumps(dataset: Dataset) -> str:
    """What a file holds of a data set: ``content`` as text."""
    return json.dumps(content(dataset)) + "\n"


def _parse(file: Path) -> tuple[_Images, list[dict[str, Any]], _Scheme]:
    images, entries, whole = files.read_coco(file)
    if len({image["file_name"] for image in images.values()}) < len(images):
        raise DatasetError(f"{file}: two images have the same file_name")
    for image in images.values():
        if not isinstance(image.get("stamp"), int | None):
            raise DatasetError(
                f"{file}: {image['file_name']}: stamp is {image['stamp']!r}; a whole number of nanoseconds is expected"
            )
    return images, entries, _scheme(file, whole)


def _samples(
    file: Path,
    images: _Images,
    entries: list[dict[str, Any]],
    scheme: _Scheme,
    folder: Path,
    findings: Findings,
    *,
    sized: bool,
) -> Iterator[Sample | None]:
    """A sample for each image; ``sized``: of the size that the file says, whatever the image is like."""
    persons: dict[Any, list[Annotation]] = {image_id: [] for image_id in images}
    crowds: dict[Any, list[Box]] = {image_id: [] for image_id in images}
    for annotation in entries:
        if (image_id := annotation["image_id"]) not in images:  # of another split
            continue
        where = f"{file}: annotation {annotation.get('id')} of {images[image_id]['file_name']}"
        try:
            box = files.coco_box(annotation)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{where}: bbox should be [x, y, width, height]: {error!r}") from error
        if annotation.get("iscrowd"):
            crowds[image_id].append(box)
        else:
            persons[image_id].append(_person(where, annotation, box, scheme))
    for image_id, image in images.items():
        sample = assemble(
            image["file_name"],
            folder / image["file_name"],
            persons[image_id],
            len(scheme.labels),
            scheme.box_kind,
            findings,
            exhaustive=bool(image.get("exhaustive", scheme.exhaustive)),
            crowds=crowds[image_id],
            stamp=stamp(image),
            strict=True,
            size=_said_size(file, image) if sized else None,
        )
        if sample is not None and not sized:
            _check_size(file, image, sample.size)
        yield sample


def _said_size(file: Path, image: dict[str, Any]) -> tuple[int, int]:
    size = image.get("height"), image.get("width")
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise DatasetError(
            f"{file}: {image['file_name']}: width and height are {size[1]!r} and {size[0]!r}; pixels are expected"
        )
    return int(image["height"]), int(image["width"])


def _dataset(root: Path, split: str, scheme: _Scheme, samples: Iterable[Sample | None], findings: Findings) -> Dataset:
    made = finish("own", root, split, scheme.label_set, scheme.labels, scheme.multi_label, samples, findings)
    return replace(made, prefilled_by=scheme.prefilled_by)


def _person_fields(sample: Sample, index: int, dataset: Dataset) -> dict[str, Any]:
    """What is known of a person, without the box."""
    fields = {
        "emotions": _emotion_field(sample.emotions[index], dataset),
        "track_id": sample.track_ids[index] or None,
        "gender": sample.gender[index] or None,
        "age": sample.age[index] or None,
        "weight": None if sample.weights[index] == 1 else float(sample.weights[index]),
        "vad": [None if np.isnan(value) else float(value) for value in sample.vad[index]],
        "face": sample.faces[index] or None,
        "face_box": None if np.isnan(sample.face_boxes[index]).any() else _xywh(sample.face_boxes[index]),
    }
    return {name: value for name, value in fields.items() if value not in (None, [None] * 3)}


def _emotion_field(emotions: Array, dataset: Dataset) -> list[str] | dict[str, float] | None:
    """Labels where it is decided on all of them, else beliefs; None where nothing is known."""
    known = ~np.isnan(emotions)
    if not known.any():
        return None
    if known.all() and np.isin(emotions, (0, 1)).all() and (dataset.multi_label or emotions.sum() == 1):
        return [dataset.labels[index] for index in np.flatnonzero(emotions)]
    return {dataset.labels[index]: float(emotions[index]) for index in np.flatnonzero(known)}


def _xywh(box: Array) -> list[float]:
    x_min, y_min, x_max, y_max = (float(edge) for edge in box)
    return [x_min, y_min, x_max - x_min, y_max - y_min]


def stamp(image: dict[str, Any]) -> int | None:
    """Header stamp in nanoseconds of an entry of ``images``: its field ``stamp``, or the digits that end its name."""
    if image.get("stamp") is not None:
        return int(image["stamp"])
    digits = _STAMP.search(PurePosixPath(image["file_name"]).stem)
    return int(digits[1]) if digits else None


def _annotations_file(root: Path, split: str) -> Path:
    for file in (root / f"{split}.json", root / "annotations" / f"{split}.json", root / WHOLE):
        if file.is_file():
            return file
    raise DatasetError(
        f"{root}: no {split}.json, neither here nor in annotations/, and no {WHOLE}; a json of another name is given "
        "as the path"
    )


def _image_folder(file: Path, images: _Images) -> Path:
    parents = (file.parent, file.parent.parent) if file.parent.name == "annotations" else (file.parent,)
    folders = [folder for parent in parents for folder in (parent, parent / "images")]
    names = [image["file_name"] for image in images.values()]
    return next((folder for folder in folders if any((folder / name).is_file() for name in names)), parents[-1])


def _of_split(file: Path, images: _Images, split: str, findings: Findings) -> _Images:
    """Return the images that belong to this split, of a file for several splits."""
    if not any("split" in image for image in images.values()):
        findings.warnings.append(f"{file}: no image has a field split; all are taken as {split}")
        return images
    return {image_id: image for image_id, image in images.items() if image.get("split") == split}


def _scheme(file: Path, content: dict[str, Any]) -> _Scheme:
    info = content.get("info") or {}
    if not isinstance(info, dict):
        raise DatasetError(f"{file}: info should be a mapping, such as {{'label_set': 'heco'}}")
    box_kind = BOX_KINDS.get(info.get("box_kind", "body"))
    if box_kind is None:
        raise DatasetError(f"{file}: info.box_kind is {info['box_kind']!r}; one of {', '.join(BOX_KINDS)} is expected")
    name, labels = str(info.get("label_set") or "own"), info.get("labels")
    categories = {}
    if name in LABEL_SETS:
        if labels is not None and tuple(labels) != LABEL_SETS[name]:
            raise DatasetError(f"{file}: info.labels are not those of {name}; remove them, or name the set otherwise")
        labels = list(LABEL_SETS[name])
    elif labels is None:
        try:
            listed = sorted(content.get("categories") or (), key=lambda category: category["id"])
            categories = {category["id"]: str(category["name"]) for category in listed if category["name"] != "person"}
        except (KeyError, TypeError) as error:
            raise DatasetError(f"{file}: each of categories should have an id and a name ({error!r})") from error
        labels = list(categories.values())
    only_boxes = info.get("labels") == []
    if not isinstance(labels, list) or not (labels or only_boxes) or len(set(labels)) < len(labels):
        raise DatasetError(
            f"{file}: no labels: info.label_set should be one of {', '.join(LABEL_SETS)}, or info.labels a list of "
            "different names"
        )
    return _Scheme(
        name,
        tuple(map(str, labels)),
        categories,
        bool(info.get("multi_label", name == "emotic")),
        box_kind,
        bool(info.get("exhaustive", False)),
        _prefilled_by(file, info),
    )


def _prefilled_by(file: Path, info: dict[str, Any]) -> Drafts:
    given: Drafts = info.get("prefilled_by")
    models = [] if given is None else given if isinstance(given, list) else [given]
    if not all(isinstance(model, dict) and {"name", "version"} <= model.keys() for model in models):
        raise DatasetError(f"{file}: info.prefilled_by is {given!r}; name and version of a model are expected")
    return given


def _person(where: str, annotation: dict[str, Any], box: Box, scheme: _Scheme) -> Annotation:
    chosen, category = annotation.get("emotions"), annotation.get("category_id")
    if isinstance(category, list | dict):
        raise DatasetError(f"{where}: category_id is {category!r}; the id of one of categories is expected")
    if chosen is None and category in scheme.categories:
        chosen = [scheme.categories[category]]
    weight = number(annotation.get("weight", 1.0))
    if not 0 <= weight <= 1:
        raise DatasetError(f"{where}: weight is {annotation['weight']!r}; 0 to 1 is expected")
    track = annotation.get("track_id")
    return Annotation(
        where,
        box,
        _emotions(where, chosen, scheme),
        _vad(where, annotation.get("vad")),
        gender=one_of(annotation.get("gender"), GENDERS),
        age=one_of(annotation.get("age"), AGES),
        track_id="" if track is None else str(track),
        weight=weight,
        face=_face(where, annotation.get("face")),
        face_box=_face_box(where, annotation.get("face_box")),
    )


def _face(where: str, given: Any) -> str:
    if given is not None and given not in FACES:
        raise DatasetError(f"{where}: face is {given!r}; one of {', '.join(FACES)} is expected")
    return given or ""


def _face_box(where: str, given: Any) -> Box | None:
    if given is None:
        return None
    try:
        return files.coco_box({"bbox": given})
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{where}: face_box should be [x, y, width, height]: {error!r}") from error


def _emotions(where: str, chosen: Any, scheme: _Scheme) -> Array:
    if chosen is None:
        return np.full(len(scheme.labels), np.nan, np.float32)
    if not isinstance(chosen, list | dict):
        raise DatasetError(f"{where}: emotions should be a list of labels, or beliefs by label, not {chosen!r}")
    unknown = [label for label in chosen if label not in scheme.labels]
    if unknown:
        raise DatasetError(f"{where}: {unknown[0]!r} is no label; there are {', '.join(scheme.labels)}")
    if isinstance(chosen, dict):
        return _beliefs(where, chosen, scheme)
    if not scheme.multi_label and len(chosen) != 1:
        raise DatasetError(f"{where}: {len(chosen)} emotions; 1 is expected unless info.multi_label is true")
    return multi_hot(chosen, scheme.labels)


def _beliefs(where: str, beliefs: dict[str, Any], scheme: _Scheme) -> Array:
    """[E] as given; of single labels they are made to sum to 1, as far as they are known."""
    values = np.array([number(beliefs.get(label)) for label in scheme.labels], np.float32)
    known = np.isfinite(values)
    if known.sum() < len(beliefs) or not ((values[known] >= 0) & (values[known] <= 1)).all():
        raise DatasetError(f"{where}: emotions are {beliefs!r}; 0 to 1 is expected for each")
    if not scheme.multi_label and known.any():
        if values[known].sum() <= 0:
            raise DatasetError(f"{where}: emotions are all 0; one of them is expected unless info.multi_label is true")
        values /= values[known].sum()
    return values


def _vad(where: str, given: Any) -> Array | None:
    if given is None:
        return None
    right = isinstance(given, list) and len(given) == 3
    if not right or not all(value is None or -1 <= number(value) <= 1 for value in given):
        raise DatasetError(f"{where}: vad is {given!r}; three numbers -1..1 are expected, null where one is unknown")
    return np.array([math.nan if value is None else float(value) for value in given], np.float32)


def _check_size(file: Path, image: dict[str, Any], size: tuple[int, int]) -> None:
    said = (image.get("height", size[0]), image.get("width", size[1]))
    if said != size:
        turned = "; is it turned by its EXIF orientation? Save it turned" if said == size[::-1] else ""
        raise DatasetError(
            f"{file}: {image['file_name']} is {size[1]}x{size[0]} pixels, but the json says {said[1]}x{said[0]}{turned}"
        )
