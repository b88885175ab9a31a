from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline.metrics.tracks import SECOND, annotated, box, found, together

from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.over_time.stability import Change, stability

START = 1_718_000_000 * SECOND
A, B, C, NONE, MISSED = 0, 1, 2, -1, -2


def person(truth, published, times=None, track="p", folder="front", start=START):
    """One person over time: in each image the label or labels (None: not known) and what is published."""
    frames = []
    for number, (true, label) in enumerate(zip(truth, published, strict=True)):
        stamp = start + round((number if times is None else times[number]) * SECOND)
        boxes, ids, tops = ([], [], []) if label == MISSED else ([box(0)], ["1"], [label])
        name = f"{folder}/{stamp}"
        frames.append((annotated(name, stamp, [box(0)], [track], [true]), found(name, boxes, ids, tops)))
    return frames


def test_by_hand():
    """An image each second, 9 s in all. A to none to B flickers at 2 s, B to A at 3 s. The truth changes to B at 4 s;
    A to C at 5 s is no answer, so it flickers; B at 6 s is the answer, 2 s late. C, from 8 s on, is never answered, and
    A at 8 s came with another truth. Each label lasts until the next image: A, A, B, B were right, B, A, C, A wrong.
    """
    truth = [A, A, A, A, B, B, B, B, C, C]
    result = stability(together(person(truth, [A, NONE, B, A, A, C, B, B, A, NONE])))
    (track,) = result.tracks
    at = [START + second * SECOND for second in range(10)]
    assert track.flickers == (at[2], at[3], at[5])
    assert (result.flickers, result.minutes, result.flicker_per_minute) == (3, 9 / 60, pytest.approx(20))
    assert track.flicker_per_minute == pytest.approx(20)
    assert (track.changes[0], track.changes[1].stamp) == (Change(at[4], 2.0), at[8])
    assert np.isnan(track.changes[1].delay)
    assert (result.changes, result.never, result.delays.tolist()) == (2, 1, [2.0])
    assert (result.delay_median, result.delay_p95) == (2, 2)
    assert (track.seconds, track.right, track.wrong, track.without) == (9, 4, 4, 1)
    assert (result.right, result.wrong, result.without) == pytest.approx((4 / 9, 4 / 9, 1 / 9))
    assert (track.sequence, track.track_id, track.images, result.left_out) == ("front", "p", 10, 0)


def test_delays_of_several_changes():
    """0, 1, 2 and 3 images late, an image every half second: 0, 0.5, 1, 1.5 s; p95 lies 0.85 of the way from 1 to
    1.5."""
    truth = [A] * 2 + [B] * 4 + [A] * 4 + [B] * 4 + [C] * 4
    published = [A] * 2 + [B] * 4 + [B, A, A, A] + [A, A, B, B] + [B, B, B, C]
    result = stability(together(person(truth, published, times=np.arange(18) / 2)))
    assert result.delays.tolist() == [0, 0.5, 1, 1.5]
    assert (result.delay_median, result.delay_p95) == pytest.approx((0.75, 1.425))
    assert (result.flickers, result.never) == (0, 0)


@given(st.integers(0, 5), st.lists(st.integers(6, 9), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_constant_delay_is_told_and_is_no_flicker(late, lengths):
    truth = np.repeat(np.arange(len(lengths)) % 3, lengths)
    published = np.append(np.repeat(truth[:1], late), truth[: len(truth) - late])
    result = stability(together(person(truth, published, times=np.arange(len(truth)) / 10)))
    assert (result.changes, result.never, result.flickers) == (len(lengths) - 1, 0, 0)
    np.testing.assert_allclose(result.delays, late / 10)
    assert result.wrong == pytest.approx(late * (len(lengths) - 1) / (len(truth) - 1))


def naive(seen):
    """``seen``: time, set of true labels and published label of each image. Over again, in one loop: flickers, delays
    (None: never), and the seconds right, wrong and without."""
    seen = [image for image in seen if image[1]]
    flickers, delays, seconds = 0, [], {"right": 0.0, "wrong": 0.0, "without": 0.0}
    certain, changed, waiting = None, False, None
    for number, (time, truth, label) in enumerate(seen):
        if number and truth != seen[number - 1][1]:
            changed, waiting = True, time
            delays.append(None)
        answers = waiting is not None and label in truth
        if answers:
            delays[-1], waiting = time - waiting, None
        if label >= 0:
            flickers += certain is not None and label != certain and not changed and not answers
            certain, changed = label, False
        state = "without" if label < 0 else "right" if label in truth else "wrong"
        if number + 1 < len(seen):
            seconds[state] += min(seen[number + 1][0] - time, 2)
    return flickers, delays, seconds


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.25, 1, 1, 7]),
            st.sampled_from([(), (A,), (A,), (B,), (A, B)]),
            st.sampled_from([A, A, B, C, NONE, MISSED]),
        ),
        max_size=20,
    ).map(lambda seen: [(1, (A,), A)] * 30 + seen)  # so that the usual step is one second
)
@settings(deadline=None)
def test_equals_a_naive_implementation(seen):
    gaps, truth, published = zip(*seen, strict=True)
    times = np.cumsum(gaps)
    frames = person(truth, published, times)
    result = stability(together(frames))
    flickers, delays, seconds = naive(list(zip(times, truth, published, strict=True)))
    (track,) = result.tracks
    assert len(track.flickers) == flickers
    assert [None if np.isnan(change.delay) else change.delay for change in track.changes] == delays
    assert {state: getattr(track, state) for state in seconds} == pytest.approx(seconds)
    assert track.seconds == pytest.approx(sum(seconds.values()))
    assert stability(together(frames[::-1])).tracks[0].flickers == track.flickers


