from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from caer_ros import taxonomy
from caer_ros.offline.data.synthetic import cues
from caer_ros.offline.data.synthetic.cues import Cues, Dials

PERSON = ("face", "posture")
parts = st.floats(0, 1)
dials = st.builds(Dials, parts, parts, parts, parts)


def drawn(dials, count, seed=0):
    random = np.random.default_rng(seed)
    return [cues.draw(dials, int(random.integers(8)), random) for _ in range(count)]


def one_hot(persons):
    return np.eye(8)[[person.emotion for person in persons]]


def test_a_posterior_by_hand():
    """Face 0.6 and posture 0.2, both Fear, which is emotion 3: (0.65 · 0.3) against seven times (0.05 · 0.1)."""
    (posterior,) = cues.best_scores(Dials(0.6, 0.2, 0.9, 0.0), [Cues(0, 3, 3, 5)], PERSON)
    expected = np.full(8, 0.05 * 0.1)
    expected[3] = 0.65 * 0.3
    np.testing.assert_allclose(posterior, expected / expected.sum(), atol=2e-9)


@given(dials, st.integers(-1, 7), st.integers(0, 7), st.integers(0, 7))
@settings(max_examples=50, deadline=None)
def test_the_posterior_is_that_of_the_generating_process(dials, face, posture, scene):
    """By enumeration of what ``draw`` does: every cue either tells, or shows anything."""
    joint = np.zeros(8)
    for emotion in range(8):
        joint[emotion] = (
            (dials.scene * (emotion == scene) + (1 - dials.scene) / 8)
            * (1 if face == cues.HIDDEN else dials.face * (face == emotion) + (1 - dials.face) / 8)
            * (dials.posture * (posture == emotion) + (1 - dials.posture) / 8)
        )
    (posterior,) = cues.best_scores(dials, [Cues(0, face, posture, scene)])
    assert posterior.sum() == pytest.approx(1)
    if joint.sum() > 0:
        np.testing.assert_allclose(posterior, joint / joint.sum(), atol=2e-9)


def test_draws_have_the_probabilities_that_the_dials_say():
    dials = Dials(0.8, 0.5, 0.7, 0.25)
    persons = drawn(dials, 20_000)

    def agree(dial):
        return pytest.approx(dial + (1 - dial) / 8, abs=0.015)

    seen = [person for person in persons if person.face != cues.HIDDEN]
    assert 1 - len(seen) / len(persons) == pytest.approx(0.25, abs=0.015)
    assert np.mean([person.face == person.emotion for person in seen]) == agree(0.8)
    assert np.mean([person.posture == person.emotion for person in persons]) == agree(0.5)
    assert np.mean([person.scene == person.emotion for person in persons]) == agree(0.7)
    assert np.bincount([person.emotion for person in persons]) / len(persons) == pytest.approx(1 / 8, abs=0.015)


@pytest.mark.parametrize("sees", [cues.CUES, PERSON, ("scene",), ("face",), ()])
def test_the_best_average_precision_is_what_many_persons_come_to(sees):
    dials = Dials(0.8, 0.5, 0.7, 0.25)
    persons = drawn(dials, 30_000, seed=1)
    measured = average_precision_score(one_hot(persons), cues.best_scores(dials, persons, sees), average=None)
    np.testing.assert_allclose(cues.best_average_precision(dials, sees), measured, atol=0.025)
    assert cues.best_ap(dials, sees) == pytest.approx(measured.mean(), abs=0.008)


def test_the_best_average_precision_of_emotic_labels():
    dials = Dials(0.7, 0.4, 0.6, 0.2)
    persons = drawn(dials, 30_000, seed=2)
    holds = np.random.default_rng(3).random((len(persons), 26)) < one_hot(persons) @ cues.EMOTIC_TABLE
    measured = average_precision_score(holds, cues.best_scores(dials, persons, table=cues.EMOTIC_TABLE), average=None)
    np.testing.assert_allclose(
        cues.best_average_precision(dials, table=cues.EMOTIC_TABLE), measured, atol=0.03, rtol=0.03
    )


