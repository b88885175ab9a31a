from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from offline.metrics.tables import joined, prediction, random_set, sample
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from caer_ros.offline.metrics.detection import interpolated_precision, operating_point, pd, pd_benet_compat
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.matching import match

ALONE, FAR = [0, 0, 40, 40], [100, 0, 140, 40]
ONE = [[1]]


def test_by_hand():
    """Two persons, one found with IoU 0.8 behind a false detection of higher score. Where it counts (0.50 to 0.80),
    precision is 1/2 up to recall 1/2, which are 51 of the 101 recalls.
    """
    samples = [sample("a", [ALONE, FAR], ONE * 2, 1)]
    images = [prediction("a", [[0, 0, 40, 32], [60, 50, 90, 90]], [0.5, 0.9], ONE * 2, 1)]
    result = pd(joined(samples, images))
    assert result.ap50 == result.ap75 == pytest.approx(51 / 101 / 2)
    assert result.ap == pytest.approx(0.7 * 51 / 101 / 2)
    assert result.average_recall == pytest.approx(0.7 / 2)
    assert (result.persons, result.images, result.top, result.threshold) == (2, 1, 100, 0)


def test_perfect_nobody_and_nothing():
    samples = [sample("a", [ALONE], ONE, 1), sample("b", labels=1)]
    perfect = pd(joined(samples, [prediction("a", [ALONE], [0.9], ONE, 1), prediction("b", labels=1)]))
    assert (perfect.ap, perfect.ap50, perfect.ap75, perfect.average_recall) == pytest.approx((1, 1, 1, 1))
    nothing = pd(joined(samples, [prediction("a", labels=1), prediction("b", labels=1)]))
    assert (nothing.ap, nothing.average_recall) == (0, 0)
    nobody = pd(joined(samples[1:], [prediction("b", [ALONE], [0.9], ONE, 1)]))
    assert np.isnan([nobody.ap, nobody.ap50, nobody.average_recall]).all()


def test_ignored_regions_hold_no_false_detections():
    images = [prediction("a", [FAR, ALONE], [0.9, 0.8], ONE * 2, 1)]
    assert pd(joined([sample("a", [ALONE], ONE, 1)], images)).ap == pytest.approx(0.5)
    ignoring = sample("a", [ALONE], ONE, 1, ignore=np.array([[90, 0, 200, 100]], np.float32))
    assert pd(joined([ignoring], images)).ap == pytest.approx(1)


def with_pycocotools(samples, images, top, threshold=0.0, benet_compat=False):
    truth, found = [], []
    for number, (item, image) in enumerate(zip(samples, images, strict=True), start=1):

        def box(values, size=item.size):
            x1, y1, x2, y2 = np.asarray(values, float)
            if benet_compat:
                return np.clip([x1, y1, x2, y2], 0, [*size[::-1], *size[::-1]]).tolist()
            return [x1, y1, x2 - x1, y2 - y1]

        for boxes, crowd in ((item.boxes, 0), (item.ignore, 1)):
            truth += [{"image_id": number, "bbox": box(values), "iscrowd": crowd} for values in boxes]
        found += [
            {"image_id": number, "category_id": 1, "bbox": box(values), "score": float(score)}
            for values, score in zip(image.boxes, image.scores, strict=True)
            if score >= np.float32(threshold)
        ]
    for identity, entry in enumerate(truth, start=1):
        entry |= {"id": identity, "category_id": 1, "area": entry["bbox"][2] * entry["bbox"][3]}
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "images": [{"id": number} for number in range(1, len(samples) + 1)],
            "categories": [{"id": 1}],
            "annotations": truth,
        }
        reference.createIndex()
        evaluator = COCOeval(reference, reference.loadRes(found), "bbox")
        evaluator.params.maxDets = [top]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, 0, 0, 0]
    return precision.mean(), precision[0].mean(), precision[5].mean(), evaluator.eval["recall"][:, 0, 0, 0].mean()


