from __future__ import annotations

import itertools

import numpy as np
import pytest
from offline.metrics.tables import NAN, sample
from sklearn.metrics import average_precision_score

from caer_ros.offline.metrics.annotators import agreement, fleiss_kappa
from caer_ros.offline.metrics.joined import MetricsError


def voted(votes):
    votes = np.asarray(votes, np.float32)
    return [sample("a", [[0, 0, 9, 9]] * len(votes), votes > 0, votes.shape[1], votes=votes)]


def test_full_agreement():
    result = agreement(voted([[1, 0], [0, 1], [0, 0], [1, 1]]), annotators=3)
    assert (result.one_against_union, result.others_against_one, result.mean_kappa) == (1, 1, 1)
    assert (result.annotators, result.persons) == (3, 4)


def test_random_votes_are_at_chance():
    votes = np.random.default_rng(0).binomial(3, 0.3, (4000, 2)) / 3
    result = agreement(voted(votes))
    assert result.annotators == 3
    assert result.mean_kappa == pytest.approx(0, abs=0.03)
    assert result.one_against_union_chance == pytest.approx(1 - 0.7**2, abs=0.02)
    assert result.one_against_union == pytest.approx(result.one_against_union_chance, abs=0.02)
    assert result.others_against_one_chance == pytest.approx(0.3, abs=0.02)
    assert result.others_against_one == pytest.approx(result.others_against_one_chance, abs=0.02)


def test_equals_leaving_out_each_of_the_annotators():
    """With single votes at hand, over all choices of who is left out of each of four persons; 3 annotators."""
    single = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]])
    union, one = [], []
    for left_out in itertools.product(range(3), repeat=4):
        alone = single[range(4), left_out]
        others = single.sum(axis=1) - alone
        union.append(average_precision_score(others > 0, alone))
        if alone.any():
            one.append(average_precision_score(alone, others / 2))
    result = agreement(voted(single.mean(axis=1, keepdims=True)), draws=2000)
    assert result.annotators == 3
    assert result.one_against_union == pytest.approx(np.mean(union), abs=0.02)
    assert result.others_against_one == pytest.approx(np.mean(one), abs=0.02)


def test_kappa_of_fleiss():
    """Fleiss' kappa by hand: 3 annotators, 3, 2, 1 and 0 of whom chose the label. Agreeing pairs: 1, 1/3, 1/3, 1, so
    2/3; by chance 1/2: (2/3 - 1/2) / (1/2) = 1/3.
    """
    assert fleiss_kappa(np.array([[3, 2, 1, 0.0]]).T, 3) == pytest.approx([1 / 3])
    assert np.isnan(fleiss_kappa(np.zeros((4, 1)), 3)).all()


def test_a_label_that_nobody_chose_has_no_ceiling():
    result = agreement(voted([[0], [0]]), annotators=3)
    assert np.isnan([result.one_against_union, result.others_against_one, result.mean_kappa]).all()


def test_persons_without_votes_are_left_out():
    result = agreement(voted([[0.5], [1], [NAN], [0]]))
    assert (result.annotators, result.persons) == (2, 3)


@pytest.mark.parametrize(
    ("votes", "annotators", "says"),
    [
        ([[NAN]], None, "no single votes"),
        ([[1], [0]], None, "not those of 2 to 10 annotators"),
        ([[1], [0]], 1, "not those of 1 annotators"),
        ([[0.5], [0.4]], 4, "not those of 4 annotators"),
        ([[1 / 7], [1 / 5]], None, "not those of 2 to 10 annotators"),
    ],
)
def test_votes_that_tell_nothing(votes, annotators, says):
    with pytest.raises(MetricsError, match=says):
        agreement(voted(votes), annotators)
