"""What is known of the pictures that canvases are made of: persons and faces by the carried networks, labels by people.

A *body* is a picture of people, whose faces can be replaced; a *face* is a close crop of one, with labels by people.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.data.people.people_splits import split_of
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.person import BoxKind, EmotionStatus, Person
from caer_ros.perception.prediction import Stopwatch
from caer_ros.perception.predictors.composed.blazeface import LEFT_EYE, NOSE, RIGHT_EYE
from caer_ros.perception.predictors.composed.composed import Composed
from caer_ros.perception.predictors.composed.faces import assign
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import CAER_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.perception.person import Array
    from caer_ros.perception.predictors.composed.blazeface import Box

    Image = NDArray[np.uint8]

CARRIED = "bootstrap"
"""The bundle whose networks look at the pictures."""
HUMAN = 0.85
"""How much a label by people counts; the rest is what the networks believe, which alone are poor teachers."""
BELIEVED = 0.35
"""Weight of a face of which only the networks' belief is known."""
PERSON = 0.4
"""Lowest score of a person in a picture of bodies."""
DOUBTFUL = 0.15
"""A face of a lower score is none; one between this and the bundle's threshold is not known to be one."""
DARK, BRIGHT = 0.45, 0.65
"""Brightness of the eyes, in that of the face: below, they are covered, by dark glasses; between, it is not known."""
STRAIGHT = 30.0
"""Degrees from the camera up to which a labelled face is put on bodies."""
WORDS = {
    "neutral": "Neutral", "happiness": "Happy", "happy": "Happy", "surprise": "Surprise", "sadness": "Sad",
    "sad": "Sad", "anger": "Anger", "disgust": "Disgust", "fear": "Fear",
}  # fmt: skip
"""Words for labels in files, and the labels of ``CAER_S``."""


@dataclass(frozen=True, slots=True)
class SourceFace:
    """A face in a picture."""

    box: Box
    points: Array
    """[6,2] keypoints of BlazeFace."""
    yaw: float
    """Degrees from the camera."""
    eyes: float
    """Brightness of the eyes, in that of the face."""
    emotions: Array
    """[7] in the order of ``CAER_S``: what is believed of it; NaN where nothing is."""
    weight: float
    """How much that counts, 0..1."""


@dataclass(frozen=True, slots=True)
class SourcePerson:
    """A person in a picture of bodies."""

    box: Box
    face: SourceFace | None
    faceless: bool
    """Is it known that no face is to be seen? False with a face, and where one is suspected."""


@dataclass(frozen=True, slots=True)
class Body:
    """A picture of people, the nearest first."""

    path: Path
    persons: tuple[SourcePerson, ...]


@dataclass(frozen=True, slots=True)
class Face:
    """A close crop of a face, labelled by people."""

    path: Path
    face: SourceFace
    label: str
    """The label that most annotators gave."""


@dataclass(slots=True)
class Found:
    """What was found in folders, and what was not usable, by the reason."""

    bodies: list[Body] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def of(self, split: str) -> Found:
        """Those of one split."""
        bodies = [body for body in self.bodies if split_of(body.path.stem) == split]
        return Found(bodies, [face for face in self.faces if split_of(face.path.stem) == split])


