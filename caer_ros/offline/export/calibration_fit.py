"""Per-label temperature and bias, and thresholds, fitted on annotated persons and judged on others.

Maximum likelihood of ``logit / temperature + bias`` (Guo et al., "On Calibration of Modern Neural Networks", 2017,
section 4.2, here for each label), with a Gaussian prior around "change nothing". A sigmoid's labels are fitted by their
own cross-entropy, a softmax's together. Scores are raw ones, as a bundle without ``calibration`` gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, xlogy

from caer_ros.offline.metrics import average_precision as ap
from caer_ros.offline.metrics.reliability import binned
from caer_ros.perception.calibration import Calibration, calibrated
from caer_ros.perception.person import ScoreType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats

    Indices = NDArray[np.intp]
    Mask = NDArray[np.bool_]

FOLDS = 5
"""Parts that are judged in turn, where there are so many groups."""
SPREAD_OF_LOG_TEMPERATURE, SPREAD_OF_BIAS = 0.5, 1.0
"""Standard deviations of the prior. Ours: a label needs a few dozen positives to move far from 1 and 0."""
_BOUND_OF_LOG_TEMPERATURE = 3.0
_TINY = 1e-7  # as perception.calibration clips scores


class CalibrationError(Exception):
    """Annotations or results that a model cannot, or should not, be calibrated on; says why, and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """How far probabilities are from a truth, for each of E labels and as means over those that have a value."""

    ece: Floats
    """[E] expected calibration error, 15 bins."""
    brier: Floats
    """[E]"""
    nll: Floats
    """[E] negative log-likelihood in nats of "has the label, or not", mean over persons."""
    mean_ece: float
    mean_brier: float
    mean_nll: float


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """D answers of which a threshold keeps the best, and W things that should be found by them."""

    scores: Floats
    """[D] 0..1"""
    right: Mask
    """[D] is the answer right?"""
    part: Indices
    """[D] the part that it is judged with, see ``folds``."""
    wanted: Indices
    """[W] the part of each thing that should be found."""

    def among(self, parts: Sequence[int]) -> Candidates:
        """Those of some parts."""
        mine = np.isin(self.part, parts)
        return Candidates(
            self.scores[mine], self.right[mine], self.part[mine], self.wanted[np.isin(self.wanted, parts)]
        )

    def counts(self, threshold: float) -> Indices:
        """[3] right answers from the threshold on, all answers from it on, things that should be found."""
        kept = self.scores >= threshold
        return np.array([(kept & self.right).sum(), kept.sum(), len(self.wanted)], np.intp)


# --- Temperature and bias ------------------------------------------------------------------------------------------


def fit(scores: Floats, truth: Floats, score_type: ScoreType) -> Calibration:
    """The calibration of E labels that makes a truth most likely.

    Args:
        scores: [N,E] raw probabilities; NaN where not predicted.
        truth: [N,E] 0..1, such as 1 and 0 or the part of annotators; NaN unknown. Of a softmax the known truths of a
            person are made to sum to 1, and persons without any above 0 tell nothing.

    Returns:
        Temperature 1 and bias 0 for labels of which nothing can be learnt: no positive, or of a sigmoid no negative;
        of a softmax for all labels, unless two of them occur.
    """
    known = ~np.isnan(scores) & ~np.isnan(truth)
    target = np.where(known, truth, 0.0)
    if score_type == ScoreType.SOFTMAX:
        share = target.sum(axis=1, keepdims=True)
        target = np.divide(target, share, out=np.zeros_like(target), where=share > 0)
        counted = ~np.isnan(scores) & (share > 0)
        learnt = target.sum(axis=0) > 0
        learnt &= learnt.sum() > 1
    else:
        counted = known
        learnt = (target.sum(axis=0) > 0) & (np.where(known, 1 - target, 0).sum(axis=0) > 0)
    parameters = _most_likely(_logits(scores, score_type), target, counted, learnt, score_type)
    temperature, bias = np.exp(parameters[0]), parameters[1]
    return Calibration(tuple(temperature.tolist()), tuple(bias.tolist()))