@given(dials, st.sampled_from(("face", "posture", "scene")), parts)
@settings(max_examples=40, deadline=None)
def test_a_dial_turned_up_never_lowers_the_bound(dials, name, value):
    turned = Dials(**{key: getattr(dials, key) for key in dials.__slots__} | {name: value})
    low, high = sorted((dials, turned), key=lambda d: getattr(d, name))
    assert cues.best_ap(low) <= cues.best_ap(high) + 1e-9


@given(dials)
@settings(max_examples=40, deadline=None)
def test_looking_at_more_never_hurts(dials):
    assert cues.best_ap(dials, ("posture",)) <= cues.best_ap(dials, PERSON) + 1e-9 <= cues.best_ap(dials) + 2e-9


@given(dials)
@settings(max_examples=40, deadline=None)
def test_a_scene_that_tells_nothing_adds_nothing(dials):
    silent = Dials(dials.face, dials.posture, 0.0, dials.hidden)
    assert cues.best_ap(silent) == pytest.approx(cues.best_ap(silent, PERSON), abs=1e-9)


def test_the_bound_by_hand():
    """The first half is all positive, of the second half one half: recall 2/3 at precision 1, then down to 3/4.

    The second half adds ∫ (1/2 + x/2) / (1/2 + x) dx / 2 over x from 0 to 1/2, which is (1 + ln 2) / 8.
    """
    half = np.array([0.5, 0.25]), np.array([0.5, 0.5])
    assert cues._average_precision(*half, np.array([0.9, 0.1])) == pytest.approx((0.5 + (1 + np.log(2)) / 8) / 0.75)
    assert cues._average_precision(*half, np.array([0.5, 0.5])) == pytest.approx(0.75)


def test_the_ends_of_the_dials():
    assert cues.best_ap(Dials(1, 0, 0, 0)) == pytest.approx(1)
    assert cues.best_ap(Dials(0, 0, 0, 0)) == pytest.approx(1 / 8)
    assert cues.best_ap(Dials(1, 0, 0, 1)) == pytest.approx(1 / 8), "a hidden face tells nothing"
    assert cues.best_ap(Dials(0, 0, 1, 1), PERSON) == pytest.approx(1 / 8)


def test_no_other_ranking_is_better():
    dials = Dials(0.6, 0.5, 0.5, 0.3)
    persons = drawn(dials, 20_000, seed=4)
    best = cues.best_scores(dials, persons)
    truth, noise = one_hot(persons), np.random.default_rng(5).random(best.shape)
    for other in (best + 0.1 * noise, best.round(6), cues.best_scores(dials, persons, PERSON), -best):
        assert average_precision_score(truth, other) < average_precision_score(truth, best)


def test_nobody_has_no_scores():
    assert cues.best_scores(Dials(), []).shape == (0, 8)


def test_what_is_no_cue():
    with pytest.raises(ValueError, match="hat"):
        cues.best_ap(Dials(), ("face", "hat"))


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_a_dial_out_of_range(value):
    with pytest.raises(ValueError, match=r"scene .*: must be within 0..1"):
        Dials(scene=value)


def test_tables():
    assert cues.EMOTIC_TABLE.shape == (8, 26)
    for emotion, label in taxonomy.counterparts("heco", "emotic").items():
        assert cues.EMOTIC_TABLE[cues.EMOTIONS.index(emotion), taxonomy.EMOTIC.index(label)] == 1
    assert len({tuple(row) for row in cues.EMOTIC_TABLE}) == 8
    assert sorted(cues.EMOSET_LABELS.values()) == sorted(taxonomy.EMOSET)
    assert set(cues.EMOSET_LABELS) == set(cues.EMOTIONS)
    assert sorted(cues.AFFECTNET_LABELS.values()) == sorted(taxonomy.AFFECTNET)
    assert cues.VAD.shape == (len(cues.EXPRESSIONS), 3)
    assert np.abs(cues.VAD).max() <= 1
    for a, b in product(range(8), repeat=2):
        assert a == b or np.abs(cues.VAD[a] - cues.VAD[b]).max() > 0.2
