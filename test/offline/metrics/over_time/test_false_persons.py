from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline.metrics.tables import prediction
from offline.metrics.tracks import SECOND, annotated, box, found, together

from caer_ros.offline.metrics.detection import operating_point
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.over_time.false_persons import false_persons

REGION = np.array([box(3)], np.float32)


def frames(seen, start=1, folder="front", step=1.0, **changes):
    """One person at place 0 and an ignored region at place 3; in each image the places and ids that are published."""
    result = []
    for number, image in enumerate(seen):
        stamp = round((start + step * number) * SECOND)
        name = f"{folder}/{stamp}"
        places, ids = [place for place, _ in image], [identity for _, identity in image]
        truth = annotated(name, stamp, [box(0)], ["p"], ignore=REGION, **changes)
        result.append((truth, found(name, [box(place) for place in places], ids)))
    return result


def test_by_hand():
    """Ids 2 and 3 never are anybody, of 1 only one detection is false, and 4 was in the region; two more have no id.
    Six images, one a second, are six seconds: 40 false persons a minute.
    """
    seen = [
        [(0, "1"), (1, "2")],
        [(1, "1"), (2, "2")],
        [(0, "5"), (1, "3")],
        [(1, "4"), (3, "4")],
        [(1, ""), (2, "")],
        [(3, ""), (0, "")],
    ]
    result = false_persons(together(frames(seen)))
    assert (result.detections, result.persons, result.images) == (7, 4, 6)
    assert (result.minutes, result.per_minute) == pytest.approx((0.1, 40))
    assert result.per_image == pytest.approx(7 / 6)


def test_ids_of_two_sequences_are_two_persons_and_their_times_add_up():
    one, two = frames([[(1, "1")]] * 3), frames([[(1, "1")]] * 3, folder="back", step=2.0)
    result = false_persons(together(one + two))
    assert (result.persons, result.detections) == (2, 6)
    assert result.minutes == pytest.approx((3 + 6) / 60)
    assert false_persons(together(one)).persons == 1


def test_time_in_which_nobody_looked_does_not_count():
    """Two bursts of three images an hour apart: 1 + 1 + 2 + 1 + 1 s, and 1 s for the last image."""
    early = frames([[(1, "1")]] * 3)
    late = frames([[(1, "2")]] * 3, start=3600)
    assert false_persons(together(early + late)).minutes == pytest.approx(7 / 60)


def test_images_that_are_annotated_rarely_count_whole():
    assert false_persons(together(frames([[]] * 4, step=10.0))).minutes == pytest.approx(40 / 60)


def test_only_exhaustive_images_count():
    exhaustive, other = frames([[(1, "1"), (0, "2")]] * 2), frames([[(1, "3")]] * 2, start=3, exhaustive=False)
    result = false_persons(together(exhaustive + other))
    assert (result.persons, result.images, result.minutes) == (1, 2, pytest.approx(2 / 60))
    with pytest.raises(MetricsError, match="exhaustively"):
        false_persons(together(other))


def test_faint_detections_count_in_a_track_only():
    frame = frames([[]])[0][0]
    faint = found(frame.image_id, [box(1), box(2)], ["1", ""], scores=[0.1, 0.1])
    assert false_persons(together([(frame, faint)])).detections == 1


@pytest.mark.parametrize("stamp", [None, 0])
def test_without_stamps_there_is_no_rate(stamp):
    frame = annotated("f/1", stamp, [box(0)], ["p"]), found("f/1", [box(1)], ["1"])
    result = false_persons(together([frame, *frames([[(1, "1")]] * 2)]))
    assert (result.persons, result.per_image) == (2, 1)
    assert np.isnan([result.per_minute, result.minutes]).all()


def test_one_image_has_no_rate():
    assert np.isnan(false_persons(together(frames([[(1, "1")]]))).per_minute)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "1", "2", "3"])), max_size=4),
        min_size=1,
        max_size=6,
    )
)
@settings(deadline=None, max_examples=50)
def test_detections_are_those_of_the_operating_point(seen):
    """And false persons are never more than false detections; without ids they are the same."""
    together_ = together(frames(seen))
    result = false_persons(together_)
    assert result.per_image == pytest.approx(operating_point(together_).false_persons_per_image)
    assert result.persons <= result.detections
    plain = [
        (truth, prediction(truth.image_id, image.boxes, image.scores, image.emotions, 3))
        for truth, image in frames(seen)
    ]
    assert false_persons(together(plain)).persons == result.detections
