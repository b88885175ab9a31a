from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.perception.calibration import Calibration, calibrated, is_uncertain
from caer_ros.perception.person import ScoreType

NAN = np.nan


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_identity_changes_nothing():
    raw = scores(0.7, 0.2, 0.1)
    assert calibrated(raw, None, ScoreType.SOFTMAX) is raw
    same = Calibration((1.0,) * 3, (0.0,) * 3)
    for score_type in ScoreType:
        np.testing.assert_allclose(calibrated(raw, same, score_type), raw, atol=1e-6)


def test_softmax_by_hand():
    """p ~ exp(log(p) / T + b): 0.64 and 0.36 at T = 2 become 0.8 and 0.6, and b = log 2 doubles the second."""
    result = calibrated(scores(0.64, 0.36), Calibration((2.0, 2.0), (0.0, np.log(2.0))), ScoreType.SOFTMAX)
    np.testing.assert_allclose(result, [0.4, 0.6], atol=1e-6)
    assert result.dtype == np.float32


def test_sigmoid_by_hand():
    """logit(0.9) = log 9, halved: log 3, whose sigmoid is 0.75; and a bias of log 3 lifts 0.5 to 0.75."""
    result = calibrated(scores(0.9, 0.5), Calibration((2.0, 1.0), (0.0, np.log(3.0))), ScoreType.SIGMOID)
    np.testing.assert_allclose(result, [0.75, 0.75], atol=1e-6)


def test_nan_stays_and_the_rest_sums_to_one():
    result = calibrated(scores(0.5, NAN, 0.3), Calibration((1.5,) * 3, (0.1, 5.0, 0.0)), ScoreType.SOFTMAX)
    assert np.isnan(result).tolist() == [False, True, False]
    assert np.nansum(result) == pytest.approx(1)
    nothing = calibrated(scores(NAN, NAN, NAN), Calibration((1.0,) * 3, (0.0,) * 3), ScoreType.SOFTMAX)
    assert np.isnan(nothing).all()


@given(
    st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3),
    st.floats(0.1, 10),
    st.sampled_from([ScoreType.SOFTMAX, ScoreType.SIGMOID]),
)
def test_order_and_range_stay_with_one_temperature(values, temperature, score_type):
    raw = np.array(values, np.float32)
    result = calibrated(raw, Calibration((temperature,) * 3, (0.0,) * 3), score_type)
    assert np.all((result >= 0) & (result <= 1))
    order = np.argsort(raw)
    assert np.all(np.diff(result[order]) >= 0)


def test_uncertain():
    assert is_uncertain(scores(0.3, 0.39), 0.4)
    assert not is_uncertain(scores(0.3, 0.41), 0.4)
    assert not is_uncertain(scores(NAN, 0.41), 0.4)
    assert is_uncertain(scores(NAN, NAN), 0.0)
