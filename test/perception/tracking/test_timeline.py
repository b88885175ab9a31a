"""Image stamps in order, late, looping, missing."""

from hypothesis import given
from hypothesis import strategies as st

from caer_ros.perception.tracking.timeline import LATE_STREAK, Order, Timeline

SECOND = 1_000_000_000


def admit(*seconds: float) -> list[Order]:
    timeline = Timeline()
    return [timeline.admit(round(s * SECOND)) for s in seconds]


def test_rising_stamps_are_in_order() -> None:
    assert admit(1.0, 1.1, 5.0) == [Order.IN_ORDER] * 3


def test_zero_stamps_are_unstamped_and_disturb_nothing() -> None:
    assert admit(1.0, 0.0, 1.1) == [Order.IN_ORDER, Order.UNSTAMPED, Order.IN_ORDER]


def test_a_little_older_or_equal_is_late() -> None:
    timeline = Timeline()
    timeline.admit(10 * SECOND)
    assert timeline.admit(10 * SECOND) is Order.LATE
    assert timeline.admit(9_500_000_000) is Order.LATE
    assert timeline.behind(9_500_000_000) == 0.5
    assert timeline.admit(10 * SECOND + 1) is Order.IN_ORDER


def test_a_bag_loop_is_a_new_beginning() -> None:
    assert admit(100.0, 110.0, 100.0, 100.1) == [
        Order.IN_ORDER,
        Order.IN_ORDER,
        Order.JUMPED_BACK,
        Order.IN_ORDER,
    ]


def test_one_stamp_from_the_far_future_does_not_silence_the_rest() -> None:
    assert admit(1.0, 4e9, 1.1, 1.2)[2:] == [Order.JUMPED_BACK, Order.IN_ORDER]


def test_a_loop_shorter_than_a_second_is_noticed() -> None:
    once = [1.0 + 0.1 * i for i in range(8)]
    orders = admit(*once, *once)
    assert orders[8 : 8 + LATE_STREAK] == [Order.LATE] * (LATE_STREAK - 1) + [Order.JUMPED_BACK]
    assert orders[8 + LATE_STREAK :] == [Order.IN_ORDER] * (8 - LATE_STREAK)


def test_two_interleaved_cameras_do_not_make_new_beginnings() -> None:
    """Late images that alternate with good ones never build a streak."""
    orders = admit(*(t for i in range(20) for t in (1 + 0.1 * i, 0.97 + 0.1 * i)))
    assert Order.JUMPED_BACK not in orders
    assert orders.count(Order.LATE) == 20


@given(st.lists(st.integers(0, 20 * SECOND), max_size=60))
def test_admitted_stamps_rise_between_beginnings(stamps: list[int]) -> None:
    timeline = Timeline()
    newest = None
    for stamp in stamps:
        order = timeline.admit(stamp)
        if order is Order.IN_ORDER:
            assert newest is None or stamp > newest
        if order in (Order.IN_ORDER, Order.JUMPED_BACK):
            newest = stamp
