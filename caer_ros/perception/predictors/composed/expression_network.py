"""Expressions of faces, by one network of whatever origin that ``model.yaml`` describes (``bundle.Expression``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from scipy.special import expit, softmax

from caer_ros.perception.bundle.bundle import EXPRESSION_NETWORK
from caer_ros.perception.engine import FLOAT, UINT8, Engine, EngineError, EngineSettings, written
from caer_ros.perception.person import ScoreType
from caer_ros.perception.predictors.composed.face_crops import Reading, crops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle, Expression
    from caer_ros.perception.person import Array
    from caer_ros.perception.prediction import Stopwatch

TYPES = {"float32": FLOAT, "uint8": UINT8}
"""Types of the input as ONNX Runtime writes them."""
_TOLERANCE = 1e-3
"""By how much probabilities may leave 0..1, and their sum 1."""


class ExpressionNetwork:
    """The network of a bundle, loaded; a ``face_crops.Reader``.

    Raises:
        EngineError: the graph cannot run, or its input or outputs are not as ``model.yaml`` says.
    """

    def __init__(self, bundle: Bundle, rule: Expression, settings: EngineSettings) -> None:
        (self._file,) = EXPRESSION_NETWORK
        self._bundle = bundle
        self._rule = rule
        self._engine = Engine(bundle.files[self._file].path, settings)
        self._require()
        self._one_by_one = self._engine.inputs[self._input].shape[:1] == (1,)

    @property
    def engines(self) -> dict[str, Engine]:
        """See ``Reader``."""
        return {self._file: self._engine}

    def _require(self) -> None:
        """Raises EngineError unless the graph's input and outputs are as described; only the input's name is free."""
        engine, rule = self._engine, self._rule
        self._input = next(iter(engine.inputs), "")
        engine.require(self._input, shape(rule), dict.fromkeys(rule.outputs, (None, None)), TYPES[rule.dtype])
        batch = (engine.inputs[self._input].shape or (None,))[0]
        if batch not in (None, 1):
            raise EngineError(
                f'{engine.path}: input "{self._input}" has a fixed batch of {batch}; it must be 1 or dynamic'
            )
        for name in rule.outputs:
            self._check_width(name, (engine.outputs[name].shape or (None, None))[1])

    def _check_width(self, name: str, width: int | None) -> None:
        least = self._rule.columns(name)
        if width is not None and (width < least or (name == self._rule.output and width != least)):
            raise EngineError(
                f'{self._engine.path}: output "{name}" has {width} columns where model.yaml describes {least}: correct '
                "expression.labels, expression.valence or expression.arousal"
            )

    def __call__(self, image: NDArray[np.uint8], faces: Array, watch: Stopwatch) -> Reading:
        """See ``Reader``."""
        pixels = encode(image, faces, self._rule)
        watch.done("resize")
        outputs = self._run(pixels)
        watch.done("inference")
        return decode(outputs, self._rule, self._bundle)

    def warm_up(self) -> None:
        """See ``Reader``; also raises EngineError where what should be probabilities is none."""
        outputs = self._run(normalised(np.zeros((1, self._rule.size, self._rule.size, 3), np.uint8), self._rule))
        scores = outputs[self._rule.output][:, : len(self._rule.labels)]
        if self._rule.gives == "probabilities" and not are_probabilities(scores, self._bundle.score_type):
            raise EngineError(
                f'{self._engine.path}: output "{self._rule.output}" has values from {np.nanmin(scores):.3g} to '
                f"{np.nanmax(scores):.3g}, which are no probabilities: write logits under expression.gives"
            )

    def _run(self, pixels: NDArray[Any]) -> dict[str, Array]:
        """The outputs that are read, by name, [N,W] each."""
        names = self._rule.outputs
        batches = np.split(pixels, len(pixels)) if self._one_by_one else [pixels]
        parts = [self._engine.run({self._input: batch}, names) for batch in batches]
        outputs = {name: np.concatenate(values) for name, values in zip(names, zip(*parts, strict=True), strict=True)}
        for name, value in outputs.items():
            if value.ndim != 2 or len(value) != len(pixels):
                raise EngineError(
                    f'{self._engine.path}: output "{name}" came as {written(value.shape)} for {len(pixels)} faces; '
                    f"[{len(pixels)}, columns] is expected: export the graph again"
                )
            self._check_width(name, value.shape[1])
        return outputs


def shape(rule: Expression) -> tuple[int | None, ...]:
    """The input's shape, with any batch."""
    channels = len(rule.mean)
    sides = (rule.size, rule.size)
    return (None, channels, *sides) if rule.layout == "nchw" else (None, *sides, channels)


