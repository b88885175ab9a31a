from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from offline.metrics.tables import NAN, joined, prediction, sample

from caer_ros.offline.metrics.affect import absolute_error, affect, concordance

VALUES = arrays.arrays(np.float64, (12, 1), elements=st.floats(-1, 1).map(lambda value: round(value, 3)))


def test_concordance_by_hand():
    """Means 2 and 3, variances 2/3 each, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7."""
    assert concordance(np.array([[1, 2, 3.0]]).T, np.array([[2, 3, 4.0]]).T) == pytest.approx([4 / 7])


@given(VALUES, VALUES)
@settings(max_examples=50, deadline=None)
def test_concordance_is_correlation_times_bias(a, b):
    """Lin (1989): rho times C_b, which knows the ratio of scales and the shift of locations."""
    if a.std() < 1e-2 or b.std() < 1e-2:
        return
    scale = a.std() / b.std()
    shift = (a.mean() - b.mean()) / np.sqrt(a.std() * b.std())
    expected = np.corrcoef(a[:, 0], b[:, 0])[0, 1] * 2 / (scale + 1 / scale + shift**2)
    assert concordance(a, b) == pytest.approx([expected], abs=1e-9)
    assert concordance(a, a) == pytest.approx([1])


def test_pairs_with_a_gap_are_left_out():
    truth = np.array([[0.1, NAN], [0.5, 0.2], [NAN, NAN], [0.9, 0.2]])
    predicted = np.array([[0.1, 0.3], [NAN, 0.2], [0.4, 0.4], [0.8, NAN]])
    np.testing.assert_allclose(absolute_error(truth, predicted), [0.05, 0])
    assert np.isnan(concordance(truth, predicted)[1])  # of one pair there is none
    assert np.isnan(absolute_error(truth[2:3], predicted[2:3])).all()


def test_of_the_persons_that_are_detected():
    vad = np.array([[0.5, 0, NAN], [0.1, 0.1, 0.1], [NAN, NAN, NAN]], np.float32)
    boxes = [[0, 0, 40, 40], [100, 0, 140, 40], [0, 60, 30, 90]]
    samples = [sample("a", boxes, np.zeros((3, 2)), vad=vad)]
    found = prediction(
        "a", [boxes[0], boxes[2]], [0.9, 0.9], np.zeros((2, 2)), vad=np.array([[0.3, 0, 0], [1, 1, 1]], np.float32)
    )
    result = affect(joined(samples, [found]))
    assert (result.persons, result.annotated) == (1, 2)
    np.testing.assert_allclose(result.mae, [0.2, 0, NAN], atol=1e-7)
    assert np.isnan(affect(joined(samples, [prediction("a", boxes[:1], [0.9], [[0, 0]])])).mae).all()
