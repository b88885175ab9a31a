"""Pictures of one standing person each, whose head another takes: which of them suit, and where the person is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.data.people.people_splits import split_of
from caer_ros.offline.evaluation.portraits import known_faces, portrait_set
from caer_ros.perception.boxes import iou
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.perception.person import Array, Person
    from caer_ros.perception.predictors.composed.blazeface import Face
    from caer_ros.perception.predictors.composed.composed import Composed

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float64]

MIN_FACE = 20.0
"""Width in pixels of the narrowest face that tells where the head is."""
MAX_YAW, MAX_ROLL = 15.0, 12.0
"""Degrees: a head from the front on shoulders that are turned away looks wrong."""
MIN_TALL = 6.0
"""Height of a person in widths of their face: less is not a standing person."""
MARGIN = 0.15
"""Around a person's box, as a part of its width: what is nearer does not belong to the background."""
_NEIGHBOUR = 0.05
"""IoU from which another person is in the way, ..."""
_BYSTANDER = 0.5
"""... or part of the person's height from which they are, wherever they stand, ..."""
_SUSPECTED = 0.5
"""... be they found with no more than this part of the threshold for persons."""


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """A street scene with one person in front, whose head is taken away."""

    name: str
    pixels: Image
    """RGB [H,W,3] as photographed."""
    headless: Image
    """The same with the head filled in from around it."""
    street: Image
    """The same without the person, filled in from both sides."""
    face: Face
    box: Floats
    """[4] xyxy of the person, in pixels."""


def bodies(finder: Composed, folder: Path, split: str, seed: int, notes: dict[str, list[str]]) -> Iterator[Body]:
    """The scenes that suit, in the random order of ``seed``, each when it is asked for.

    Args:
        finder: the bundle ``bootstrap``: it finds person and face. The persons it does not find are never used.
        folder: pictures.
        split: "train", "val" or "test" of ``people_splits``, or "all".
        seed: of the order.
        notes: gets the names of pictures that do not suit, by the reason.

    Raises:
        DatasetError: the folder has no picture of that split.
    """
    paths = [path for path in image_files.pictures_in(folder) if split in ("all", split_of(path.name))]
    if not paths:
        raise DatasetError(f"{folder}: none of its pictures is of the split {split!r}; see --scenes-split")
    random.Random(seed).shuffle(paths)
    for path, pixels in portrait_set.readable(paths, notes):
        body = _body(finder, path.name, pixels)
        if isinstance(body, str):
            notes.setdefault(body, []).append(path.name)
        else:
            yield body


def _body(finder: Composed, name: str, pixels: Image) -> Body | str:
    """The body of a picture, or why it does not suit."""
    sure = finder.bundle.thresholds.person
    (found,) = finder([pixels], min_confidence=_SUSPECTED * sure, emotion_confidence=sure)
    persons = sorted((person for person in found.persons if person.confidence >= sure), key=_height, reverse=True)
    person = persons[0] if persons else None
    if person is None or person.face_box is None:
        return "no person with a face"
    x_min, y_min, x_max, y_max = person.face_box.tolist()
    near = ((x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min)
    face = known_faces.face_in(finder.engines["face"], pixels, near)
    if face is None:
        return "no clear face"
    width = known_faces.width_of(face)
    if width < MIN_FACE:
        return "face too small"
    if abs(face.yaw) > MAX_YAW or abs(known_faces.roll(face)) > MAX_ROLL:
        return "face turned or leaning"
    if _height(person) < MIN_TALL * width:
        return "body not whole"
    if any(_overlaps(other, person) for other in persons[1:]) or any(_beside(one, person) for one in found.persons):
        return "another person in the way"
    return Body(
        name,
        pixels,
        without_head(pixels, face),
        without_person(pixels, person.box, face),
        face,
        person.box.astype(np.float64),
    )


def _overlaps(other: Person, person: Person) -> bool:
    return float(iou(person.box[None], other.box[None])[0, 0]) > _NEIGHBOUR


def _beside(other: Person, person: Person) -> bool:
    """Whether somebody beside the person is so large that the mirrored street would be full of them."""
    middle = float(other.box[0] + other.box[2]) / 2  # in the person's box it may be the person again
    return not person.box[0] < middle < person.box[2] and _height(other) > _BYSTANDER * _height(person)


def _height(person: Person) -> float:
    return float(person.box[3] - person.box[1])


def without_head(pixels: Image, face: Face) -> Image:
    """The picture with hair, hat and ears around a face filled in from around the head, down to the chin."""
    x, y = known_faces.middle(face)
    width = known_faces.width_of(face)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    place, axes = (round(x), round(y - 0.3 * width)), (round(1.1 * width), round(1.2 * width))
    cv2.ellipse(mask, place, axes, 0, 0, 360, 255, -1)
    mask[round(y + 0.55 * width) :] = 0
    return np.asarray(cv2.inpaint(pixels, mask, 3, cv2.INPAINT_TELEA), np.uint8)


def without_person(pixels: Image, box: Floats | Array, face: Face) -> Image:
    """The picture with the person filled in by what is beside them, mirrored, from left and right.

    Above the head and below the feet it stays as it is, so that its edges fit those of the picture.
    """
    width = pixels.shape[1]
    margin = MARGIN * (box[2] - box[0])
    start, end = max(1, int(box[0] - margin)), min(width - 1, int(box[2] + margin) + 1)
    at = np.arange(start, end)
    left = pixels[:, start - 1 - folded(at - start, start)].astype(np.float32)
    right = pixels[:, end + folded(end - 1 - at, width - end)].astype(np.float32)
    share = np.linspace(0, 1, len(at), dtype=np.float32)[:, None]
    if width - end < start / 3:  # too narrow to be mirrored: all from the other side
        share = np.zeros_like(share)
    elif start < (width - end) / 3:
        share = np.ones_like(share)
    filled = left * (1 - share) + right * share
    above = max(2.0, min(float(box[1]), float(known_faces.middle(face)[1]) - 1.5 * known_faces.width_of(face)))
    below = max(2.0, pixels.shape[0] - float(box[3]))
    rows = np.arange(pixels.shape[0], dtype=np.float32)
    weight = np.clip(np.minimum(rows / above, rows[::-1] / below), 0, 1)[:, None, None]
    street = pixels.copy()
    street[:, start:end] = np.rint(weight * filled + (1 - weight) * pixels[:, start:end])
    return street


def folded(distance: NDArray[np.integer], length: int) -> NDArray[np.int64]:
    """Distances 0, 1, … as they go to and fro on ``length`` pixels."""
    turn = np.asarray(distance, np.int64) % (2 * length)
    return np.minimum(turn, 2 * length - 1 - turn)
