"""Annotating an extracted folder with Label Studio, there and back.

There: ``label_studio/tasks.json`` and ``config.xml`` in the folder. What a model pre-filled becomes a *prediction*,
from which an annotator starts; what a person annotated becomes an *annotation*. Back: Label Studio's export "JSON"
updates the folder's ``annotations.json`` (see `caer_ros.recordings.annotations.annotated_folder`).

A box is a region of Label Studio's with the label "person", or "ignore" for a region to ignore; its emotions and its
track id belong to the region. A region's id is that of its annotation: what a person had annotated and Label Studio
does not show (valence, gender, beliefs in several labels, ...) outlives the round trip, while what a model said and no
person confirmed does not. The format is https://labelstud.io/guide/task_format, in percent of the picture.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree

from caer_ros.recordings import whole_file
from caer_ros.recordings.annotations import annotated_folder
from caer_ros.recordings.annotations.label_studio_export import (
    BOX,
    EMOTIONS,
    IGNORE,
    KINDS,
    PERSON,
    TRACK,
    Answer,
    Region,
    answers,
    counted,
    regions,
    some,
)
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from caer_ros.recordings.annotations.annotated_folder import Folder, Picture

SUBFOLDER, DATA, TASKS, CONFIG, TOKEN = "label_studio", "data", "tasks.json", "config.xml", "token"
_PLACE = ("id", "image_id", "category_id", "region", "bbox")
_UNCHANGED = 1e-3
"""Pixels that an edge may move in percent and back."""


@dataclass(frozen=True, slots=True)
class Written:
    """What there is for Label Studio."""

    tasks: Path
    config: Path
    predicted: int
    """Tasks that start from what a model pre-filled."""
    annotated: int
    """Tasks that a person has annotated before."""
    empty: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import changed."""

    pictures: int
    """Pictures whose annotation comes from the export."""
    persons: int
    with_emotions: int
    with_track: int
    ignored: int
    """Regions to ignore."""
    notes: tuple[str, ...]
    """What was left out, and which of several annotations was taken; one sentence each."""
    backup: Path | None
    """Where the former annotations are; None: nothing changed, and nothing was written."""


def write(folder: Path) -> Written:
    """Writes the tasks and the labelling interface of an extracted folder, over those of a former call.

    Raises:
        DatasetError: the folder has no valid ``annotations.json``, or lacks a picture of it.
    """
    known = annotated_folder.read(folder)
    missing = [name for name in known.pictures if not (folder / name).is_file()]
    if missing:
        raise DatasetError(
            f"{known.file}: {counted(missing, 'picture')} of it missing, such as {missing[0]}; extract them again"
        )
    tasks, config = folder / SUBFOLDER / TASKS, folder / SUBFOLDER / CONFIG
    entries = [_task(known, picture) for picture in known.pictures.values()]
    whole_file.write_text(tasks, json.dumps(entries, indent=1) + "\n")
    whole_file.write_text(config, interface(known.labels, known.multi_label, known.box_kind))
    _write_token(folder / SUBFOLDER / TOKEN)
    predicted = sum("predictions" in entry for entry in entries)
    annotated = sum("annotations" in entry for entry in entries)
    return Written(tasks, config, predicted, annotated, len(entries) - predicted - annotated)


def commands(folder: Path) -> str:
    """Shell commands that run Label Studio on the folder, on this computer alone, and bring its export back."""
    from shlex import quote as shell

    folder = folder.resolve()
    here = shell(str(folder / SUBFOLDER))
    storage = json.dumps({"project": 1, "title": "pictures", "path": str(folder), "use_blob_urls": False})
    return f"""\
# 1. Start Label Studio (pip install label-studio, in an environment of its own) and leave it running.
#    Port 8080 must be free. The project, with all annotations, is kept in {DATA}.
cd {here}
export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={shell(str(folder.parent))}
label-studio start caer --init --data-dir {DATA} --label-config {CONFIG} --internal-host 127.0.0.1 --port 8080 \\
  --username annotator@localhost --password "$(cat {TOKEN})" --user-token "$(cat {TOKEN})" --enable-legacy-api-token

# 2. Once, in a second terminal: let it read the folder, and give it the tasks.
cd {here}
curl -fsS -H "Authorization: Token $(cat {TOKEN})" -H "Content-Type: application/json" \\
  -d {shell(storage)} http://localhost:8080/api/storages/localfiles
curl -fsS -H "Authorization: Token $(cat {TOKEN})" -F file=@{TASKS} http://localhost:8080/api/projects/1/import

# 3. Annotate at http://localhost:8080/projects/1 as annotator@localhost; the password is in the file {TOKEN}.

# 4. Export, and import here.
curl -fsS -H "Authorization: Token $(cat {TOKEN})" -o export.json \\
  "http://localhost:8080/api/projects/1/export?exportType=JSON"
caer bag label-studio {shell(str(folder))} --import export.json"""


