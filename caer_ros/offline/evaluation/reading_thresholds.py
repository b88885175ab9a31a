"""Who can be read, and what is certain: thresholds chosen on one half of annotated images, judged on the other.

A person is readable from a threshold on, and a label is certain from another. Both are chosen as low as the errors that
are allowed let them be, on the images of even number, and judged on those of odd number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import expit

from caer_ros.offline.metrics.proportions import Proportion, proportion
from caer_ros.perception.boxes import iou
from caer_ros.perception.imaging.resizing import place, plan
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.predictors.single_shot import SingleShot
    from caer_ros.recordings.annotations.sample import Dataset, Sample

GRID = np.round(np.arange(0.05, 0.96, 0.01), 2)
"""Thresholds that can be chosen."""
SAME = 0.5
"""IoU from which a found person is an annotated one."""
UNREADABLE = ("hidden", "none")
"""``Sample.faces`` of whom no label can be right."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model says of an annotated person whom it found."""

    image: int
    """Number of the image."""
    face: str
    """As in ``Sample.faces``."""
    told: str
    """The label that people gave; "" where they gave none."""
    readable: float
    """0..1."""
    label: str
    """Of the labels that the model publishes that with the highest score."""
    score: float
    """Of that label, 0..1."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What errors are allowed."""

    hidden: float = 0.05
    """Part of the persons without a readable face who may pass as readable."""
    wrong: float = 0.15
    """Part of the certain labels that may be wrong."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Thresholds of a bundle: ``readability.readable`` and ``thresholds.uncertain``."""

    readable: float
    uncertain: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What thresholds come to. Intervals are over images."""

    readable: Proportion
    """Persons with a readable face who pass as readable."""
    unreadable: dict[str, Proportion]
    """Those who pass although they are "hidden" or have "none"."""
    certain: Proportion
    """Readable persons with one of the published labels who get a certain one."""
    right: Proportion
    """Certain labels that are right, of persons with a label by people."""
    others: Proportion
    """Persons with another label who get a certain one."""


def read(
    model: SingleShot, dataset: Dataset, watch: Callable[[Iterable[Sample]], Iterable[Sample]] = iter
) -> list[Reading]:
    """What a model says of every annotated person whom it finds.

    Args:
        model: that says who can be read (``Bundle.readability``).
        dataset: whose annotations say what can be seen of faces.
        watch: wraps the loop over images, to show progress.

    Raises:
        DatasetError: the data set does not say what can be seen of anybody's face, or lacks a label of the model; an
            image cannot be read.
        EngineError: the network does not run.
    """
    bundle = model.bundle
    published = [label for label, told in zip(bundle.labels, bundle.predictable, strict=True) if told]
    if missing := [label for label in published if label not in dataset.labels]:
        raise DatasetError(f"{dataset.root}: {dataset.name} has no label {missing[0]!r}, which {bundle.name} gives")
    if not any(face for sample in dataset.samples for face in sample.faces):
        raise DatasetError(
            f"{dataset.root}: the {dataset.split} split of {dataset.name} says of nobody what can be seen of the face; "
            'the field "face" of annotations is needed, such as `caer data people` writes it'
        )
    readings: list[Reading] = []
    for number, sample in enumerate(watch(dataset.samples)):
        readings += _of_image(model, number, sample, dataset.labels)
    return readings


def _of_image(model: SingleShot, number: int, sample: Sample, labels: Sequence[str]) -> list[Reading]:
    bundle = model.bundle
    assert bundle.resize is not None  # of every single-shot bundle
    fit = plan(bundle.resize, *sample.size)
    slots = {name: values[0] for name, values in model.run(place(image_files.read(sample.path), fit)[None]).items()}
    scores = expit(slots["person_scores"]) if bundle.person_score == "logit" else slots["person_scores"]
    slots = {name: values[scores >= bundle.thresholds.person] for name, values in slots.items() if len(values)}
    height, width = fit.canvas
    overlaps = iou(sample.boxes, fit.to_source(slots["boxes"] * np.array([width, height, width, height], np.float32)))
    published = np.flatnonzero(bundle.predictable)
    readings = []
    for row, slot in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True):
        if not sample.faces[row] or overlaps[row, slot] < SAME:
            continue
        emotions, told = slots["emotion_scores"][slot][published], sample.emotions[row]
        by_people = bool(np.isfinite(told).all()) and sample.weights[row] == 1
        readings.append(
            Reading(
                number,
                sample.faces[row],
                labels[int(told.argmax())] if by_people else "",
                float(slots["readable"][slot]),
                bundle.labels[published[emotions.argmax()]],
                float(emotions.max()),
            )
        )
    return readings


def choose(readings: Sequence[Reading], allowed: Allowed) -> Chosen:
    """The lowest thresholds with no more errors than allowed, on images of even number; the highest where none has.

    Of persons without a readable face no more than ``allowed.hidden`` pass; of the certain labels of those who pass and
    of whom people said something no more than ``allowed.wrong`` are wrong.
    """
    half = [reading for reading in readings if reading.image % 2 == 0]
    hidden = np.array([reading.readable for reading in half if reading.face in UNREADABLE])
    readable = _lowest(lambda threshold: hidden >= threshold, allowed.hidden)
    told = [reading for reading in half if reading.face == "readable" and reading.told and reading.readable >= readable]
    scores = np.array([reading.score for reading in told])
    wrong = np.array([reading.label != reading.told for reading in told], bool)
    return Chosen(readable, _lowest(lambda threshold: wrong[scores >= threshold], allowed.wrong))


def _lowest(errors: Callable[[float], NDArray[np.bool_]], allowed: float) -> float:
    """Of ``GRID`` the lowest threshold with so few errors among its cases; the highest where there is none."""
    for threshold in GRID:
        cases = errors(threshold)
        if len(cases) and cases.mean() <= allowed:
            return float(threshold)
    return float(GRID[-1])


def judge(readings: Sequence[Reading], chosen: Chosen, published: Sequence[str]) -> Judged:
    """What thresholds come to on images of odd number.

    Args:
        readings: of all images.
        chosen: the thresholds.
        published: labels that the model gives.
    """
    half = [reading for reading in readings if reading.image % 2]
    faces = [reading for reading in half if reading.face == "readable"]
    passed = [reading for reading in faces if reading.readable >= chosen.readable]

    def certain(reading: Reading) -> bool:
        return reading.readable >= chosen.readable and reading.score >= chosen.uncertain

    return Judged(
        proportion((reading.image, reading.readable >= chosen.readable) for reading in faces),
        {
            face: proportion((r.image, r.readable >= chosen.readable) for r in half if r.face == face)
            for face in UNREADABLE
        },
        proportion((reading.image, certain(reading)) for reading in faces if reading.told in published),
        proportion((r.image, r.label == r.told) for r in passed if r.told and certain(r)),
        proportion((r.image, certain(r)) for r in faces if r.told and r.told not in published),
    )