def _logits(scores: Floats, score_type: ScoreType) -> Floats:
    """[N,E] what ``perception.calibration`` divides by the temperature; 0 for NaN."""
    probability = np.clip(np.nan_to_num(scores, nan=0.5), _TINY, 1 - _TINY)
    logits = np.log(probability)
    if score_type != ScoreType.SOFTMAX:
        logits -= np.log1p(-probability)
    return np.where(np.isnan(scores), 0.0, logits)


def _most_likely(logits: Floats, target: Floats, counted: Mask, learnt: Mask, score_type: ScoreType) -> Floats:
    """[2,E] logarithm of the temperature, and bias, where likelihood and prior together are greatest."""
    labels = len(learnt)
    spread = np.array([[SPREAD_OF_LOG_TEMPERATURE], [SPREAD_OF_BIAS]])

    def objective(flat: Floats) -> tuple[float, Floats]:
        parameters = flat.reshape(2, labels)
        scaled = logits * np.exp(-parameters[0])
        value, error = _cross_entropy(scaled + parameters[1], target, counted, score_type)
        gradient = np.stack([-(error * scaled).sum(axis=0), error.sum(axis=0)]) + parameters / spread**2
        return value + 0.5 * float(np.square(parameters / spread).sum()), gradient.ravel()

    bound = _BOUND_OF_LOG_TEMPERATURE
    bounds = [(-bound * free, bound * free) for free in learnt] + [(None, None) if free else (0, 0) for free in learnt]
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-6}
    found = minimize(objective, np.zeros(2 * labels), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x, np.float64).reshape(2, labels)


def _cross_entropy(logits: Floats, target: Floats, counted: Mask, score_type: ScoreType) -> tuple[float, Floats]:
    """Summed over persons, and its derivative [N,E] by the logits."""
    if score_type == ScoreType.SOFTMAX:
        rows = counted.any(axis=1)
        masked, target = np.where(counted, logits, -np.inf)[rows], target[rows]
        logarithm = log_softmax(masked, axis=1)
        value = -np.multiply(target, logarithm, out=np.zeros_like(target), where=target > 0).sum()
        error = np.zeros_like(logits)
        error[rows] = np.exp(logarithm) - target
        return float(value), error
    value = np.where(counted, np.logaddexp(0, logits) - target * logits, 0).sum()
    return float(value), np.where(counted, expit(logits) - target, 0)


def probabilities(scores: Floats, calibration: Calibration | None, score_type: ScoreType) -> Floats:
    """[N,E] what the pipeline makes of raw scores [N,E], person by person as it does it."""
    rows = [calibrated(row, calibration, score_type) for row in scores.astype(np.float32)]
    return np.array(rows, np.float64).reshape(scores.shape)


def quality(truth: Floats, scores: Floats) -> Quality:
    """How far scores [N,E] are from a truth [N,E]; NaN in either leaves the pair out."""
    reliability = binned(truth, scores)
    clipped = np.clip(scores, _TINY, 1 - _TINY)
    loss = -xlogy(truth, clipped) - xlogy(1 - truth, 1 - clipped)
    with np.errstate(invalid="ignore"):
        nll = np.nansum(loss, axis=0) / (~np.isnan(loss)).sum(axis=0)
    brier, ece = reliability.brier, reliability.ece
    return Quality(ece, brier, nll, reliability.mean_ece, reliability.mean_brier, ap.mean(nll))


# --- Fitted here, judged there -------------------------------------------------------------------------------------


