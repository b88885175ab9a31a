"""What was true and what was said of persons over time, on frames that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from offline.evaluation.written_frames import START, bag, frame
from offline.metrics.tables import NAN, joined, prediction, sample
from offline.metrics.tracks import SECOND, annotated, box, found, together

from caer_ros.offline.reports.bag.people import MISSED, NO_LABEL, answers, bag_of, courses


def test_who_was_found_and_what_was_said_of_them():
    told = answers(
        together(
            [
                frame(0, [(0, "a", 1), (1, "b", 2), (2, "c", 0)], [(2, "run-3", 0), (0, "run-1", 2), (3, "run-4", 1)]),
                frame(1, [(0, "a", 1), (1, "b", None)], [(0, "run-1", -1), (1, "run-2", 1)]),
            ]
        )
    )
    assert told.image.tolist() == [0, 0, 0, 1, 1]
    assert told.row.tolist() == [0, 1, 2, 0, 1]
    assert told.found.tolist() == [1, -1, 0, 0, 1]
    assert told.said.tolist() == [2, MISSED, 0, NO_LABEL, 1]
    assert told.truth == ((1,), (2,), (0,), (1,), ())
    assert told.known.tolist() == [True, True, True, True, False]
    assert told.wrong.tolist() == [True, False, False, False, False]
    np.testing.assert_array_equal(told.overlap, [1, NAN, 1, 1, 1])
    assert told.false == ((0, 2),)


def test_who_is_not_annotated_is_false_only_where_everybody_is_annotated():
    said = [(0, "run-1", 0), (3, "run-2", 1)]
    told = answers(together([frame(0, [(0, "a", 0)], said), frame(1, [(0, "a", 0)], said, exhaustive=False)]))
    assert told.false == ((0, 1),)
    ignored = frame(0, [(0, "a", 0)], said, ignore=np.float32([box(3)]))
    assert answers(together([ignored])).false == ()


def test_without_the_pipeline_the_best_label_of_the_image_counts():
    boxes, truth = [box(0), box(1), box(2)], [[1, 0], [0, 1], [1, 0]]
    one = sample("camera/1", boxes, truth)
    scores = [[0.2, 0.7], [0.4, NAN], [NAN, NAN]]
    told = answers(joined([one], [prediction("camera/1", boxes, [0.9, 0.8, 0.7], scores)]))
    assert told.said.tolist() == [1, 0, NO_LABEL]
    np.testing.assert_array_equal(told.score, np.float32([0.7, 0.4, NAN]))


def test_a_detection_below_the_threshold_was_not_told_of_unless_it_keeps_a_track():
    one = annotated("camera/1", START, [box(0), box(1)], ["a", "b"], [[0], [0]])
    faint = found("camera/1", [box(0), box(1)], ["", "run-1"], [0, 0], scores=[0.2, 0.2])
    assert answers(together([(one, faint)])).said.tolist() == [MISSED, 0]


def test_courses_are_in_order_of_time_and_know_seconds():
    told = answers(
        together(
            [
                frame(2, [(0, "a", 0)], []),
                frame(0, [(1, "b", 0), (0, "", 1)], []),
                frame(0.5, [(0, "a", 0), (1, "b", 0)], []),
            ]
        )
    )
    shown = courses(told, [bag()])
    assert [(course.track, course.seconds.tolist(), course.answers.tolist()) for course in shown] == [
        ("b", [0.0, 0.5], [1, 4]),
        ("a", [0.5, 2.0], [3, 0]),
    ]


def test_a_track_of_the_same_name_in_two_bags_is_two_persons():
    told = answers(
        together(
            [
                frame(0, [(0, "a", 0)], [], "second/camera"),
                frame(3, [(0, "a", 0)], [], "first/camera"),
            ]
        )
    )
    bags = [bag("first", START + 3 * SECOND), bag("second")]
    assert [(course.bag, course.seconds.tolist()) for course in courses(told, bags)] == [(0, [0.0]), (1, [0.0])]


@pytest.mark.parametrize(
    ("image_id", "names", "expected"),
    [("camera/1", ["a"], 0), ("b/camera/1", ["a", "b"], 1), ("a/camera/1", ["b", "a"], 1), ("ab/1", ["a", "ab"], 1)],
)
def test_which_bag_an_image_is_of(image_id, names, expected):
    assert bag_of(image_id, [bag(name) for name in names]) == expected
