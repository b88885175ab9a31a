import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from caer_ros.offline.reproduction.seeds import estimate, paired

numbers = st.floats(-100, 100)


@given(st.lists(numbers, min_size=2, max_size=10))
def test_the_interval_is_that_of_students_t(values):
    found = estimate(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values) or 1e-300)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_a_hand_computed_interval():
    # mean 2, sd 1, t(0.975, 2) = 4.3027: 2 ± 4.3027 / √3
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.sd, found.n) == (2, 1, 3)
    assert found.high - 2 == pytest.approx(2.4841, abs=1e-4)
    assert found.verdict == "no conclusion"


def test_pairs_share_what_a_seed_does_to_both():
    ours, others = [10.0, 20.0, 30.0], [9.0, 18.9, 29.1]
    assert estimate(ours).verdict == "no conclusion"
    assert paired(ours, others).verdict == "+"
    assert paired(others, ours).verdict == "-"


def test_one_seed_has_no_spread_and_no_conclusion():
    found = estimate([5.0])
    assert found.mean == 5
    assert all(map(math.isnan, (found.sd, found.low, found.high)))
    assert found.verdict == "no conclusion"


def test_no_seed_is_an_error():
    with pytest.raises(ValueError, match="at least one seed"):
        estimate([])


def test_seeds_must_match():
    with pytest.raises(ValueError, match="zip"):
        paired([1.0], [1.0, 2.0])
