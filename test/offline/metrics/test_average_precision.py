from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score, precision_recall_curve

from caer_ros.offline.metrics import average_precision as ap

NAN = np.nan


@st.composite
def problems(draw):
    """Few distinct scores and many, so ties within and across; targets with gaps; whole and fractional weights."""
    shape = (draw(st.integers(1, 40)), draw(st.integers(1, 4)))
    scores = draw(arrays.arrays(np.float64, shape, elements=st.sampled_from([0, 0.1, 0.5, 1]) | st.floats(0, 1)))
    targets = draw(arrays.arrays(np.float64, shape, elements=st.sampled_from([0, 0, 1, NAN])))
    weights = draw(arrays.arrays(np.float64, shape[:1], elements=st.integers(0, 3) | st.sampled_from([0.25, 1.5])))
    return targets, scores, weights


@given(problems())
@settings(max_examples=60, deadline=None)
def test_equals_scikit_learn(problem):
    targets, scores, weights = problem
    for chosen in (None, weights):
        ours = ap.average_precision(targets, scores, chosen)
        for label in range(targets.shape[1]):
            known = ~np.isnan(targets[:, label])
            truth, weight = targets[known, label], np.ones(known.sum()) if chosen is None else chosen[known]
            if not (truth * weight).sum():
                assert np.isnan(ours[label])
                continue
            theirs = average_precision_score(truth, scores[known, label], sample_weight=weight)
            assert ours[label] == pytest.approx(theirs, abs=1e-12)


@given(problems())
@settings(max_examples=30, deadline=None)
def test_a_weight_of_two_is_a_person_twice(problem):
    targets, scores, weights = problem
    times = np.floor(weights).astype(int)
    twice = ap.average_precision(np.repeat(targets, times, axis=0), np.repeat(scores, times, axis=0))
    np.testing.assert_allclose(ap.average_precision(targets, scores, times), twice)


def test_by_hand():
    """Ranks: positive, negative, then positive and negative tied. 1/2 * 1/1 + 1/2 * 2/4 = 0.75."""
    targets = np.array([[1, 0, 0, 1.0]]).T
    scores = np.array([[0.9, 0.8, 0.3, 0.3]]).T
    assert ap.average_precision(targets, scores) == pytest.approx([0.75])


def test_scores_that_say_nothing_get_the_prevalence():
    targets = np.array([[1, 0, 0, 1, NAN, 0.0]]).T
    assert ap.average_precision(targets, np.zeros((6, 1))) == pytest.approx([0.4])
    assert ap.prevalence(targets) == pytest.approx([0.4])


def test_a_score_that_is_missing_counts_as_0():
    targets = np.array([[1, 0, 0.0]]).T
    missing, zero = np.array([[NAN, 0.5, 0]]).T, np.array([[0, 0.5, 0]]).T
    np.testing.assert_array_equal(ap.average_precision(targets, missing), ap.average_precision(targets, zero))


def test_means_leave_classes_out_that_have_no_positive():
    targets = np.array([[1, 0, NAN], [0, 0, NAN]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        precision, prevalence = ap.average_precision(targets, np.ones((2, 3))), ap.prevalence(targets)
    np.testing.assert_array_equal(precision, [0.5, NAN, NAN])
    np.testing.assert_array_equal(prevalence, [0.5, 0, NAN])
    assert ap.mean(precision) == 0.5
    assert ap.chance(precision, prevalence) == 0.5
    assert np.isnan(ap.mean(np.array([NAN])))


def test_nobody():
    assert np.isnan(ap.average_precision(np.empty((0, 2)), np.empty((0, 2)))).all()


@given(problems())
@settings(max_examples=30, deadline=None)
def test_the_curve_is_that_of_scikit_learn(problem):
    targets, scores = problem[0][:, 0], problem[1][:, 0]
    known = ~np.isnan(targets)
    if not (targets[known] == 1).any():
        return
    precision, recall, thresholds = ap.precision_recall(targets, scores)
    their_precision, their_recall, their_thresholds = precision_recall_curve(targets[known], scores[known])
    np.testing.assert_allclose(precision, their_precision[-2::-1])
    np.testing.assert_allclose(recall, their_recall[-2::-1])
    np.testing.assert_array_equal(thresholds, their_thresholds[::-1])
    steps = np.diff(recall, prepend=0)
    assert steps @ precision == pytest.approx(ap.average_precision(targets[:, None], scores[:, None])[0])
