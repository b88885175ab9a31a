from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from offline.metrics.tables import NAN, joined, prediction, random_set, sample
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import average_precision_score

from caer_ros.offline.metrics.emotion_recognition import er
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.on_the_field import oer, oer_benet_compat, oer_strict

ALONE, FAR = [0, 0, 40, 40], [100, 0, 140, 40]


def test_by_hand():
    """Two persons, label 0 is the first's, label 1 the second's. The first is found with IoU 0.8, so up to threshold
    0.80 (7 of 10; the overlap equals it exactly), and its scores say so; the second is missed.

    Label 0: found 1, missed 1/2 (all tie at zero) -> 0.85. Label 1: the first scores 0.3, the second 0, so its only
    positive ranks second, 1/2; missed 1/2 -> 0.5.
    """
    samples = [sample("a", [ALONE, FAR], [[1, 0], [0, 1]])]
    images = [prediction("a", [[0, 0, 40, 32]], [0.9], [[0.8, 0.3]], pooled=[[0.8, 0.3], [0.1, 0.9]])]
    together = joined(samples, images)
    result = oer(together)
    np.testing.assert_allclose(result.average_precision, [0.85, 0.5])
    np.testing.assert_allclose(result.by_threshold, [0.75] * 7 + [0.5] * 3)
    np.testing.assert_allclose(result.found, [0.5] * 7 + [0] * 3)
    assert result.mean_average_precision == pytest.approx(0.675)
    assert result.chance == 0.5
    assert (result.threshold, result.top) == (0.1, 15)
    assert (result.persons, result.images, result.classes, result.coverage) == (2, 1, 2, 1)
    assert result.relative_to(er(together)) == pytest.approx((0.675 - 0.5) / (1 - 0.5))


def test_the_floor_is_chance():
    samples, _ = random_set(0, images=40)
    result = oer(joined(samples, [prediction(item.image_id, labels=3) for item in samples]))
    assert result.mean_average_precision == pytest.approx(result.chance)
    assert np.isnan(result.coverage)


def test_perfect_detection_leaves_er():
    samples, _ = random_set(1, images=40)
    generator = np.random.default_rng(0)
    scores = [generator.random((len(item), 3)).astype(np.float32) for item in samples]
    images = [
        prediction(item.image_id, item.boxes, np.ones(len(item)), score, 3, pooled=score)
        for item, score in zip(samples, scores, strict=True)
    ]
    # Persons whose boxes are equal may be taken for each other.
    samples = [item for item in samples if len(np.unique(item.boxes, axis=0)) == len(item)]
    together = joined(samples, [image for image in images if image.image_id in {item.image_id for item in samples}])
    result, strict = oer(together), oer_strict(together)
    assert result.mean_average_precision == pytest.approx(er(together).mean_average_precision)
    assert strict.mean_average_precision == pytest.approx(result.mean_average_precision)
    assert (strict.strict, result.strict) == (True, False)


def test_false_detections_cost_nothing_unless_strict():
    """The false detection claims label 0 with more confidence than the person: 1/2 instead of 1."""
    samples = [sample("a", [ALONE], [[1]], 1), sample("b", [ALONE], [[0]], 1)]
    images = [
        prediction("a", [ALONE, FAR], [0.9, 0.9], [[0.5], [0.7]], 1),
        prediction("b", [ALONE], [0.9], [[0.1]], 1),
    ]
    assert oer(joined(samples, images)).mean_average_precision == 1
    assert oer_strict(joined(samples, images)).mean_average_precision == 0.5
    samples[0] = sample("a", [ALONE], [[1]], 1, ignore=np.array([FAR], np.float32))
    assert oer_strict(joined(samples, images)).mean_average_precision == 1


def test_strict_counts_only_images_whose_persons_are_all_annotated():
    samples = [
        sample("a", [ALONE], [[1]], 1, exhaustive=False),
        sample("b", [ALONE, FAR], [[1], [0]], 1),
    ]
    images = [
        prediction("a", [FAR], [0.9], [[0.9]], 1),
        prediction("b", [ALONE, FAR], [0.9, 0.9], [[0.8], [0.2]], 1),
    ]
    result = oer_strict(joined(samples, images))
    assert (result.images, result.persons) == (1, 2)
    assert result.mean_average_precision == 1
    with pytest.raises(MetricsError, match="exhaustively"):
        oer_strict(joined(samples[:1], images[:1]))


