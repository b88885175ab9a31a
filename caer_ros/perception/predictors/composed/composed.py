"""Persons and their emotions from several networks in a row: person, face, and one or two for the expression.

The peer of the single-shot models, not one of them: it looks at faces alone, and its cost grows with each person.
It reads an emotion only from a face that is there, large enough, visible and turned to the camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.bundle.bundle import FILES, BundleError
from caer_ros.perception.engine import UINT8, Engine, EngineSettings
from caer_ros.perception.imaging.resizing import squares
from caer_ros.perception.person import EmotionStatus, Person
from caer_ros.perception.prediction import Prediction, Stopwatch
from caer_ros.perception.predictors.composed import blazeface, nanodet
from caer_ros.perception.predictors.composed.expression_network import ExpressionNetwork
from caer_ros.perception.predictors.composed.expression_pair import ExpressionPair
from caer_ros.perception.predictors.composed.faces import assign, clipped, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.person import Array
    from caer_ros.perception.predictors.composed.blazeface import Face
    from caer_ros.perception.predictors.composed.face_crops import Reader


class Composed:
    """The predictor of bundles of kind "composed".

    Raises:
        BundleError: the bundle is of another kind, or its labels are not those of its networks.
        EngineError: a graph cannot run, or is not the network that it should be.
    """

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        if bundle.faces is None or bundle.kind != "composed":
            raise BundleError(f'{bundle.path}: kind is "{bundle.kind}", expected "composed"')
        self.bundle = bundle
        self._rules = bundle.faces
        self._detector = Engine(bundle.files["detector"].path, settings)
        self._face = Engine(bundle.files["face"].path, settings)
        self._detector.require(nanodet.INPUT, nanodet.SHAPE, nanodet.OUTPUTS, UINT8)
        self._face.require(blazeface.INPUT, blazeface.SHAPE, blazeface.OUTPUTS, UINT8)
        self._reader: Reader = (
            ExpressionPair(bundle, settings)
            if bundle.expression is None
            else ExpressionNetwork(bundle, bundle.expression, settings)
        )
        self._predictable = np.array(bundle.predictable)
        self.provider = self._detector.provider
        self._input = np.empty(nanodet.SHAPE, np.uint8)

    @property
    def engines(self) -> dict[str, Engine]:
        """The networks, by their names in the bundle's files."""
        return dict(zip(FILES["composed"], (self._detector, self._face), strict=True)) | self._reader.engines

    def warm_up(self) -> None:
        """Runs each network once on black."""
        black = np.zeros((nanodet.SIZE, nanodet.SIZE, 3), np.uint8)
        boxes = np.array([[0, 0, nanodet.SIZE, nanodet.SIZE]], np.float32)
        watch = Stopwatch()
        self.find_persons(black, self.bundle.thresholds.person, watch)
        self.find_faces(black, boxes, watch)
        self._reader.warm_up()

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
        boxes, scores = self.find_persons(image, lowest, watch)
        saturated = len(boxes) > self.bundle.max_persons
        best = slice(self.bundle.max_persons)
        persons = [self._person(box, float(score)) for box, score in zip(boxes[best], scores[best], strict=True)]
        if near := [person for person in persons if person.confidence >= readable]:
            self._look_at_faces(near, image, watch)
        return Prediction(persons, saturated, watch.seconds)

    def _person(self, box: Array, confidence: float) -> Person:
        unknown = np.full(len(self.bundle.labels), np.nan, np.float32)
        return Person(box, confidence, self.bundle.box_kind, unknown, EmotionStatus.NOT_PREDICTED)

    def find_persons(self, image: NDArray[np.uint8], lowest: float, watch: Stopwatch) -> tuple[Array, Array]:
        """Boxes [N,4] and scores [N] of persons that score ``lowest`` or more, in source pixels, best first."""
        fit = nanodet.encode(image, self._input)
        watch.done("resize")
        scores, sides = self._detector.run({nanodet.INPUT: self._input}, list(nanodet.OUTPUTS))
        watch.done("inference")
        found = nanodet.decode(scores, sides, fit, lowest, self._rules.person_nms)
        watch.done("post")
        return found

    def _look_at_faces(self, persons: list[Person], image: NDArray[np.uint8], watch: Stopwatch) -> None:
        """Fills in face, status and scores of the persons."""
        boxes = np.stack([person.box for person in persons])
        faces = self.find_faces(image, boxes, watch)
        readable: list[tuple[Person, Face]] = []
        for person, face in zip(persons, assign(boxes.tolist(), faces), strict=True):
            person.status = judge(face, image.shape, self._rules)
            if face is None:
                continue
            person.face_box = np.array(clipped(face.box, image.shape), np.float32)
            if person.status == EmotionStatus.OK:
                readable.append((person, face))
        watch.done("post")
        if readable:
            read = np.array([face.box for _, face in readable], np.float32)
            self.read([person for person, _ in readable], read, image, watch)

    def find_faces(
        self, image: NDArray[np.uint8], persons: Array, watch: Stopwatch, lowest: float | None = None
    ) -> list[Face]:
        """Faces in the squares at the top of the persons' boxes [N,4], in source pixels, best first.

        ``lowest``: of a face's score; None takes the bundle's.
        """
        width, height = (persons[:, 2:] - persons[:, :2]).T
        sides = np.maximum(width, height / 2)  # half of a standing body; wider where the arms or the pose are
        centres = np.stack([persons[:, 0] + width / 2, persons[:, 1] + 0.4 * sides], axis=1)  # from a tenth above
        searched = squares(image, centres, sides, blazeface.SIZE)
        watch.done("resize")
        logits, points = self._face.run({blazeface.INPUT: searched.pixels}, list(blazeface.OUTPUTS))
        watch.done("inference")
        faces = blazeface.decode(logits, points, searched, self._rules.face_score if lowest is None else lowest)
        watch.done("post")
        return faces

    def read(self, persons: list[Person], faces: Array, image: NDArray[np.uint8], watch: Stopwatch) -> None:
        """Fills in the emotions of persons with a readable face [N,4], all at once."""
        reading = self._reader(image, faces, watch)
        scores = reading.scores
        statuses = np.where(reading.agree, EmotionStatus.OK, EmotionStatus.UNCERTAIN)
        known = np.isfinite(scores[:, self._predictable]).sum(axis=1) == max(1, self._predictable.sum())
        statuses[~known] = EmotionStatus.NOT_PREDICTED
        scores[statuses == EmotionStatus.NOT_PREDICTED] = np.nan
        for index, (person, status) in enumerate(zip(persons, statuses.tolist(), strict=True)):
            person.scores, person.status = scores[index], EmotionStatus(status)
            if reading.vad is not None and status != EmotionStatus.NOT_PREDICTED:
                person.vad = reading.vad[index]
        watch.done("post")
