"""Detections assigned to persons as COCO does it, for all images and all IoU thresholds.

The greedy rule of ``COCOeval.evaluateImg``: detections by falling score, each takes the free person it overlaps most;
what is left may fall into an ignored region, of which only the detection's own area counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from faster_coco_eval.core import mask  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import ImagePrediction
    from caer_ros.offline.metrics.joined import Floats, Joined

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """D detections and N persons of all images, T thresholds; the detections of an image by falling score."""

    image: NDArray[np.intp]
    """[D] index of the detection's image."""
    row: NDArray[np.intp]
    """[D] where the detection stands in the arrays of its image."""
    scores: Floats
    """[D]"""
    emotions: Floats
    """[D,E] NaN where not predicted."""
    vad: Floats
    """[D,3] NaN where not predicted."""
    person: NDArray[np.intp]
    """[T,D] index of the person that the detection is matched to; -1 none."""
    ignored: NDArray[np.bool_]
    """[T,D] without a person, but in an ignored region."""
    detection: NDArray[np.intp]
    """[T,N] index of the detection that the person is matched to; -1 missed."""

    def scores_of_persons(self, threshold: int = 0) -> Floats:
        """[N,E] the emotion scores of the detection that each person is matched to; NaN where missed.

        Args:
            threshold: index of the IoU threshold.
        """
        detection = self.detection[threshold]
        scores = np.full((len(detection), self.emotions.shape[1]), np.nan)
        scores[detection >= 0] = self.emotions[detection[detection >= 0]]
        return scores


def match(
    joined: Joined,
    least_score: float = 0.0,
    most: int | None = None,
    thresholds: Sequence[float] | Floats = IOU_THRESHOLDS,
    benet_compat: bool = False,
) -> Matches:
    """Matches the detections of each image to its persons.

    Args:
        least_score: detections below are left out.
        most: so many detections of an image at most, the best.
        thresholds: [T] least IoU.
        benet_compat: as BENet's evaluator does: boxes are clipped to the image and then handed as x1, y1, x2, y2 to
            an IoU that expects x, y, width, height. Whether boxes are in pixels of the source or of the resized image
            does not matter, as both the mistake and the clipping commute with a scale of each axis.
    """
    thresholds = np.asarray(thresholds, np.float64)
    samples, images = joined.samples, joined.images
    kept = [_kept(image, least_score, most) for image in images]
    first_detection = np.cumsum([0, *map(len, kept)])
    first_person = np.cumsum([0, *map(len, samples)])
    person = np.full((len(thresholds), first_detection[-1]), -1, np.intp)
    ignored = np.zeros(person.shape, bool)
    detection = np.full((len(thresholds), first_person[-1]), -1, np.intp)
    for index, (sample, image, order) in enumerate(zip(samples, images, kept, strict=True)):
        if not len(order) or not len(sample) + len(sample.ignore):
            continue
        boxes, regions = image.boxes[order], np.concatenate([sample.boxes, sample.ignore])
        detected, annotated = xywh(boxes, image.size, benet_compat), xywh(regions, image.size, benet_compat)
        is_region = [0] * len(sample) + [1] * len(sample.ignore)
        overlap = np.asarray(mask.iou(detected, annotated, is_region))
        taken_by, in_region = _greedy(overlap, len(sample), thresholds)
        where = slice(first_detection[index], first_detection[index + 1])
        ignored[:, where] = in_region
        person[:, where] = np.where(taken_by >= 0, taken_by + first_person[index], -1)
        rows, columns = np.nonzero(taken_by >= 0)
        detection[rows, taken_by[rows, columns] + first_person[index]] = columns + first_detection[index]
    return Matches(
        image=np.repeat(np.arange(len(images)), np.diff(first_detection)),
        row=np.concatenate(kept),
        scores=_gathered([image.scores[order] for image, order in zip(images, kept, strict=True)]),
        emotions=_gathered([image.emotions[order] for image, order in zip(images, kept, strict=True)]),
        vad=_gathered([_vad(image)[order] for image, order in zip(images, kept, strict=True)]),
        person=person,
        ignored=ignored,
        detection=detection,
    )


def xywh(boxes: NDArray[np.float32], size: tuple[int, int], benet_compat: bool = False) -> Floats:
    """Boxes [N,4] xyxy as COCO's tools want them, float64; or as BENet's evaluator gives them: clipped, still xyxy."""
    result = boxes.astype(np.float64)
    if benet_compat:
        height, width = size
        return np.clip(result, 0, [width, height, width, height])
    result[:, 2:] -= result[:, :2]
    return result


def _greedy(overlap: Floats, persons: int, thresholds: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """[T,D] the person that each detection takes, or -1, and whether an ignored region holds it instead."""
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]
    taken_by = np.full((len(thresholds), len(overlap)), -1, np.intp)
    free = np.ones((len(thresholds), persons), bool)
    rows = np.arange(len(thresholds))
    near = overlap[:, :persons].max(axis=1, initial=0) >= least.min()
    for column in np.flatnonzero(near):
        candidates = np.where(free & (overlap[column, :persons] >= least), overlap[column, :persons], -1.0)
        best = persons - 1 - candidates[:, ::-1].argmax(axis=1)  # of equal overlaps COCO takes the last
        found = candidates[rows, best] >= 0
        taken_by[found, column] = best[found]
        free[rows[found], best[found]] = False
    in_region = (overlap[:, persons:, None] >= least[:, 0]).any(axis=1).T
    return taken_by, in_region & (taken_by < 0)


def _kept(image: ImagePrediction, least_score: float, most: int | None) -> NDArray[np.intp]:
    order = np.argsort(-image.scores, kind="stable")
    # In float32 as the scores are, so that a score written as 0.1 passes a threshold of 0.1.
    return order[image.scores[order] >= np.float32(least_score)][:most]


def _gathered(parts: Sequence[NDArray[np.float32]]) -> Floats:
    return np.concatenate(parts).astype(np.float64)


def _vad(image: ImagePrediction) -> NDArray[np.float32]:
    return np.full((len(image.boxes), 3), np.nan, np.float32) if image.vad is None else image.vad
