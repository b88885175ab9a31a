"""One canvas: tiles of people at many scales, some with other faces or hidden ones, as a camera would see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.data.people import hiding, transplant
from caer_ros.offline.data.people.source_pictures import BRIGHT, DARK
from caer_ros.perception.imaging.resizing import scaled
from caer_ros.perception.predictors.composed.blazeface import LEFT_EYE, RIGHT_EYE
from caer_ros.recordings.annotations import image_files
from caer_ros.taxonomy import CAER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.offline.data.people.source_pictures import Body, Face, SourceFace, SourcePerson
    from caer_ros.perception.person import Array

    Image = NDArray[np.uint8]
    Random = np.random.Generator

LAYOUTS = ((1, 0.13), (2, 0.22), (3, 0.25), (4, 0.2), (5, 0.2))
"""Tiles in a row and in a column, and how often."""
EMPTY = 0.04
"""Part of the tiles that show a picture without people, where there are such pictures."""
CLASSES = {"Neutral": 0.4, "Happy": 0.4, "Surprise": 0.08, "Sad": 0.04, "Anger": 0.04, "Disgust": 0.03, "Fear": 0.01}
"""How often a face of each label is put on a body; labels of which there is no face are left out."""
TRANSPLANTED, COVERED, PRINTED = 0.8, 0.2, 0.03
"""Part of the faces that are replaced by labelled ones; that are hidden; part of the persons with a face in print."""
READABLE_WIDTH, LEAST_WIDTH, SEEN_WIDTH = 20.0, 16.0, 7.0
"""Pixels of a face's width on the canvas: readable from the first on, unreadable below the second, not to be seen as a
face below the third."""
FRONTAL, TURNED = 40.0, 52.0
"""Degrees: a face can be read up to the first, and not from the second on; between, it is not known."""
REPLACED = 30.0
"""Degrees up to which a face can be replaced by another without a twist."""
ANY = 0.15
"""Part of the pictures that are taken whether a face can be replaced or not."""
BY_FACE, SMALLEST = 0.9, 14.0
"""Part of the pictures that are scaled such that a face has a certain width: from the second, in pixels, to half of the
tile, a small one as often as one twice as wide. The others are scaled by the body."""
MOST_ENLARGED = 7.0


@dataclass(frozen=True, slots=True)
class CanvasPerson:
    """A person on a canvas. Boxes xyxy in its pixels."""

    box: Array
    face_box: Array | None
    face: str
    """As in ``Sample.faces``."""
    emotions: Array
    """[7] in the order of ``CAER_S``; NaN unknown."""
    weight: float


@dataclass(frozen=True, slots=True)
class Material:
    """What canvases are made of."""

    bodies: Sequence[Body]
    faces: Mapping[str, Sequence[Face]]
    """By label, of those in ``CLASSES``."""
    empty: Sequence[Path]
    """Pictures without people."""


def compose(material: Material, height: int, width: int, random: Random) -> tuple[Image, list[CanvasPerson]]:
    """A canvas [H,W,3] RGB, and who is on it."""
    grid = int(random.choice([side for side, _ in LAYOUTS], p=[part for _, part in LAYOUTS]))
    canvas = np.zeros((height, width, 3), np.uint8)
    persons: list[CanvasPerson] = []
    for row in range(grid):
        for column in range(grid):
            top, bottom = row * height // grid, (row + 1) * height // grid
            left, right = column * width // grid, (column + 1) * width // grid
            tile = canvas[top:bottom, left:right]
            _fill_with_scene(tile, material, random)
            if random.random() >= EMPTY or not material.empty:
                shift = np.array([left, top, left, top], np.float32)
                persons += [_moved(person, shift) for person in _people(tile, material, random)]
    return seen_by_camera(canvas, random), persons


def _moved(person: CanvasPerson, shift: Array) -> CanvasPerson:
    face = None if person.face_box is None else person.face_box + shift
    return replace(person, box=person.box + shift, face_box=face)


def _fill_with_scene(tile: Image, material: Material, random: Random) -> None:
    """A picture without people, or a colour that runs from one side to the other."""
    height, width = tile.shape[:2]
    if material.empty and random.random() < 0.6:
        picture = _scene(material.empty[int(random.integers(len(material.empty)))])
        scale = max(height / picture.shape[0], width / picture.shape[1]) * random.uniform(1.0, 1.6)
        picture = scaled(picture, scale)
        top = int(random.integers(picture.shape[0] - height + 1))
        left = int(random.integers(picture.shape[1] - width + 1))
        tile[:] = picture[top : top + height, left : left + width]
        return
    ends = random.uniform(0, 255, (2, 3))
    line = np.linspace(0, 1, width)[None, :, None]
    tile[:] = np.clip(ends[0] * (1 - line) + ends[1] * line + random.normal(0, 4, (height, width, 1)), 0, 255)


@lru_cache(maxsize=32)
def _scene(path: Path) -> Image:
    return image_files.upright(path)[0]


def _people(tile: Image, material: Material, random: Random) -> list[CanvasPerson]:
    """Put a picture of people on a tile."""
    body = _body(material.bodies, random)
    picture = image_files.upright(body.path)[0]
    persons = list(body.persons)
    if random.random() < 0.5:
        picture, persons = np.ascontiguousarray(picture[:, ::-1]), [_mirrored(p, picture.shape[1]) for p in persons]
    height, width = tile.shape[:2]
    main = persons[0]
    scale, x, y = _framing(main, height, width, random)
    # The part of the picture that the tile shows, in pixels of the picture.
    origin = np.array([x[0] - x[1] / scale, y[0] - y[1] / scale])
    low = np.maximum(np.floor(origin), 0).astype(int)
    high = np.minimum(np.ceil(origin + np.array([width, height]) / scale), picture.shape[1::-1]).astype(int)
    if (high - low < 2).any():
        return []
    part = scaled(picture[low[1] : high[1], low[0] : high[0]], scale)
    left, top = (round(float(value)) for value in (low - origin) * scale)
    part = part[max(0, -top) : height - top, max(0, -left) : width - left]
    first = (max(0, left), max(0, top))
    tile[first[1] : first[1] + part.shape[0], first[0] : first[0] + part.shape[1]] = part
    shown = np.array([*first, first[0] + part.shape[1], first[1] + part.shape[0]], np.float32)
    found = []
    for person in persons:
        box = np.asarray((np.array(person.box) - np.tile(low, 2)) * scale + (left, top, left, top), np.float32)
        found.append(_person(tile, person, box, scale, (low, left, top), shown, material, random))
    return [person for person in found if person is not None]


def _body(bodies: Sequence[Body], random: Random) -> Body:
    """One whose nearest person has a face that can be replaced, or, by ``ANY``, whichever."""
    for _ in range(1 if random.random() < ANY else 8):
        body = bodies[int(random.integers(len(bodies)))]
        face = body.persons[0].face
        if face is not None and face.yaw <= REPLACED:
            break
    return body


def _framing(
    main: SourcePerson, height: int, width: int, random: Random
) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Scale of the picture, and x and y of one of its points, each with where on the tile that point comes."""
    left, top, right, bottom = main.box
    across = ((left + right) / 2, width * random.uniform(0.25, 0.75))
    if main.face is not None and random.random() < BY_FACE:
        wide = main.face.box[2] - main.face.box[0]
        middle = ((main.face.box[0] + main.face.box[2]) / 2, (main.face.box[1] + main.face.box[3]) / 2)
        scale = min(np.exp(random.uniform(np.log(SMALLEST), np.log(height / 2))) / wide, MOST_ENLARGED)
        # A near face is in the middle, such as at a desk; of a far one there is a body below.
        part = min(1.0, scale * wide / (height / 2))
        low, high = 0.12 + 0.2 * part, 0.35 + 0.2 * part
        return scale, (middle[0], across[1]), (middle[1], height * random.uniform(low, high))
    if random.random() < 0.5:
        scale = min(height * random.uniform(1.1, 2.2) / (bottom - top), MOST_ENLARGED)
        return scale, across, (top, height * random.uniform(0, 0.25))
    scale = min(height * random.uniform(0.6, 1.0) / (bottom - top), MOST_ENLARGED)
    return scale, across, ((top + bottom) / 2, height * random.uniform(0.45, 0.6))


