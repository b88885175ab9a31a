"""Valence, arousal and dominance: concordance and absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics.matching import match

if TYPE_CHECKING:
    from caer_ros.offline.metrics.joined import Floats, Joined


@dataclass(frozen=True, slots=True, eq=False)
class Affect:
    """Affect of the persons that a detection is matched to at IoU 0.5; each [3] is valence, arousal, dominance."""

    ccc: Floats
    """[3] concordance correlation coefficient, -1..1; NaN with fewer than two persons or no variance."""
    mae: Floats
    """[3] mean absolute error on the scale -1..1."""
    persons: int
    """Matched persons with an annotation and a prediction of any of the three."""
    annotated: int
    """Persons with an annotation of any of the three, matched or not."""


def affect(joined: Joined, threshold: float = 0.1) -> Affect:
    """CCC and MAE of the detections, of at least that score, which are matched to a person at IoU 0.5."""
    matches = match(joined, threshold, thresholds=[0.5])
    truth = np.concatenate([sample.vad for sample in joined.samples]).astype(np.float64)
    found = matches.detection[0] >= 0
    predicted = np.full_like(truth, np.nan)
    predicted[found] = matches.vad[matches.detection[0, found]]
    both = ~np.isnan(truth) & ~np.isnan(predicted)
    annotated = ~np.isnan(truth)
    return Affect(
        ccc=concordance(truth, predicted),
        mae=absolute_error(truth, predicted),
        persons=int(both.any(axis=1).sum()),
        annotated=int(annotated.any(axis=1).sum()),
    )


def concordance(truth: Floats, predicted: Floats) -> Floats:
    """[D] Lin's concordance correlation coefficient (1989) of each column of two [N,D]; pairs with a NaN are left out.

    2 cov / (var + var + (difference of means)^2), with the variances of the population.
    """
    return np.array([_concordance(a, b) for a, b in _columns(truth, predicted)])


def absolute_error(truth: Floats, predicted: Floats) -> Floats:
    """[D] mean absolute error of each column of two [N,D]; pairs with a NaN are left out, NaN without a pair."""
    return np.array([np.abs(a - b).mean() if len(a) else np.nan for a, b in _columns(truth, predicted)])


def _columns(truth: Floats, predicted: Floats) -> list[tuple[Floats, Floats]]:
    known = ~np.isnan(truth) & ~np.isnan(predicted)
    return [(a[pair], b[pair]) for a, b, pair in zip(truth.T, predicted.T, known.T, strict=True)]


def _concordance(a: Floats, b: Floats) -> float:
    spread = a.var() + b.var() + (a.mean() - b.mean()) ** 2 if len(a) > 1 else 0.0
    return float(2 * ((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else float("nan")
