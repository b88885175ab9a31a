"""Runs of states over time, as they can be drawn."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.offline.reports.bag.time_scale import FINEST, Run, Scale, clock


def scale(seconds, step=1.0):
    return Scale("bag", tuple(range(len(seconds))), np.array(seconds, float), step)


def test_equal_states_are_one_run_and_none_is_none():
    seconds = [0, 1, 2, 3, 4]
    assert scale(seconds).runs(np.array(seconds, float), ["a", "a", None, "b", "a"]) == [
        Run("a", 0, 2),
        Run("b", 3, 4),
        Run("a", 4, 5),
    ]


def test_a_frame_lasts_half_a_step_longer_at_most():
    seconds = np.array([0, 1, 5, 6.4])
    assert scale(seconds).runs(seconds, ["a"] * 4) == [Run("a", 0, 2.5), Run("a", 5, 7.4)]


def test_a_single_frame_of_a_long_recording_is_still_to_be_seen():
    seconds = np.arange(100_000) / 10
    states = ["fine"] * 100_000
    states[50_000] = "missed"
    found = scale(seconds, 0.1).runs(seconds, states)
    assert [run.state for run in found] == ["fine", "missed", "fine"]
    assert found[1].start == pytest.approx(5000)
    assert found[1].end - found[1].start == pytest.approx(10_000 * FINEST)
    assert found[2].end == pytest.approx(10_000)


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=400), st.sampled_from([1.0, 400.0]))
def test_runs_cover_just_the_frames_in_order_and_none_is_too_narrow(states, longer):
    """``longer``: the recording goes on, so that a frame is narrower than can be seen."""
    seconds = np.arange(len(states), dtype=float)
    whole = scale(np.append(seconds, seconds[-1] + 20_000 * (longer > 1) + 1))
    found = whole.runs(seconds, states)
    finest = FINEST * whole.end
    for before, after in pairwise(found):
        assert before.end <= after.start + 1e-9
        if before.end == after.start:
            assert before.state != after.state
            assert before.end - before.start >= finest - 1e-9
    for index, state in enumerate(states):
        inside = [run for run in found if run.start <= index < run.end]
        if finest <= 1:
            assert [run.state for run in inside] == ([] if state is None else [state])
        elif state is not None:
            assert len(inside) == 1


@pytest.mark.parametrize(
    ("seconds", "tenths", "expected"),
    [(0, True, "0:00.0"), (65.2, True, "1:05.2"), (59.96, True, "1:00.0"), (125.4, False, "2:05")],
)
def test_clock(seconds, tenths, expected):
    assert clock(seconds, tenths) == expected


def test_the_axis_has_round_marks_and_not_too_many():
    for seconds in (3, 16, 59, 600, 5000):
        ticks = scale(np.arange(seconds)).ticks()
        assert 3 <= len(ticks) <= 13
        assert ticks[0][0] == 0
    assert (pytest.approx(100 * 2 / 16), "0:02") in scale(np.arange(16)).ticks()