def folds(groups: Indices, seed: int = 0, most: int = FOLDS) -> Indices:
    """[N] which of at most ``most`` parts each person is judged with: groups stay whole, parts about equal in persons.

    Args:
        groups: [N] of each person, 0 or more.
        seed: of the order in which groups of equal size are dealt out.

    Raises:
        CalibrationError: fewer than two groups.
    """
    numbers, sizes = np.unique(groups, return_counts=True)
    if len(numbers) < 2:
        raise CalibrationError(
            "the annotated persons are one group (one track, or one recording without tracks), so nothing is left to "
            "judge by; give the results of a second bag, or annotate track ids"
        )
    shuffled = np.random.default_rng(seed).permutation(len(numbers))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    load = np.zeros(min(most, len(numbers)), np.intp)
    part = np.empty(len(numbers), np.intp)
    for group in order:
        part[group] = load.argmin()
        load[part[group]] += sizes[group]
    return np.asarray(part[np.searchsorted(numbers, groups)], np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What parameters that were fitted on all other parts do on each part."""

    scores: Floats
    """[N,E] calibrated."""
    reported: Indices
    """[3] as ``Candidates.counts``, of the labels reported with the uncertain threshold of the other parts."""


def cross_validate(
    scores: Floats, truth: Floats, labels: Floats, fold: Indices, score_type: ScoreType, uncertain: float
) -> HeldOut:
    """Fits on all parts but one, and applies that to the one, for each.

    Args:
        scores, truth: as of ``fit``.
        labels: [N,E] 1, 0 or NaN; what a reported label is right by.
        fold: [N] as ``folds`` gives it.
        uncertain: threshold where none can be found.
    """
    result, reported = np.full_like(scores, np.nan), np.zeros(3, np.intp)
    for part in np.unique(fold):
        mine = fold == part
        calibration = fit(scores[~mine], truth[~mine], score_type)
        others = tops(probabilities(scores[~mine], calibration, score_type), labels[~mine])
        result[mine] = probabilities(scores[mine], calibration, score_type)
        threshold = break_even(others)
        reported += tops(result[mine], labels[mine]).counts(uncertain if threshold is None else threshold)
    return HeldOut(result, reported)


def cross_validate_threshold(candidates: Candidates, current: float) -> Indices | None:
    """[3] as ``Candidates.counts``: on each part with the threshold of the others, or ``current`` where they give none.

    None where all is one part.
    """
    parts = np.union1d(candidates.part, candidates.wanted).tolist()
    if len(parts) < 2:
        return None
    total = np.zeros(3, np.intp)
    for part in parts:
        threshold = break_even(candidates.among([other for other in parts if other != part]))
        total += candidates.among([part]).counts(current if threshold is None else threshold)
    return total


# --- Thresholds ----------------------------------------------------------------------------------------------------


def tops(scores: Floats, labels: Floats) -> Candidates:
    """The top label of each person as an answer; wanted are the persons whose top label is right.

    So precision is the part of the reported labels that are right, and recall the part of the right top labels that
    are reported. (Measured by all persons, recall equals precision only where everything is reported.) Scores are those
    of single images; a node applies the threshold to scores smoothed over time, which are more moderate.

    Args:
        scores: [N,E] calibrated; persons without any are left out.
        labels: [N,E] 1, 0, NaN; persons of whom nothing is known of the top label are left out.
    """
    top = np.where(np.isnan(scores), -1.0, scores).argmax(axis=1)
    rows = np.arange(len(scores))
    score, truth = scores[rows, top], labels[rows, top]
    used = ~np.isnan(score) & ~np.isnan(truth)
    right = truth[used] == 1
    none = np.zeros(len(right), np.intp)
    return Candidates(score[used], right, none, none[right])


def break_even(candidates: Candidates) -> float | None:
    """The threshold from which on there are as many answers as things to be found: precision equals recall.

    Halfway between the last score that is kept and the first that is not. None where there are not as many answers, or
    nothing is wanted.
    """
    wanted, falling = len(candidates.wanted), np.sort(candidates.scores)[::-1]
    if not 0 < wanted <= len(falling):
        return None
    return float(falling[wanted - 1 : wanted + 1].mean())
