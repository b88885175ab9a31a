"""Persons and their emotions from one graph: what the project's own models are.

The graph's contract: input ``images`` uint8 [B,H,W,3] RGB, resized by the bundle's rule; outputs ``boxes`` [B,K,4]
(xyxy, 0..1 of the input), ``person_scores`` [B,K], ``emotion_scores`` [B,K,E] (probabilities), and where it has them
``vad`` [B,K,3] and ``embeddings`` [B,K,D], and ``readable`` and ``face`` [B,K] (probabilities that a person can be
read, and has a face). ``emotion_maps`` [B,E,h,w] and ``attention`` [B,1,h,w] (logits) are for evaluation, and fetched
only when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.engine import UINT8, Engine, EngineError, EngineSettings
from caer_ros.perception.imaging.resizing import place, plan
from caer_ros.perception.person import EmotionStatus, Person
from caer_ros.perception.prediction import Prediction, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle, Readability
    from caer_ros.perception.engine import Shape
    from caer_ros.perception.imaging.resizing import Fit
    from caer_ros.perception.person import Array

_INPUT = "images"
_TYPICAL = (480, 640)  # of a camera; the warm-up's size where the rule keeps the aspect


class SingleShot:
    """The predictor of bundles of kind "single_shot".

    Args:
        bundle, settings: see ``predictor.load``.
        maps: also fetch ``emotion_maps``, where the graph has them.

    Raises:
        BundleError: the bundle is of another kind.
        EngineError: the graph cannot run, or does not fit what the bundle says.
    """

    def __init__(self, bundle: Bundle, settings: EngineSettings, maps: bool = False) -> None:
        if bundle.resize is None or bundle.kind != "single_shot":
            raise BundleError(f'{bundle.path}: kind is "{bundle.kind}", expected "single_shot"')
        self.bundle = bundle
        self._rule = bundle.resize
        self._engine = Engine(bundle.files["model"].path, settings)
        self.provider = self._engine.provider
        self._shapes = self._expected_outputs(maps)
        self._check_graph()
        self._batches = self._engine.inputs[_INPUT].shape[:1] != (1,)

    @property
    def engines(self) -> dict[str, Engine]:
        """The network, by its name in the bundle's files."""
        return {"model": self._engine}

    def _expected_outputs(self, maps: bool) -> dict[str, Shape]:
        persons, emotions = self.bundle.max_persons, len(self.bundle.labels)
        required: dict[str, Shape] = {
            "boxes": (None, persons, 4),
            "person_scores": (None, persons),
            "emotion_scores": (None, persons, emotions),
        }
        optional: dict[str, Shape] = {"vad": (None, persons, 3), "embeddings": (None, persons, None)}
        if self.bundle.readability is not None:
            required |= {"readable": (None, persons), "face": (None, persons)}
        if maps:
            optional |= {"emotion_maps": (None, emotions, None, None), "attention": (None, 1, None, None)}
        return required | {name: shape for name, shape in optional.items() if name in self._engine.outputs}

    def _check_graph(self) -> None:
        fixed = self._rule.mode != "short_side"
        height, width = self._rule.size if fixed else (None, None)
        self._engine.require(_INPUT, (None, height, width, 3), self._shapes, UINT8)
        batch, *size, _ = self._engine.inputs[_INPUT].shape or (None,) * 4
        if batch not in (None, 1):
            raise EngineError(
                f'{self._engine.path}: input "{_INPUT}" has a fixed batch of {batch}; it must be 1 or dynamic'
            )
        if not fixed and size != [None, None]:
            raise EngineError(
                f'{self._engine.path}: input "{_INPUT}" has a fixed size {size}, but resize mode short_side keeps the '
                "aspect: export height and width dynamic, or set mode to stretch or letterbox"
            )

    def warm_up(self) -> None:
        """Runs once on a black image. Raises EngineError when the graph's outputs do not fit the bundle."""
        fit = plan(self._rule, *_TYPICAL)
        outputs = self.run(np.zeros((1, *fit.canvas, 3), np.uint8))
        emotions = outputs["emotion_scores"]
        if np.any(emotions < -1e-3) or np.any(emotions > 1 + 1e-3):
            raise EngineError(
                f'{self._engine.path}: output "emotion_scores" has values from {np.nanmin(emotions):.3g} to '
                f"{np.nanmax(emotions):.3g}; probabilities 0..1 are expected: export with the softmax or sigmoid inside"
            )

    def __call__(
        self,
        images: Sequence[NDArray[np.uint8]],
        min_confidence: float | None = None,
        emotion_confidence: float | None = None,
    ) -> list[Prediction]:
        """See ``predictor.Predictor``. Emotions cost nothing here, so ``emotion_confidence`` is not looked at."""
        threshold = self.bundle.thresholds.person if min_confidence is None else min_confidence
        fits = [plan(self._rule, image.shape[0], image.shape[1]) for image in images]
        predictions: dict[int, Prediction] = {}
        for group in self._groups(fits):
            watch = Stopwatch()
            batch = np.stack([place(images[index], fits[index]) for index in group])
            watch.done("resize")
            outputs = self.run(batch)
            watch.done("inference")
            for row, index in enumerate(group):
                slots = {name: values[row] for name, values in outputs.items()}
                persons, saturated = persons_of(self.bundle, slots, fits[index], threshold)
                predictions[index] = Prediction(persons, saturated, watch.seconds)
            watch.done("post")
        return [predictions[index] for index in range(len(images))]

    def _groups(self, fits: Sequence[Fit]) -> list[list[int]]:
        """Indices of the images that run as one: those of equal size, where the graph takes batches."""
        if not self._batches:
            return [[index] for index in range(len(fits))]
        groups: dict[tuple[int, int], list[int]] = {}
        for index, fit in enumerate(fits):
            groups.setdefault(fit.canvas, []).append(index)
        return list(groups.values())

    def run(self, batch: NDArray[np.uint8]) -> dict[str, Array]:
        """The outputs, by name, for images [B,H,W,3] of the input's size. Raises EngineError for other shapes."""
        values = self._engine.run({_INPUT: batch}, list(self._shapes))
        outputs = dict(zip(self._shapes, values, strict=True))
        for name, value in outputs.items():
            expected = (len(batch), *self._shapes[name][1:])
            if value.ndim != len(expected) or any(
                e not in (None, n) for e, n in zip(expected, value.shape, strict=True)
            ):
                raise EngineError(
                    f'{self._engine.path}: output "{name}" came as {list(value.shape)} where the bundle says '
                    f"{list(expected)} (batch, max_persons, ...); correct model.yaml or export the graph again"
                )
        return outputs


