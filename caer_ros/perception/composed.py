"""Persons and their emotions from four networks in a row: person, face, and two for the expression.

The peer of the single-shot models, not one of them: it looks at faces alone, and its cost grows with each person.
It reads an emotion only from a face that is there, large enough, visible and turned to the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception import blazeface, expression, nanodet
from caer_ros.perception.boxes import iou
from caer_ros.perception.bundle import BundleError
from caer_ros.perception.engine import Engine, EngineSettings
from caer_ros.perception.person import EmotionStatus, Person
from caer_ros.perception.prediction import Prediction, Stopwatch
from caer_ros.perception.resizing import square
from caer_ros.taxonomy import CAER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.bundle import Bundle, FaceRules
    from caer_ros.perception.person import Array

_SAME_FACE = 0.3  # IoU of two face boxes that show one face, found in the crops of two persons


@dataclass(frozen=True, slots=True)
class Face:
    """A face in the source image: box [4] xyxy in its pixels, score 0..1, yaw in degrees."""

    box: Array
    score: float
    yaw: float


class Composed:
    """The predictor of bundles of kind "composed".

    Raises:
        BundleError: the bundle is of another kind, or its labels are not the networks' seven.
        EngineError: a graph cannot run, or is not the network that it should be.
    """

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        if bundle.faces is None or bundle.kind != "composed":
            raise BundleError(f'{bundle.path}: kind is "{bundle.kind}", expected "composed"')
        if set(bundle.labels) != set(CAER_S) or not all(bundle.predictable):
            raise BundleError(
                f"{bundle.path}: labels: a composed bundle predicts these seven, no others: {', '.join(CAER_S)}"
            )
        self.bundle = bundle
        self._rules = bundle.faces
        self._detector = Engine(bundle.files["detector"].path, settings)
        self._face = Engine(bundle.files["face"].path, settings)
        self._grey = Engine(bundle.files["expression_grey"].path, settings)
        self._colour = Engine(bundle.files["expression_colour"].path, settings)
        self._detector.require(nanodet.INPUT, nanodet.SHAPE, nanodet.OUTPUTS)
        self._face.require(blazeface.INPUT, blazeface.SHAPE, blazeface.OUTPUTS)
        self._grey.require(expression.GREY_INPUT, expression.GREY_SHAPE, expression.OUTPUTS)
        self._colour.require(expression.COLOUR_INPUT, expression.COLOUR_SHAPE, expression.OUTPUTS)
        self.provider = self._detector.provider
        self._blob = np.empty(nanodet.SHAPE, np.float32)

    def warm_up(self) -> None:
        """Runs each network once on black."""
        black = np.zeros((nanodet.SIZE, nanodet.SIZE, 3), np.uint8)
        box = np.array([0, 0, nanodet.SIZE, nanodet.SIZE], np.float32)
        watch = Stopwatch()
        self._find_persons(black, self.bundle.thresholds.person, watch)
        self._find_faces(black, box, watch)
        self._read([self._person(box, 1.0)], [box], black, watch)

    def __call__(
        self,
        images: Sequence[NDArray[np.uint8]],
        min_confidence: float | None = None,
        emotion_confidence: float | None = None,
    ) -> list[Prediction]:
        """See ``predictor.Predictor``. The networks for persons and faces take one image at a time."""
        own = self.bundle.thresholds.person
        lowest = own if min_confidence is None else min_confidence
        readable = own if emotion_confidence is None else emotion_confidence
        return [self._predict(image, lowest, readable) for image in images]

    def _predict(self, image: NDArray[np.uint8], lowest: float, readable: float) -> Prediction:
        watch = Stopwatch()
        boxes, scores = self._find_persons(image, lowest, watch)
        saturated = len(boxes) > self.bundle.max_persons
        best = slice(self.bundle.max_persons)
        persons = [self._person(box, float(score)) for box, score in zip(boxes[best], scores[best], strict=True)]
        self._look_at_faces([person for person in persons if person.confidence >= readable], image, watch)
        return Prediction(persons, saturated, watch.seconds)

    def _person(self, box: Array, confidence: float) -> Person:
        unknown = np.full(len(self.bundle.labels), np.nan, np.float32)
        return Person(box, confidence, self.bundle.box_kind, unknown, EmotionStatus.NOT_PREDICTED)

    def _find_persons(self, image: NDArray[np.uint8], lowest: float, watch: Stopwatch) -> tuple[Array, Array]:
        fit = nanodet.encode(image, self._blob)
        watch.done("resize")
        outputs = self._detector.run({nanodet.INPUT: self._blob}, nanodet.SCORES + nanodet.SIDES)
        watch.done("inference")
        found = nanodet.decode(outputs[:3], outputs[3:], fit, lowest, self._rules.person_nms)
        watch.done("post")
        return found

    def _look_at_faces(self, persons: list[Person], image: NDArray[np.uint8], watch: Stopwatch) -> None:
        """Fills in face, status and scores of the persons."""
        candidates = [self._find_faces(image, person.box, watch) for person in persons]
        readable: list[Person] = []
        squares: list[Array] = []
        for person, face in zip(persons, assign([person.box for person in persons], candidates), strict=True):
            person.status = judge(face, image.shape, self._rules)
            if face is not None:
                person.face_box = _clipped(face.box, image.shape)
            if face is not None and person.status == EmotionStatus.OK:
                readable.append(person)
                squares.append(face.box)
        watch.done("post")
        if readable:
            self._read(readable, squares, image, watch)

    def _find_faces(self, image: NDArray[np.uint8], person: Array, watch: Stopwatch) -> list[Face]:
        """Faces in the square at the top of a person's box, in source pixels, best first."""
        left, top, right, bottom = (float(edge) for edge in person)
        side = max(right - left, (bottom - top) / 2)  # half of a standing body; wider where the arms or the pose are
        search = square(image, ((left + right) / 2, top + 0.4 * side), side, blazeface.SIZE)  # a tenth above the box
        blob = blazeface.encode(search.pixels)
        watch.done("resize")
        outputs = self._face.run({blazeface.INPUT: blob}, blazeface.SCORES + blazeface.BOXES)
        watch.done("inference")
        found = blazeface.decode(outputs[:2], outputs[2:], self._rules.face_score)
        boxes = search.to_source(found.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        faces = [
            Face(box, float(score), blazeface.yaw(keypoints))
            for box, score, keypoints in zip(boxes, found.scores, found.keypoints, strict=True)
        ]
        watch.done("post")
        return faces

    def _read(self, persons: list[Person], faces: list[Array], image: NDArray[np.uint8], watch: Stopwatch) -> None:
        """Fills in the emotions of persons with a readable face, all at once."""
        grey = expression.encode_grey(image, faces)
        colour = expression.encode_colour(image, faces)
        watch.done("resize")
        (grey_scores,) = self._grey.run({expression.GREY_INPUT: grey}, [expression.OUTPUT])
        (colour_scores,) = self._colour.run({expression.COLOUR_INPUT: colour}, [expression.OUTPUT])
        watch.done("inference")
        scores, agree = expression.decode(grey_scores, colour_scores, self.bundle.labels)
        for person, person_scores, same in zip(persons, scores, agree, strict=True):
            person.scores = person_scores
            person.status = EmotionStatus.OK if same else EmotionStatus.UNCERTAIN
            if not np.isfinite(person_scores).all():
                person.scores, person.status = np.full_like(person_scores, np.nan), EmotionStatus.NOT_PREDICTED
        watch.done("post")


def judge(face: Face | None, shape: tuple[int, ...], rules: FaceRules) -> EmotionStatus:
    """Whether a face in an image of ``shape`` (height, width, ...) can be read: OK, or why not."""
    if face is None:
        return EmotionStatus.NO_FACE
    inside = _clipped(face.box, shape)
    if _area(inside) < rules.min_visible * _area(face.box) or abs(face.yaw) > rules.max_yaw:
        return EmotionStatus.PROFILE_OR_OCCLUDED
    if face.box[2] - face.box[0] < rules.min_face:
        return EmotionStatus.TOO_SMALL
    return EmotionStatus.OK


def assign(persons: Sequence[Array], candidates: Sequence[Sequence[Face]]) -> list[Face | None]:
    """One face for each person at most, and no face for two: the best pairs first.

    Args:
        persons: boxes [4] xyxy.
        candidates: for each person, the faces found in the upper part of the box; where persons overlap, the same face
            is among those of several.
    """
    pairs = [
        (face.score - _distance(box, face), person, face)
        for person, (box, faces) in enumerate(zip(persons, candidates, strict=True))
        for face in faces
        if _centre_inside(box, face)
    ]
    chosen: list[Face | None] = [None] * len(persons)
    taken = np.empty((0, 4), np.float32)
    for _, person, face in sorted(pairs, key=lambda pair: -pair[0]):
        if chosen[person] is None and not (iou(face.box[None], taken) > _SAME_FACE).any():
            chosen[person] = face
            taken = np.concatenate([taken, face.box[None]])
    return chosen


def _distance(person: Array, face: Face) -> float:
    """How far a face is from where a head is expected, the middle of the top edge, in widths of the person."""
    x = (face.box[0] + face.box[2] - person[0] - person[2]) / 2
    y = max(0.0, float(face.box[1] - person[1]))
    return float(np.hypot(x, y) / (person[2] - person[0]))


def _centre_inside(person: Array, face: Face) -> bool:
    x, y = (face.box[:2] + face.box[2:]) / 2
    return bool(person[0] <= x <= person[2] and person[1] <= y <= person[3])


def _clipped(box: Array, shape: tuple[int, ...]) -> Array:
    height, width = shape[:2]
    clipped: Array = np.clip(box, 0, np.array([width, height, width, height], np.float32))
    return clipped


def _area(box: Array) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
