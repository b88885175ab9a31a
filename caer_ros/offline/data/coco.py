"""Persons of COCO: boxes of all of them, without emotions; crowds are regions to ignore.

``annotations/instances_{train,val}2017.json`` (or of another year), and the images in the folder of that name, in
``images/`` or in the root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import files
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("train", "val")
"""The test part's annotations are not public."""
PERSON = 1


def load(root: Path, split: str) -> Dataset:
    """One split of COCO; images without a person belong to it. ``root`` may be an instances file itself.

    Raises:
        DatasetError: no annotations, no images, or annotations in another form.
    """
    findings = Findings()
    file = root if root.is_file() else _annotations_file(root, split, findings)
    images, annotations, content = files.read_coco(file)
    person = next((c["id"] for c in content.get("categories", ()) if c.get("name") == "person"), PERSON)
    found: dict[Any, list[dict[str, Any]]] = {image_id: [] for image_id in images}
    for annotation in annotations:
        if annotation.get("category_id") == person:
            found[annotation["image_id"]].append(annotation)
    folder = _image_folder(file, [image["file_name"] for image in images.values()]) if images else root
    nothing = np.empty(0, np.float32)
    samples = []
    for image_id, persons in found.items():
        name = images[image_id]["file_name"]
        boxes = [(person, _box(file, person)) for person in persons]
        rows = [
            Annotation(f"{file.name} annotation {person.get('id')}", box, nothing)
            for person, box in boxes
            if not person.get("iscrowd")
        ]
        crowds = [box for person, box in boxes if person.get("iscrowd")]
        samples.append(assemble(name, folder / name, rows, 0, BoxKind.BODY, findings, exhaustive=True, crowds=crowds))
    return finish("coco", root, split, "coco", (), False, samples, findings)


def _annotations_file(root: Path, split: str, findings: Findings) -> Path:
    found = [path for place in ("annotations/", "") for path in sorted(root.glob(f"{place}instances_{split}*.json"))]
    if not found:
        raise DatasetError(f"{root}: no annotations/instances_{split}*.json")
    *others, newest = found
    for other in others:
        findings.warnings.append(f"{other} is not used, because there is {newest}; name a file to read that one")
    return newest


def _image_folder(file: Path, names: list[str]) -> Path:
    """Where the first image that is there lies: single ones may be missing."""
    part = file.stem.removeprefix("instances_")
    folders = [
        folder
        for parent in (file.parent.parent, file.parent)
        for folder in (parent / part, parent / "images" / part, parent / "images", parent)
    ]
    folder = next((folder for name in names for folder in folders if (folder / name).is_file()), None)
    if folder is None:
        raise DatasetError(
            f"{file}: none of its images, such as {names[0]}, is in {part}/ or in images/ beside its folder"
        )
    return folder


def _box(file: Path, annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    try:
        return files.coco_box(annotation)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{file}: annotation {annotation.get('id')}: bbox should be [x, y, width, height]: {error!r}"
        ) from error
