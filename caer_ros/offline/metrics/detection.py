"""PD, person detection: COCO's mean average precision of one class, misses, and persons who are not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]

from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.matching import IOU_THRESHOLDS, match, xywh

if TYPE_CHECKING:
    from caer_ros.offline.metrics.joined import Floats, Joined
    from caer_ros.offline.metrics.matching import Matches

RECALLS: Floats = np.linspace(0, 1, 101)
COCO_TOP = 100
"""Most detections of an image in COCO's own metrics."""


@dataclass(frozen=True, slots=True, eq=False)
class PersonDetection:
    """PD. On sets that are not annotated exhaustively, true persons without annotation count as false here."""

    ap: float
    """Mean over IoU 0.50:0.05:0.95; NaN without a person."""
    ap50: float
    ap75: float
    average_recall: float
    """Mean over the same IoU thresholds."""
    persons: int
    images: int
    exhaustive_images: int
    top: int
    """Most detections of an image that counted."""
    threshold: float
    """Least detection score that counted: what the table was cut at, if not asked for more."""
    benet_compat: bool
    """Was the IoU that of BENet's evaluator?"""


@dataclass(frozen=True, slots=True, eq=False)
class OperatingPoint:
    """What a robot gets: detections at one threshold against persons, at IoU 0.5."""

    threshold: float
    """Least detection score."""
    persons: int
    missed: int
    """Persons without a detection."""
    false_persons_per_image: float
    """Detections without a person or an ignored region; NaN where no image is annotated exhaustively."""
    exhaustive_images: int
    """The images that those were counted on."""
    saturated: int
    """Images whose list of persons was full."""


def pd(joined: Joined, top: int = COCO_TOP) -> PersonDetection:
    """COCO's metrics of person boxes; ``Sample.ignore`` regions are crowds."""
    return _pd(joined, 0.0, top, benet_compat=False)


def pd_benet_compat(joined: Joined, threshold: float = 0.1, top: int = 15) -> PersonDetection:
    """PD with the inflated IoU of BENet's evaluator (see ``matching.match``), only to compare with its numbers."""
    return _pd(joined, threshold, top, benet_compat=True)


def operating_point(joined: Joined, threshold: float | None = None) -> OperatingPoint:
    """Misses and false persons at ``threshold``, the model's own if None.

    Raises:
        MetricsError: the table holds no detections down to the threshold, or names none.
    """
    least = joined.header.thresholds.get("person") if threshold is None else threshold
    if least is None:
        raise MetricsError('the predictions name no detection threshold ("person"); give one')
    if joined.kept > least:
        raise MetricsError(f"the predictions were cut at a score of {joined.kept:g}, above the threshold {least:g}")
    matches = match(joined, least, thresholds=[0.5])
    exhaustive = np.array([sample.exhaustive for sample in joined.samples])
    false = (matches.person[0] < 0) & ~matches.ignored[0] & exhaustive[matches.image]
    return OperatingPoint(
        threshold=least,
        persons=matches.detection.shape[1],
        missed=int((matches.detection[0] < 0).sum()),
        false_persons_per_image=float(false.sum() / exhaustive.sum()) if exhaustive.any() else float("nan"),
        exhaustive_images=int(exhaustive.sum()),
        saturated=sum(image.saturated for image in joined.images),
    )


def interpolated_precision(matches: Matches, persons_per_image: Floats, weights: Floats | None = None) -> float:
    """COCO's AP from matches that are made already, mean over their IoU thresholds; for resampling.

    Args:
        matches: by :func:`matching.match`, over all scores.
        persons_per_image: [I]
        weights: [I] how often each image counts; None: once.
    """
    weights = np.ones(len(persons_per_image)) if weights is None else weights
    persons = float(weights @ persons_per_image)
    if not persons:
        return float("nan")
    order = np.argsort(-matches.scores, kind="stable")
    weight = weights[matches.image[order]]
    values = []
    for person, ignored in zip(matches.person[:, order], matches.ignored[:, order], strict=True):
        true = np.cumsum(weight * (person >= 0))
        counted = np.cumsum(weight * ~ignored)
        precision = np.divide(true, counted, out=np.zeros_like(true), where=counted > 0)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        first = np.searchsorted(true / persons, RECALLS, side="left")
        values.append(np.append(envelope, 0.0)[first].mean())
    return float(np.mean(values))


def _pd(joined: Joined, threshold: float, top: int, benet_compat: bool) -> PersonDetection:
    precision, recall = _coco(joined, threshold, top, benet_compat)
    return PersonDetection(
        ap=_mean(precision),
        ap50=_mean(precision[0]),
        ap75=_mean(precision[5]),
        average_recall=_mean(recall),
        persons=len(joined.targets),
        images=len(joined.samples),
        exhaustive_images=sum(sample.exhaustive for sample in joined.samples),
        top=top,
        threshold=max(threshold, joined.kept),
        benet_compat=benet_compat,
    )


def _coco(joined: Joined, threshold: float, top: int, benet_compat: bool) -> tuple[Floats, Floats]:
    """Precision [T,101] at each recall, and recall [T], -1 without a person."""
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, (sample, image) in enumerate(zip(joined.samples, joined.images, strict=True), start=1):
        persons, crowds = (xywh(boxes, sample.size, benet_compat) for boxes in (sample.boxes, sample.ignore))
        truth += [_annotation(number, box) for box in persons]
        truth += [_annotation(number, box, iscrowd=1) for box in crowds]
        best = np.argsort(-image.scores, kind="stable")[:top]
        best = best[image.scores[best] >= np.float32(threshold)]
        boxes = xywh(image.boxes[best], image.size, benet_compat)
        scores = image.scores[best].tolist()
        found += [_annotation(number, box, score=score) for box, score in zip(boxes, scores, strict=True)]
    tables = []
    for boxed in (truth, found):
        for number, annotation in enumerate(boxed, start=1):  # to COCO's tools 0 means unmatched
            annotation["id"] = number
        table = COCO()
        table.dataset = {
            "images": [{"id": number} for number in range(1, len(joined.samples) + 1)],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": boxed,
        }
        table.createIndex()
        tables.append(table)
    evaluator = COCOeval_faster(*tables, iouType="bbox", print_function=lambda *_: None)
    evaluator.params.maxDets = [top]
    evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluator.params.iouThrs, evaluator.params.recThrs = IOU_THRESHOLDS, RECALLS
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval["precision"])[:, :, 0, 0, 0], np.asarray(evaluator.eval["recall"])[:, 0, 0, 0]


def _annotation(image: int, box: Floats, iscrowd: int = 0, **score: float) -> dict[str, Any]:
    x, y, width, height = box.tolist()
    fields = {"image_id": image, "category_id": 1, "bbox": [x, y, width, height], "area": width * height}
    return fields | {"iscrowd": iscrowd} | score


def _mean(values: Floats) -> float:
    """COCO's mean, in which -1 stands for nothing to measure."""
    return float(values.mean()) if values.size and values.min() > -1 else float("nan")
