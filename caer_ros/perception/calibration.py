"""Scores that mean what they say: calibrated probabilities, and when to admit that there is no answer.

Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2), here with one
temperature and one bias for each label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caer_ros.perception.person import Array, ScoreType

_TINY = 1e-7


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperature and bias of each label: ``logit / temperature + bias``."""

    temperature: tuple[float, ...]
    bias: tuple[float, ...]


def calibrated(scores: Array, calibration: Calibration | None, score_type: ScoreType) -> Array:
    """Calibrated probabilities [E] (float32, 0..1) from raw ones; ``scores`` itself when there is nothing to do.

    SOFTMAX scores are taken as log-probabilities and sum to 1 again over the labels that are not NaN; others are each
    taken through their own logit. NaN stays NaN.
    """
    if calibration is None or np.isnan(scores).all():
        return scores
    temperature = np.asarray(calibration.temperature, np.float64)
    bias = np.asarray(calibration.bias, np.float64)
    probability = np.clip(scores.astype(np.float64), _TINY, 1 - _TINY)
    if score_type == ScoreType.SOFTMAX:
        logits = np.log(probability) / temperature + bias
        weights = np.exp(logits - np.nanmax(logits))
        return np.asarray(weights / np.nansum(weights), np.float32)
    logits = np.log(probability / (1 - probability)) / temperature + bias
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def is_uncertain(scores: Array, below: float) -> bool:
    """Does no label stand out? True when the largest score that is not NaN is less than ``below``, or there is none."""
    known = scores[~np.isnan(scores)]
    return known.size == 0 or float(known.max()) < below
