"""Due times against a clock of the test's own; stamps inside serialized messages of the real types."""

import itertools

import pytest

from caer_ros.cli.play import pacing
from caer_ros.cli.play.pacing import Pacer, Restamper

SECOND = 10**9


class Clock:
    """A steady clock that only sleeping, and the test, move on."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0])
def test_frames_are_due_by_their_stamps(clock, rate):
    pacer = Pacer(rate)
    stamps = [50 * SECOND, 50 * SECOND + SECOND // 10, 53 * SECOND]
    due = [pacer.wait(stamp) for stamp in stamps]
    assert due == pytest.approx([100, 100 + 0.1 / rate, 100 + 3 / rate])
    assert clock.now == pytest.approx(due[-1])


def test_a_late_frame_goes_at_once_and_the_next_is_on_time_again(clock):
    pacer = Pacer(1.0)
    pacer.wait(0)
    clock.now += 5
    assert pacer.wait(1 * SECOND) == pytest.approx(101)
    assert clock.now == pytest.approx(105)
    pacer.wait(7 * SECOND)
    assert clock.now == pytest.approx(107)


def test_a_loop_goes_on_a_period_after_the_last_frame(clock):
    pacer = Pacer(2.0)
    pacer.wait(5 * SECOND)
    pacer.wait(6 * SECOND)
    pacer.start_over(SECOND // 10)
    assert pacer.wait(5 * SECOND) == pytest.approx(100.5 + 0.05)
    assert pacer.wait(6 * SECOND) == pytest.approx(101.05)


def test_the_clock_ticks_often_never_back_and_with_each_frame(clock):
    ticks = []
    pacer = Pacer(2.0, lambda stamp: ticks.append((clock.now, stamp)))
    for stamp in (10 * SECOND, 11 * SECOND, 11 * SECOND + 1):
        pacer.wait(stamp)
        assert ticks[-1][1] == stamp
    times, stamps = zip(*ticks, strict=True)
    assert stamps == tuple(sorted(stamps))
    assert max(b - a for a, b in itertools.pairwise(times)) <= 1 / 50
    for now, stamp in ticks[:-1]:
        assert stamp / SECOND == pytest.approx(10 + (now - 100) * 2, abs=1e-6)


def test_a_stamp_is_given_the_time_of_its_first_sending():
    now = iter((7, 8, 9))
    restamp = Restamper(lambda: next(now))
    assert [restamp(100, "image"), restamp(100, "info"), restamp(200, "image"), restamp(200, "info")] == [7, 7, 8, 8]


def test_a_stamp_that_comes_again_on_a_topic_is_a_new_moment():
    """As in a loop, and in a bag without stamps, where all are zero."""
    now = iter((7, 8))
    restamp = Restamper(lambda: next(now))
    assert [restamp(0, "image"), restamp(0, "info"), restamp(0, "image"), restamp(0, "info")] == [7, 7, 8, 8]


def test_only_the_last_stamps_are_remembered():
    now = iter(range(10_000))
    restamp = Restamper(lambda: next(now))
    for stamp in range(1000):
        restamp(stamp, "image")
    assert len(restamp._given) == Restamper.REMEMBERED
    assert restamp(999, "info") == 999
