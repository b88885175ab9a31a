"""ER by what should make a person hard or easy to read, and the control that it reads persons at all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics.emotion_recognition import recognition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats, Joined
    from caer_ros.recordings.annotations.sample import Sample

BREAKDOWNS = ("persons in the image", "box height", "truncation", "gender", "age")
_HEIGHTS = (0.125, 0.25, 0.5, 0.75)
"""Edges between bins of box height, as part of the image's height."""


@dataclass(frozen=True, slots=True)
class Group:
    """ER of some of the persons. Groups differ in prevalence: compare what each has above its own chance."""

    name: str
    persons: int
    mean_average_precision: float
    """Mean over the classes that have a positive in this group."""
    chance: float
    classes: int


@dataclass(frozen=True, slots=True)
class Control:
    """What remains of ER when persons are given the labels of others."""

    mean_average_precision: float
    """Mean over the shuffles; a little above chance, as average precision is for few positives."""
    standard_deviation: float
    chance: float
    shuffles: int


def breakdowns(joined: Joined) -> dict[str, list[Group]]:
    """ER of each group of each of ``BREAKDOWNS``, without those that are not known of anybody.

    Raises:
        MetricsError: the predictions hold no scores read in the ground-truth boxes.
    """
    scores = joined.pooled()
    result = {}
    for breakdown, names in group_names(joined.samples).items():
        known = [name for name in np.unique(names).tolist() if name]
        if known:
            result[breakdown] = [_group(name, joined, scores, names == name) for name in known]
    return result


def group_names(samples: Sequence[Sample]) -> dict[str, NDArray[np.str_]]:
    """Name of every person's group [N] for each of ``BREAKDOWNS``, in an order that sorts; "" where not known."""
    counts = np.array([len(sample) for sample in samples], np.intp)
    boxes = np.concatenate([sample.boxes for sample in samples])
    height, width = np.repeat(np.array([sample.size for sample in samples], np.float32), counts, axis=0).T
    part = (boxes[:, 3] - boxes[:, 1]) / height
    edges = ["0", *(f"{edge:g}" for edge in _HEIGHTS), "1"]
    bins = np.array([f"{low} to {high} of the image" for low, high in pairwise(edges)])
    # Annotators' boxes end at the last pixel or beyond it, so a box within a pixel of the border touches it.
    distance = np.minimum(boxes[:, :2].min(axis=1), np.minimum(width - boxes[:, 2], height - boxes[:, 3]))
    return dict(
        zip(
            BREAKDOWNS,
            (
                np.array(["", "1", "2", "3", "4 and more"])[np.minimum(np.repeat(counts, counts), 4)],
                bins[np.searchsorted(_HEIGHTS, part, side="right")],
                np.where(distance <= 1, "touches the border", "inside"),
                np.array([gender for sample in samples for gender in sample.gender], np.str_),
                np.array([age for sample in samples for age in sample.age], np.str_),
            ),
            strict=True,
        )
    )


def label_shuffle(joined: Joined, shuffles: int = 10, seed: int = 0) -> Control:
    """ER with the labels of the persons shuffled among them: it must fall to chance, or something leaks.

    Raises:
        MetricsError: the predictions hold no scores read in the ground-truth boxes.
    """
    scores, generator = joined.pooled(), np.random.default_rng(seed)
    results = [recognition(generator.permutation(joined.targets), scores, joined.annotations) for _ in range(shuffles)]
    means = np.array([result.mean_average_precision for result in results])
    return Control(float(means.mean()), float(means.std()), results[0].chance, shuffles)


def _group(name: str, joined: Joined, scores: Floats, chosen: NDArray[np.bool_]) -> Group:
    result = recognition(joined.targets[chosen], scores[chosen], joined.annotations)
    return Group(name, result.persons, result.mean_average_precision, result.chance, result.classes)
