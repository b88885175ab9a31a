from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import NAN, prediction

from caer_ros.offline.data.predictions import Timing
from caer_ros.offline.metrics.over_time.timing import timing

MS = 10**6
STAMP = 1_718_000_000 * 1000 * MS


def message(number=0, received=10, published=50, processing=0.04, inference=0.03, drops=0, stamp=None):
    """``received`` and ``published`` in milliseconds after the stamp; None: zero."""
    stamp = STAMP + number * 100 * MS if stamp is None else stamp
    at = [0 if after is None else stamp + after * MS for after in (received, published)]
    return prediction(f"f/{number}", stamp=stamp, timing=Timing(*at, processing, inference, drops))


def test_by_hand():
    """Latencies of 1 to 101 ms: the median is 51, p95 96, p99 100."""
    images = [
        message(
            number, received=0, published=1 + number, processing=number / 1000 + 0.001, drops=3 * (number % 50 == 7)
        )
        for number in range(101)
    ]
    result = timing(images)
    for times in (result.latency, result.processing):
        assert (times.median, times.p95, times.p99, times.max) == pytest.approx((0.051, 0.096, 0.1, 0.101))
        np.testing.assert_allclose(times.values, np.arange(1, 102) / 1000)
        assert times.left_out == 0
    assert (result.age.max, result.inference.median) == (0, 0.03)
    assert (result.messages, result.drops, result.most_drops, result.notes) == (101, 6, 3, ())


def test_zeros_are_left_out_and_counted():
    images = [
        message(0),
        message(1, received=None),
        message(2, published=None),
        message(3, processing=0.0, inference=NAN),
        prediction("f/4", stamp=0, timing=Timing(STAMP, STAMP, 0.04, 0.03, 2)),
        prediction("f/5", timing=Timing(STAMP, STAMP, 0.04, 0.03, 0)),
        prediction("f/6", stamp=STAMP),
    ]
    result = timing(images)
    assert result.messages == 6
    lengths = [
        (len(times.values), times.left_out)
        for times in (result.latency, result.age, result.processing, result.inference)
    ]
    assert lengths == [(3, 3), (3, 3), (5, 1), (5, 1)]
    assert result.drops == 2


def test_nothing_known_of_a_time():
    result = timing([message(received=None)])
    assert len(result.age.values) == 0
    assert np.isnan([result.age.median, result.age.p95, result.age.p99, result.age.max]).all()


def test_no_messages():
    assert timing([]) is None
    assert timing([prediction("f/1", stamp=STAMP)]) is None


def test_clocks_that_differ_are_told():
    result = timing([message(0), message(1, received=-20, published=20), message(2, received=-30, published=-10)])
    assert (result.latency.values.min(), result.age.median) == pytest.approx((-0.01, -0.02))
    latency, age = result.notes
    assert latency.startswith("latency: 1 of 3 messages were published before")
    assert age.startswith("age: 2 of 3 messages were received before")
    for note in result.notes:
        assert "two clocks" in note
        assert "/clock and use_sim_time, or synchronise" in note


def test_a_recording_played_on_another_clock_is_told():
    year = 365 * 24 * 3600 * 1000
    result = timing([message(0, received=year, published=year + 40), message(1, received=59_000, published=60_000)])
    assert [note.partition(": two clocks")[0] for note in result.notes] == [
        "latency: 1 of 2 messages were published more than 60 s after the stamp of their image",
        "age: 1 of 2 messages were received more than 60 s after the stamp of their image",
    ]
    assert all("/clock and use_sim_time, or synchronise" in note for note in result.notes)
