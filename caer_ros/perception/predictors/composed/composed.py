"""Persons and their emotions from four networks in a row: person, face, and two for the expression.

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
from caer_ros.perception.predictors.composed import blazeface, expression, nanodet
from caer_ros.perception.predictors.composed.faces import assign, clipped, judge
from caer_ros.taxonomy import CAER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.person import Array
    from caer_ros.perception.predictors.composed.blazeface import Face


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
        self._detector.require(nanodet.INPUT, nanodet.SHAPE, nanodet.OUTPUTS, UINT8)
        self._face.require(blazeface.INPUT, blazeface.SHAPE, blazeface.OUTPUTS, UINT8)
        self._grey.require(expression.INPUT, expression.GREY_SHAPE, expression.OUTPUTS, UINT8)
        self._colour.require(expression.INPUT, expression.COLOUR_SHAPE, expression.OUTPUTS, UINT8)
        self.provider = self._detector.provider
        self._input = np.empty(nanodet.SHAPE, np.uint8)

    @property
    def engines(self) -> dict[str, Engine]:
        """The four networks, by their names in the bundle's files."""
        engines = (self._detector, self._face, self._grey, self._colour)
        return dict(zip(FILES["composed"], engines, strict=True))

    def warm_up(self) -> None:
        """Runs each network once on black."""
        black = np.zeros((nanodet.SIZE, nanodet.SIZE, 3), np.uint8)
        boxes = np.array([[0, 0, nanodet.SIZE, nanodet.SIZE]], np.float32)
        watch = Stopwatch()
        self.find_persons(black, self.bundle.thresholds.person, watch)
        self.find_faces(black, boxes, watch)
        self.read([self._person(boxes[0], 1.0)], boxes, black, watch)

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
        grey = expression.encode_grey(image, faces)
        colour = expression.encode_colour(image, faces)
        watch.done("resize")
        (grey_scores,) = self._grey.run({expression.INPUT: grey}, [expression.OUTPUT])
        (colour_scores,) = self._colour.run({expression.INPUT: colour}, [expression.OUTPUT])
        watch.done("inference")
        scores, agree = expression.decode(grey_scores, colour_scores, self.bundle.labels)
        statuses = np.where(agree, EmotionStatus.OK, EmotionStatus.UNCERTAIN)
        statuses[~np.isfinite(scores).all(axis=1)] = EmotionStatus.NOT_PREDICTED
        scores[statuses == EmotionStatus.NOT_PREDICTED] = np.nan
        for person, person_scores, status in zip(persons, scores, statuses.tolist(), strict=True):
            person.scores, person.status = person_scores, EmotionStatus(status)
        watch.done("post")
