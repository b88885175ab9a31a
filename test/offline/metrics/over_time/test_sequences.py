from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import joined, prediction, sample
from offline.metrics.tracks import SECOND, annotated, box, found, together

from caer_ros.offline.metrics.over_time.sequences import ids, longest_step, published, sequences, stamps, steps


def test_a_folder_is_a_sequence_in_the_order_of_its_stamps():
    order = [("front/2", 20), ("back/1", 5), ("front/1", 10), ("alone", None), ("front/3", 30)]
    samples = [sample(name, stamp=stamp) for name, stamp in order]
    assert {folder: images.tolist() for folder, images in sequences(samples).items()} == {
        "front": [2, 0, 4],
        "back": [1],
        "": [3],
    }


@pytest.mark.parametrize("missing", [None, 0])
def test_without_all_stamps_the_order_given_stays(missing):
    samples = [sample("front/2", stamp=20), sample("front/1", stamp=missing), sample("front/0", stamp=10)]
    assert sequences(samples)["front"].tolist() == [0, 1, 2]
    assert stamps(samples, [0, 1]) is None
    assert stamps(samples, [2, 0]).tolist() == [10, 20]


def test_a_long_step_counts_as_two_seconds_or_twice_the_usual():
    often = np.array([0, 1, 2, 30, 31], np.int64) * SECOND
    assert longest_step(often) == 2
    assert steps(often, 2).tolist() == [1, 1, 2, 1]
    rarely = np.array([0, 5, 10, 100, 105], np.int64) * SECOND
    assert longest_step(rarely) == 10
    assert steps(rarely, 10).tolist() == [5, 5, 10, 5]
    assert longest_step(often[:1]) == 2


def test_told_are_tracks_and_who_is_above_the_threshold():
    image = found(
        "a", [box(0), box(1), box(2)], ["1", "", ""], [2, 1, 0], [0.1, 0.3, 0.29], vad=np.zeros((3, 3), np.float32)
    )
    told = published(together([(annotated("a"), image)], thresholds={"person": 0.3})).images[0]
    assert (ids(told), told.tracked.top.tolist()) == (("1", ""), [2, 1])
    np.testing.assert_array_equal(told.boxes, image.boxes[:2])
    assert [len(part) for part in (told.scores, told.emotions, told.vad, told.tracked.smoothed)] == [2, 2, 2, 2]


def test_without_tracks_the_threshold_alone_counts():
    image = prediction("a", [box(0), box(1)], [0.1, 0.3], [[0, 0]] * 2)
    told = published(joined([sample("a")], [image])).images[0]
    np.testing.assert_array_equal(told.boxes, image.boxes[1:])
    assert ids(told) == ("",)
    assert len(published(joined([sample("a")], [image], thresholds={})).images[0].boxes) == 2
