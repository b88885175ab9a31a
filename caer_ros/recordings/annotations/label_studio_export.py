"""Label Studio's export "JSON": which regions annotators left in which picture.

Boxes are in percent of the picture, and the results of one region share its id: https://labelstud.io/guide/export. All
of an export is read or nothing: what cannot be imported is an error that names file, task, annotation and region.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from caer_ros.recordings.annotations import files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from caer_ros.recordings.annotations.annotated_folder import Folder, Picture

PERSON, IGNORE = "person", "ignore"
BOX, EMOTIONS, TRACK = "box", "emotions", "track_id"
"""Names of the tags in the labelling interface."""
KINDS = {BOX: "rectanglelabels", EMOTIONS: "choices", TRACK: "textarea"}
"""Types of their results."""
_HINT = 'in Label Studio export the project as "JSON"'
_SHOWN = 3
"""Names in a sentence."""
_DECIMALS = 4
"""Decimals of a pixel: hides what percent and back adds to a float."""


@dataclass(frozen=True, slots=True)
class Region:
    """A box that an annotator left in a picture."""

    identity: str
    bbox: tuple[float, float, float, float]
    """x, y, width, height in pixels."""
    ignore: bool
    emotions: tuple[str, ...]
    """Labels in the order of the label set; empty: not labelled."""
    track: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A submitted annotation of a picture."""

    where: str
    time: datetime
    """When it was submitted last."""
    number: int
    """Label Studio's id of it."""
    results: list[dict[str, Any]]


def answers(known: Folder, export: Path) -> tuple[dict[str, Answer], list[str]]:
    """The newest submitted annotation of each picture by its file name, and what was left out.

    Raises:
        DatasetError: no such file, no export "JSON", or a task is of a picture that the folder does not have.
    """
    tasks = files.read_json(export)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DatasetError(f"{export}: no list of tasks; {_HINT}")
    submitted: dict[str, list[Answer]] = {}
    skipped: dict[str, str] = {}
    drafts: dict[str, str] = {}
    for task in tasks:
        where = f"{export}: task {task.get('id')}"
        name = _file_name(known, where, task)
        for annotation in _annotations(where, task):
            if annotation.get("was_cancelled"):
                skipped[name] = f"task {task.get('id')}"
            else:
                submitted.setdefault(name, []).append(_answer(where, annotation))
        if task.get("drafts"):
            drafts[name] = f"task {task.get('id')}"
    notes = []
    if left_out := [task for name, task in skipped.items() if name not in submitted]:
        notes.append(f"{counted(left_out, 'task')} skipped in Label Studio and left out: {some(left_out)}")
    if pending := [task for name, task in drafts.items() if name not in submitted]:
        notes.append(f"{counted(pending, 'task')} with nothing but a draft, left out: {some(pending)}")
    newest = {name: max(given, key=lambda answer: (answer.time, answer.number)) for name, given in submitted.items()}
    if several := [name for name, given in submitted.items() if len(given) > 1]:
        notes.append(
            f"{counted(several, 'picture')} with several submitted annotations, of which the newest was taken: "
            + some([f"annotation {newest[name].number} of {name}" for name in several])
        )
    return newest, notes


def _file_name(known: Folder, where: str, task: dict[str, Any]) -> str:
    if not isinstance(task.get("annotations"), list) or not isinstance(task.get("data"), dict):
        raise DatasetError(
            f'{where}: no fields data and annotations; {_HINT}, not as "JSON-MIN", which does not '
            "say which emotion belongs to which box"
        )
    name = task["data"].get("file_name")
    if not isinstance(name, str) or name not in known.pictures:
        raise DatasetError(
            f"{where}: data.file_name is {name!r}, which is no picture of {known.file}; is it the export of another "
            "project?"
        )
    return name


def _annotations(where: str, task: dict[str, Any]) -> list[dict[str, Any]]:
    for annotation in task["annotations"]:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            raise DatasetError(f"{where}: one of annotations has no list result; {_HINT}")
    found: list[dict[str, Any]] = task["annotations"]
    return found


