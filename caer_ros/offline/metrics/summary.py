"""Everything that is measured of one model on one set, in one piece of plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.offline.metrics.affect import Affect, affect
from caer_ros.offline.metrics.annotators import Agreement, agreement
from caer_ros.offline.metrics.breakdowns import Control, Group, breakdowns, label_shuffle
from caer_ros.offline.metrics.detection import OperatingPoint, PersonDetection, operating_point, pd, pd_benet_compat
from caer_ros.offline.metrics.emotion_recognition import Classification, EmotionRecognition, classification, er
from caer_ros.offline.metrics.intervals import (
    Interval,
    bootstrap,
    er_statistic,
    image_groups,
    oer_statistic,
    pd_statistic,
    reservation,
)
from caer_ros.offline.metrics.joined import Annotations, Joined, MetricsError, join
from caer_ros.offline.metrics.on_the_field import THRESHOLD, TOP, OnTheField, oer, oer_benet_compat, oer_strict
from caer_ros.offline.metrics.reliability import Reliability, reliability
from caer_ros.plain_data import plain

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from caer_ros.offline.data.predictions import PredictionHeader, Predictions
    from caer_ros.recordings.annotations.sample import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What does not apply is None, such as ER without pooled scores."""

    model: PredictionHeader
    dataset: str
    split: str
    images: int
    persons: int
    notes: tuple[str, ...]
    """What a reader of the numbers must know, one sentence each."""
    er: EmotionRecognition | None
    classification: Classification | None
    pd: PersonDetection
    pd_benet_compat: PersonDetection
    operating_point: OperatingPoint | None
    oer: OnTheField
    oer_relative: float
    """(OER - chance) / (ER - chance); NaN without ER."""
    oer_strict: OnTheField | None
    oer_benet_compat: OnTheField
    affect: Affect | None
    against_labels: Reliability | None
    against_votes: Reliability | None
    breakdowns: dict[str, list[Group]]
    label_shuffle: Control | None
    agreement: Agreement | None
    """Agreement of the annotators: the human ceiling."""
    intervals: dict[str, Interval]
    """Intervals of "er", "oer" and "pd", where asked for."""

    def to_dict(self) -> dict[str, Any]:
        """Lists, numbers, strings and None, ready for json; NaN becomes None."""
        result: dict[str, Any] = plain(self)
        return result


def evaluate(
    dataset: Dataset,
    predictions: Predictions,
    annotations: Annotations = "labels",
    threshold: float = THRESHOLD,
    top: int = TOP,
    replicates: int = 0,
    groups: Sequence[Hashable] | None = None,
    any_box_kind: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Computes all metrics that apply.

    Args:
        dataset, predictions: the same images with the same labels.
        annotations: what makes a person a positive, see ``joined.Annotations``.
        threshold, top: of OER: least detection score, most detections of an image.
        replicates: of the bootstrap; 0: no intervals.
        groups: [I] independent group of each image; None: ``intervals.image_groups``. With fewer than two in
            which somebody is annotated there are no intervals, and a note.
        any_box_kind: accept predictions whose boxes surround another thing than the annotations' do.
        seed: of bootstrap and label shuffle.

    Raises:
        MetricsError: the two do not belong together.
    """
    header = predictions.header
    if tuple(header.labels) != tuple(dataset.labels):
        raise MetricsError(
            f'{dataset.name} {dataset.split} has the labels of "{dataset.label_set}" ({", ".join(dataset.labels)}), '
            f'{header.model} predicts those of "{header.label_set}" ({", ".join(header.labels)})'
        )
    joined = join(dataset.samples, predictions, annotations, any_box_kind)
    pooled = joined.has_pooled
    voted = any(not np.isnan(sample.votes).all() for sample in dataset.samples)
    recognised = er(joined) if pooled else None
    in_the_field = oer(joined, threshold, top)
    notes = list(_notes(joined))
    groups = image_groups(dataset.samples) if groups is None else groups
    if replicates:
        enough, said = reservation(joined.samples, groups)
        replicates = replicates if enough else 0
        notes += [said] if said else []
    measured = {"pd": pd_statistic(joined)} if replicates else {}
    if replicates and dataset.labels:
        measured["oer"] = oer_statistic(joined, threshold, top)
    if replicates and pooled:
        measured["er"] = er_statistic(joined)
    return Evaluation(
        model=header,
        dataset=dataset.name,
        split=dataset.split,
        images=len(joined.samples),
        persons=len(joined.targets),
        notes=tuple(notes),
        er=recognised,
        classification=classification(joined) if pooled and not dataset.multi_label else None,
        pd=pd(joined),
        pd_benet_compat=pd_benet_compat(joined, threshold, top),
        operating_point=operating_point(joined) if joined.kept <= header.thresholds.get("person", -1.0) else None,
        oer=in_the_field,
        oer_relative=in_the_field.relative_to(recognised) if recognised else math.nan,
        oer_strict=oer_strict(joined, threshold, top) if any(sample.exhaustive for sample in joined.samples) else None,
        oer_benet_compat=oer_benet_compat(joined, threshold, top),
        affect=affect(joined, threshold) if any(image.vad is not None for image in joined.images) else None,
        against_labels=reliability(joined) if pooled else None,
        against_votes=reliability(joined, "votes") if pooled and voted else None,
        breakdowns=breakdowns(joined) if pooled else {},
        label_shuffle=label_shuffle(joined, seed=seed) if pooled else None,
        agreement=_agreement(joined) if voted else None,
        intervals={name: bootstrap(metric, groups, replicates, seed=seed) for name, metric in measured.items()},
    )


def _agreement(joined: Joined) -> Agreement | None:
    try:
        return agreement(joined.samples)
    except MetricsError:  # not as many votes for each person: nothing can be told from their parts
        return None


def _notes(joined: Joined) -> tuple[str, ...]:
    exhaustive = sum(sample.exhaustive for sample in joined.samples)
    predicted = joined.header.box_kind.name.lower()
    kinds = sorted({sample.box_kind.name.lower() for sample in joined.samples})
    notes = []
    if exhaustive < len(joined.samples):
        notes.append(
            f"Only {exhaustive} of {len(joined.samples)} images have every person annotated: on the others PD counts "
            "detections of persons without annotation as false."
        )
    if joined.kept > 0:
        notes.append(f"Detections below a score of {joined.kept:g} are not in the predictions: PD is a lower bound.")
    if kinds != [predicted]:
        notes.append(f"Predicted are {predicted} boxes, annotated {' and '.join(kinds)} boxes.")
    if not joined.has_pooled and joined.header.labels:
        notes.append("The predictions hold no scores read in the ground-truth boxes: there is no ER.")
    notes.append("The benet_compat numbers use an inflated IoU and serve only to compare with BENet's.")
    return tuple(notes)