def encode(image: NDArray[np.uint8], faces: Array, rule: Expression) -> NDArray[Any]:
    """RGB [H,W,3] and boxes of faces [N,4] (xyxy) to the network's input, ``shape(rule)``."""
    return normalised(crops(image, faces, (rule.crop,), rule.size, rule.antialias), rule)


def normalised(pixels: NDArray[np.uint8], rule: Expression) -> NDArray[Any]:
    """RGB squares [N,size,size,3] as the network's input: its channels, numbers and layout."""
    if rule.channels == "grey":
        pixels = np.asarray(cv2.cvtColor(pixels.reshape(-1, rule.size, 3), cv2.COLOR_RGB2GRAY), np.uint8)
        pixels = pixels.reshape(-1, rule.size, rule.size, 1)
    elif rule.channels == "bgr":
        pixels = pixels[..., ::-1]
    result: NDArray[Any] = pixels
    if rule.dtype == "float32":
        mean, std = np.array(rule.mean, np.float32), np.array(rule.std, np.float32)
        result = (pixels * np.float32(rule.span / 255) - mean) / std
    return np.ascontiguousarray(result.transpose(0, 3, 1, 2) if rule.layout == "nchw" else result)


def decode(outputs: dict[str, Array], rule: Expression, bundle: Bundle) -> Reading:
    """What the network says of N faces.

    Args:
        outputs: ``rule.outputs`` by name, [N,W] each.
        rule: what their columns mean.
        bundle: whose labels, in their order, the scores are of.
    """
    found = outputs[rule.output][:, : len(rule.labels)]
    if rule.gives == "logits":
        with np.errstate(invalid="ignore"):  # infinity becomes NaN, which is not predicted
            found = expit(found) if bundle.score_type == ScoreType.SIGMOID else softmax(found, axis=1)
    scores = np.full((len(found), len(bundle.labels)), np.nan, np.float32)
    scores[:, [bundle.labels.index(label) for label in rule.labels]] = found
    if not all(
        possible for label, possible in zip(bundle.labels, bundle.predictable, strict=True) if label in rule.labels
    ):
        scores = _of_predictable(scores, bundle)
    agree = np.ones(len(found), bool)
    if rule.valence is None and rule.arousal is None:
        return Reading(scores, agree)
    vad = np.full((len(found), 3), np.nan, np.float32)
    for place, column in enumerate((rule.valence, rule.arousal)):
        if column is not None:
            vad[:, place] = np.clip(outputs[column.output][:, column.index], -1, 1)
    return Reading(scores, agree, vad)


def _of_predictable(scores: Array, bundle: Bundle) -> Array:
    """Scores [N,E] without those of labels that the network knows and the bundle does not predict.

    Of a softmax the rest adds up to 1 again, as if the network had never had the others.
    """
    predictable = np.array(bundle.predictable)
    kept: Array = np.where(predictable, scores, np.float32(np.nan))
    if bundle.score_type == ScoreType.SOFTMAX:
        kept /= np.maximum(scores[:, predictable].sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return kept


def are_probabilities(scores: Array, score_type: ScoreType) -> bool:
    """Whether rows [N,E] lie in 0..1 and, of a softmax, add up to 1; rows with NaN are left out."""
    finite = scores[np.isfinite(scores).all(axis=1)]
    inside = bool(((finite >= -_TOLERANCE) & (finite <= 1 + _TOLERANCE)).all())
    if score_type == ScoreType.SIGMOID:
        return inside
    return inside and bool((np.abs(finite.sum(axis=1) - 1) <= _TOLERANCE).all())
