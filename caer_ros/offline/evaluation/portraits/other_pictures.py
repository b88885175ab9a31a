"""Folders of pictures in which no face can be read: persons turned away, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from caer_ros.offline.evaluation.portraits import portrait_cases, portrait_set
from caer_ros.offline.metrics.proportions import Proportion, proportion
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from caer_ros.offline.evaluation.portraits.portrait_cases import Answer
    from caer_ros.perception.predictors.predictor import Predictor

    Watch = Callable[[Iterable[Path]], Iterable[Path]]

TURNED, NEGATIVES = "turned", "negatives"
"""Persons who are there, but turned away; pictures without persons, or without faces that can be read."""
TINY = 32
"""Pixels of the shorter side below which a picture is left out."""


@dataclass(frozen=True, eq=False, slots=True)
class OtherPictures:
    """A folder and all detections in it."""

    kind: str
    folder: str
    pictures: tuple[str, ...]
    """Names of those that were looked at."""
    left_out: dict[str, list[str]]
    """Names of the others, by the reason; and of those that are grey or were turned, which are looked at."""
    answers: dict[str, dict[str, list[Answer]]]
    """By model, then by picture."""


@dataclass(frozen=True, slots=True)
class OfFolder:
    """One model on one folder; intervals are over pictures, which may show several persons."""

    kind: str
    folder: str
    pictures: Proportion
    """Pictures in which a person was found."""
    found: int
    """Detections."""
    certain: Proportion
    """Detections that got a certain label."""
    labelled: Proportion
    """Pictures with a certain label."""


def look_through(kind: str, folder: Path, models: dict[str, Predictor], watch: Watch = iter) -> OtherPictures:
    """Show every picture of a folder to every model, as it is.

    Args:
        kind: ``TURNED`` or ``NEGATIVES``.
        folder: pictures with whatever name, also in folders below.
        models: by name.
        watch: wraps the loop over pictures, to show progress.

    Raises:
        DatasetError: there is no such folder, no picture in it, or none that can be read.
    """
    notes: dict[str, list[str]] = {}
    answers: dict[str, dict[str, list[Answer]]] = {name: {} for name in models}
    paths = image_files.pictures_in(folder)
    for path, pixels in portrait_set.readable(watch(paths), notes):
        if min(pixels.shape[:2]) < TINY:
            notes.setdefault(f"smaller than {TINY} px", []).append(path.name)
            continue
        for name, model in models.items():
            persons = portrait_cases.look(model, pixels)
            described = [portrait_cases.described(person, model.bundle) for person in persons]
            answers[name][str(path.relative_to(folder))] = described
    looked_at = tuple(next(iter(answers.values())))
    if not looked_at:
        raise DatasetError(f"{folder}: none of its pictures can be used ({portrait_cases.said(notes)})")
    return OtherPictures(kind, str(folder), looked_at, notes, answers)


def of_folder(other: OtherPictures, model: str) -> OfFolder:
    """What one model said in one folder."""
    answers = other.answers[model]
    every: Sequence[tuple[str, bool]] = [(name, bool(one.label)) for name, some in answers.items() for one in some]
    return OfFolder(
        other.kind,
        other.folder,
        proportion((name, bool(some)) for name, some in answers.items()),
        len(every),
        proportion(every),
        proportion((name, any(one.label for one in some)) for name, some in answers.items()),
    )
