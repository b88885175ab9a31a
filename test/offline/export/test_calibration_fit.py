from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from caer_ros.offline.export import calibration_fit as fitting
from caer_ros.offline.export.calibration_fit import CalibrationError, Candidates
from caer_ros.perception.calibration import Calibration
from caer_ros.perception.person import ScoreType

NAN = np.nan
IDENTITY = Calibration((1.0,) * 3, (0.0,) * 3)
KNOWN = Calibration((0.5, 1.0, 3.0), (0.5, -1.0, 0.5))
TYPES = pytest.mark.parametrize("score_type", [ScoreType.SIGMOID, ScoreType.SOFTMAX])


def persons(score_type, calibration, count=8000, seed=0):
    """Raw scores, the probabilities that a calibration makes of them, and a truth drawn from these."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-0.5, 2, (count, 3))
    raw = softmax(logits, axis=1) if score_type == ScoreType.SOFTMAX else expit(logits)
    true = fitting.probabilities(raw, calibration, score_type)
    if score_type == ScoreType.SOFTMAX:
        chosen = (generator.random((count, 1)) > true.cumsum(axis=1)).sum(axis=1)
        return raw, true, np.eye(3)[np.minimum(chosen, 2)]
    return raw, true, (generator.random(true.shape) < true).astype(float)


@TYPES
def test_a_known_calibration_is_found(score_type):
    raw, true, truth = persons(score_type, KNOWN)
    found = fitting.fit(raw, truth, score_type)
    np.testing.assert_allclose(found.temperature, KNOWN.temperature, rtol=0.1)
    # Of a softmax one number more in every bias changes nothing.
    free = np.mean(found.bias) if score_type == ScoreType.SOFTMAX else 0.0
    np.testing.assert_allclose(np.array(found.bias) - free, KNOWN.bias, atol=0.12)
    assert np.abs(fitting.probabilities(raw, found, score_type) - true).max() < 0.04


@TYPES
def test_calibrated_scores_are_left_as_they_are(score_type):
    raw, _, truth = persons(score_type, IDENTITY)
    found = fitting.fit(raw, truth, score_type)
    np.testing.assert_allclose(found.temperature, 1, rtol=0.06)
    np.testing.assert_allclose(np.array(found.bias) - np.mean(found.bias), 0, atol=0.08)


@TYPES
def test_parts_of_annotators_are_fitted_too(score_type):
    """Soft truths are exactly what the known calibration says: nothing is left to chance, a little to the prior."""
    raw, true, _ = persons(score_type, KNOWN, count=3000)
    found = fitting.fit(raw, true, score_type)
    assert np.abs(fitting.probabilities(raw, found, score_type) - true).max() < 0.02


def test_a_label_with_few_positives_stays_near_the_identity_and_one_with_many_does_not():
    """Always 0.9, and one person of ten has the label: the likelihood alone wants log(1/9) for any temperature."""

    def calibrated_logit(count):
        truth = (np.arange(count) % 10 == 0).astype(float)[:, None]
        found = fitting.fit(np.full((count, 1), 0.9), truth, ScoreType.SIGMOID)
        return np.log(9) / found.temperature[0] + found.bias[0]

    assert calibrated_logit(10000) == pytest.approx(-np.log(9), abs=0.01)
    assert -1 < calibrated_logit(10) < 0


@pytest.mark.parametrize("value", [0.0, 1.0, NAN])
def test_a_label_that_tells_nothing_keeps_one_and_zero(value):
    raw, _, truth = persons(ScoreType.SIGMOID, KNOWN, count=500)
    truth[:, 1] = value
    found = fitting.fit(raw, truth, ScoreType.SIGMOID)
    assert (found.temperature[1], found.bias[1]) == (1, 0)
    assert found.temperature[0] != 1
    others = fitting.fit(raw[:, ::2], truth[:, ::2], ScoreType.SIGMOID)
    np.testing.assert_allclose(found.temperature[::2], others.temperature, rtol=1e-4)


def test_of_a_softmax_a_label_that_nobody_has_keeps_one_and_zero():
    raw, _, truth = persons(ScoreType.SOFTMAX, KNOWN, count=2000)
    seen = truth[:, 1] == 0
    found = fitting.fit(raw[seen], truth[seen], ScoreType.SOFTMAX)
    assert (found.temperature[1], found.bias[1]) == (1, 0)
    assert found.temperature[0] != 1
    only = truth[:, 0] == 1
    assert fitting.fit(raw[only], truth[only], ScoreType.SOFTMAX) == IDENTITY


def test_a_label_that_the_model_cannot_predict_is_left_out_of_the_softmax():
    raw, _, truth = persons(ScoreType.SOFTMAX, KNOWN, count=1500)
    found = fitting.fit(raw, truth, ScoreType.SOFTMAX)
    wider = fitting.fit(
        np.hstack([raw, np.full((1500, 1), NAN)]), np.hstack([truth, np.zeros((1500, 1))]), ScoreType.SOFTMAX
    )
    np.testing.assert_allclose(wider.temperature, [*found.temperature, 1], rtol=1e-4)
    np.testing.assert_allclose(wider.bias, [*found.bias, 0], atol=1e-4)


probability = st.sampled_from([0.0, 1.0, 1e-9]) | st.floats(0, 1, width=32)


@TYPES
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_fitted_truth_is_never_less_likely_than_before(score_type, data):
    """As perception applies it, to what it was fitted on; with certainties, gaps and single persons among it."""
    shape = (data.draw(st.integers(1, 20)), 3)
    raw = data.draw(arrays.arrays(np.float64, shape, elements=probability))
    if score_type == ScoreType.SOFTMAX:
        raw = softmax(8 * raw, axis=1)
    truth = np.eye(3)[data.draw(arrays.arrays(np.intp, shape[0], elements=st.integers(0, 2)))]
    if score_type == ScoreType.SIGMOID:
        truth[data.draw(arrays.arrays(bool, shape))] = NAN
    raw[data.draw(arrays.arrays(bool, shape, elements=st.sampled_from([False, False, True])))] = NAN
    found = fitting.fit(raw, truth, score_type)
    assert np.isfinite([found.temperature, found.bias]).all()
    assert np.min(found.temperature) > 0
    before, after = (fitting.probabilities(raw, calibration, score_type) for calibration in (IDENTITY, found))
    np.testing.assert_array_equal(np.isnan(after), np.isnan(raw))
    if score_type == ScoreType.SOFTMAX:
        somebody = ~np.isnan(raw).all(axis=1)
        np.testing.assert_allclose(np.nansum(after, axis=1)[somebody], 1, atol=1e-5)
        losses = [-np.nansum(np.where(truth == 1, np.log(np.maximum(scores, 1e-30)), 0)) for scores in (before, after)]
    else:
        losses = [np.nansum(fitting.quality(truth, scores).nll * count_of(truth, raw)) for scores in (before, after)]
    assert losses[1] <= losses[0] + 1e-3 * max(1, losses[0])


def count_of(truth, raw):
    return (~np.isnan(truth) & ~np.isnan(raw)).sum(axis=0)


def test_quality_by_hand_and_as_scikit_learn_has_it():
    generator = np.random.default_rng(1)
    truth, scores = generator.integers(0, 2, (40, 1)).astype(float), generator.random((40, 1))
    assert fitting.quality(truth, scores).nll == pytest.approx([log_loss(truth[:, 0], scores[:, 0])])
    gaps = fitting.quality(np.array([[1.0, NAN], [NAN, NAN]]), np.array([[0.25, 0.5], [0.9, NAN]]))
    assert gaps.nll[0] == pytest.approx(np.log(4))
    assert np.isnan(gaps.nll[1])
    assert (gaps.mean_ece, gaps.mean_brier, gaps.mean_nll) == pytest.approx((0.75, 0.75**2, np.log(4)))


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.integers(2, 6), st.integers(0, 5))
def test_groups_stay_whole_and_every_part_has_somebody(groups, most, seed):
    groups = np.array(groups)
    number = len(set(groups.tolist()))
    if number < 2:
        with pytest.raises(CalibrationError, match="second bag, or annotate track ids"):
            fitting.folds(groups, seed, most)
        return
    fold = fitting.folds(groups, seed, most)
    assert set(fold.tolist()) == set(range(min(most, number)))
    assert all(len(set(fold[groups == group].tolist())) == 1 for group in groups)
    np.testing.assert_array_equal(fold, fitting.folds(groups, seed, most))
    if (np.bincount(groups) <= 1).all():
        assert np.ptp(np.bincount(fold)) <= 1


@TYPES
def test_what_is_judged_was_not_fitted_on(score_type):
    """Another truth of one part leaves that part's scores as they are, and changes all others'."""
    raw, _, truth = persons(score_type, KNOWN, count=300)
    fold = fitting.folds(np.arange(300) // 10)
    first = fitting.cross_validate(raw, truth, truth, fold, score_type, 0.4)
    changed = truth.copy()
    changed[fold == 2] = np.roll(changed[fold == 2], 1, axis=1)
    second = fitting.cross_validate(raw, changed, changed, fold, score_type, 0.4)
    np.testing.assert_array_equal(first.scores[fold == 2], second.scores[fold == 2])
    assert (first.scores[fold != 2] != second.scores[fold != 2]).any(axis=0).all()
    others = fold != 2
    by_hand = fitting.probabilities(raw[~others], fitting.fit(raw[others], truth[others], score_type), score_type)
    np.testing.assert_array_equal(first.scores[~others], by_hand)
    assert first.reported[1] <= len(raw)
    assert first.reported[0] <= min(first.reported[1:])


def candidates(scores, right, wanted, part=None):
    none = np.zeros(len(scores), np.intp) if part is None else np.array(part)
    return Candidates(np.array(scores, float), np.array(right, bool), none, np.array(wanted, np.intp))


def test_break_even_by_hand():
    """Three persons, four detections: the best three are kept, of which two are right: precision and recall 2/3."""
    four = candidates([0.2, 0.9, 0.8, 0.5], [True, True, False, True], [0, 0, 0])
    assert fitting.break_even(four) == pytest.approx((0.5 + 0.2) / 2)
    assert four.counts(0.35).tolist() == [2, 3, 3]
    assert fitting.break_even(candidates([0.4, 0.6], [True, True], [0, 0])) == 0.4
    assert fitting.break_even(candidates([0.4], [True], [0, 0])) is None
    assert fitting.break_even(candidates([0.4], [False], [])) is None


@given(st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=1, max_size=30, unique_by=lambda pair: pair[0]))
def test_precision_is_recall_at_the_break_even_point(answers):
    scores, right = zip(*answers, strict=True)
    some = candidates(np.array(scores) / 100, right, [0] * sum(right))
    threshold = fitting.break_even(some)
    assert (threshold is None) == (not any(right))
    if threshold is not None:
        hits, kept, wanted = some.counts(threshold)
        assert hits / kept == hits / wanted


def test_a_threshold_is_judged_on_parts_that_it_was_not_chosen_on():
    """Part 0 says 0.5, part 1 says 0.15; each is judged with the other's."""
    scores, right, part = [0.8, 0.2, 0.2, 0.1], [True, False, True, False], [0, 0, 1, 1]
    both = candidates(scores, right, [0, 1], part)
    assert fitting.break_even(both.among([0])) == pytest.approx(0.5)
    assert fitting.break_even(both.among([1])) == pytest.approx(0.15)
    assert fitting.cross_validate_threshold(both, 0.3).tolist() == [1, 2, 2]
    assert fitting.cross_validate_threshold(candidates(scores, right, [0, 0]), 0.3) is None


def test_top_labels_by_hand():
    """Right, wrong, nothing known of the top label, nothing predicted; 0.6 is the second best of two right ones."""
    scores = np.array([[0.7, 0.3], [0.1, 0.8], [0.9, 0.1], [NAN, NAN], [0.6, NAN]])
    labels = np.array([[1, 0], [1, 0], [NAN, 1], [1, 0], [1, 0]])
    tops = fitting.tops(scores, labels)
    np.testing.assert_allclose(tops.scores, [0.7, 0.8, 0.6])
    assert tops.right.tolist() == [True, False, True]
    assert fitting.break_even(tops) == pytest.approx(0.65)
    assert tops.counts(0.65).tolist() == [1, 2, 2]
