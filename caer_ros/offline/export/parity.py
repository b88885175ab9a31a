"""Does ONNX Runtime answer as PyTorch does? Slot by slot, whether there is a person in it or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from scipy.optimize import linear_sum_assignment
from scipy.special import logit

from caer_ros.offline.export.graph import INPUT, run
from caer_ros.offline.systems.components.centre import NO_PEAK

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from caer_ros.offline.export.graph import SingleShotGraph

    Floats = NDArray[np.float32]
    Indices = NDArray[np.intp]

_EPS = 1e-4
"""Probabilities become logits between this and 1 less this: beyond, a logit would show the rounding of float32."""
_LEAST = 0.1
"""Where all logits are nearer to 0, rounding is judged as if the largest were this."""
_TIE = 0.01
"""Scores are alike that differ by this part of the largest."""
_SAME_PLACE = 0.9
"""Strides within which two boxes are at one place: the next place where a person can be is one stride away."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a graph may be from PyTorch and still be written; see the fields of ``Parity``."""

    boxes: float
    logits: float
    """Limit for the logits of persons and emotions, and for the emotion maps."""
    elsewhere: float
    """Part of the slots."""
    lost: bool
    """May persons be among these?"""


LIMITS = {
    "float32": Limit(boxes=0.001, logits=0.001, elsewhere=0.05, lost=False),
    "float16": Limit(boxes=0.02, logits=0.1, elsewhere=0.25, lost=True),
    "int8": Limit(boxes=0.5, logits=0.8, elsewhere=0.7, lost=True),
}
"""By how the weights are stored; our choice, from the largest of what student_synth and small students, a BENet and a
DSCT with random weights showed on the demo's photographs. In float32: boxes 2e-6, logits 9e-5, no slot elsewhere. In
float16: 0.004, 0.03, and 6 % of the slots. In int8: 0.21, 0.57 and 53 %; with ranges measured on black images, which
are of no use, 76 % to 93 % of the slots were elsewhere, but for DSCT, of which the backbone alone has 8 bits."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute differences between two runs on the same pictures.

    A slot of one run is compared with the slot of the other that has a box at the same place, as slots of equal scores
    may change their order. Where slots belong to queries, each is compared with itself.
    """

    limit: Limit
    images: int
    slots: int
    """Slots that hold something. Of those at the end of a full list with equal scores it is chance which are in the
    list, so they count where both runs have them."""
    elsewhere: int
    """Slots without a counterpart: where two places are equally likely, a peak moves from one to the other."""
    persons: int
    """Slots that are a person by the bundle's threshold."""
    lost: int
    """Persons of either run without a counterpart in the other."""
    boxes: float
    """Parts of a box's longer side, or of the graph's stride where that is longer."""
    person_logits: float
    """Parts of the largest logit, or of 0.1 where that is larger; so are the next two."""
    emotion_logits: float
    """Difference of the logits of the probabilities, which are clipped to 0.0001..0.9999."""
    emotion_maps: float | None
    """None: the network has no maps."""

    def __str__(self) -> str:
        maps = "" if self.emotion_maps is None else f", of emotion maps by {_percent(self.emotion_maps)}"
        return (
            f"{self.slots} slots in {self.images} images, {self.elsewhere} of them elsewhere (limit "
            f"{_percent(self.limit.elsewhere)}), among these {self.lost} of {self.persons} persons; boxes off by "
            f"{_percent(self.boxes)} of their side (limit {_percent(self.limit.boxes)}), logits of persons by "
            f"{_percent(self.person_logits)} of the largest, of emotions by {_percent(self.emotion_logits)}{maps} "
            f"(limit {_percent(self.limit.logits)})"
        )

    @property
    def holds(self) -> bool:
        """Was something compared, and is all within the limit?"""
        limit = self.limit
        return (
            self.elsewhere < self.slots
            and self.elsewhere <= limit.elsewhere * self.slots
            and (not self.lost or limit.lost)
            and self.boxes <= limit.boxes
            and self.person_logits <= limit.logits
            and self.emotion_logits <= limit.logits
            and (self.emotion_maps is None or self.emotion_maps <= limit.logits)
        )


@dataclass(frozen=True, slots=True)
class _Slots:
    """The slots of an image that hold something."""

    boxes: Floats
    """[K,4] pixels."""
    persons: Floats
    """[K] logits."""
    emotions: Floats
    """[K,E] logits."""
    cut: float
    """Score of the last slot of a full list; else minus infinity."""