def interface(labels: Sequence[str], multi_label: bool, box_kind: str) -> str:
    """Label Studio's labelling interface, as XML."""
    view = ElementTree.Element("View")

    def add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
        return ElementTree.SubElement(parent, tag, attributes)

    task = f"person: the {box_kind} of everyone in sight. ignore: crowds, posters, mirrors."
    add(view, "Header", value=task, size="5")
    boxes = add(view, "RectangleLabels", name=BOX, toName="image", canRotate="false")
    add(boxes, "Label", value=PERSON, background="#1f77b4")
    add(boxes, "Label", value=IGNORE, background="#7f7f7f")
    columns = add(view, "View", style="display: flex; gap: 1em")
    add(add(columns, "View", style="flex: 1"), "Image", name="image", value="$image", zoom="true", zoomControl="true")
    side = add(columns, "View", style="width: 14em")
    selected = {"visibleWhen": "region-selected", "whenTagName": BOX, "whenLabelValue": PERSON}
    side = add(side, "View", **selected)
    region = {"toName": "image", "perRegion": "true", **selected}
    if labels:
        add(side, "Header", value="Emotions" if multi_label else "Emotion", size="5")
        choices = add(side, "Choices", name=EMOTIONS, choice="multiple" if multi_label else "single", **region)
        for label in labels:
            add(choices, "Choice", value=label)
    add(side, "Header", value="Track: one name for a person in all pictures; Enter ends it", size="5")
    add(side, "TextArea", name=TRACK, maxSubmissions="1", editable="true", **region)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def read(folder: Path, export: Path, *, partial: bool = False) -> Imported:
    """Brings Label Studio's export "JSON" into the folder's ``annotations.json``.

    Of a picture with several submitted annotations the newest counts. Pictures without one keep what a person had
    annotated before; what only a model had said is kept apart, until a later import.

    Args:
        folder: with ``annotations.json``.
        export: what Label Studio wrote.
        partial: not everybody in the pictures has a box, so they are not ``exhaustive``.

    Raises:
        DatasetError: the folder's annotations or the export cannot be used; nothing was written.
    """
    known = annotated_folder.read(folder)
    newest, notes = answers(known, export)
    if not newest:
        raise DatasetError(
            f"{export}: no task has a submitted annotation{''.join(f' ({note})' for note in notes)}; annotate in Label "
            "Studio, press Submit, and export again"
        )
    found = {name: regions(known, known.pictures[name], answer) for name, answer in newest.items()}
    taken = [entry["id"] for picture in known.pictures.values() for entry in picture.entries]
    numbers = count(max((number for number in taken if isinstance(number, int)), default=0) + 1)
    updated = known.pictures | {
        name: _updated(known, known.pictures[name], found[name], answer, numbers, exhaustive=not partial)
        for name, answer in newest.items()
    }
    every = [region for inside in found.values() for region in inside]
    persons = [region for region in every if not region.ignore]
    return Imported(
        len(newest),
        len(persons),
        sum(bool(region.emotions) for region in persons),
        sum(bool(region.track) for region in persons),
        len(every) - len(persons),
        (*notes, *_left_out(known, newest), *_removed(known, updated)),
        annotated_folder.save(known, annotated_folder.with_pictures(known, updated.values())),
    )


def _write_token(file: Path) -> None:
    """A secret for the local server: pictures of people are nobody else's on a shared computer."""
    if not file.exists():
        file.touch(0o600)
        file.write_text(secrets.token_hex(20) + "\n", "ascii")


# There


def _task(known: Folder, picture: Picture) -> dict[str, Any]:
    name = picture.image["file_name"]
    # Label Studio serves files below its document root, which is the folder's parent: see `commands`.
    address = quote(f"{known.path.resolve().name}/{name}")
    task: dict[str, Any] = {"data": {"image": f"/data/local-files/?d={address}", "file_name": name}}
    results = [result for entry in picture.entries for result in _results(known, picture.image, entry)]
    if picture.truth:
        return task | {"annotations": [{"result": results}]}
    if not known.drafts or not results:
        return task
    models = ", ".join(f"{draft['name']} {draft['version']}" for draft in known.drafts)
    return task | {"predictions": [{"model_version": models, "result": results}]}


