"""ER, emotion recognition: how well the scores read in the ground-truth boxes tell a person's emotions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics import average_precision as ap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Annotations, Floats, Joined


@dataclass(frozen=True, slots=True, eq=False)
class EmotionRecognition:
    """ER of N persons, E labels."""

    mean_average_precision: float
    """Mean over the classes that have a positive."""
    chance: float
    """Mean prevalence of those classes: what scores that say nothing get."""
    classes: int
    """How many classes that are."""
    average_precision: Floats
    """[E] NaN where no person is a positive."""
    prevalence: Floats
    """[E] among the persons whose label is known."""
    positives: NDArray[np.intp]
    """[E]"""
    persons: int
    """Persons of whom at least one label is known."""
    coverage: float
    """Part of the known labels for which there is a score; the others count as 0."""
    annotations: Annotations


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """The label of the highest score against the one label that each person has."""

    top1: float
    """Accuracy."""
    mean_f1: float
    """Mean over the classes that have a person."""
    balanced_accuracy: float
    """Mean recall over those classes."""
    f1: Floats
    """[E] NaN for a class without a person."""
    confusion: NDArray[np.intp]
    """[E,E+1] persons by true label (row) and predicted one (column); the last column: no score at all."""
    persons: int
    """Persons of exactly one label; others are left out."""


def er(joined: Joined) -> EmotionRecognition:
    """Average precision by class of the scores pooled in the ground-truth boxes.

    Raises:
        MetricsError: the predictions hold no such scores.
    """
    return recognition(joined.targets, joined.pooled(), joined.annotations)


def recognition(targets: Floats, scores: Floats, annotations: Annotations) -> EmotionRecognition:
    """ER of targets [N,E] (1, 0, NaN unknown), which ``annotations`` made, and scores [N,E] (NaN not predicted)."""
    ranking = ap.Ranking(targets, scores)
    precision, prevalence = ranking.average_precision(), ap.prevalence(targets)
    known = ~np.isnan(targets)
    return EmotionRecognition(
        mean_average_precision=ap.mean(precision),
        chance=ap.chance(precision, prevalence),
        classes=int(np.isfinite(precision).sum()),
        average_precision=precision,
        prevalence=prevalence,
        positives=(targets == 1).sum(axis=0),
        persons=int(known.any(axis=1).sum()),
        coverage=covered(scores, known),
        annotations=annotations,
    )


def covered(scores: Floats, known: NDArray[np.bool_]) -> float:
    """Part of the ``known`` entries that have a score; NaN where nothing is known."""
    return float((~np.isnan(scores[known])).mean()) if known.any() else float("nan")


def classification(joined: Joined) -> Classification:
    """Top-1 accuracy and F1 of the scores pooled in the ground-truth boxes.

    Raises:
        MetricsError: the predictions hold no such scores.
    """
    targets, labels = joined.targets, joined.targets.shape[1]
    single = np.nansum(targets, axis=1) == 1
    truth = (targets[single] == 1).argmax(axis=1)
    scores = joined.pooled()[single]
    predicted = np.where(np.isnan(scores).all(axis=1), labels, np.nan_to_num(scores, nan=-np.inf).argmax(axis=1))
    confusion = np.zeros((labels, labels + 1), np.intp)
    np.add.at(confusion, (truth, predicted), 1)
    right, support = np.diagonal(confusion).astype(np.float64), confusion.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(support > 0, 2 * right / (support + confusion.sum(axis=0)[:labels]), np.nan)
        recall = right / support
        top1 = float(right.sum() / np.float64(support.sum()))
    return Classification(top1, ap.mean(f1), ap.mean(recall), f1, confusion, len(truth))