@pytest.mark.parametrize("seed", range(12))
def test_equals_pycocotools(seed):
    samples, images = random_set(seed, images=15)
    together = joined(samples, images)
    for top in (3, 100):
        result = pd(together, top)
        expected = with_pycocotools(samples, images, top)
        assert (result.ap, result.ap50, result.ap75, result.average_recall) == pytest.approx(expected)
    compat = pd_benet_compat(together)
    expected = with_pycocotools(samples, images, 15, 0.1, benet_compat=True)
    assert (compat.ap, compat.ap50, compat.ap75, compat.average_recall) == pytest.approx(expected)
    assert (compat.threshold, compat.top, compat.benet_compat) == (0.1, 15, True)


def test_disjoint_boxes_are_a_hit_only_to_benet():
    size = (1000, 1000)
    samples = [sample("a", [[200, 200, 240, 240]], ONE, 1, size=size)]
    images = [prediction("a", [[250, 200, 290, 240]], [0.9], ONE, 1, size=size)]
    assert pd(joined(samples, images)).ap == 0
    assert pd_benet_compat(joined(samples, images)).ap == pytest.approx(0.2)  # IoU 0.559: two thresholds of ten


@pytest.mark.parametrize("seed", range(12))
def test_precision_for_resampling_is_the_same(seed):
    samples, images = random_set(seed, images=15)
    together = joined(samples, images)
    matches, persons = match(together), np.array([len(item) for item in samples], float)
    assert interpolated_precision(matches, persons) == pytest.approx(pd(together).ap)
    times = np.random.default_rng(seed).integers(0, 3, len(samples))
    times[0] = 1
    drawn = [(item, image) for item, image, count in zip(samples, images, times, strict=True) for _ in range(count)]
    copies = [
        (
            sample(str(number), item.boxes, item.emotions, 3, ignore=item.ignore),
            prediction(str(number), image.boxes, image.scores, image.emotions, 3),
        )
        for number, (item, image) in enumerate(drawn)
    ]
    expected = pd(joined(*map(list, zip(*copies, strict=True)))).ap
    # Detections of equal score in different images are ordered by image, so their copies may interleave differently.
    assert interpolated_precision(matches, persons, times.astype(float)) == pytest.approx(
        expected, abs=0.02, nan_ok=True
    )


def test_at_the_threshold_of_the_model():
    samples = [
        sample("a", [ALONE, FAR], ONE * 2, 1, ignore=np.array([[0, 60, 40, 100]], np.float32)),
        sample("b", [ALONE], ONE, 1, exhaustive=False),
        sample("c", labels=1),
    ]
    images = [
        prediction("a", [ALONE, FAR, [0, 70, 30, 90], [50, 50, 90, 90]], [0.9, 0.2, 0.9, 0.3], ONE * 4, 1),
        prediction("b", [FAR], [0.9], ONE, 1, saturated=True),
        prediction("c", [FAR], [0.29], ONE, 1),
    ]
    together = joined(samples, images)
    result = operating_point(together)
    assert (result.threshold, result.persons, result.missed) == (0.3, 3, 2)
    assert result.false_persons_per_image == pytest.approx(1 / 2)
    assert (result.exhaustive_images, result.saturated) == (2, 1)
    low = operating_point(together, 0.1)
    assert (low.missed, low.false_persons_per_image) == (1, pytest.approx(1))
    assert np.isnan(operating_point(joined(samples[1:2], images[1:2])).false_persons_per_image)


def test_a_threshold_that_the_table_does_not_reach():
    samples, images = [sample("a")], [prediction("a")]
    with pytest.raises(MetricsError, match=r"cut at a score of 0.5, above the threshold 0.3"):
        operating_point(joined(samples, images, thresholds={"person": 0.3, "kept": 0.5}))
    with pytest.raises(MetricsError, match="name no detection threshold"):
        operating_point(joined(samples, images, thresholds={}))
    assert operating_point(joined(samples, images, thresholds={}), 0.4).threshold == 0.4
