"""What was true of every annotated person of a bag, and what was said of them, in the order of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics.matching import match
from caer_ros.offline.metrics.over_time.sequences import published, sequences
from caer_ros.perception.boxes import paired_iou

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import ImagePrediction
    from caer_ros.offline.evaluation.bags.bag_summary import BagFacts
    from caer_ros.offline.metrics.joined import Floats, Joined

NO_LABEL = -1
"""Found, but no label was reported: uncertain, or not predicted."""
MISSED = -2
"""Not found at IoU 0.5."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """N annotated persons of the samples, in their order; only what a listener is told of counts as found."""

    joined: Joined
    """With the persons that were published, and no others."""
    image: NDArray[np.intp]
    """[N] index of the sample."""
    row: NDArray[np.intp]
    """[N] index within the sample."""
    found: NDArray[np.intp]
    """[N] index within the published persons of the image; -1 missed."""
    overlap: Floats
    """[N] IoU with the one found; NaN for a missed one."""
    said: NDArray[np.intp]
    """[N] index of the label, ``NO_LABEL`` or ``MISSED``."""
    score: Floats
    """[N] of that label; NaN without one."""
    truth: tuple[tuple[int, ...], ...]
    """N times the labels that are true; () where none is, or nothing is known."""
    known: NDArray[np.bool_]
    """[N] is anything known of the person's emotion?"""
    wrong: NDArray[np.bool_]
    """[N] was a label said that is not true?"""
    false: tuple[tuple[int, int], ...]
    """Index of the sample and of the published person, for each of the persons who are not there: without a match or an
    ignored region around them, where everybody is annotated."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One annotated track: F frames in the order of time."""

    bag: int
    """Index of the bag."""
    sequence: str
    """Folder of the image ids."""
    track: str
    first_stamp: int
    """Nanoseconds, of the bag's first annotated frame."""
    answers: NDArray[np.intp]
    """[F] indices into ``Answers``."""
    seconds: Floats
    """[F] since ``first_stamp``."""


def answers(joined: Joined) -> Answers:
    """What was said of each annotated person."""
    joined = published(joined)
    matches = match(joined, thresholds=[0.5])
    counts = [len(sample) for sample in joined.samples]
    row = np.concatenate([np.arange(count) for count in counts]).astype(np.intp) if counts else np.zeros(0, np.intp)
    detection = matches.detection[0]
    found = np.where(detection >= 0, matches.row[detection], -1) if len(matches.row) else np.full(len(row), -1)
    said, score, overlap = np.full(len(row), MISSED, np.intp), np.full(len(row), np.nan), np.full(len(row), np.nan)
    for person in np.flatnonzero(found >= 0):
        image, which = joined.images[joined.image_index[person]], int(found[person])
        said[person], score[person] = report(image, which)
        box = joined.samples[joined.image_index[person]].boxes[row[person]]
        overlap[person] = paired_iou(image.boxes[which], box)
    exhaustive = np.array([sample.exhaustive for sample in joined.samples], bool)
    false = np.flatnonzero((matches.person[0] < 0) & ~matches.ignored[0] & exhaustive[matches.image])
    truth = tuple(tuple(np.flatnonzero(labels == 1).tolist()) for labels in joined.targets)
    known = np.asarray((~np.isnan(joined.targets)).any(axis=1))
    right = np.array([label in labels for label, labels in zip(said.tolist(), truth, strict=True)], bool)
    return Answers(
        joined=joined,
        image=joined.image_index,
        row=row,
        found=found.astype(np.intp),
        overlap=overlap,
        said=said,
        score=score,
        truth=truth,
        known=known,
        wrong=(said >= 0) & known & ~right,
        false=tuple((int(matches.image[index]), int(matches.row[index])) for index in false),
    )


def report(image: ImagePrediction, which: int) -> tuple[int, float]:
    """The label that was reported of a person of an image, or ``NO_LABEL``, and its score.

    Tracked: over the track, as the node publishes it. Else the best of the image.
    """
    if image.tracked is not None:
        top = int(image.tracked.top[which])
        return (top, float(image.tracked.smoothed[which, top])) if top >= 0 else (NO_LABEL, float("nan"))
    scores = image.emotions[which]
    if not scores.size or np.isnan(scores).all():
        return NO_LABEL, float("nan")
    return int(np.nanargmax(scores)), float(np.nanmax(scores))


def courses(told: Answers, bags: Sequence[BagFacts]) -> list[Course]:
    """The annotated tracks of each bag, in the order in which they appear; persons without a track are in none."""
    samples = told.joined.samples
    first_person = np.cumsum([0, *map(len, samples)])
    result = []
    for sequence, images in sequences(samples).items():
        tracks: dict[str, list[int]] = {}
        for image in images:
            for row, track in enumerate(samples[image].track_ids):
                if track:
                    tracks.setdefault(track, []).append(int(first_person[image]) + row)
        bag = bag_of(samples[images[0]].image_id, bags)
        for track, persons in tracks.items():
            stamps = [samples[told.image[person]].stamp or 0 for person in persons]
            seconds = np.array([stamp - bags[bag].first_stamp for stamp in stamps], np.int64) / 1e9
            result.append(Course(bag, sequence, track, bags[bag].first_stamp, np.array(persons, np.intp), seconds))
    return sorted(result, key=lambda course: course.bag)


def bag_of(image_id: str, bags: Sequence[BagFacts]) -> int:
    """Index of the bag that an image is from: with several bags the id begins with the bag's name."""
    named = (index for index, bag in enumerate(bags) if len(bags) > 1 and image_id.startswith(f"{bag.name}/"))
    return next(named, 0)
