"""How well each image was answered, in one number: for galleries, and for choosing what to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from caer_ros.offline.metrics.matching import match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats, Joined


class Judged(NamedTuple):
    """One image."""

    number: int
    """Index of the sample."""
    quality: float
    """0..1, see ``judge``."""
    found: int
    """Annotated persons with a detection."""
    false: int
    """Detections of nobody; 0 where not everybody is annotated."""


def judge(joined: Joined) -> list[Judged]:
    """Every image, in order.

    An image's quality is the mean over its annotated persons: 0 for one who is missed at IoU 0.5, else how high the
    labels are ranked by the scores of the detection (label ranking average precision; 1 where no label is known). Where
    everybody is annotated, a false detection counts as one more person with 0. With nobody to judge it is 1.
    """
    matches = match(joined, joined.header.thresholds.get("person", 0.0), thresholds=[0.5])
    detection, images = matches.detection[0], len(joined.samples)
    quality = [_quality(row, matches.emotions, int(at)) for row, at in zip(joined.targets, detection, strict=True)]
    exhaustive = np.array([sample.exhaustive for sample in joined.samples], bool)
    is_false = (matches.person[0] < 0) & ~matches.ignored[0] & exhaustive[matches.image]
    false = np.bincount(matches.image[is_false], minlength=images)
    persons = np.bincount(joined.image_index, minlength=images)
    found = np.bincount(joined.image_index[detection >= 0], minlength=images)
    judged = persons + false
    mean = np.where(judged > 0, np.bincount(joined.image_index, quality, minlength=images) / np.maximum(judged, 1), 1.0)
    return list(map(Judged, range(images), mean.tolist(), found.tolist(), false.tolist()))


def label_ranking(labels: NDArray[np.floating], scores: NDArray[np.floating]) -> float:
    """Label ranking average precision of one person: labels [E] (1 or 0; NaN unknown) and scores [E], NaN the least.

    The mean over the person's labels of the part of the labels, among those scored at least as high, that it has. NaN
    without a label.
    """
    scores = np.nan_to_num(np.asarray(scores, np.float64), nan=-1.0)[~np.isnan(labels)]
    has = labels[~np.isnan(labels)] == 1
    if not has.any():
        return float("nan")
    above = scores[None] >= scores[has][:, None]  # row: a label that the person has
    return float((above[:, has].sum(axis=1) / above.sum(axis=1)).mean())


def _quality(labels: Floats, emotions: Floats, detection: int) -> float:
    if detection < 0:
        return 0.0
    rank = label_ranking(labels, emotions[detection])
    return 1.0 if np.isnan(rank) else rank
