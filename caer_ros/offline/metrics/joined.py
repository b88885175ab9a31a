"""Samples and the predictions of them, brought together and checked, as the arrays that the metrics work on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from caer_ros.offline.metrics.positives import ANY, HALF, positives, positives_of_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions
    from caer_ros.recordings.annotations.sample import Sample

Floats = NDArray[np.float64]
Annotations = Literal["labels", "any_vote", "majority"]
"""What makes a person a positive of a class: its label (a half or more of ``Sample.emotions``: on EMOTIC's val and test
the union of the annotators), one vote at least, or half of the votes. See ``metrics.positives``."""


class MetricsError(Exception):
    """Samples and predictions that do not belong together, or that a metric is not defined on."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """I images with N annotated persons and E labels, and what was predicted of them: what every metric takes."""

    samples: tuple[Sample, ...]
    images: tuple[ImagePrediction, ...]
    """Prediction of each sample, in the order of the samples."""
    header: PredictionHeader
    annotations: Annotations
    """What made a target a positive."""
    image_index: NDArray[np.intp]
    """[N] the image of each person, images in the order of the samples."""
    targets: Floats
    """[N,E] 1 or 0; NaN unknown."""

    @property
    def has_pooled(self) -> bool:
        """Were scores read in the ground-truth boxes?"""
        return any(image.pooled is not None for image in self.images)

    @property
    def kept(self) -> float:
        """The detection score below which the predictions were cut."""
        return self.header.thresholds.get("kept", 0.0)

    def pooled(self) -> Floats:
        """[N,E] scores read in the ground-truth boxes; NaN where not predicted. Raises MetricsError without any."""
        if not self.has_pooled:
            raise MetricsError("the predictions hold no scores read in the ground-truth boxes (pooled)")
        parts = [
            np.full_like(sample.emotions, np.nan) if image.pooled is None else image.pooled
            for sample, image in zip(self.samples, self.images, strict=True)
        ]
        return np.concatenate(parts).astype(np.float64)

    def votes(self) -> Floats:
        """[N,E] part of the annotators who chose the label; NaN where not known. Raises MetricsError without any."""
        votes = np.concatenate([sample.votes for sample in self.samples]).astype(np.float64)
        if np.isnan(votes).all():
            raise MetricsError("the samples hold no single votes of annotators")
        return votes

    def exhaustive(self) -> Joined:
        """Only the images whose persons are all annotated. Raises MetricsError without any."""
        chosen = [index for index, sample in enumerate(self.samples) if sample.exhaustive]
        if not chosen:
            raise MetricsError("no image is annotated exhaustively, so no detection is known to be false")
        samples = [self.samples[index] for index in chosen]
        return _joined(samples, [self.images[index] for index in chosen], self.header, self.annotations)


def join(
    samples: Sequence[Sample],
    predictions: Predictions,
    annotations: Annotations = "labels",
    any_box_kind: bool = False,
) -> Joined:
    """Brings each sample together with the prediction of its image.

    Args:
        samples, predictions: the same images, in any order; predictions of further images are an error too.
        annotations: what makes a person a positive.
        any_box_kind: accept predictions whose boxes surround another thing than the annotations' do.

    Raises:
        MetricsError: images missing, unknown or there twice (named), another size or number of labels; or as ``check``.
    """
    check(samples, predictions.header, annotations, any_box_kind)
    by_id = {image.image_id: image for image in predictions.images}
    sample_ids = {sample.image_id for sample in samples}
    _refuse("twice in the predictions", _repeated(image.image_id for image in predictions.images))
    _refuse("twice in the samples", _repeated(sample.image_id for sample in samples))
    _refuse("not in the predictions", [image_id for image_id in sample_ids if image_id not in by_id])
    _refuse("in the predictions, but not in the samples", by_id.keys() - sample_ids)
    for sample in samples:
        _check(sample, by_id[sample.image_id], len(predictions.header.labels))
    return _joined(samples, [by_id[sample.image_id] for sample in samples], predictions.header, annotations)


def check(
    samples: Sequence[Sample], header: PredictionHeader, annotations: Annotations = "labels", any_box_kind: bool = False
) -> None:
    """What can be said of samples and a model before anything is predicted; arguments as of ``join``.

    Raises:
        MetricsError: no samples, another box kind, or annotations by votes of a set that has none.
    """
    if not samples:
        raise MetricsError("no samples to evaluate")
    if annotations != "labels" and all(np.isnan(sample.votes).all() for sample in samples):
        raise MetricsError(
            f'annotations "{annotations}": the samples hold no single votes of annotators; take "labels"'
        )
    other = next((sample for sample in samples if sample.box_kind != header.box_kind), None)
    if other is not None and not any_box_kind:
        raise MetricsError(
            f"{other.image_id}: annotated are {other.box_kind.name.lower()} boxes, predicted "
            f"{header.box_kind.name.lower()} boxes; these are not compared unless that is asked for "
            "(--any-box-kind)"
        )


def _joined(
    samples: Sequence[Sample], images: Sequence[ImagePrediction], header: PredictionHeader, annotations: Annotations
) -> Joined:
    index = np.repeat(np.arange(len(samples)), [len(sample) for sample in samples])
    return Joined(tuple(samples), tuple(images), header, annotations, index, _targets(samples, annotations))


def _targets(samples: Sequence[Sample], annotations: Annotations) -> Floats:
    if annotations == "labels":
        return positives_of_labels(np.concatenate([sample.emotions for sample in samples]))
    votes = np.concatenate([sample.votes for sample in samples])
    return positives(votes, HALF if annotations == "majority" else ANY)


def _repeated(ids: Iterable[str]) -> list[str]:
    return [image_id for image_id, times in Counter(ids).items() if times > 1]


def _refuse(what: str, ids: Iterable[str]) -> None:
    if named := sorted(ids):
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        raise MetricsError(f"images {what}: {', '.join(named[:3])}{more}; predict exactly the images to be evaluated")


def _check(sample: Sample, image: ImagePrediction, labels: int) -> None:
    if sample.emotions.shape[1] != labels:
        raise MetricsError(f"{sample.image_id}: {sample.emotions.shape[1]} labels annotated, {labels} predicted")
    if image.emotions.shape != (len(image.boxes), labels) or image.scores.shape != image.boxes.shape[:1]:
        raise MetricsError(f"{sample.image_id}: boxes, scores and emotions of the prediction differ in length")
    if image.pooled is not None and image.pooled.shape != sample.emotions.shape:
        raise MetricsError(
            f"{sample.image_id}: scores pooled in {len(image.pooled)} boxes, but {len(sample)} persons are annotated; "
            "the predictions were made on other annotations"
        )
    if tuple(image.size) != tuple(sample.size):
        raise MetricsError(f"{sample.image_id}: predicted at size {image.size}, annotated at {sample.size}")
