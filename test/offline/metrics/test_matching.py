from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import joined, prediction, sample

from caer_ros.offline.metrics.matching import match, xywh

A, B = [100, 100, 140, 140], [141, 100, 181, 140]


@pytest.mark.parametrize("scale", [1, 2])
def test_disjoint_boxes_that_overlap_to_benet(scale):
    """A as x, y, width, height reaches from 100 to 240, B from 141 to 322; 140 high both. Shared are 99 * 140 of
    140 * 140 + 181 * 140 - 99 * 140 pixels, an IoU of 0.446. The scale of the image does not matter.
    """
    size, boxes = (1000 * scale, 1000 * scale), scale * np.array([A, B], np.float32)
    known = joined(
        [sample("a", boxes[:1], [[0]], 1, size=size)], [prediction("a", boxes[1:], [0.9], [[0]], 1, size=size)]
    )
    np.testing.assert_array_equal(match(known, thresholds=[0.01]).detection, [[-1]])
    np.testing.assert_array_equal(match(known, thresholds=[0.445, 0.447], benet_compat=True).detection, [[0], [-1]])


def test_benet_clips_to_the_image():
    np.testing.assert_array_equal(
        xywh(np.array([[-5, -5, 250, 120]], np.float32), (100, 200), benet_compat=True), [[0, 0, 200, 100]]
    )


def matched(boxes, found, scores, ignore=(), **settings):
    count = len(boxes)
    samples = [sample("a", boxes, np.zeros((count, 1)), 1, ignore=np.array(ignore, np.float32).reshape(-1, 4))]
    images = [prediction("a", found, scores, np.zeros((len(found), 1)), 1)]
    return match(joined(samples, images), thresholds=[0.5], **settings)


def test_the_better_scored_detection_chooses_first():
    person, shifted = [0, 0, 40, 40], [0, 0, 40, 32]
    result = matched([person], [shifted, person], [0.9, 0.8])
    np.testing.assert_allclose(result.scores, [0.9, 0.8])
    np.testing.assert_array_equal(result.person, [[0, -1]])
    np.testing.assert_array_equal(result.detection, [[0]])


def test_a_detection_takes_the_free_person_that_it_overlaps_most():
    first, second = [0, 0, 40, 40], [0, 0, 40, 36]
    result = matched([first, second], [second, second], [0.9, 0.8])
    np.testing.assert_array_equal(result.person, [[1, 0]])
    np.testing.assert_array_equal(result.detection, [[1, 0]])


def test_what_lies_in_an_ignored_region_is_neither_right_nor_wrong():
    region = [0, 0, 100, 100]
    result = matched(
        [[0, 0, 40, 40]], [[0, 0, 40, 40], [50, 50, 60, 60], [95, 95, 120, 120]], [0.9, 0.8, 0.7], [region]
    )
    np.testing.assert_array_equal(result.person, [[0, -1, -1]])
    np.testing.assert_array_equal(result.ignored, [[False, True, False]])


def test_least_score_and_most_detections():
    person = [0, 0, 40, 40]
    tenth = float(np.float32(0.1))
    result = matched([person], [person] * 4, [0.05, tenth, 0.3, 0.2], least_score=0.1, most=3)
    np.testing.assert_allclose(result.scores, [0.3, 0.2, 0.1])
    assert len(matched([person], [person] * 4, [0.05, tenth, 0.3, 0.2], least_score=0.1, most=2).scores) == 2


def test_nobody_and_nothing():
    assert matched([], [], []).person.shape == (1, 0)
    np.testing.assert_array_equal(matched([], [A], [0.5]).person, [[-1]])
    np.testing.assert_array_equal(matched([A], [], []).detection, [[-1]])
