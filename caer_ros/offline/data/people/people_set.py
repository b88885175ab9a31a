"""From folders of pictures to a data set of canvases, in the form of ``recordings.annotations.own``."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from caer_ros.offline.data.people.collage import CanvasPerson, Material, compose
from caer_ros.offline.data.people.people_splits import split_of
from caer_ros.offline.data.people.source_pictures import Found, Teachers, pictures_in, read_labels, usable
from caer_ros.perception.boxes import iou
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import CAER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from caer_ros.perception.person import Array

    Spread = Callable[..., Iterable[Any]]

FOUND = 0.25
"""Lowest score of a person on a canvas; the robot's tracker asks for less than its threshold too."""
SAME = 0.4
"""IoU from which a detected box is that of a person who was put there."""
SPLITS = ("train", "val")
_CHUNK = 32


@dataclass(frozen=True)
class Folders:
    """Where the pictures are."""

    bodies: tuple[Path, ...]
    """Pictures of people."""
    faces: Path
    """Close crops of faces."""
    labels: Path
    """CSV of what annotators said of the faces: see ``source_pictures.read_labels``."""
    empty: tuple[Path, ...] = ()
    """Pictures without people."""


@dataclass(slots=True)
class Made:
    """What is in the data set, and what could not be used."""

    canvases: dict[str, int] = field(default_factory=dict)
    persons: Counter[str] = field(default_factory=Counter)
    """By what is known of the face; "" where nothing is."""
    labels: Counter[str] = field(default_factory=Counter)
    """Readable faces by their first label."""
    left_out: Counter[str] = field(default_factory=Counter)
    bodies: int = 0
    faces: int = 0


