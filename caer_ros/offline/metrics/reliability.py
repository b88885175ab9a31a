"""Do scores mean what they say? Expected calibration error, Brier score and reliability diagram of each class.

Against the labels, and against the part of the annotators who chose them: where the labels of a test set are the union
of several annotators, their prevalence is made by the protocol, and the part of annotators is what a score can mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from caer_ros.offline.metrics import average_precision as ap
from caer_ros.offline.metrics.emotion_recognition import covered
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.matching import match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats, Joined

Against = Literal["labels", "votes"]


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """The reliability diagram of E classes in B bins of equal width over 0..1."""

    against: Against
    ece: Floats
    """[E] expected calibration error: the gap between mean score and frequency in each bin, weighted by its scores."""
    brier: Floats
    """[E] mean squared difference of score and truth."""
    mean_ece: float
    mean_brier: float
    score: Floats
    """[E,B] mean score of the bin; NaN for an empty one."""
    frequency: Floats
    """[E,B] mean truth of the bin; NaN for an empty one."""
    count: NDArray[np.intp]
    """[E,B]"""
    coverage: float
    """Part of the known truths that have a score; the others are left out."""


def reliability(joined: Joined, against: Against = "labels", bins: int = 15) -> Reliability:
    """Calibration of the scores pooled in the ground-truth boxes.

    Args:
        joined: samples and predictions.
        against: "labels" (the positives of ``joined``), or "votes", the part of the annotators who chose the label.
        bins: Guo et al., 2017, take 15.

    Raises:
        MetricsError: no such scores or votes; a score is no probability.
    """
    return binned(joined.votes() if against == "votes" else joined.targets, joined.pooled(), against, bins)


def of_found(joined: Joined, least_score: float | None = None, iou: float = 0.5, bins: int = 15) -> Reliability:
    """Calibration of the scores with which persons were found: what a robot sees, of any model, pooled scores or not.

    Args:
        joined: samples and predictions.
        least_score: detections below are left out; None: the model's own threshold, or all where it names none.
        iou: least overlap of a detection with the person whose labels it is held against.
        bins: see ``reliability``.

    Returns:
        Against the labels. ``coverage`` is the part of the known labels of all persons whose person was found with a
        score: how much of the truth these numbers speak of.

    Raises:
        MetricsError: a score is no probability.
    """
    least = joined.header.thresholds.get("person", 0.0) if least_score is None else least_score
    return binned(joined.targets, match(joined, least, thresholds=[iou]).scores_of_persons(), "labels", bins)


def binned(truth: Floats, scores: Floats, against: Against = "labels", bins: int = 15) -> Reliability:
    """The reliability of scores [N,E] against a truth [N,E] of 0..1; NaN in either leaves the pair out."""
    if np.nanmin(scores, initial=0) < 0 or np.nanmax(scores, initial=0) > 1:
        raise MetricsError("scores beyond 0..1 are no probabilities")
    known = ~np.isnan(truth)
    used = known & ~np.isnan(scores)
    labels = truth.shape[1]
    # Each (class, bin) is one cell; a score of 1 belongs to the last bin.
    inside = np.minimum((scores[used] * bins).astype(np.intp), bins - 1)
    cell = np.nonzero(used)[1] * bins + inside

    def total(values: Floats | None = None) -> Floats:
        return np.bincount(cell, values, labels * bins).reshape(labels, bins).astype(np.float64)

    count = total()
    with np.errstate(invalid="ignore"):
        score, frequency = total(scores[used]) / count, total(truth[used]) / count
        gap = np.where(count > 0, count * np.abs(score - frequency), 0).sum(axis=1)
        ece = gap / count.sum(axis=1)
        brier = total((scores[used] - truth[used]) ** 2).sum(axis=1) / count.sum(axis=1)
    return Reliability(
        against,
        ece,
        brier,
        ap.mean(ece),
        ap.mean(brier),
        score,
        frequency,
        count.astype(np.intp),
        covered(scores, known),
    )
