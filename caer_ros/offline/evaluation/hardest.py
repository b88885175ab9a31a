"""The frames of an evaluation from which there is most to learn: where the model was most wrong, or two disagree most.

They go out as an annotation set of their own, to be looked at again, annotated further, or trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from caer_ros.offline.evaluation.judged import judge
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.perception.boxes import iou
from caer_ros.perception.person import ScoreType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions
    from caer_ros.offline.metrics.joined import Joined

SAME = 0.5
"""IoU from which two boxes are of one person."""


class Hard(NamedTuple):
    """A frame, and how hard it was."""

    image_id: str
    hardness: float
    """0 (all right, or of one mind) to 1."""


def by_loss(joined: Joined) -> list[Hard]:
    """Every image, the hardest first: 1 minus its quality, see ``judged.judge``."""
    return _ranked((sample.image_id for sample in joined.samples), (1 - one.quality for one in judge(joined)))


def by_disagreement(first: Predictions, second: Predictions) -> list[Hard]:
    """Every image that both have, the hardest first, by how far two models differ on it; no truth is needed.

    Persons of both are matched greedily by IoU from 0.5 on. Two matched ones differ by the total variation distance of
    their scores (of a sigmoid's: the mean difference), 0..1; one whom only one model sees counts 1. The hardness of an
    image is the mean over all of them, 0 where both see nobody.

    Raises:
        MetricsError: the models have other labels, score types or kinds of boxes, or no image in common.
    """
    _check(first.header, second.header)
    others = {image.image_id: image for image in second.images}
    both = [(image, others[image.image_id]) for image in first.images if image.image_id in others]
    if not both:
        raise MetricsError("the two have no image in common")
    single = first.header.score_type == ScoreType.SOFTMAX
    return _ranked((image.image_id for image, _ in both), [_disagreement(a, b, single) for a, b in both])


def spread(ranked: Sequence[Hard], stamps: dict[str, int], count: int, apart: float) -> list[Hard]:
    """The first of a ranking that are far enough from each other in time: neighbours teach the same.

    Args:
        ranked: the hardest first.
        stamps: nanoseconds, of each image that has one.
        count: how many at most.
        apart: seconds between two frames of one recording at least.
    """
    chosen: list[Hard] = []
    taken: dict[str, list[int]] = {}
    for hard in ranked:
        if len(chosen) == count:
            break
        stamp, recording = stamps.get(hard.image_id), hard.image_id.rpartition("/")[0]
        near = taken.setdefault(recording, [])
        if stamp is not None and any(abs(stamp - other) < apart * 1e9 for other in near):
            continue
        near += [stamp] if stamp is not None else []
        chosen.append(hard)
    return chosen


def _check(first: PredictionHeader, second: PredictionHeader) -> None:
    for what in ("labels", "score_type", "box_kind"):
        if getattr(first, what) != getattr(second, what):
            raise MetricsError(f"{first.model} and {second.model} have other {what.replace('_', ' ')}s: not comparable")


def _disagreement(a: ImagePrediction, b: ImagePrediction, single: bool) -> float:
    overlap = iou(a.boxes, b.boxes)
    differences = []
    while overlap.size and overlap.max() >= SAME:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        differences.append(_difference(a.emotions[row], b.emotions[column], single))
        overlap[row], overlap[:, column] = -1, -1
    alone = len(a.boxes) + len(b.boxes) - 2 * len(differences)
    return (sum(differences) + alone) / max(len(differences) + alone, 1)


def _difference(a: NDArray[np.float32], b: NDArray[np.float32], single: bool) -> float:
    known = ~(np.isnan(a) & np.isnan(b))
    if not known.any():
        return 0.0
    distance = np.abs(np.nan_to_num(a) - np.nan_to_num(b))[known]
    return float(distance.sum() / 2 if single else distance.mean())


def _ranked(image_ids: Iterable[str], hardness: Iterable[float]) -> list[Hard]:
    hard = [Hard(image_id, float(value)) for image_id, value in zip(image_ids, hardness, strict=True)]
    return sorted(hard, key=lambda one: -one.hardness)