def make(
    output: Path,
    folders: Folders,
    counts: Mapping[str, int],
    size: tuple[int, int],
    seed: int = 0,
    processes: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> Made:
    """Write ``output``/{train,val}.json and the canvases as JPEG.

    A canvas depends on seed, split and number alone. Pictures of the split "test" (``people_splits.split_of``) are left
    for judging.

    Args:
        output: must be empty or not exist.
        folders: of pictures.
        counts: canvases of "train" and "val".
        size: height and width of a canvas: the network's input.
        seed: of all randomness.
        processes: how many work.
        progress: is told what is going on.

    Raises:
        DatasetError: the folder is not empty; a folder has no usable picture; labels cannot be read.
        BundleError, EngineError: the carried networks are not there, or do not run.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DatasetError(f"{output} exists already and is not empty: remove it, or choose another folder")
    labels = read_labels(folders.labels)
    bodies = [path for folder in folders.bodies for path in pictures_in(folder)]
    crops = pictures_in(folders.faces)
    empty = tuple(path for folder in folders.empty for path in pictures_in(folder))
    made = Made()
    with _workers(processes) as spread:
        progress(f"looking at {len(bodies)} pictures of people and {len(crops)} faces")
        found = _look(spread, bodies, crops, labels, made.left_out)
        made.bodies, made.faces = len(found.bodies), len(found.faces)
        parts = {split: found.of(split) for split in SPLITS}
        for split, part in parts.items():
            if not part.bodies or not part.faces:
                raise DatasetError(
                    f"{folders.bodies[0]}: too few usable pictures for the split {split}: {len(part.bodies)} of "
                    f"people, {len(part.faces)} faces; left out: {_counted(made.left_out)}"
                )
        output.mkdir(parents=True, exist_ok=True)
        for number, (split, part) in enumerate(parts.items()):
            part_of_empty = [path for path in empty if split_of(path.stem) == split] or list(empty)
            material = Material(part.bodies, part.faces, part_of_empty)
            draw = partial(_draw, material, size, (seed, number), output)
            progress(f"{split}: {counts[split]} canvases of {len(part.bodies)} pictures and {len(part.faces)} faces")
            images: list[dict[str, Any]] = []
            annotations: list[dict[str, Any]] = []
            for name, persons, crowds in spread(draw, range(counts[split])):
                entry = {"id": len(images) + 1, "file_name": name, "width": size[1], "height": size[0]}
                images.append(entry)
                for person in persons:
                    made.persons[person.face] += 1
                    if np.isfinite(person.emotions).all():
                        made.labels[CAER_S[int(person.emotions.argmax())]] += 1
                    annotations.append({"id": len(annotations) + 1, "image_id": entry["id"], **_fields(person)})
                annotations += [
                    {"id": len(annotations) + 1 + n, "image_id": entry["id"], "bbox": _xywh(box), "iscrowd": 1}
                    for n, box in enumerate(crowds)
                ]
            info = {"label_set": "caer_s", "box_kind": "body", "exhaustive": True, "description": _DESCRIPTION}
            content = {"info": info, "images": images, "annotations": annotations}
            (output / f"{split}.json").write_text(json.dumps(content), "utf-8")
            made.canvases[split] = len(images)
    return made


_DESCRIPTION = "canvases of real pictures; boxes and most faces by the carried networks, labels of faces by people"
_teachers: Teachers | None = None


def _begin() -> None:
    """In each process."""
    global _teachers
    _teachers = Teachers()


@contextmanager
def _workers(processes: int) -> Iterator[Spread]:
    """What maps a function over jobs, in their order, by so many processes; one process is this one."""
    if processes == 1:
        _begin()
        yield map
        return
    # A fork of a process in which threads run (OpenCV's, torch's) may hang.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        yield partial(pool.map, chunksize=_CHUNK)


def _look(
    spread: Spread,
    bodies: list[Path],
    crops: list[Path],
    labels: Mapping[str, Mapping[str, float]],
    left_out: Counter[str],
) -> Found:
    """What the carried networks find in the pictures; what is of no use is counted."""
    found = Found(left_out=left_out)
    for body in spread(_body, bodies):
        if isinstance(body, str):
            left_out[body] += 1
        else:
            found.bodies.append(body)
    told = [path for path in crops if path.name in labels]
    left_out["faces without a label"] += len(crops) - len(told)
    for face in spread(_face, told, [labels[path.name] for path in told]):
        if isinstance(face, str):
            left_out[face] += 1
        elif usable([face]):
            found.faces.append(face)
        else:
            left_out["faces turned away or with dark glasses"] += 1
    return found


def _body(path: Path) -> Any:
    assert _teachers is not None
    try:
        body = _teachers.body(path)
    except DatasetError:
        return "pictures that cannot be read"
    return body if body.persons else "pictures in which nobody was found"


def _face(path: Path, votes: Mapping[str, float]) -> Any:
    assert _teachers is not None
    try:
        return _teachers.face(path, votes) or "faces that were not found"
    except DatasetError:
        return "pictures that cannot be read"


def _draw(
    material: Material, size: tuple[int, int], seed: tuple[int, int], output: Path, index: int
) -> tuple[str, list[CanvasPerson], list[Array]]:
    """Write one canvas: its name, the persons as the robot would find them, and regions of which nothing is known."""
    assert _teachers is not None
    random = np.random.default_rng([*seed, index])
    canvas, persons = compose(material, *size, random)
    name = f"{SPLITS[seed[1]]}/{index:06}.jpg"
    path = output / name
    path.parent.mkdir(exist_ok=True)
    quality = int(random.integers(60, 96))
    _, encoded = cv2.imencode(".jpg", canvas[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    path.write_bytes(encoded.tobytes())
    seen = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    found, unknown = as_detected(persons, _teachers.persons(np.ascontiguousarray(seen), FOUND))
    return name, found, unknown


def as_detected(persons: list[CanvasPerson], boxes: Array) -> tuple[list[CanvasPerson], list[Array]]:
    """The persons who were put there, with the boxes [N,4] in which a detector finds them.

    Somebody who is found twice is learnt from twice; boxes around nobody have no face, and so has every detection in an
    empty picture.

    Returns:
        The persons, and the boxes of faces whose persons were not found: of these nothing shall be learnt.
    """
    from dataclasses import replace

    if not persons:
        nothing = np.full(len(CAER_S), np.nan, np.float32)
        return [CanvasPerson(box, None, "none", nothing, 1.0) for box in boxes], []
    overlaps = iou(boxes, np.array([person.box for person in persons], np.float32))
    found, taken = [], set()
    for box, row in zip(boxes, overlaps, strict=True):
        best = int(row.argmax())
        person = persons[best]
        middle = None if person.face_box is None else (person.face_box[:2] + person.face_box[2:]) / 2
        if row[best] < SAME or (middle is not None and not ((box[:2] <= middle) & (middle <= box[2:])).all()):
            nothing = np.full(len(CAER_S), np.nan, np.float32)
            found.append(CanvasPerson(box, None, "", nothing, 1.0))
            continue
        taken.add(best)
        found.append(replace(person, box=box))
    left = [person.face_box for index, person in enumerate(persons) if index not in taken]
    return found, [box for box in left if box is not None]


def _fields(person: CanvasPerson) -> dict[str, Any]:
    fields: dict[str, Any] = {"bbox": _xywh(person.box)}
    if person.face:
        fields["face"] = person.face
    if person.face_box is not None:
        fields["face_box"] = _xywh(person.face_box)
    if np.isfinite(person.emotions).all():
        fields["emotions"] = {
            label: round(float(belief), 4) for label, belief in zip(CAER_S, person.emotions, strict=True)
        }
        fields["weight"] = round(person.weight, 3)
    return fields


def _xywh(box: Array) -> list[float]:
    left, top, right, bottom = (round(float(edge), 2) for edge in box)
    return [left, top, round(right - left, 2), round(bottom - top, 2)]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items() if number) or "nothing"


def in_words(output: Path, made: Made) -> str:
    """What was made, for a person to read."""
    sights = {"readable": "readable", "hidden": "turned away, covered or small", "none": "none", "": "not known"}
    lines = [
        f"{output}: " + ", ".join(f"{count} canvases for {split}" for split, count in made.canvases.items()),
        f"of {made.bodies} pictures of people and {made.faces} faces; left out: {_counted(made.left_out)}",
        "faces of the persons: " + ", ".join(f"{made.persons[sight]} {word}" for sight, word in sights.items()),
        f"readable ones by their first label: {_counted(made.labels)}",
    ]
    return "\n".join(lines)