def _person(
    tile: Image,
    person: SourcePerson,
    box: Array,
    scale: float,
    place: tuple[NDArray[np.intp], int, int],
    shown: Array,
    material: Material,
    random: Random,
) -> CanvasPerson | None:
    """A person on the tile, perhaps with another face or a hidden one; None where too little of them is there."""
    unknown = np.full(len(CAER_S), np.nan, np.float32)
    visible = np.concatenate([np.maximum(box[:2], shown[:2]), np.minimum(box[2:], shown[2:])])
    if (visible[2:] - visible[:2] < 4).any():
        return None
    if random.random() < PRINTED and material.faces:
        _print(tile, box, _drawn(material.faces, random), random)
    face = person.face
    if face is None:
        return CanvasPerson(visible, None, "none" if person.faceless else "", unknown, 1.0)
    low, left, top = place
    points = np.asarray((face.points - low) * scale + (left, top), np.float32)
    face_box = np.asarray((np.array(face.box) - np.tile(low, 2)) * scale + (left, top, left, top), np.float32)
    inside = np.prod(np.clip(np.minimum(face_box[2:], shown[2:]) - np.maximum(face_box[:2], shown[:2]), 0, None))
    part = float(inside / np.prod(face_box[2:] - face_box[:2]))
    if part < 0.1:
        return CanvasPerson(visible, None, "none", unknown, 1.0)
    sight, emotions, weight = _sight(face), face.emotions, face.weight
    eyes = float(np.hypot(*(points[LEFT_EYE] - points[RIGHT_EYE])))
    if face.yaw <= REPLACED and material.faces and random.random() < TRANSPLANTED and eyes >= 3:
        new = _drawn(material.faces, random)
        light = random.uniform(0.4, 1.0)
        transplant.onto(tile, points, image_files.upright(new.path)[0], new.face.points, light)
        sight = _sight(new.face)
        emotions, weight = new.face.emotions, new.face.weight
    if random.random() < COVERED:
        sight = "hidden" if hiding.cover(tile, points, random) else "none"
    wide = float(face_box[2] - face_box[0])
    if part < 0.9:
        sight = "hidden" if 0.3 < part < 0.75 and sight != "none" else ("none" if sight == "none" else "")
    if wide < READABLE_WIDTH and sight == "readable":
        sight = "hidden" if wide < LEAST_WIDTH else ""
    if wide < SEEN_WIDTH:
        sight = ""
    told = emotions if sight == "readable" else unknown
    return CanvasPerson(visible, None if sight == "none" else face_box, sight, told, weight)


