from __future__ import annotations

import math

import pytest

from caer_ros.offline.metrics.proportions import proportion, wilson


@pytest.mark.parametrize(
    ("hits", "cases", "low", "high"),
    # R: prop.test(x, n, correct = FALSE)$conf.int
    [(8, 10, 0.4901625, 0.9433178), (0, 51, 0.0, 0.0700493), (51, 51, 0.9299507, 1.0), (1, 2, 0.0945312, 0.9054688)],
)
def test_wilson_s_interval(hits, cases, low, high):
    found = proportion((number, number < hits) for number in range(cases))
    assert (found.hits, found.cases, found.persons) == (hits, cases, cases)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-5)


def test_a_person_who_is_always_alike_counts_once():
    once = proportion((person, person < 8) for person in range(10))
    thrice = proportion((person, person < 8) for person in range(10) for _ in range(3))
    assert thrice.share == once.share
    assert thrice.cases == 3 * once.cases
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.06)  # P / (P - 1) of 10 persons


def test_persons_who_differ_within_as_much_as_between_count_fully():
    cases = [(person, (person * 7 + case * 3) % 4 < 3) for person in range(40) for case in range(2)]
    found = proportion(cases)
    assert (found.low, found.high) == pytest.approx(wilson(found.share, found.cases), abs=0.03)


def test_all_alike_is_no_surer_than_so_many_persons():
    assert proportion([("a", True)] * 50).low == wilson(1, 1)[0]
    found = proportion((number % 10, False) for number in range(50))
    assert (found.low, found.high) == wilson(0, 10)


def test_nothing_is_nothing():
    found = proportion([])
    assert (found.hits, found.cases, found.persons) == (0, 0, 0)
    assert all(math.isnan(value) for value in (found.share, found.low, found.high))
