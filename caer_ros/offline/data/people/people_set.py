"""From folders of pictures to a data set of canvases, in the form of ``recordings.annotations.own``."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from caer_ros.offline.data.people.collage import CanvasPerson, Material, compose
from caer_ros.offline.data.people.people_splits import split_of
from caer_ros.offline.data.people.source_pictures import CARRIED, Face, Found, Teachers, read_labels, usable
from caer_ros.perception.boxes import iou
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.person import BoxKind
from caer_ros.recordings import whole_file
from caer_ros.recordings.annotations import image_files, own
from caer_ros.recordings.annotations.assembly import Annotation, Box, assemble, finish
from caer_ros.recordings.annotations.sample import DatasetError, Findings, Sample
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
    bodies = [path for folder in folders.bodies for path in image_files.pictures_in(folder)]
    crops = image_files.pictures_in(folders.faces)
    empty = tuple(path for folder in folders.empty for path in image_files.pictures_in(folder))
    carried = read_bundle(find_bundle(CARRIED))
    made = Made()
    with _workers(processes) as spread:
        progress(f"looking at {len(bodies)} pictures of people and {len(crops)} faces")
        found = _look(spread, bodies, crops, labels, made.left_out)
    made.bodies, made.faces = len(found.bodies), len(found.faces)
    parts = {split: found.of(split) for split in SPLITS}
    for split, part in parts.items():
        if not part.bodies or not part.faces:
            raise DatasetError(
                f"{folders.bodies[0]}: too few usable pictures for the split {split}: {len(part.bodies)} of people, "
                f"{len(part.faces)} faces; left out: {_counted(made.left_out)}"
            )
    output.mkdir(parents=True, exist_ok=True)
    for number, (split, part) in enumerate(parts.items()):
        progress(f"{split}: {counts[split]} canvases of {len(part.bodies)} pictures and {len(part.faces)} faces")
        part_of_empty = [path for path in empty if split_of(path.name) == split] or list(empty)
        material = Material(part.bodies, _by_label(part.faces), part_of_empty)
        with _workers(processes, material) as spread:
            drawn = list(spread(partial(_draw, size, (seed, number), output), range(counts[split])))
        made.canvases[split] = len(drawn)
        for canvas in drawn:
            made.persons.update(person.face for person in canvas.persons)
            firsts = (int(person.emotions.argmax()) for person in canvas.persons if np.isfinite(person.emotions).all())
            made.labels.update(CAER_S[first] for first in firsts)
        samples = [_sample(output, canvas, size) for canvas in drawn]
        dataset = finish("own", output, split, "caer_s", CAER_S, False, samples, Findings())
        drafts = {"name": carried.name, "version": carried.model_version, "boxes": True, "emotions": True}
        whole_file.write_text(output / f"{split}.json", own.dumps(replace(dataset, prefilled_by=drafts)))
    return made


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A written canvas."""

    name: str
    persons: list[CanvasPerson]
    """As a detector finds them."""
    unknown: list[Array]
    """Boxes of which nothing shall be learnt."""


def _by_label(faces: Iterable[Face]) -> dict[str, list[Face]]:
    sorted_: dict[str, list[Face]] = {}
    for face in faces:
        sorted_.setdefault(face.label, []).append(face)
    return sorted_


def _sample(output: Path, canvas: _Canvas, size: tuple[int, int]) -> Sample | None:
    persons = [
        Annotation(
            canvas.name,
            _box(person.box),
            person.emotions,
            weight=person.weight if np.isfinite(person.emotions).all() else 1.0,
            face=person.face,
            face_box=None if person.face_box is None else _box(person.face_box),
        )
        for person in canvas.persons
    ]
    crowds = [_box(box) for box in canvas.unknown]
    path = output / canvas.name
    return assemble(
        canvas.name, path, persons, len(CAER_S), BoxKind.BODY, Findings(), exhaustive=True, crowds=crowds, size=size
    )


def _box(box: Array) -> Box:
    left, top, right, bottom = (round(float(edge), 2) for edge in box)
    return left, top, right, bottom


_teachers: Teachers | None = None
_material: Material | None = None


def _begin(material: Material | None) -> None:
    """In each process."""
    global _teachers, _material
    _teachers, _material = Teachers(), material


@contextmanager
def _workers(processes: int, material: Material | None = None) -> Iterator[Spread]:
    """What maps a function over jobs, in their order, by so many processes; one process is this one."""
    if processes == 1:
        _begin(material)
        yield map
        return
    # A fork of a process in which threads run (OpenCV's, torch's) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(material,)) as pool:
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
        elif usable(face):
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


def _draw(size: tuple[int, int], seed: tuple[int, int], output: Path, index: int) -> _Canvas:
    """Write one canvas."""
    assert _teachers is not None
    assert _material is not None
    random = np.random.default_rng([*seed, index])
    pixels, persons = compose(_material, *size, random)
    name = f"{SPLITS[seed[1]]}/{index:06}.jpg"
    path = output / name
    path.parent.mkdir(exist_ok=True)
    quality = int(random.integers(60, 96))
    _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    path.write_bytes(encoded.tobytes())
    return _Canvas(name, *as_detected(persons, _teachers.persons(image_files.read(path), FOUND)))


def as_detected(persons: list[CanvasPerson], boxes: Array) -> tuple[list[CanvasPerson], list[Array]]:
    """The persons who were put there, with the boxes [N,4] in which a detector finds them.

    Somebody who is found twice is learnt from twice; boxes around nobody have no face, and so has every detection in an
    empty picture.

    Returns:
        The persons, and the boxes of faces whose persons were not found: of these nothing shall be learnt.
    """
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