def _sight(face: SourceFace) -> str:
    """Whether a face can be read, as in ``Sample.faces``."""
    if face.yaw >= TURNED or face.eyes < DARK:
        return "hidden"
    return "readable" if face.yaw <= FRONTAL and face.eyes > BRIGHT else ""


def _drawn(faces: Mapping[str, Sequence[Face]], random: Random) -> Face:
    """A face of a label that is drawn by ``CLASSES``."""
    labels = [label for label in CLASSES if label in faces]
    parts = np.array([CLASSES[label] for label in labels])
    of_label = faces[labels[int(random.choice(len(labels), p=parts / parts.sum()))]]
    return of_label[int(random.integers(len(of_label)))]


def _print(tile: Image, box: Array, face: Face, random: Random) -> None:
    """A face that is no person's: printed on the clothes."""
    side = int(min(box[2] - box[0], box[3] - box[1]) * random.uniform(0.25, 0.5))
    x = int((box[0] + box[2]) / 2 - side / 2)
    y = int(box[1] + (box[3] - box[1]) * random.uniform(0.35, 0.5))
    if side < 8 or x < 0 or y < 0 or x + side > tile.shape[1] or y + side > tile.shape[0]:
        return
    picture, _ = image_files.upright(face.path)
    tile[y : y + side, x : x + side] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _mirrored(person: SourcePerson, width: int) -> SourcePerson:
    left, top, right, bottom = person.box
    face = person.face
    if face is not None:
        points = np.stack([width - face.points[:, 0], face.points[:, 1]], 1)[[1, 0, 2, 3, 5, 4]]
        a, b, c, d = face.box
        face = replace(face, box=(width - c, b, width - a, d), points=np.asarray(points, np.float32))
    return replace(person, box=(width - right, top, width - left, bottom), face=face)


def seen_by_camera(canvas: Image, random: Random) -> Image:
    """Light, colours, blur and noise of some camera."""
    image = canvas.astype(np.float32)
    if random.random() < 0.15:
        image[:] = image.mean(2, keepdims=True)
    elif random.random() < 0.5:
        image *= random.uniform(0.85, 1.15, 3)
    if random.random() < 0.6:
        image = (image - 128) * random.uniform(0.7, 1.25) + 128 + random.uniform(-35, 35)
    image = np.asarray(np.clip(image, 0, 255), np.float32)
    if random.random() < 0.4:
        image = np.asarray(255 * (image / 255) ** random.uniform(0.65, 1.6), np.float32)
    if random.random() < 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 1.2)), np.float32)
    if random.random() < 0.3:
        image += random.normal(0, random.uniform(1, 8), image.shape).astype(np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