def parity(
    graph: SingleShotGraph,
    model: onnx.ModelProto,
    inputs: Sequence[NDArray[np.uint8]],
    limit: Limit = LIMITS["float32"],
    person: float = 0.3,
) -> Parity:
    """Compares PyTorch with ONNX Runtime on the CPU.

    Args:
        graph: what ``model`` was made of.
        model: the exported graph, possibly with smaller weights.
        inputs: images [H,W,3] of sizes that the graph takes, at least one.
        limit: see ``LIMITS``.
        person: lowest score of a person, 0..1.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    slots = elsewhere = persons = lost = 0
    boxes, person_logits, emotion_logits, maps = (_Largest() for _ in range(4))
    for image in inputs:
        expected = {name: value[0].numpy() for name, value in run(graph, image[None]).present.items()}
        given = session.run(list(expected), {INPUT: image[None]})
        found = {name: value[0] for name, value in zip(expected, given, strict=True)}
        ours, theirs = (_slots(graph, values, image.shape[:2]) for values in (expected, found))
        a, b = _counterparts(graph, ours, theirs)
        tie = _TIE * float(np.abs(ours.persons).max(initial=_LEAST))
        alone = [_alone(one, rows, tie) for one, rows in ((ours, a), (theirs, b))]
        elsewhere += max(map(len, alone))
        slots += len(a) + max(map(len, alone))
        persons += int((ours.persons >= logit(person)).sum())
        lost += max(int((scores >= logit(person)).sum()) for scores in alone)
        sides = np.maximum((ours.boxes[a, 2:] - ours.boxes[a, :2]).max(axis=1, initial=0), graph.stride)
        boxes.add(ours.boxes[a] / sides[:, None], theirs.boxes[b] / sides[:, None])
        person_logits.add(ours.persons[a], theirs.persons[b])
        if graph.pooling != "query":  # best first
            person_logits.add(np.minimum.accumulate(theirs.persons), theirs.persons)
        emotion_logits.add(ours.emotions[a], theirs.emotions[b])
        if "emotion_maps" in expected:
            maps.add(expected["emotion_maps"], found["emotion_maps"])
    return Parity(
        limit=limit,
        images=len(inputs),
        slots=slots,
        elsewhere=elsewhere,
        persons=persons,
        lost=lost,
        boxes=boxes.difference,
        person_logits=person_logits.part,
        emotion_logits=emotion_logits.part,
        emotion_maps=None if graph.pooling == "query" else maps.part,
    )


@dataclass(slots=True)
class _Largest:
    """Over several arrays; NaN once there is one."""

    value: float = 0.0
    difference: float = 0.0

    @property
    def part(self) -> float:
        return self.difference / max(_LEAST, self.value)

    def add(self, ours: Floats, theirs: Floats) -> None:
        self.value = float(np.maximum(self.value, np.abs(ours).max(initial=0)))
        self.difference = float(np.maximum(self.difference, np.abs(ours - theirs).max(initial=0)))


def _slots(graph: SingleShotGraph, values: dict[str, Floats], size: tuple[int, int]) -> _Slots:
    height, width = size
    scores = values["person_scores"] if graph.person_score == "logit" else _logits(values["person_scores"])
    used = scores > NO_PEAK
    return _Slots(
        boxes=values["boxes"][used] * np.array([width, height, width, height], np.float32),
        persons=scores[used],
        emotions=_logits(values["emotion_scores"][used]),
        cut=float(scores[-1]) if used.all() else -np.inf,
    )


def _logits(probabilities: Floats) -> Floats:
    return np.asarray(logit(np.clip(probabilities, _EPS, 1 - _EPS)), np.float32)


def _counterparts(graph: SingleShotGraph, ours: _Slots, theirs: _Slots) -> tuple[Indices, Indices]:
    """Rows of both that belong together."""
    if graph.pooling == "query":
        rows = np.arange(len(ours.boxes))
        return rows, rows
    distances = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(axis=2, initial=0)
    reach = _SAME_PLACE * graph.stride
    a, b = linear_sum_assignment(np.fmin(distances, reach))  # what is no number is as far as can be
    near = distances[a, b] < reach
    return a[near], b[near]


def _alone(slots: _Slots, rows: Indices, tie: float) -> Floats:
    """Scores of the slots without a counterpart, but for those at the end of a full list."""
    scores = np.delete(slots.persons, rows)
    return scores[scores > slots.cut + tie]


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %"