def _results(known: Folder, image: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of one region: its box, its emotions and its track, which share an id."""
    width, height = image["width"], image["height"]
    x, y, w, h = map(float, entry["bbox"])
    place = {"x": 100 * x / width, "y": 100 * y / height, "width": 100 * w / width, "height": 100 * h / height}
    region = {
        "id": _region_id(entry),
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
    }

    def result(name: str, key: str, value: list[str]) -> dict[str, Any]:
        return region | {"from_name": name, "type": KINDS[name], "value": place | {"rotation": 0, key: value}}

    if entry.get("iscrowd"):
        return [result(BOX, "rectanglelabels", [IGNORE])]
    results = [result(BOX, "rectanglelabels", [PERSON])]
    if chosen := annotated_folder.chosen(known, entry):
        results.append(result(EMOTIONS, "choices", list(chosen)))
    if track := _track(entry):
        results.append(result(TRACK, "text", [track]))
    return results


def _region_id(entry: dict[str, Any]) -> str:
    """What Label Studio calls it: its own name for a region that was drawn there, so that a later import knows it."""
    return str(entry.get("region") or f"annotation-{entry['id']}")


def _track(entry: dict[str, Any]) -> str:
    return "" if entry.get("track_id") is None else str(entry["track_id"])


# Back


def _updated(
    known: Folder,
    picture: Picture,
    found: Iterable[Region],
    answer: Answer,
    numbers: Iterator[int],
    *,
    exhaustive: bool,
) -> Picture:
    """The picture as the annotator left it; ``numbers`` are for new annotations."""
    before = {_region_id(entry): entry for entry in picture.entries}
    image = picture.image | {"annotated_at": answer.time.isoformat(), "exhaustive": exhaustive}
    entries = []
    for region in found:
        drawn = {"image_id": image["id"], "region": region.identity}
        former = before.get(region.identity) or {"id": next(numbers)} | drawn
        entries.append(_entry(known, former, region, confirmed=picture.truth))
    return annotated_folder.Picture(image, tuple(entries), True)


def _entry(known: Folder, former: dict[str, Any], region: Region, *, confirmed: bool) -> dict[str, Any]:
    """An annotation of a region; what a person had ``confirmed`` before and did not change stays as it was written."""
    kept = former.keys() if confirmed else {*_PLACE, "track_id"}
    entry = {name: former[name] for name in former if name in (_PLACE if region.ignore else kept) and name != "iscrowd"}
    entry["bbox"] = _unless_moved(former.get("bbox"), region.bbox)
    if region.ignore:
        return entry | {"iscrowd": 1}
    if not confirmed or region.emotions != annotated_folder.chosen(known, former):
        for name in ("emotions", "category_id") if known.categories else ("emotions",):
            entry.pop(name, None)
        entry |= {"emotions": list(region.emotions)} if region.emotions else {}
    if region.track != _track(former):
        entry.pop("track_id", None)
        entry |= {"track_id": region.track} if region.track else {}
    return entry


def _unless_moved(former: Any, bbox: tuple[float, float, float, float]) -> list[float]:
    if former is not None and all(abs(a - b) < _UNCHANGED for a, b in zip(former, bbox, strict=True)):
        return list(former)
    return list(bbox)


def _left_out(known: Folder, newest: dict[str, Answer]) -> list[str]:
    """Pictures that the export says nothing of."""
    rest = {name: picture for name, picture in known.pictures.items() if name not in newest}
    notes = []
    if kept := [name for name, picture in rest.items() if picture.truth]:
        notes.append(
            f"{counted(kept, 'picture')} without a submitted annotation kept as annotated before: {some(kept)}"
        )
    if waiting := [name for name, picture in rest.items() if not picture.truth]:
        notes.append(f"{counted(waiting, 'picture')} not annotated yet, kept apart as unannotated: {some(waiting)}")
    return notes


def _removed(known: Folder, updated: dict[str, Picture]) -> list[str]:
    """What a person had annotated, and an annotator has deleted since."""
    notes = []
    for name, picture in known.pictures.items():
        left = {entry["id"] for entry in updated[name].entries}
        gone = [str(entry["id"]) for entry in picture.entries if entry["id"] not in left]
        if gone and picture.truth:
            notes.append(f"{name}: removed in Label Studio, annotated before: annotation {', '.join(gone)}")
    return notes
