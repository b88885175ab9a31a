"""The annotations of an extracted folder: read, changed picture by picture, and saved without losing the former ones.

``annotations.json`` is a data set of one's own (`caer_ros.recordings.annotations.own`) with three more fields:

``images[].annotated_at``
    When a person last went through this picture, as ISO 8601.
``annotations[].region``
    What the labelling tool calls an annotation that was made there.
``unannotated``
    ``images`` and ``annotations`` of pictures that nobody has gone through yet, such as a model's first draft. They are
    no ground truth, so data sets leave them out.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.recordings import whole_file
from caer_ros.recordings.annotations import files, own
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import LABEL_SETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Picture:
    """An entry of ``images`` and its annotations."""

    image: dict[str, Any]
    entries: tuple[dict[str, Any], ...]
    truth: bool
    """Has a person annotated it?"""


@dataclass(frozen=True, slots=True)
class Folder:
    """An extracted folder's annotations, and what they mean."""

    path: Path
    content: dict[str, Any]
    pictures: dict[str, Picture]
    """Pictures by file name."""
    labels: tuple[str, ...]
    multi_label: bool
    box_kind: str
    categories: dict[Any, str]
    """Labels by category, where the categories are the labels."""
    drafts: list[dict[str, Any]]
    """Drafts as in ``Dataset``."""

    @property
    def file(self) -> Path:
        return self.path / own.WHOLE


def read(folder: Path) -> Folder:
    """What is annotated in a folder, and what waits for it. Raises DatasetError."""
    file = folder / own.WHOLE
    if not file.is_file():
        raise DatasetError(f"{file}: no such file; `caer bag extract` makes such a folder")
    dataset = own.read(file)
    images, entries, content = files.read_coco(file)
    info = content.get("info") or {}
    pictures = _grouped(images.values(), entries, dataset.drafts)
    waiting = content.get("unannotated") or {}
    try:
        rest = _grouped(waiting.get("images", ()), waiting.get("annotations", ()), dataset.drafts, waiting=True)
        twice = pictures.keys() & rest.keys()
        sized = all(int(p.image["width"]) > 0 and int(p.image["height"]) > 0 for p in rest.values())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{file}: unannotated should have images and annotations ({error!r})") from error
    if twice or not sized:
        raise DatasetError(f"{file}: unannotated: {min(twice, default='an image')} is in images too, or has no size")
    pictures |= rest
    numbers = [entry.get("id") for picture in pictures.values() for entry in picture.entries]
    if None in numbers or len(set(numbers)) < len(numbers):
        raise DatasetError(f"{file}: annotations without an id, or with the same; number them")
    return Folder(
        folder,
        content,
        pictures,
        dataset.labels,
        dataset.multi_label,
        str(info.get("box_kind", "body")),
        _categories(content, dataset.labels),
        dataset.drafts,
    )


def _grouped(
    images: Iterable[dict[str, Any]],
    entries: Sequence[dict[str, Any]],
    drafts: list[dict[str, Any]],
    *,
    waiting: bool = False,
) -> dict[str, Picture]:
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for entry in entries:
        by_image.setdefault(entry["image_id"], []).append(entry)
    return {
        image["file_name"]: Picture(
            image, tuple(by_image.get(image["id"], ())), not waiting and _is_truth(image, by_image, drafts)
        )
        for image in images
    }


def _is_truth(image: dict[str, Any], by_image: dict[Any, list[dict[str, Any]]], drafts: list[dict[str, Any]]) -> bool:
    """Does a picture hold anything that a model cannot have written?"""
    if image.get("annotated_at"):
        return True
    entries = by_image.get(image["id"], [])
    if not drafts:
        return bool(entries)
    return not any(draft.get("emotions") for draft in drafts) and any(entry.get("emotions") for entry in entries)


def _categories(content: dict[str, Any], labels: tuple[str, ...]) -> dict[Any, str]:
    info = content.get("info") or {}
    if info.get("labels") is not None or info.get("label_set") in LABEL_SETS:
        return {}
    return {entry["id"]: entry["name"] for entry in content.get("categories") or () if entry["name"] in labels}


def chosen(known: Folder, entry: dict[str, Any]) -> tuple[str, ...]:
    """The labels of an annotation in the order of the set; of beliefs the strongest, or those of at least one half."""
    given = entry.get("emotions")
    if given is None:
        label = known.categories.get(entry.get("category_id"))
        return () if label is None else (label,)
    if isinstance(given, dict):
        beliefs = {label: value for label, value in given.items() if value is not None}
        if known.multi_label:
            given = [label for label, value in beliefs.items() if value >= 0.5]
        else:
            given = [max(beliefs, key=lambda label: beliefs[label])] if beliefs else []
    return tuple(label for label in known.labels if label in given)


def with_pictures(known: Folder, pictures: Iterable[Picture]) -> dict[str, Any]:
    """The json of ``annotations.json`` with these pictures; those that nobody annotated stand apart."""
    pictures = list(pictures)
    if all(isinstance(picture.image["id"], int) for picture in pictures):
        pictures.sort(key=lambda picture: int(picture.image["id"]))  # those that come back find their place
    content = {name: value for name, value in known.content.items() if name != "unannotated"}
    content |= _lists(picture for picture in pictures if picture.truth)
    waiting = [picture for picture in pictures if not picture.truth]
    return content | {"unannotated": _lists(waiting)} if waiting else content


def _lists(pictures: Iterable[Picture]) -> dict[str, Any]:
    pictures = list(pictures)
    return {
        "images": [picture.image for picture in pictures],
        "annotations": [entry for picture in pictures for entry in picture.entries],
    }


def save(known: Folder, content: dict[str, Any]) -> Path | None:
    """Replaces ``annotations.json`` at once, and keeps the former one as ``.bak``, ``.bak2``, ... beside it.

    Returns:
        Where the former one is; None: it says the same, and nothing was written.
    """
    if content == known.content:
        return None
    number = 1
    while (backup := known.file.with_name(f"{own.WHOLE}.bak{number if number > 1 else ''}")).exists():
        number += 1

    with whole_file.opened(known.file) as new:
        new.write(json.dumps(content, indent=1).encode() + b"\n")
        new.flush()
        own.read(Path(new.name))  # nothing may replace the file that could not be read again
        shutil.copy2(known.file, backup)
    return backup
