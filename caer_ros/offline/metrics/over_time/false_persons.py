"""Persons who are not there, as somebody who listens to the robot counts them: by identity and by minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics.matching import match
from caer_ros.offline.metrics.over_time.sequences import ids, longest_step, published, sequences, stamps, steps

if TYPE_CHECKING:
    from caer_ros.offline.metrics.joined import Joined


@dataclass(frozen=True, slots=True)
class FalsePersons:
    """False persons at the model's person threshold and IoU 0.5, over images whose persons are all annotated."""

    detections: int
    """Detections that match no person and lie in no ignored region."""
    persons: int
    """Tracks of which no detection ever matches a person or lies in an ignored region; untracked false detections
    count as one each."""
    per_image: float
    """False detections."""
    per_minute: float
    """False persons; NaN unless all images have stamps and some sequence has two."""
    minutes: float
    """Minutes that were looked at: in each sequence the time from each image to the next, which counts as 2 s at most,
    or as twice the median where images are annotated more rarely; and one median for the last image. NaN as above."""
    images: int


def false_persons(joined: Joined) -> FalsePersons:
    """Counts false detections and false persons.

    Raises:
        MetricsError: no image is annotated exhaustively.
    """
    joined = published(joined.exhaustive())
    matches = match(joined, thresholds=[0.5])
    is_false = (matches.person[0] < 0) & ~matches.ignored[0]
    folders = [sample.image_id.rpartition("/")[0] for sample in joined.samples]
    names = [ids(image) for image in joined.images]
    tracks: dict[tuple[str, str], bool] = {}
    untracked = 0
    for image, row, false in zip(matches.image.tolist(), matches.row.tolist(), is_false.tolist(), strict=True):
        if name := names[image][row]:
            track = folders[image], name
            tracks[track] = tracks.get(track, True) and false
        else:
            untracked += false
    persons, minutes = sum(tracks.values()) + untracked, _minutes(joined)
    return FalsePersons(
        detections=int(is_false.sum()),
        persons=persons,
        per_image=float(is_false.sum() / len(joined.samples)),
        per_minute=persons / minutes,
        minutes=minutes,
        images=len(joined.samples),
    )


def _minutes(joined: Joined) -> float:
    """NaN where it is not known."""
    seconds = 0.0
    for images in sequences(joined.samples).values():
        order = stamps(joined.samples, images)
        if order is None:
            return float("nan")
        if len(order) > 1:
            seconds += float(steps(order, longest_step(order)).sum() + np.median(np.diff(order)) / 1e9)
    return seconds / 60 if seconds > 0 else float("nan")
