"""How well an image was answered, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from offline.metrics.tables import NAN, joined, prediction, sample
from sklearn.metrics import label_ranking_average_precision_score

from caer_ros.offline.evaluation.judged import judge, label_ranking

LEFT, RIGHT, FAR = (0, 0, 20, 40), (100, 0, 120, 40), (150, 50, 170, 90)
FIRST, SECOND, UNKNOWN = (1, 0), (0, 1), (NAN, NAN)
RIGHTLY, WRONGLY = (0.8, 0.2), (0.2, 0.8)
"""Of somebody with the first label; ranked second of two, a label has a precision of 1/2."""


@pytest.mark.parametrize(
    ("annotated", "answered", "expected"),
    [
        pytest.param(([LEFT], [FIRST]), ([LEFT], [0.9], [RIGHTLY]), (1, 1, 0), id="right"),
        pytest.param(([LEFT], [FIRST]), ([LEFT], [0.9], [WRONGLY]), (0.5, 1, 0), id="wrong"),
        pytest.param(([LEFT], [FIRST]), ([LEFT], [0.2], [RIGHTLY]), (0, 0, 0), id="below the threshold"),
        pytest.param(([LEFT, RIGHT], [FIRST, SECOND]), ([LEFT], [0.9], [RIGHTLY]), (0.5, 1, 0), id="one missed"),
        pytest.param(([LEFT], [FIRST]), ([LEFT, FAR], [0.9] * 2, [RIGHTLY] * 2), (0.5, 1, 1), id="one false"),
        pytest.param(([LEFT], [UNKNOWN]), ([LEFT], [0.9], [WRONGLY]), (1, 1, 0), id="emotion not known"),
        pytest.param(([], []), ([FAR], [0.9], [RIGHTLY]), (0, 0, 1), id="only a false one"),
        pytest.param(([], []), ([], [], []), (1, 0, 0), id="nobody"),
    ],
)
def test_an_image_is_judged_by_its_persons(annotated, answered, expected):
    other = sample("other", [LEFT], [FIRST]), prediction("other", [LEFT], [0.9], [RIGHTLY])
    together = joined([other[0], sample("a", *annotated)], [other[1], prediction("a", *answered)])
    first, second = judge(together)
    assert first == (0, 1, 1, 0)
    assert second == (1, *map(pytest.approx, expected))


def test_where_not_everybody_is_annotated_nobody_is_known_to_be_false():
    samples = [sample("a", [LEFT], [FIRST], exhaustive=False)]
    (judged,) = judge(joined(samples, [prediction("a", [LEFT, FAR], [0.9] * 2, [RIGHTLY] * 2)]))
    assert (judged.quality, judged.false) == (1, 0)


def test_how_high_a_persons_labels_are_ranked():
    labels = np.array([1, 0, 1, 0])
    assert label_ranking(labels, np.array([0.9, 0.1, 0.8, 0.2])) == 1
    assert label_ranking(labels, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx((1 + 2 / 3) / 2)
    assert label_ranking(np.array([1, 0]), np.array([np.nan, 0.1])) == 0.5
    assert label_ranking(np.array([1, np.nan]), np.array([0.1, 0.9])) == 1
    assert np.isnan(label_ranking(np.zeros(3), np.ones(3)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=8))
def test_ranking_agrees_with_scikit_learn(pairs):
    labels, scores = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs]) / 4
    if 0 < labels.sum() < len(labels):
        expected = label_ranking_average_precision_score(labels[None], scores[None])
        assert label_ranking(labels, scores) == pytest.approx(expected)