def persons_of(bundle: Bundle, slots: dict[str, Array], fit: Fit, threshold: float) -> tuple[list[Person], bool]:
    """The persons of one image out of the graph's K slots, best first, and whether every slot held one.

    Args:
        bundle: what the slots mean.
        slots: the outputs of one image: ``boxes`` [K,4], ``person_scores`` [K], ``emotion_scores`` [K,E], ...
        fit: how the image became the input.
        threshold: lowest score of a person, 0..1.

    Raises:
        EngineError: no box or score is a finite number.
    """
    scores = slots["person_scores"]
    if bundle.person_score == "logit":
        scores = expit(scores)
    finite = np.isfinite(slots["boxes"]).all(axis=1) & np.isfinite(scores)
    if not finite.any():
        raise EngineError(
            f"{bundle.path} gave no finite box or score: the network overflowed; run it in float32, or elsewhere"
        )
    height, width = fit.canvas
    boxes = fit.to_source(slots["boxes"] * np.array([width, height, width, height], np.float32))
    found = finite & (scores >= threshold)
    visible = found & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    order = np.flatnonzero(visible)
    order = order[np.argsort(-scores[order], kind="stable")]
    predictable = np.array(bundle.predictable)
    emotions = np.where(predictable, slots["emotion_scores"], np.float32(np.nan))
    # One NaN makes a softmax's other scores worthless too: then nothing was predicted.
    known = np.isfinite(emotions).sum(axis=1) == max(1, predictable.sum())
    emotions[~known] = np.nan
    statuses = np.where(known, EmotionStatus.OK, EmotionStatus.NOT_PREDICTED)
    if bundle.readability is not None:
        sides = ((slots["boxes"][:, 2:] - slots["boxes"][:, :2]) * (width, height)).max(axis=1)
        unreadable, why = judge(slots["readable"], slots["face"], sides, bundle.readability)
        statuses[unreadable] = why[unreadable]
        emotions[unreadable] = np.nan
    persons = [
        Person(
            box=boxes[slot],
            confidence=float(scores[slot]),
            box_kind=bundle.box_kind,
            scores=emotions[slot],
            status=EmotionStatus(statuses[slot]),
            vad=slots["vad"][slot] if "vad" in slots else None,
            embedding=slots["embeddings"][slot] if "embeddings" in slots else None,
        )
        for slot in order.tolist()
    ]
    return persons, bool(found.all())


def judge(readable: Array, face: Array, sides: Array, rules: Readability) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Who cannot be read, and the status that says why.

    Args:
        readable, face: [K] probabilities of the graph; one that is no number is a no.
        sides: [K] longer sides of the boxes in pixels of the network's input.
        rules: of the bundle.

    Returns:
        [K] whether, and [K] why if so: ``EmotionStatus``.
    """
    unreadable = ~(readable >= rules.readable)
    why = np.where(face >= rules.face, EmotionStatus.PROFILE_OR_OCCLUDED, EmotionStatus.NO_FACE)
    return unreadable, np.where(sides < rules.small, EmotionStatus.TOO_SMALL, why)