def test_disjoint_boxes_are_a_hit_only_to_benet():
    """Read as x, y, width, height the person reaches from 200 to 440 and the detection, ten pixels beside it, from 250
    to 540; 240 high both. Shared are 190 * 240 of (240 + 290 - 190) * 240 pixels: 0.559, so two thresholds of ten.
    """
    size = (1000, 1000)
    person, beside = [200, 200, 240, 240], [250, 200, 290, 240]
    samples = [sample("a", [person], [[1]], 1, size=size), sample("b", [person], [[0]], 1, size=size)]
    images = [prediction("a", [beside], [0.9], [[0.7]], 1, size=size), prediction("b", labels=1, size=size)]
    together = joined(samples, images)
    assert oer(together).mean_average_precision == oer(together).chance == 0.5
    compat = oer_benet_compat(together)
    np.testing.assert_allclose(compat.by_threshold, [1, 1] + [0.5] * 8)
    assert compat.mean_average_precision == pytest.approx(0.6)
    assert compat.benet_compat


def test_threshold_top_and_missing_scores():
    samples = [sample("a", [ALONE, FAR], [[1], [0]], 1)]
    images = [prediction("a", [ALONE, FAR], [0.2, 0.6], [[0.9], [NAN]], 1)]
    assert oer(joined(samples, images)).mean_average_precision == 1
    assert oer(joined(samples, images)).coverage == 0.5
    assert oer(joined(samples, images), threshold=0.3).mean_average_precision == 0.5
    assert oer(joined(samples, images), top=1).mean_average_precision == 0.5
    cut = oer(joined(samples, images, thresholds={"kept": 0.15}))
    assert cut.threshold == 0.15


def test_unknown_labels_are_masked():
    samples = [sample("a", [ALONE, FAR], [[1], [NAN]], 1), sample("b", [ALONE], [[0]], 1)]
    images = [prediction("a", [ALONE, FAR], [0.9, 0.9], [[0.5], [0.9]], 1), prediction("b", labels=1)]
    assert oer(joined(samples, images)).mean_average_precision == 1


def naive(samples, images, threshold, top, strict=False, benet_compat=False):
    """OER over again: boxes matched by pycocotools, average precision by scikit-learn, everything in loops."""

    def box(values, size):
        x1, y1, x2, y2 = map(float, values)
        if benet_compat:
            return [min(max(v, 0.0), float(most)) for v, most in zip((x1, y1, x2, y2), size[::-1] * 2, strict=True)]
        return [x1, y1, x2 - x1, y2 - y1]

    truth, found = [], []
    for number, (item, image) in enumerate(zip(samples, images, strict=True)):
        for boxes, crowd in ((item.boxes, 0), (item.ignore, 1)):
            for values in boxes:
                truth.append({"image_id": number, "bbox": box(values, item.size), "iscrowd": crowd})
        for values, score, emotions in zip(image.boxes, image.scores, image.emotions, strict=True):
            if score >= np.float32(threshold):
                found.append(
                    {"image_id": number, "bbox": box(values, item.size), "score": float(score), "emotions": emotions}
                )
    with contextlib.redirect_stdout(io.StringIO()):
        tables = []
        for entries in (truth, found):
            for identity, entry in enumerate(entries, start=1):
                entry |= {"id": identity, "category_id": 1, "area": entry["bbox"][2] * entry["bbox"][3]}
            tables.append(COCO())
            tables[-1].dataset = {
                "images": [{"id": number} for number in range(len(samples))],
                "categories": [{"id": 1}],
                "annotations": entries,
            }
            tables[-1].createIndex()
        evaluator = COCOeval(*tables, "bbox")
        evaluator.params.maxDets, evaluator.params.areaRng = [top], [[0, 1e10]]
        evaluator.evaluate()
    values = []
    for row in range(10):
        matched, false = {}, []
        for entry in filter(None, evaluator.evalImgs):
            for identity, person, ignored in zip(
                entry["dtIds"], entry["dtMatches"][row], entry["dtIgnore"][row], strict=True
            ):
                if person and not ignored:
                    matched[int(person)] = found[identity - 1]["emotions"]
                elif not ignored:
                    false.append(found[identity - 1]["emotions"])
        targets, scores = [], []
        persons = [entry for entry in truth if not entry["iscrowd"]]
        for entry, emotions in zip(persons, np.concatenate([item.emotions for item in samples]), strict=True):
            targets.append(emotions)
            scores.append(matched.get(entry["id"], np.zeros(len(emotions))))
        for emotions in false if strict else ():
            targets.append(np.zeros(len(emotions)))
            scores.append(emotions)
        targets, scores = np.array(targets), np.nan_to_num(np.array(scores))
        classes = []
        for label in range(targets.shape[1]):
            known = ~np.isnan(targets[:, label])
            if (targets[known, label] == 1).any():
                classes.append(average_precision_score(targets[known, label], scores[known, label]))
        values.append(np.mean(classes))
    return values


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("top", [2, 15])
def test_equals_a_naive_implementation(seed, top):
    samples, images = random_set(seed)
    together = joined(samples, images)
    for metric, settings in ((oer, {}), (oer_strict, {"strict": True}), (oer_benet_compat, {"benet_compat": True})):
        expected = naive(samples, images, 0.1, top, **settings)
        np.testing.assert_allclose(metric(together, 0.1, top).by_threshold, expected)
