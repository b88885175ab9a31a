"""From what an annotation file says about an image to a `Sample` that keeps its promises."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import Array, Dataset, DatasetError, Findings, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from caer_ros.perception.person import BoxKind

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One person as the file has it, not yet held against the image."""

    where: str
    """File and row."""
    box: Box | None
    """xyxy in pixels; None for the whole image."""
    emotions: Array
    """[E] as in `Sample`."""
    vad: Array | None = None
    """[3] as in `Sample`; None where nobody was asked."""
    votes: Array | None = None
    """[E] as in `Sample`; None where single votes are not published."""
    gender: str = ""
    age: str = ""
    track_id: str = ""
    weight: float = 1.0
    face: str = ""
    """As in `Sample`."""
    face_box: Box | None = None


def assemble(
    image_id: str,
    path: Path,
    annotations: Sequence[Annotation],
    labels: int,
    box_kind: BoxKind,
    findings: Findings,
    *,
    exhaustive: bool = False,
    crowds: Iterable[Box] = (),
    stamp: int | None = None,
    strict: bool = False,
    size: tuple[int, int] | None = None,
) -> Sample | None:
    """One image's sample: boxes clipped to the image, those without an area left out.

    What was done about which row goes into ``findings``. With ``strict`` a box without an area is an error. With a
    ``size`` (height, width) the image file is not looked at.

    Returns:
        None where the image cannot be read, or nobody is left in it although somebody was annotated.

    Raises:
        DatasetError: ``strict``, and a box has no area within the image.
    """
    try:
        height, width = size or image_files.size(path)
    except DatasetError as error:
        findings.unreadable.append(str(error))
        return None
    kept, boxes = [], []
    for annotation in annotations:
        box = clip(annotation.box, height, width)
        if not has_area(box):
            problem = f"{annotation.where}: box {_text(annotation.box)} has no area in {path.name}, {width}x{height}"
            if strict:
                raise DatasetError(f"{problem}; correct or remove it")
            findings.skipped.append(problem)
            continue
        if annotation.box is not None and not np.array_equal(box, np.asarray(annotation.box, np.float32)):
            findings.repaired.append(
                f"{annotation.where}: box {_text(annotation.box)} clipped to {path.name}, {width}x{height}"
            )
        kept.append(annotation)
        boxes.append(box)
    if annotations and not kept:
        return None
    ignore = [box for crowd in crowds if has_area(box := clip(crowd, height, width))]
    count = len(kept)
    return Sample(
        image_id=image_id,
        path=path,
        size=(height, width),
        boxes=_rows(boxes, 4),
        box_kind=box_kind,
        emotions=_rows([annotation.emotions for annotation in kept], labels),
        vad=_rows_or_unknown([annotation.vad for annotation in kept], 3),
        votes=_rows_or_unknown([annotation.votes for annotation in kept], labels),
        weights=_ones(count) if all(a.weight == 1 for a in kept) else np.array([a.weight for a in kept], np.float32),
        gender=tuple(a.gender for a in kept),
        age=tuple(a.age for a in kept),
        exhaustive=exhaustive,
        track_ids=tuple(a.track_id for a in kept),
        faces=tuple(a.face for a in kept),
        face_boxes=_rows_or_unknown([None if a.face_box is None else clip(a.face_box, height, width) for a in kept], 4),
        ignore=_rows(ignore, 4),
        stamp=stamp,
    )


def finish(
    name: str,
    root: Path,
    split: str,
    label_set: str,
    labels: tuple[str, ...],
    multi_label: bool,
    samples: Iterable[Sample | None],
    findings: Findings,
) -> Dataset:
    """The data set of those samples that could be made.

    Raises:
        DatasetError: there is none.
    """
    usable = tuple(sample for sample in samples if sample is not None)
    if not usable:
        lost = [*findings.unreadable, *findings.skipped]
        why = f"{len(lost)} cases such as: {lost[0]}" if lost else "nothing is annotated for it"
        raise DatasetError(f"{root}: split {split!r} of {name} has no usable image: {why}")
    return Dataset(name, root, split, label_set, labels, multi_label, usable, findings)


def clip(box: Box | None, height: int, width: int) -> Array:
    """[4] float32: the part of ``box`` (xyxy) within the image; the whole image for None."""
    if box is None:
        return np.array([0, 0, width, height], np.float32)
    return np.clip(np.asarray(box, np.float32), 0, np.array([width, height, width, height], np.float32))


def has_area(box: Array) -> bool:
    """Is the box (xyxy) wider and higher than nothing? False for NaN."""
    return bool(box[2] > box[0] and box[3] > box[1])


def from_ten(values: Sequence[float]) -> Array:
    """Valence, arousal, dominance from the 1–10 of EMOTIC and HECO to -1..1; NaN for what lies outside."""
    ten = np.asarray(values, np.float32)
    return np.where((ten >= 1) & (ten <= 10), (ten - 5.5) / 4.5, np.nan).astype(np.float32)


def one_hot(label: str, labels: Sequence[str]) -> Array:
    """[E] 1 at ``label``. Raises ValueError where there is no such label."""
    vector: Array = _identity(len(labels))[tuple(labels).index(label)]
    return vector


def multi_hot(chosen: Iterable[str], labels: Sequence[str]) -> Array:
    """[E] 1 at each of ``chosen``. Raises ValueError where there is no such label."""
    vector = np.zeros(len(labels), np.float32)
    vector[[tuple(labels).index(label) for label in chosen]] = 1
    return vector


def number(value: object) -> float:
    """A float; NaN for whatever is none, such as an empty cell or NULL."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def one_of(value: object, allowed: Iterable[str]) -> str:
    """The word in lower case, or "" where it is not an allowed one."""
    word = str(value).strip().lower()
    return word if word in allowed else ""


GENDERS = ("male", "female")
AGES = ("kid", "teenager", "adult")


def _rows(rows: Sequence[Array], columns: int) -> Array:
    return np.asarray(rows, np.float32).reshape(len(rows), columns)


def _rows_or_unknown(rows: Sequence[Array | None], columns: int) -> Array:
    if all(row is None for row in rows):
        return _unknown(len(rows), columns)
    return _rows([_unknown(1, columns)[0] if row is None else row for row in rows], columns)


# Sets of 300,000 images repeat these: one read-only array for all.
@cache
def _unknown(rows: int, columns: int) -> Array:
    return _frozen(np.full((rows, columns), np.nan, np.float32))


@cache
def _ones(rows: int) -> Array:
    return _frozen(np.ones(rows, np.float32))


@cache
def _identity(size: int) -> Array:
    return _frozen(np.eye(size, dtype=np.float32))


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _text(box: Box | None) -> str:
    return "[" + ", ".join(f"{edge:g}" for edge in box or ()) + "]"
