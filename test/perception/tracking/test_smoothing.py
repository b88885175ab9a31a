from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.perception.person import BoxKind, EmotionStatus, Person
from caer_ros.perception.tracking.smoothing import Smoother

START_NS = 1_700_000_000_000_000_000
NAN = math.nan


def person(scores, track_id="run-1", status=EmotionStatus.OK) -> Person:
    return Person(
        box=np.array([0, 0, 10, 20], np.float32),
        confidence=0.9,
        box_kind=BoxKind.BODY,
        scores=np.asarray(scores, np.float32),
        status=status,
        track_id=track_id,
    )


def smoothed(smoother: Smoother, seconds: float, scores, **kwargs) -> np.ndarray:
    one = person(scores, **kwargs)
    smoother.update([one], START_NS + round(seconds * 1e9))
    return one.smoothed_scores


def test_the_first_evidence_is_taken_as_it_is():
    result = smoothed(Smoother(1.0, 5.0), 0, [0.7, 0.3])
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.float32([0.7, 0.3]))


def test_a_step_is_followed_by_63_percent_after_the_time_constant():
    smoother = Smoother(0.5, 5.0)
    smoothed(smoother, 0, [0.0, 1.0])
    np.testing.assert_allclose(smoothed(smoother, 0.5, [1.0, 0.0]), [1 - math.exp(-1), math.exp(-1)], rtol=1e-6)


def test_a_time_constant_of_zero_does_not_smooth():
    smoother = Smoother(0.0, 5.0)
    smoothed(smoother, 0, [0.0, 1.0])
    np.testing.assert_array_equal(smoothed(smoother, 0.01, [1.0, 0.0]), [1.0, 0.0])


def test_the_time_constant_may_change_between_two_updates():
    smoother = Smoother(100.0, 5.0)
    smoothed(smoother, 0, [0.0])
    smoother.time_constant = 0.0
    assert smoothed(smoother, 0.1, [1.0]) == 1.0


def test_untracked_persons_are_not_smoothed_and_leave_no_memory():
    smoother = Smoother(10.0, 5.0)
    smoothed(smoother, 0, [0.0, NAN], track_id="")
    np.testing.assert_array_equal(smoothed(smoother, 0.1, [1.0, NAN], track_id=""), [1.0, NAN])


def test_smoothed_scores_do_not_share_memory_with_scores_or_with_later_images():
    smoother = Smoother(1.0, 5.0)
    first, free = person([0.0]), person([0.5], track_id="")
    smoother.update([first, free], START_NS)
    smoothed(smoother, 1, [1.0])
    assert first.smoothed_scores == 0.0
    assert not np.shares_memory(free.smoothed_scores, free.scores)


def test_tracks_are_smoothed_apart():
    smoother = Smoother(1.0, 5.0)
    smoothed(smoother, 0, [0.0], track_id="run-1")
    assert smoothed(smoother, 0.1, [1.0], track_id="run-2") == 1.0


@pytest.mark.parametrize(
    "status", sorted(set(EmotionStatus) - {EmotionStatus.OK, EmotionStatus.UNCERTAIN}), ids=lambda status: status.name
)
def test_images_without_evidence_hold_the_last_value(status):
    smoother = Smoother(0.1, 5.0)
    smoothed(smoother, 0, [0.2, 0.8])
    np.testing.assert_array_equal(smoothed(smoother, 1, [1.0, 0.0], status=status), np.float32([0.2, 0.8]))


def test_scores_of_nan_hold_the_last_value():
    smoother = Smoother(0.1, 5.0)
    smoothed(smoother, 0, [0.2, 0.8])
    np.testing.assert_array_equal(smoothed(smoother, 1, [NAN, NAN]), np.float32([0.2, 0.8]))


def test_uncertain_is_evidence():
    smoother = Smoother(0.0, 5.0)
    smoothed(smoother, 0, [0.2, 0.8])
    assert smoothed(smoother, 1, [0.5, 0.5], status=EmotionStatus.UNCERTAIN)[0] == 0.5


def test_before_the_first_evidence_nothing_is_known():
    assert np.isnan(smoothed(Smoother(1.0, 5.0), 0, [0.2, 0.8], status=EmotionStatus.NO_FACE)).all()