def _answer(where: str, annotation: dict[str, Any]) -> Answer:
    where = f"{where}, annotation {annotation.get('id')}"
    said = annotation.get("updated_at") or annotation.get("created_at")
    try:
        time = datetime.fromisoformat(str(said).replace("Z", "+00:00"))  # Python 3.10 does not know the Z
        time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
        return Answer(where, time, int(annotation["id"]), annotation["result"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{where}: updated_at is {said!r}; a number as id and a time are expected") from error


def regions(known: Folder, picture: Picture, answer: Answer) -> list[Region]:
    """The boxes of an annotation. Raises DatasetError where there is something else in it."""
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    for result in answer.results:
        identity, name = _part(answer.where, result)
        region = parts.setdefault(identity, {})
        if name in region:
            raise DatasetError(f"{answer.where}, region {identity}: {name} is there twice; delete the region")
        region[name] = result
    return [_region(known, picture, f"{answer.where}, region {i}", i, found) for i, found in parts.items()]


def _part(where: str, result: Any) -> tuple[str, str]:
    """Region and tag that a result belongs to."""
    if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
        kind = result.get("type") if isinstance(result, dict) else type(result).__name__
        raise DatasetError(f"{where}: result of type {kind!r}; delete it, only boxes with their labels can be imported")
    where = f"{where}, region {result.get('id')}"
    kind, name = result.get("type"), str(result.get("from_name"))
    if kind != KINDS.get(name):
        raise DatasetError(
            f"{where}: type is {kind!r} of {name!r}; only boxes (rectanglelabels), choices and texts of our "
            "interface can be imported; draw a box instead"
        )
    if not isinstance(result.get("id"), str):
        raise DatasetError(f"{where}: {kind} without the id of a region")
    return result["id"], name


def _region(known: Folder, picture: Picture, where: str, identity: str, parts: dict[str, dict[str, Any]]) -> Region:
    if BOX not in parts:
        raise DatasetError(f"{where}: {' and '.join(parts)} without a box; delete it")
    label = parts[BOX]["value"].get("rectanglelabels")
    if label not in ([PERSON], [IGNORE]):
        raise DatasetError(f"{where}: rectanglelabels is {label!r}; choose {PERSON} or {IGNORE}")
    return Region(
        identity,
        _bbox(where, picture.image, parts[BOX]),
        label == [IGNORE],
        _emotions(known, where, parts.get(EMOTIONS)),
        _text(where, parts.get(TRACK)),
    )


def _bbox(where: str, image: dict[str, Any], result: dict[str, Any]) -> tuple[float, float, float, float]:
    """x, y, width, height in pixels."""
    value, size = result["value"], (image["width"], image["height"])
    said = (result.get("original_width"), result.get("original_height"))
    if said != size:
        raise DatasetError(
            f"{where}: original_width and original_height are {said[0]} and {said[1]}, but the picture is "
            f"{size[0]}x{size[1]}; was it replaced?"
        )
    for name, turn in (("rotation", value.get("rotation")), ("image_rotation", result.get("image_rotation"))):
        if turn:
            raise DatasetError(f"{where}: {name} is {turn!r}; only upright boxes can be imported, set it to 0")
    sides = [value.get(name) for name in ("x", "y", "width", "height")]
    for name, side in zip(("x", "y", "width", "height"), sides, strict=True):
        if isinstance(side, bool) or not isinstance(side, int | float) or not math.isfinite(side):
            raise DatasetError(f"{where}: value.{name} is {side!r}; percent of the picture are expected")
    x, y, w, h = (round(part * full / 100, _DECIMALS) for part, full in zip(sides, size * 2, strict=True))
    if min(x + w, size[0]) <= max(x, 0) or min(y + h, size[1]) <= max(y, 0):
        raise DatasetError(f"{where}: the box has no area in the picture; delete it")
    return x, y, w, h


def _emotions(known: Folder, where: str, result: dict[str, Any] | None) -> tuple[str, ...]:
    if result is None:
        return ()
    chosen = result["value"].get("choices")
    if not isinstance(chosen, list):
        raise DatasetError(f"{where}: choices is {chosen!r}; a list of emotions is expected")
    if unknown := [label for label in chosen if label not in known.labels]:
        raise DatasetError(f"{where}: emotion {unknown[0]!r} is no label; there are {', '.join(known.labels)}")
    if len(chosen) > 1 and not known.multi_label:
        raise DatasetError(f"{where}: {len(chosen)} emotions ({', '.join(chosen)}); one is expected")
    return tuple(label for label in known.labels if label in chosen)


def _text(where: str, result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    text = result["value"].get("text")
    lines = [text] if isinstance(text, str) else text
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines) or len(lines) > 1:
        raise DatasetError(f"{where}: {TRACK} is {text!r}; one text is expected")
    return lines[0].strip() if lines else ""


def counted(what: Sequence[str], unit: str) -> str:
    """How many there are, with their unit."""
    return f"{len(what):,} {unit}{'s' if len(what) != 1 else ''}"


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
