"""The usual way to read emotions in context, as a peer in benchmarks: a detector, then a network for each person.

Persons by the bootstrap bundle's NanoDet; emotions by a network of two branches after Kosti et al., "Context Based
Emotion Recognition using EMOTIC Dataset", TPAMI 2019: one looks at the person's body, one at the whole image. All
bodies of an image run as one batch, and the image is looked at once for all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.perception.engine import UINT8, Engine, EngineSettings
from caer_ros.perception.person import EmotionStatus, Person, ScoreType
from caer_ros.perception.prediction import Prediction, Stopwatch
from caer_ros.perception.predictors.composed import nanodet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.person import Array

BODIES, SCENE, OUTPUT = "bodies", "scene", "emotion_scores"
"""Inputs uint8 [N,h,w,3] and [1,h,w,3] RGB; output [N,E], probabilities."""


class TwoStage:
    """Detector and two-branch network.

    Args:
        bundle: the composed bundle whose detector is used.
        network: the ONNX file of the two branches.
        labels: E names of what it gives.
        settings: device and threads of both.

    Raises:
        EngineError: a graph cannot run.
    """

    def __init__(self, bundle: Bundle, network: Path, labels: tuple[str, ...], settings: EngineSettings) -> None:
        assert bundle.faces is not None
        self._nms = bundle.faces.person_nms
        self.bundle = replace(
            bundle,
            name="two_stage",
            label_set="benchmark",
            labels=labels,
            predictable=(True,) * len(labels),
            score_type=ScoreType.SIGMOID,
        )
        self._detector = Engine(bundle.files["detector"].path, settings)
        self._detector.require(nanodet.INPUT, nanodet.SHAPE, nanodet.OUTPUTS, UINT8)
        self._network = Engine(network, settings)
        self._input = np.empty(nanodet.SHAPE, np.uint8)
        self.provider = self._network.provider

    def predict(self, image: NDArray[np.uint8], places: Array) -> Prediction:
        """What is said about an image whose persons stand at ``places`` [N,4].

        The detector does all of its work, but its persons are replaced by those who are there: whom it misses would
        cost nothing.
        """
        watch = Stopwatch()
        fit = nanodet.encode(image, self._input)
        watch.done("resize")
        scores, sides = self._detector.run({nanodet.INPUT: self._input}, list(nanodet.OUTPUTS))
        watch.done("inference")
        nanodet.decode(scores, sides, fit, self.bundle.thresholds.person, self._nms)
        watch.done("post")
        emotions = self._read(image, places, watch) if len(places) else ()
        persons = [
            Person(box, 1.0, self.bundle.box_kind, scores, EmotionStatus.OK)
            for box, scores in zip(places, emotions, strict=True)
        ]
        watch.done("post")
        return Prediction(persons, False, watch.seconds)

    def _read(self, image: NDArray[np.uint8], boxes: Array, watch: Stopwatch) -> Array:
        """[N,E], the emotions of the persons at ``boxes`` [N,4]."""
        bodies = np.empty((len(boxes), *self._size(BODIES), 3), np.uint8)
        for out, (x_min, y_min, x_max, y_max) in zip(bodies, np.rint(boxes).astype(int).tolist(), strict=True):
            cv2.resize(image[y_min : max(y_max, y_min + 1), x_min : max(x_max, x_min + 1)], out.shape[1::-1], dst=out)
        scene = cv2.resize(image, self._size(SCENE)[::-1])[None]
        watch.done("resize")
        (scores,) = self._network.run({BODIES: bodies, SCENE: scene}, [OUTPUT])
        watch.done("inference")
        return scores

    def _size(self, name: str) -> tuple[int, int]:
        return self._network.inputs[name].shape[1:3]  # type: ignore[return-value]


class Placed:
    """A ``predictor.Predictor`` of one picture, of which it is known where everybody stands: ``places`` [N,4]."""

    def __init__(self, model: TwoStage, places: Array) -> None:
        self.model, self.places = model, places
        self.bundle, self.provider = model.bundle, model.provider

    def __call__(
        self,
        images: Sequence[NDArray[np.uint8]],
        min_confidence: float | None = None,
        emotion_confidence: float | None = None,
    ) -> list[Prediction]:
        return [self.model.predict(image, self.places) for image in images]