def test_each_label_has_its_own_clock():
    smoother = Smoother(1.0, 5.0)
    smoothed(smoother, 0, [0.0, 0.0, NAN])
    np.testing.assert_array_equal(smoothed(smoother, 1, [1.0, NAN, NAN])[1:], [0.0, NAN])
    result = smoothed(smoother, 2, [1.0, 1.0, 0.4])
    np.testing.assert_allclose(result, [1 - math.exp(-2), 1 - math.exp(-2), 0.4], rtol=1e-6)


def test_memory_is_dropped_after_forget_seconds_without_evidence():
    smoother = Smoother(100.0, 2.0)
    smoothed(smoother, 0, [0.2])
    assert smoothed(smoother, 2.0, [1.0], status=EmotionStatus.NO_FACE) == np.float32(0.2)
    assert np.isnan(smoothed(smoother, 2.001, [1.0], status=EmotionStatus.NO_FACE))
    assert smoothed(smoother, 2.1, [1.0]) == 1.0


def test_evidence_after_forget_seconds_starts_anew():
    smoother = Smoother(100.0, 2.0)
    smoothed(smoother, 0, [0.2])
    assert smoothed(smoother, 3.0, [1.0]) == 1.0


def test_reset_forgets_and_accepts_earlier_stamps():
    smoother = Smoother(100.0, 50.0)
    smoothed(smoother, 10, [0.2, 0.8])
    smoother.reset()
    np.testing.assert_array_equal(smoothed(smoother, 0, [1.0, 0.0, 0.0]), [1.0, 0.0, 0.0])


def test_memory_is_bounded_while_people_come_and_go():
    smoother = Smoother(1.0, 2.0)
    for frame in range(5000):
        smoother.update([person([0.5], track_id=f"run-{frame // 5}")], START_NS + frame * 100_000_000)
    assert len(smoother._memories) <= 2.0 / 0.5 + 1


LEVELS = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8)


@settings(deadline=None)
@given(levels=LEVELS, coarse=st.integers(1, 4), fine=st.integers(1, 12), tau=st.floats(0.05, 20))
def test_the_result_does_not_depend_on_the_rate(levels, coarse, fine, tau):
    """A signal that is constant between whole seconds, looked at ``coarse`` and ``fine`` times a second."""

    def at_whole_seconds(rate: int) -> list[float]:
        smoother = Smoother(tau, 5.0)
        smoothed(smoother, 0, [levels[0]])
        results = []
        for second, level in enumerate(levels):
            for step in range(1, rate + 1):
                last = smoothed(smoother, second + step / rate, [level])
            results.append(float(last[0]))
        return results

    np.testing.assert_allclose(at_whole_seconds(coarse), at_whole_seconds(fine), atol=1e-6)


STEPS = st.lists(
    st.tuples(
        st.integers(1, 3_000_000_000),
        st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3),
        st.sampled_from(EmotionStatus),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(steps=STEPS, tau=st.floats(0, 10), forget=st.floats(0, 10))
def test_results_stay_between_the_smallest_and_the_largest_evidence(steps, tau, forget):
    smoother = Smoother(tau, forget)
    stamp, evidence = START_NS, []
    for dt, scores, status in steps:
        stamp += dt
        one = person(scores, status=status)
        smoother.update([one], stamp)
        if status in (EmotionStatus.OK, EmotionStatus.UNCERTAIN):
            evidence.append(one.scores)
            assert not np.isnan(one.smoothed_scores).any()
        if not np.isnan(one.smoothed_scores).any():
            assert (one.smoothed_scores >= np.min(evidence, axis=0)).all()
            assert (one.smoothed_scores <= np.max(evidence, axis=0)).all()


@settings(deadline=None)
@given(steps=STEPS, tau=st.floats(0, 10))
def test_a_softmax_still_sums_to_one(steps, tau):
    smoother = Smoother(tau, 1e9)
    stamp = START_NS
    for dt, logits, _ in steps:
        stamp += dt
        weights = np.exp(5 * np.array(logits))
        one = person(weights / weights.sum())
        smoother.update([one], stamp)
        assert one.smoothed_scores.sum() == pytest.approx(1, abs=1e-5)
