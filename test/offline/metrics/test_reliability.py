from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from offline.metrics.tables import NAN, joined, prediction, sample
from sklearn.metrics import brier_score_loss

from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.reliability import binned, of_found, reliability

BOXES = [[0, 0, 10, 10]] * 4


def test_by_hand():
    """Two bins. Low: scores 0.1 and 0.3, truth 0 and 1: gap |0.2 - 0.5|. High: 0.5 and 1, truth 1 and 1: |0.75 - 1|."""
    result = binned(np.array([[0, 1, 1, 1.0]]).T, np.array([[0.1, 0.3, 0.5, 1]]).T, bins=2)
    np.testing.assert_array_equal(result.count, [[2, 2]])
    np.testing.assert_allclose(result.score, [[0.2, 0.75]])
    np.testing.assert_allclose(result.frequency, [[0.5, 1]])
    assert result.ece == pytest.approx([(2 * 0.3 + 2 * 0.25) / 4])
    assert result.brier == pytest.approx([(0.01 + 0.49 + 0.25 + 0) / 4])


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_equals_a_naive_implementation(data):
    shape = (data.draw(st.integers(1, 25)), 3)
    probabilities = st.sampled_from([0, 0.2, 0.5, 1]) | st.floats(0, 1)
    scores = data.draw(arrays.arrays(np.float64, shape, elements=probabilities | st.just(NAN)))
    truth = data.draw(arrays.arrays(np.float64, shape, elements=probabilities | st.just(NAN)))
    bins = data.draw(st.integers(1, 20))
    result = binned(truth, scores, bins=bins)
    for label in range(3):
        pairs = [(s, t) for s, t in zip(scores[:, label], truth[:, label], strict=True) if s == s and t == t]
        if not pairs:
            assert np.isnan(result.ece[label])
            assert np.isnan(result.brier[label])
            continue
        gap = 0.0
        for number in range(bins):
            inside = [(s, t) for s, t in pairs if min(int(s * bins), bins - 1) == number]
            assert result.count[label, number] == len(inside)
            if inside:
                gap += len(inside) * abs(np.mean([s for s, _ in inside]) - np.mean([t for _, t in inside]))
        assert result.ece[label] == pytest.approx(gap / len(pairs), abs=1e-9)
        assert result.brier[label] == pytest.approx(np.mean([(s - t) ** 2 for s, t in pairs]), abs=1e-9)


def test_brier_equals_scikit_learn():
    generator = np.random.default_rng(0)
    truth, scores = generator.integers(0, 2, (50, 1)).astype(float), generator.random((50, 1))
    assert binned(truth, scores).brier == pytest.approx([brier_score_loss(truth[:, 0], scores[:, 0])])


def test_scores_that_are_the_part_of_annotators_are_calibrated_to_it_and_not_to_the_union():
    """Three annotators: what they chose in parts of 0, 1/3, 2/3 and 1 is in three of four cases in their union."""
    votes = np.array([[0], [1 / 3], [2 / 3], [1]], np.float32)
    together = joined([sample("a", BOXES, votes > 0, 1, votes=votes)], [prediction("a", labels=1, pooled=votes)])
    votes_result, labels_result = reliability(together, "votes"), reliability(together)
    assert votes_result.mean_ece == pytest.approx(0, abs=1e-6)
    assert votes_result.mean_brier == pytest.approx(0, abs=1e-6)
    assert labels_result.mean_ece == pytest.approx((2 / 3 + 1 / 3) / 4)
    assert (votes_result.against, labels_result.against) == ("votes", "labels")


def test_missing_scores_are_left_out():
    together = joined(
        [sample("a", BOXES, [[1], [0], [NAN], [1]], 1)],
        [prediction("a", labels=1, pooled=[[1], [NAN], [0.5], [1]])],
    )
    result = reliability(together)
    assert result.mean_ece == 0
    assert result.count.sum() == 2
    assert result.coverage == pytest.approx(2 / 3)


def test_of_persons_as_found():
    """Two of three persons are found at IoU 0.5: scores 0.9 of a positive and 0.6 of none; the third is overlapped by a
    third only, and the fourth detection is below the model's threshold."""
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]
    found = [[0, 0, 10, 10], [20, 0, 30, 10], [45, 0, 55, 10], [40, 0, 50, 10]]
    image = prediction("a", found, [0.9, 0.8, 0.7, 0.1], [[0.9], [0.6], [0.3], [0.2]], labels=1)
    result = of_found(joined([sample("a", boxes, [[1], [0], [1]], 1)], [image]))
    assert result.count.sum() == 2
    assert result.ece == pytest.approx([(0.1 + 0.6) / 2])
    assert result.brier == pytest.approx([(0.01 + 0.36) / 2])
    assert result.coverage == pytest.approx(2 / 3)
    assert of_found(joined([sample("a", boxes, [[1], [0], [1]], 1)], [image]), least_score=0).count.sum() == 3
    nobody = of_found(joined([sample("a", boxes, [[1], [0], [1]], 1)], [prediction("a", labels=1)]))
    assert np.isnan(nobody.mean_ece)
    assert nobody.coverage == 0


def test_what_has_no_calibration():
    with pytest.raises(MetricsError, match=r"beyond 0\.\.1"):
        binned(np.ones((1, 1)), np.array([[1.5]]))
    with pytest.raises(MetricsError, match="no single votes"):
        reliability(joined([sample("a", BOXES, [[1]] * 4, 1)], [prediction("a", labels=1)]), "votes")
