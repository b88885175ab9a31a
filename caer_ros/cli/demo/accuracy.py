"""How well boxes and identities of a run agree with the ground truth. Needs the offline companion, for its metrics.

Only images that were processed are judged: what a busy node dropped costs neither precision nor recall. A coasting box
is no detection. A person of whom too little is seen costs nothing when missed and gains nothing when found; one without
a track id is somebody else in each image. Emotions, and what the boxes surround, do not matter.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.data.predictions import Predictions, only
from caer_ros.offline.metrics.joined import join
from caer_ros.offline.metrics.over_time.tracking import tracking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.data.predictions import ImagePrediction
    from caer_ros.offline.metrics.over_time.tracking import Tracking
    from caer_ros.recordings.annotations.sample import Sample


@dataclass(frozen=True)
class Accuracy:
    """Counts of detection and identity at IoU 0.5, which can be added up over runs, and the ratios of them.

    The names are those of ``summary.json`` and of ``caer bench tracking``.
    """

    images: int
    """Images that were judged."""
    unprocessed: int
    """Images of the ground truth for which the run has nothing."""
    demanded: int
    """Persons that a detector should have found."""
    true_positives: int
    """Detections that are matched to a demanded person."""
    false_positives: int
    """Detections that are matched to nobody and lie on nobody who is ignored."""
    switches: int
    fragmentations: int
    id_true_positives: int
    identities: int
    """True identities that were demanded at least once."""
    tracks: int
    """Track ids of the true and false positives."""

    @property
    def precision(self) -> float:
        """Part of the detections that is true; NaN without any."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Part of the demanded persons that was found."""
        return _ratio(self.true_positives, self.demanded)

    @property
    def idf1(self) -> float:
        """2 IDTP / (demanded + detections), Ristani et al. eq. 12."""
        return _ratio(2 * self.id_true_positives, self.demanded + self.true_positives + self.false_positives)

    def to_dict(self) -> dict[str, float | int | None]:
        """Counts and ratios for JSON; None for NaN."""
        ratios = {"precision": self.precision, "recall": self.recall, "idf1": self.idf1}
        return {**asdict(self), **{name: None if math.isnan(value) else value for name, value in ratios.items()}}

    @classmethod
    def of(cls, found: Tracking, unprocessed: int) -> Accuracy:
        """The metrics of a run that has nothing for ``unprocessed`` images."""
        return cls(
            images=found.images,
            unprocessed=unprocessed,
            demanded=found.persons,
            true_positives=found.matched,
            false_positives=found.detections - found.matched,
            switches=found.switches,
            fragmentations=found.fragmentations,
            id_true_positives=found.identity_matches,
            identities=found.tracks,
            tracks=found.published_tracks,
        )


def measure(samples: Sequence[Sample], said: Predictions) -> Accuracy | None:
    """Judge a run.

    Args:
        samples: the ground truth of all images that were played, each with a stamp of its own.
        said: what came out of the images that were processed, by their stamps.

    Returns:
        None where nobody was to be found in the processed images.

    Raises:
        MetricsError: an image is unknown to the ground truth or comes twice, a track id comes twice in an image, or the
            run has no track ids.
    """
    names = {sample.stamp: sample.image_id for sample in samples}
    images = [_judged(image, names.get(image.stamp, image.image_id)) for image in said.images]
    processed = {image.stamp for image in images}
    judged = [_judged_of(sample) for sample in samples if sample.stamp in processed]
    if not any(map(len, judged)):
        return None
    joined = join(judged, Predictions(replace(said.header, labels=()), images), any_box_kind=True)
    return Accuracy.of(tracking(joined, keep_last=True), len(samples) - len(judged))


def _judged(image: ImagePrediction, image_id: str) -> ImagePrediction:
    """Detections alone, without emotions."""
    if image.tracked is not None:
        image = only(image, ~image.tracked.coasted)
    return replace(image, image_id=image_id, emotions=np.empty((len(image.boxes), 0), np.float32))


def _judged_of(sample: Sample) -> Sample:
    """Identities alone, without emotions."""
    tracks = (track or f"{sample.stamp}.{row}" for row, track in enumerate(sample.track_ids))
    none = np.empty((len(sample), 0), np.float32)
    return replace(sample, track_ids=tuple(tracks), emotions=none, votes=none)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
