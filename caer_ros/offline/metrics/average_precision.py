"""Average precision, for all classes at once and with weights; what ER and OER are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats


class Ranking:
    """Persons sorted by score once for each class, so that resampling only counts anew.

    Args:
        targets: [N,E] 1 or 0; NaN is masked.
        scores: [N,E]; NaN counts as 0, the least of all probabilities.
    """

    def __init__(self, targets: Floats, scores: Floats) -> None:
        scores, targets = np.nan_to_num(np.ascontiguousarray(scores.T), nan=0.0), np.ascontiguousarray(targets.T)
        self._order = np.argsort(-scores, axis=1)  # [E,N], so that each class lies in one piece
        targets = np.take_along_axis(targets, self._order, axis=1)
        self._known, self._positive = ~np.isnan(targets), targets == 1
        self._ends = _ends_of_ties(np.take_along_axis(scores, self._order, axis=1))

    def average_precision(self, weights: Floats | None = None) -> Floats:
        """[E] the sum of precision times gain in recall over the distinct scores; NaN for a class without a positive.

        Equal to scikit-learn's ``average_precision_score``, also with ``weights`` [N] (such as how often each person
        was drawn) and with equal scores, which are one step.
        """
        weight = np.ones(self._order.shape) if weights is None else np.asarray(weights, np.float64)[self._order]
        positive = weight * self._positive
        hits, found = np.cumsum(positive, axis=1), np.cumsum(weight * self._known, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):  # 0/0 where nothing known was found: weighs nothing below
            precision = np.take_along_axis(hits / found, self._ends, axis=1)
            result: Floats = np.where(positive > 0, positive * precision, 0).sum(axis=1) / positive.sum(axis=1)
        return result


def average_precision(targets: Floats, scores: Floats, weights: Floats | None = None) -> Floats:
    """[E] average precision of each class: see :meth:`Ranking.average_precision`."""
    return Ranking(targets, scores).average_precision(weights)


def prevalence(targets: Floats) -> Floats:
    """[E] part of the known targets [N,E] that are 1, and so the average precision of equal scores; NaN if none is."""
    known = (~np.isnan(targets)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        result: Floats = np.nansum(targets, axis=0) / known
    return result


def mean(values: Floats) -> float:
    """Mean over the classes that have a value; NaN when none has."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def chance(average_precision: Floats, prevalence: Floats) -> float:
    """The mean prevalence of just those classes whose average precision is in the mean."""
    return mean(np.where(np.isnan(average_precision), np.nan, prevalence))


def precision_recall(targets: Floats, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and threshold at each distinct score of one class, from the highest score down.

    Args:
        targets, scores: [N], as ``Ranking`` takes them; at least one positive.
    """
    known = ~np.isnan(targets)
    positive, scores = targets[known] == 1, np.nan_to_num(scores[known], nan=0.0)
    order = np.argsort(-scores, kind="stable")
    ends = np.unique(_ends_of_ties(scores[order][None]))
    hits = np.cumsum(positive[order])[ends]
    return hits / (ends + 1.0), hits / max(positive.sum(), 1), scores[order][ends]


def _ends_of_ties(descending: Floats) -> NDArray[np.intp]:
    """[E,N] for each column of the sorted scores [E,N] the last column of equal score."""
    length = descending.shape[1]
    is_last = np.ones(descending.shape, bool)
    is_last[:, :-1] = descending[:, 1:] != descending[:, :-1]
    ends = np.where(is_last, np.arange(length), length)
    result: NDArray[np.intp] = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return result