class Teachers:
    """The carried networks: persons, faces, and what two expression networks believe of a face.

    Raises:
        BundleError, EngineError: the bundle "bootstrap" is not there, or does not run.
    """

    def __init__(self) -> None:
        self.composed = Composed(read_bundle(find_bundle(CARRIED)), EngineSettings(device="cpu", threads=1))
        rules = self.composed.bundle.faces
        assert rules is not None  # of every composed bundle
        self._sure = rules.face_score

    def persons(self, image: Image, lowest: float = PERSON) -> Array:
        """Boxes [N,4] of persons in an image [H,W,3] RGB."""
        return self.composed.find_persons(image, lowest, Stopwatch())[0]

    def body(self, path: Path) -> Body:
        """The people of a picture. Raises DatasetError where it cannot be read."""
        image, _ = image_files.upright(path)
        boxes = self.persons(image)
        if not len(boxes):
            return Body(path, ())
        found = self.composed.find_faces(image, boxes, Stopwatch(), DOUBTFUL)
        assigned = assign(boxes.tolist(), found)
        sure = [face for face in assigned if face is not None and face.score >= self._sure]
        beliefs = iter(self._beliefs(image, np.array([face.box for face in sure], np.float32).reshape(-1, 4)))
        persons = []
        for box, face in zip(boxes.tolist(), assigned, strict=True):
            is_sure = face is not None and face.score >= self._sure
            told = None
            if face is not None and is_sure:
                points = np.array(face.keypoints, np.float32)
                told = SourceFace(face.box, points, abs(face.yaw), brightness(image, points), next(beliefs), BELIEVED)
            persons.append(SourcePerson(tuple(box), told, faceless=face is None))
        persons.sort(key=lambda person: -(person.box[2] - person.box[0]) * (person.box[3] - person.box[1]))
        return Body(path, tuple(persons))

    def face(self, path: Path, votes: Mapping[str, float]) -> Face | None:
        """A close crop and what annotators said of it; None where no face is found. Raises DatasetError."""
        image, _ = image_files.upright(path)
        height, width = image.shape[:2]
        side = 1.4 * max(height, width)  # BlazeFace wants to see around a face
        x, y = width / 2, height / 2
        box = np.array([[x - side / 2, y - 0.4 * side, x + side / 2, y + 1.6 * side]], np.float32)
        found = self.composed.find_faces(image, box, Stopwatch(), self._sure)
        if not found:
            return None
        best = max(found, key=lambda face: face.score * (face.box[2] - face.box[0]))
        belief = self._beliefs(image, np.array([best.box], np.float32))[0]
        told = np.array([votes.get(label, 0.0) for label in CAER_S], np.float32)
        told /= told.sum()
        points = np.array(best.keypoints, np.float32)
        emotions = HUMAN * told + (1 - HUMAN) * belief if np.isfinite(belief).all() else told
        face = SourceFace(best.box, points, abs(best.yaw), brightness(image, points), emotions, 1.0)
        return Face(path, face, max(votes, key=votes.__getitem__))

    def _beliefs(self, image: Image, faces: Array) -> list[Array]:
        nothing = np.full(len(CAER_S), np.nan, np.float32)
        persons = [Person(face, 1.0, BoxKind.FACE, nothing, EmotionStatus.NOT_PREDICTED) for face in faces]
        if persons:
            self.composed.read(persons, faces, image, Stopwatch())
        return [person.scores for person in persons]


def brightness(image: Image, points: Array) -> float:
    """How bright the eyes are, in the brightness of the nose's surroundings: dark glasses are below ``DARK``."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    distance = float(np.hypot(*(points[LEFT_EYE] - points[RIGHT_EYE])))
    eyes = [_mean(grey, points[eye], 0.18 * distance) for eye in (LEFT_EYE, RIGHT_EYE)]
    return float(np.mean(eyes)) / max(_mean(grey, points[NOSE], 0.3 * distance), 1.0)


def _mean(grey: NDArray[np.uint8], centre: Array, radius: float) -> float:
    (x, y), radius = centre, max(radius, 1)
    left, top = (max(0, int(value - radius)) for value in (x, y))
    part = grey[top : max(int(y + radius) + 1, top + 1), left : max(int(x + radius) + 1, left + 1)]
    return float(part.mean()) if part.size else 0.0


def read_labels(file: Path) -> dict[str, dict[str, float]]:
    """What annotators said: each picture's name, and how many gave which label of ``CAER_S``.

    The file is a CSV with columns ``file`` and ``labels``; labels of several annotators are separated by ";".

    Raises:
        DatasetError: a column is missing, or a word is none of ``WORDS``; contempt is left out, as there is no such
            label.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file}: {error}") from error
    if not rows or not {"file", "labels"} <= rows[0].keys():
        raise DatasetError(f"{file}: columns file and labels are expected, with at least one row")
    told: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows, start=2):
        words = [word.strip().lower() for word in (row["labels"] or "").split(";") if word.strip()]
        if unknown := [word for word in words if word not in WORDS and word != "contempt"]:
            raise DatasetError(f"{file}: row {number}: {unknown[0]!r} is no label; there are {', '.join(WORDS)}")
        votes = Counter(WORDS[word] for word in words if word in WORDS)
        if votes:
            told[row["file"]] = dict(votes)
    return told


def usable(face: Face) -> bool:
    """Does it look at the camera with open eyes?"""
    return face.face.yaw <= STRAIGHT and face.face.eyes > DARK
