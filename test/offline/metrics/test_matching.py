from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import joined, prediction, random_boxes, sample
from pycocotools import mask

from caer_ros.offline.metrics.matching import iou, match, xywh

A, B = [100, 100, 140, 140], [141, 100, 181, 140]


def test_iou_is_that_of_pycocotools():
    generator = np.random.default_rng(0)
    for _ in range(20):
        detected, annotated = (xywh(random_boxes(generator, 8) + generator.random((8, 4)), (1, 1)) for _ in range(2))
        is_region = generator.random(8) < 0.3
        theirs = mask.iou(detected, annotated, is_region.astype(np.uint8).tolist())
        np.testing.assert_array_equal(iou(detected, annotated, is_region), theirs)


def test_disjoint_boxes_that_overlap_to_benet():
    """A as x, y, width, height reaches from 100 to 240, B from 141 to 322; 140 high both. Shared are 99 * 140 of
    140 * 140 + 181 * 140 - 99 * 140 pixels.
    """
    a, b = np.array([A], np.float32), np.array([B], np.float32)
    size, none = (1000, 1000), np.zeros(1, bool)
    assert iou(xywh(a, size), xywh(b, size), none)[0, 0] == 0
    inflated = iou(xywh(a, size, benet_compat=True), xywh(b, size, benet_compat=True), none)[0, 0]
    assert inflated == pytest.approx(99 / (140 + 181 - 99))
    assert round(inflated, 2) == 0.45


def test_the_scale_of_the_image_does_not_change_what_benet_sees():
    generator = np.random.default_rng(1)
    a, b = random_boxes(generator, 6), random_boxes(generator, 6)
    scale = np.array([2, 0.5, 2, 0.5], np.float32)
    none = np.zeros(6, bool)

    def compat(a, b, height, width):
        return iou(xywh(a, (height, width), benet_compat=True), xywh(b, (height, width), benet_compat=True), none)

    np.testing.assert_allclose(compat(a, b, 60, 120), compat(a * scale, b * scale, 30, 240))


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