def test_of_several_labels_each_is_right():
    """From one right label to another flickers all the same, and another set of labels is another truth."""
    result = stability(together(person([(A, B)] * 3 + [(A,)], [A, B, C, B])))
    assert (result.right, result.wrong, result.flickers) == pytest.approx((2 / 3, 1 / 3, 2))
    assert (result.changes, result.never) == (1, 1)


def test_only_a_match_says_something_of_a_person():
    """Missed; a box with an IoU of 1/3; a faint detection without a track. A faint one of a track is published."""
    frames = person([A] * 5, [MISSED] * 5)
    seen = [
        found(frames[0][0].image_id),
        found(frames[1][0].image_id, [box(0, 20)], ["1"], [A]),
        found(frames[2][0].image_id, [box(0)], [""], [A], scores=[0.2]),
        found(frames[3][0].image_id, [box(0)], ["1"], [A], scores=[0.2]),
        found(frames[4][0].image_id, tracked=None),
    ]
    frames = [(truth, image) for (truth, _), image in zip(frames, seen, strict=True)]
    (track,) = stability(together(frames)).tracks
    assert (track.right, track.wrong, track.without) == (1, 0, 3)


def test_each_person_has_the_label_of_the_own_detection():
    """Detections stand in another order than persons, and are not sorted by score."""
    stamps = [START, START + SECOND]
    frames = [
        (
            annotated(f"f/{stamp}", stamp, [box(0), box(1), box(2)], ["p", "q", "r"], [A, B, C]),
            found(
                f"f/{stamp}",
                [box(3), box(2, 5), box(0, 5), box(1)],
                "4312",
                [NONE, C, A, A],
                np.array([0.5, 0.4, 0.9, 0.6]),
            ),
        )
        for stamp in stamps
    ]
    result = stability(together(frames))
    assert [(track.track_id, track.right) for track in result.tracks] == [("p", 1), ("q", 0), ("r", 1)]
    assert result.right == pytest.approx(2 / 3)


def test_an_absence_counts_as_two_seconds():
    """0, 1, 2 s, then 62, 63 s: 1 + 1 + 2 + 1. The label of 2 s lasts two seconds."""
    result = stability(together(person([A] * 5, [A, A, B, A, A], times=[0, 1, 2, 62, 63])))
    (track,) = result.tracks
    assert (track.seconds, track.wrong, result.flickers) == (5, 2, 2)


def test_images_without_a_known_emotion_are_left_out():
    """A, unknown, A: one step of two seconds, and what was published meanwhile does not count."""
    result = stability(together(person([A, None, A], [A, B, A])))
    assert (result.flickers, result.tracks[0].seconds, result.tracks[0].images, result.right) == (0, 2, 2, 1)


def test_the_same_id_in_two_sequences_is_two_persons():
    """A and then B, but in another recording; seen once, so of no time at all."""
    front, back = person([A] * 2, [A] * 2), person([B], [B], folder="back", start=START + 2 * SECOND)
    result = stability(together(front + back))
    assert [(track.sequence, track.images) for track in result.tracks] == [("front", 2), ("back", 1)]
    assert (result.flickers, result.changes) == (0, 0)
    assert np.isnan(result.tracks[1].flicker_per_minute)
    assert np.isnan([result.delay_median, result.delay_p95]).all()


def test_tracks_without_labels_are_counted():
    result = stability(together(person([A] * 2, [A] * 2) + person([None], [A], folder="back")))
    assert (len(result.tracks), result.left_out) == (1, 1)


def test_what_cannot_be_told():
    once = stability(together(person([A], [A])))
    assert np.isnan([once.flicker_per_minute, once.right, once.wrong, once.without]).all()
    with pytest.raises(MetricsError, match="without the pipeline"):
        stability(together([(truth, found(truth.image_id, tracked=None)) for truth, _ in person([A], [A])]))
    for track, stamp in (("", START), ("p", None), ("p", 0)):
        frame = annotated("f/1", stamp, [box(0)], [track], [A]), found("f/1", [box(0)], ["1"], [A])
        with pytest.raises(MetricsError, match="no track is annotated with emotions"):
            stability(together([frame]))
    with pytest.raises(MetricsError, match="no track is annotated with emotions"):
        stability(together(person([None], [A])))
