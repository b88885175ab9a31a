from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions, Timing, Tracked
from caer_ros.offline.evaluation.bags.as_recorded import (
    Fate,
    Fates,
    account,
    ages,
    of_size_seen,
    point,
    streaming,
    strict,
)
from caer_ros.offline.evaluation.bags.published_messages import Counted
from caer_ros.offline.metrics.joined import MetricsError, join
from caer_ros.offline.metrics.on_the_field import oer
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.plain_data import plain
from caer_ros.recordings.annotations.sample import Dataset, Findings, Sample

MS = 10**6
START = 1_600_000_000_000
"""Milliseconds, when everything begins."""
LABELS = ("even", "odd")
SIZE = (100, 4000)
IN_TIME, LATE, UNANSWERED = Fate.IN_TIME, Fate.LATE, Fate.UNANSWERED


def ns(ms):
    return (START + ms) * MS


def box(ms):
    """Where the one person is at that time: somewhere else every 100 ms."""
    x = ms % 3000
    return np.array([[x, 10, x + 50, 90]], np.float32)


def emotions(ms):
    """Even at even tenths of a second."""
    return np.array([[1, 0] if ms // 100 % 2 == 0 else [0, 1]], np.float32)


def sample(ms, **changes):
    fields = {
        "image_id": f"camera/{ns(ms)}",
        "path": Path("nowhere"),
        "size": SIZE,
        "boxes": box(ms),
        "box_kind": BoxKind.BODY,
        "emotions": emotions(ms),
        "vad": np.full((1, 3), np.nan, np.float32),
        "votes": np.full((1, 2), np.nan, np.float32),
        "weights": np.ones(1, np.float32),
        "gender": ("",),
        "age": ("",),
        "exhaustive": True,
        "track_ids": ("a",),
        "faces": ("",),
        "face_boxes": np.full((1, 4), np.nan, np.float32),
        "stamp": ns(ms),
    }
    return Sample(**(fields | changes))


def message(ms, published, received=None, drops=0, **changes):
    """A right answer to the image of ``ms``."""
    scores = 0.8 * emotions(ms) + 0.1
    received = ms + 10 if received is None else received
    fields = {
        "image_id": f"emotions/{ns(ms)}",
        "size": SIZE,
        "boxes": box(ms),
        "scores": np.array([0.9], np.float32),
        "emotions": scores,
        "stamp": ns(ms),
        "tracked": Tracked(("1",), np.zeros(1, bool), scores, np.array([scores.argmax()])),
        "timing": Timing(ns(received), ns(published), (published - received) / 1e3, 0.01, drops),
    }
    return ImagePrediction(**(fields | changes))


def table(*images):
    header = PredictionHeader(
        "m", "0", "own", LABELS, ScoreType.SIGMOID, BoxKind.BODY, "bag", 9, {"person": 0.1, "kept": 0.1}
    )
    return Predictions(header, images)


def dataset(samples):
    return Dataset("bag", Path("bag"), "test", "own", LABELS, True, tuple(samples), Findings())


# --- By hand -------------------------------------------------------------------------------------------------------

# A camera at 10 Hz, images 10 ms on their way, 50 ms of work:
FIELD = table(
    message(0, 60),
    message(100, 160),
    message(200, 460, drops=1),  # works until 460; meanwhile 300 comes, and is replaced by 400
    message(400, 510),
    message(500, 560),
    # 600 is lost on its way to the node
    message(700, 760),  # its image is lost by the recorder
    message(800, 1210, drops=2),  # works until 1210; 900 is replaced by 1000, and that by 1100
    message(1100, 1260),
    # then the node is stopped
)
FRAMES = [sample(ms) for ms in range(0, 1300, 100)]
IMAGES = [ns(ms) for ms in range(0, 1300, 100) if ms not in (700, 900)]
"""What the recorder got: 900 is lost to it too."""


def test_the_fate_of_each_frame_by_hand():
    found = account(FIELD, FRAMES, IMAGES, 0.2)
    fates = {(START * MS, ms): fate for ms, fate in zip(range(0, 1300, 100), found.fates, strict=True)}
    assert [fates[START * MS, ms] for ms in (0, 100, 400, 500, 700, 1100)] == [IN_TIME] * 6
    assert [fates[START * MS, ms] for ms in (200, 800)] == [LATE] * 2
    assert [fates[START * MS, ms] for ms in (300, 600, 900, 1000, 1200)] == [UNANSWERED] * 5
    assert found.annotated == Fates(6, 2, 5)
    assert found.frames == Fates(6, 2, 4)  # of 900 there is neither an image nor an answer
    assert [ms for ms, missing in zip(range(0, 1300, 100), found.image_missing, strict=True) if missing] == [700]
    assert (found.drops, found.rejected, found.unexplained) == (3, None, 1)
    assert (found.images_missing, found.images_lost) == (1, 0)
    assert (found.before_first, found.after_last, found.notes) == (0, 1, ())
    assert plain(found)["frames"] == {"in_time": 6, "late": 2, "unanswered": 4}


@pytest.mark.parametrize(
    ("counted", "drops", "unexplained", "lost"),
    [
        (None, 3, 1, 0),
        (Counted(dropped=3, rejected=0), 3, 1, 0),
        (Counted(dropped=4, rejected=0), 4, 0, 0),  # some messages are not in the bag
        (Counted(dropped=2, rejected=1), 3, 0, 0),  # the last status is older than the last message
        (Counted(dropped=6, rejected=1), 6, 0, 3),  # the recorder lost images
    ],
)
def test_the_node_s_own_count_explains_so_many_frames(counted, drops, unexplained, lost):
    found = account(FIELD, FRAMES, IMAGES, 0.2, counted)
    assert (found.drops, found.unexplained, found.images_lost) == (drops, unexplained, lost)
    assert found.rejected == (counted.rejected if counted else None)
    assert found.frames == Fates(6, 2, 4)


def test_streaming_by_hand():
    judged = streaming(FIELD, FRAMES, 0.2)
    assert [image.image_id for image in judged.images] == [one.image_id for one in FRAMES]
    newest = [100, 100, 100, 200, 500, 500, 700, 700, 700, 700, 700, 1100, 1100]
    assert [image.stamp for image in judged.images] == [ns(ms) for ms in newest]
    assert judged.images[3].timing.drops == 1
    assert judged.images[3].tracked.ids == ("1",)
    expected = [(ms + 200 - of) / 1e3 for ms, of in zip(range(0, 1300, 100), newest, strict=True)]
    assert ages(judged, FRAMES, 0.2) == pytest.approx(expected)
    early = streaming(FIELD, FRAMES, 0.05)
    assert [image.stamp for image in early.images[:3]] == [None, ns(0), ns(100)]
    nobody = early.images[0]
    assert (nobody.boxes.shape, nobody.emotions.shape, nobody.scores.shape) == ((0, 4), (0, 2), (0,))
    assert (nobody.tracked.ids, nobody.timing) == ((), None)
    assert np.isnan(ages(early, FRAMES, 0.05)[0])
    assert "200 ms" in judged.header.source


def test_strict_by_hand():
    judged, left = strict(FIELD, FRAMES, 0.2)
    assert [of(one) for one in left] == list(range(0, 1200, 100))  # after 1100 the node may have been stopped
    answered = [image.stamp for image in judged.images]
    assert answered == [ns(ms) if ms in (0, 100, 400, 500, 700, 1100) else None for ms in (of(one) for one in left)]
    assert oer(join(left, judged)).found.tolist() == [6 / 12] * 10
    assert strict(table(), FRAMES, 0.2)[1] == []


def of(one):
    return one.stamp // MS - START


def test_oer_over_deadlines_by_hand():
    """At 200 ms the newest answers are those to 100, 500, 700 and 1100 themselves, all odd; the others miss.

    Even: 7 of 13 persons, of whom none is found; the four found ones, all odd, come before the tie at zero: AP 7/13.
    Odd: 6 of 13, four of whom come first: AP 4/6 + 2/6 · 6/13.
    """
    found = point(0.2, streaming(FIELD, FRAMES, 0.2), dataset(FRAMES))
    assert (found.deadline, found.found) == (0.2, pytest.approx(4 / 13))
    assert found.oer == pytest.approx((7 / 13 + 4 / 6 + 2 / 6 * 6 / 13) / 2)
    assert found.chance == pytest.approx(0.5)
    assert 0 < found.pd < 4 / 13
    late = point(2.0, streaming(FIELD, FRAMES, 2.0), dataset(FRAMES))
    assert late.found == pytest.approx(1 / 13)  # two seconds later the answer to 1100 is the newest for all


def test_the_last_answer_is_judged_at_an_infinite_deadline():
    judged = streaming(FIELD, FRAMES, float("inf"))
    assert {image.stamp for image in judged.images} == {ns(1100)}


def test_before_the_first_and_after_the_last_answer():
    images = [ns(ms) for ms in range(0, 600, 100)]
    some = table(message(200, 220), message(300, 320))
    found = account(some, [], images, 0.1)
    assert (found.before_first, found.after_last, found.frames) == (2, 2, Fates(2, 0, 4))
    none = account(table(), [sample(100)], images, 0.1)
    assert (none.fates, none.frames, none.after_last) == ((UNANSWERED,), Fates(0, 0, 6), 6)
    assert streaming(table(), [sample(100)], 0.1).images[0].stamp is None


# --- Recordings as they are ----------------------------------------------------------------------------------------


def test_of_two_answers_to_one_image_the_first_published_counts():
    """A bag played twice, or a node that was restarted."""
    again = replace(message(100, 900), boxes=np.zeros((0, 4), np.float32))
    both = table(again, message(0, 60), message(100, 160))
    found = account(both, [sample(100)], [ns(0), ns(100)], 0.1)
    assert found.fates == (IN_TIME,)
    assert "1 messages are about an image that was answered before" in found.notes[0]
    (judged,) = streaming(both, [sample(100)], 5.0).images
    assert judged.timing.published == ns(160)


def test_messages_and_images_without_a_stamp_are_left_out_and_told():
    unstamped = message(50, 70, stamp=0)
    found = account(table(message(0, 60), unstamped), [sample(0)], [0, ns(0), ns(0), 0], 0.1)
    assert found.fates == (IN_TIME,)
    assert [note.split(" ", 1) for note in found.notes] == [
        ["1", "messages without a stamp are left out: the camera's driver sets none."],
        ["2", "images in the bag have no stamp; they are not counted."],
        ["1", "images in the bag repeat the stamp of another one; they are counted once."],
    ]
    assert streaming(table(message(0, 60), unstamped), [sample(0)], 0.1).images[0].stamp == ns(0)


def test_an_answer_of_another_size():
    """To the very frame it is an error; of an earlier image, before the camera changed its mode, it counts as none."""
    other = message(0, 60, size=(480, 640))
    with pytest.raises(MetricsError, match=r"annotated at 4000×100, but the node saw this image at 640×480"):
        streaming(table(other), [sample(0)], 0.1)
    fit, left_out = of_size_seen(table(other), [sample(0), sample(100)])
    assert [one.stamp for one in fit] == [ns(100)]
    assert "annotated at 4000×100" in left_out[0]
    (judged,) = streaming(table(other, message(100, 400)), [sample(100)], 0.1).images
    assert (judged.stamp, len(judged.boxes)) == (None, 0)
    (note,) = account(table(other, message(100, 400)), [sample(100)], [ns(0), ns(100)], 0.1).notes
    assert "640×480: 1" in note


def test_errors_name_the_frame():
    with pytest.raises(MetricsError, match=r"camera/.*: annotated without a stamp"):
        streaming(FIELD, [sample(0, stamp=None)], 0.1)
    with pytest.raises(MetricsError, match="annotated without a stamp"):
        account(FIELD, [sample(0, stamp=0)], [], 0.1)
    with pytest.raises(MetricsError, match=r"other: has the stamp of camera/"):
        streaming(FIELD, [sample(0), sample(0, image_id="other")], 0.1)
    with pytest.raises(MetricsError, match="each image once"):
        streaming(FIELD, [sample(0), sample(0)], 0.1)
    with pytest.raises(MetricsError, match="does not say when it was published"):
        streaming(table(message(0, 60, timing=None)), [sample(0)], 0.1)
    with pytest.raises(MetricsError, match="0 or more is expected"):
        account(FIELD, FRAMES, IMAGES, float("nan"))


# --- A node in small -----------------------------------------------------------------------------------------------


def node(arrivals, works, pause):
    """What a mailbox of one and a worker make of images.

    Args:
        arrivals: (stamp, time of arrival) in ms, in order.
        works: ms of work for each image that is taken.
        pause: least ms between two takings (``max_rate``).

    Returns:
        The messages, and the stamps of the images that were dropped.
    """
    told, dropped, drops_told = [], [], 0
    free_at, number = 0, 0
    waiting = list(arrivals)
    while waiting:
        at = max(free_at, waiting[0][1])
        while len(waiting) > 1 and waiting[1][1] <= at:
            dropped.append((waiting.pop(0)[0], waiting[0][1]))  # when the next one arrived
        stamp, received = waiting.pop(0)
        done = at + works[number % len(works)]
        # Those that will be replaced before this one is done are counted by its message.
        later = [time for _, time in waiting if time <= done]
        drops = len(dropped) + max(0, len(later) - 1)
        told.append(message(stamp, done, received, drops - drops_told))
        drops_told, number = drops, number + 1
        free_at = max(done, at + pause)
    return told, {stamp for stamp, _ in dropped}


@st.composite
def cameras(draw):
    """Stamps of images in ms, and how long they are on their way."""
    steps = draw(st.lists(st.integers(20, 150), min_size=2, max_size=40))
    return np.cumsum(steps).tolist(), draw(st.integers(0, 15))


works = st.lists(st.integers(1, 600), min_size=1, max_size=8)
deadlines = st.sampled_from([0.0, 0.05, 0.2, 1.0, float("inf")])


@given(cameras(), works, st.sampled_from([0, 0, 200]), deadlines)
def test_the_node_s_drops_explain_all_where_nothing_is_lost(camera, work, pause, deadline):
    stamps, way = camera
    told, dropped = node([(stamp, stamp + way) for stamp in stamps], work, pause)
    samples = [sample(stamp) for stamp in stamps]
    found = account(table(*told), samples, [ns(stamp) for stamp in stamps], deadline)
    assert {of(one) for one, fate in zip(samples, found.fates, strict=True) if fate is UNANSWERED} == dropped
    assert (found.drops, found.unexplained, found.images_lost, found.images_missing) == (len(dropped), 0, 0, 0)
    assert found.annotated == found.frames
    published = {image.stamp: image.timing.published for image in told}
    for one, fate in zip(samples, found.fates, strict=True):
        if fate in (IN_TIME, LATE):
            assert (fate is IN_TIME) == ((published[one.stamp] - one.stamp) / 1e9 <= deadline)


lossy = st.tuples(cameras(), works, st.integers(0, 2**32 - 1), deadlines)


def field(camera, work, seed):
    """A recording that lost images on their way to the node, images, and messages; and every second frame's sample."""
    stamps, way = camera
    random = np.random.default_rng(seed)
    losses = random.random((3, len(stamps))) < random.choice([0.0, 0.2, 0.6], (3, 1))
    arrivals = [(stamp, stamp + way) for stamp, lost in zip(stamps, losses[0], strict=True) if not lost]
    told, _ = node(arrivals, work, 0)
    told = [one for one, lost in zip(told, losses[1], strict=False) if not lost]
    images = [ns(stamp) for stamp, lost in zip(stamps, losses[2], strict=True) if not lost]
    return told, [sample(stamp) for stamp in stamps[::2]], images


@given(lossy)
def test_every_frame_has_one_fate(drawn):
    camera, work, seed, deadline = drawn
    told, samples, images = field(camera, work, seed)
    found = account(table(*told), samples, images, deadline)
    answered = {image.stamp for image in told}
    assert len(found.fates) == len(samples) == found.annotated.total
    assert found.frames.total == len(answered | set(images))
    assert found.frames.in_time + found.frames.late == len(answered)
    assert found.images_missing == len(answered - set(images))
    assert found.drops - found.images_lost == found.frames.unanswered - found.unexplained
    for one, fate, missing in zip(samples, found.fates, found.image_missing, strict=True):
        assert (fate in (IN_TIME, LATE)) == (one.stamp in answered)
        assert missing == (one.stamp in answered and one.stamp not in images)
    assert found.before_first + found.after_last <= found.frames.unanswered


@given(lossy)
def test_streaming_judges_the_newest_message_by_then_and_never_a_later_one(drawn):
    camera, work, seed, deadline = drawn
    told, samples, _ = field(camera, work, seed)
    judged = streaming(table(*told), samples, deadline)
    for one, image in zip(samples, judged.images, strict=True):
        by_then = [m for m in told if (m.timing.published - one.stamp) / 1e9 <= deadline]
        if not by_then:
            assert image.stamp is None
            assert len(image.boxes) == 0
        else:
            assert image.timing.published == max(m.timing.published for m in by_then)
    assert [image.image_id for image in judged.images] == [one.image_id for one in samples]


@given(lossy, st.randoms(use_true_random=False))
def test_the_order_of_tables_does_not_matter(drawn, random):
    camera, work, seed, deadline = drawn
    told, samples, images = field(camera, work, seed)
    expected = account(table(*told), samples, images, deadline)
    shuffled = random.sample(told, len(told)), random.sample(images, len(images))
    assert account(table(*shuffled[0]), samples, shuffled[1], deadline) == expected
    one, other = (streaming(table(*order), samples, deadline).images for order in (told, shuffled[0]))
    assert [image.stamp for image in one] == [image.stamp for image in other]


@given(cameras(), st.integers(1, 19))
def test_where_every_frame_is_answered_in_time_strict_is_the_table_itself(camera, work):
    stamps, way = camera
    told, dropped = node([(stamp, stamp + way) for stamp in stamps], [work], 0)
    assert not dropped  # work is shorter than any period
    samples = [sample(stamp) for stamp in stamps]
    judged, left = strict(table(*told), samples, 1.0)
    assert left == samples
    for image, answer in zip(judged.images, told, strict=True):
        assert image.emotions is answer.emotions
        assert (image.boxes is answer.boxes, image.tracked, image.timing) == (True, answer.tracked, answer.timing)
    assert oer(join(left, judged)).found.tolist() == [1.0] * 10
    last = streaming(table(*told), samples[-1:], float("inf")).images[0]
    assert last.stamp == samples[-1].stamp


def test_answers_about_no_image_of_the_topic_are_of_another_camera():
    other = table(*(message(ms + 33, ms + 60) for ms in (0, 100, 200)))
    told = account(other, [sample(0)], [ns(0), ns(100), ns(200)], 0.1)
    assert told.notes[0].startswith("WARNING: 3 of 3 messages are about no image of this topic")
    right = table(*(message(ms, ms + 60) for ms in (0, 100, 200)))
    assert not account(right, [sample(0)], [ns(0), ns(100), ns(200)], 0.1).notes
