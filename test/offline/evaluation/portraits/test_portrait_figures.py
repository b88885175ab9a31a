from __future__ import annotations

import numpy as np
import pytest

from caer_ros.offline.evaluation.portraits import portrait_figures
from caer_ros.offline.evaluation.portraits.portrait_cases import Answer, Case
from caer_ros.offline.evaluation.portraits.portrait_set import KnownPerson

NONE = Answer(False)
PERSONS = [
    KnownPerson("a", 20, "female", "white", {}),
    KnownPerson("b", 25, "male", "white", {}),
    KnownPerson("c", None, "male", "black", {}),
    KnownPerson("d", 61, "male", "black", {}),
]


def case(person, expression="neutral", view="body", size=32, cover=""):
    return Case(person, expression, view, size, cover, "scene.jpg")


def said(label="", happy=0.5, neutral=0.5, status="OK"):
    return Answer(True, status, label, 0.9, {"Happy": happy, "Neutral": neutral, "Sad": 0.0})


ANSWERED = [
    (case("a"), said("Neutral", 0.2, 0.8)),
    (case("a", "smiling"), said("Happy", 0.9, 0.1)),
    (case("b"), said("Sad", 0.3, 0.6)),
    (case("b", "smiling"), said("", 0.4, 0.5, "UNCERTAIN")),
    (case("c"), said("", np.nan, np.nan, "NO_FACE")),
    (case("c", "smiling"), NONE),
    (case("d"), said("Happy", 0.7, 0.2)),
    (case("d", "smiling"), said("Happy", 0.7, 0.2)),
]


def test_the_fate_of_each_case():
    fates = [portrait_figures.fate(case, answer) for case, answer in ANSWERED]
    assert fates == ["right", "right", "wrong", "uncertain", "no label", "missed", "wrong", "right"]


def test_of_one_size():
    (of,) = portrait_figures.figures(ANSWERED, PERSONS).sizes
    assert (of.view, of.size) == ("body", 32)
    assert (of.found.hits, of.found.cases, of.found.persons) == (7, 8, 4)
    assert (of.precision.hits, of.precision.cases) == (3, 5)
    shares = {
        expression: [of.fates[expression][name].hits for name in portrait_figures.FATES] for expression in of.fates
    }
    assert shares == {"neutral": [1, 2, 0, 1, 0], "smiling": [2, 0, 1, 0, 1]}
    assert of.labels == {"neutral": {"Happy": 1, "Neutral": 1, "Sad": 1}, "smiling": {"Happy": 2}}
    assert of.statuses["neutral"] == {"NO_FACE": 1, "OK": 3}
    assert of.scored == 6
    # smiling .8, -.1, .5 against neutral -.6, -.3, .5: 3 + 2 + 2.5 of 9 pairs
    assert of.auc.value == pytest.approx(7.5 / 9)
    assert of.auc.low <= of.auc.value <= of.auc.high
    assert of.auc.groups == 3


def test_auc_of_weighted_cases():
    values, smiling = np.array([1.0, 0.0, 0.5]), np.array([True, True, False])
    assert portrait_figures.auc(values, smiling, np.array([3.0, 1.0, 1.0])) == 0.75
    assert np.isnan(portrait_figures.auc(values, smiling, np.array([1.0, 1.0, 0.0])))


@pytest.mark.parametrize("some", [ANSWERED[:2], ANSWERED[::2], [(case("c"), NONE), (case("c", "smiling"), NONE)]])
def test_no_auc_of_one_person_or_one_expression(some):
    assert portrait_figures.figures(some, PERSONS).sizes[0].auc is None


def test_groups_pool_two_sizes_on_bodies():
    extra = [
        (case("a", size=80), said("Neutral")),
        (case("a", size=48), NONE),
        (case("a", view="portrait", size=80), NONE),
    ]
    groups = {(of.attribute, of.group): of for of in portrait_figures.figures([*ANSWERED, *extra], PERSONS).groups}
    assert set(groups) == {
        ("gender", "female"),
        ("gender", "male"),
        ("ethnicity", "white"),
        ("ethnicity", "black"),
        ("age", "under 25"),
        ("age", "25 to 34"),
        ("age", "35 and older"),
        ("age", "not said"),
    }
    woman = groups["gender", "female"].fates
    assert (woman["neutral"]["right"].hits, woman["neutral"]["right"].cases) == (2, 2)
    assert woman["smiling"]["right"].cases == 1
    men = groups["gender", "male"]
    assert (men.persons, men.fates["neutral"]["wrong"].hits) == (3, 2)


def test_certain_labels_of_faces_that_cannot_be_read():
    answered = [
        (case("a", view="mouth covered", size=16, cover="skin"), said("Happy")),
        (case("a", view="mouth covered", size=32, cover="skin"), said("Happy")),
        (case("b", view="mouth covered", size=48, cover="dark"), said("", status="UNCERTAIN")),
        (case("c", view="mouth covered", size=48, cover="dark"), NONE),
        (case("a", view="from behind", size=48), said("", status="NO_FACE")),
    ]
    found = {
        (of.view, of.size, of.cover): (of.certain.hits, of.certain.cases, of.found.hits)
        for of in portrait_figures.figures(answered, PERSONS).unreadable
    }
    assert found == {
        ("mouth covered", "16 px", "any"): (1, 1, 1),
        ("mouth covered", "32 px", "any"): (1, 1, 1),
        ("mouth covered", "48 px", "any"): (0, 2, 1),
        ("mouth covered", "32 px and more", "any"): (1, 3, 2),
        ("mouth covered", "32 px and more", "skin"): (1, 1, 1),
        ("mouth covered", "32 px and more", "dark"): (0, 2, 1),
        ("from behind", "48 px", "any"): (0, 1, 1),
        ("from behind", "32 px and more", "any"): (0, 1, 1),
    }
