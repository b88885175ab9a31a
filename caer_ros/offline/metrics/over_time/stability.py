"""What a dialogue manager feels: emotions that flicker, and emotions that come late.

For each annotated person over time. The *published label* of a person in an annotated image is the reported label of
the detection that is matched at IoU 0.5; none where the person is missed, or the label uncertain or not predicted.
The *truth* is the set of the labels that the person has; images in which the person has none that is known are left
out. In sets of several labels a person, a published label is right when it is one of the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.matching import match
from caer_ros.offline.metrics.over_time.sequences import longest_step, published, sequences, stamps, steps
from caer_ros.offline.metrics.over_time.timing import distribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats, Joined

    Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Change:
    """Change of a person's true emotion."""

    stamp: int
    """Nanoseconds, of the first image with the new truth."""
    delay: float
    """s, until the first image with a right published label; NaN: none before the next change or the end."""


@dataclass(frozen=True, slots=True)
class TrackStability:
    """One annotated person. Times count between images, so a person seen once has none."""

    sequence: str
    """The folder of the image ids: a topic of a recording."""
    track_id: str
    images: int
    """Images in which the person is annotated with a label."""
    seconds: float
    """Time for which the person is annotated: from each image to the next, at most ``Stability``'s ``longest_step``."""
    right: float
    """s, of which so many with a right published label, each image's until the next."""
    wrong: float
    """s"""
    without: float
    """s, without one."""
    flickers: tuple[int, ...]
    """Stamps of the images in which the published label flickered."""
    changes: tuple[Change, ...]

    @property
    def flicker_per_minute(self) -> float:
        """NaN for a person seen once."""
        return _ratio(60 * len(self.flickers), self.seconds)


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Stability over all annotated persons, each second of each person alike."""

    flicker_per_minute: float
    """Flickers per minute of a person; NaN where nobody is annotated twice.

    A flicker is a change from one published label to another, images without one between them being skipped, while the
    truth does not change from the one image to the other. The change that brings the first right label after a change
    of the truth is none: it is the answer, and its delay is told below.
    """
    flickers: int
    minutes: float
    """Minutes for which persons are annotated."""
    right: float
    """Part of that time with a right published label."""
    wrong: float
    without: float
    changes: int
    """Changes of the truth."""
    delays: Floats
    """s, of those that were answered, in the order of the tracks."""
    delay_median: float
    delay_p95: float
    never: int
    """Changes without an answer before the next one or the end of the track."""
    tracks: tuple[TrackStability, ...]
    left_out: int
    """Annotated tracks of which no label is known."""


def stability(joined: Joined) -> Stability:
    """How steady and how quick the published emotions are.

    Raises:
        MetricsError: no track is annotated with emotions and stamps, or the predictions were not made by the pipeline.
    """
    if all(image.tracked is None for image in joined.images):
        raise MetricsError("the predictions say not what was published: they were made without the pipeline")
    labels, positive = _published_labels(joined), joined.targets == 1
    people, tracks = list(_people(joined)), []
    for sequence, track_id, persons, order, longest in people:
        known = positive[persons].any(axis=1)
        if known.any():
            rows = persons[known]
            tracks.append(_track(sequence, track_id, order[known], longest, positive[rows], labels[rows]))
    if not tracks:
        raise MetricsError("no track is annotated with emotions: no person has a track id, a label and a stamp")
    return _stability(tracks, len(people) - len(tracks))


def _stability(tracks: list[TrackStability], left_out: int) -> Stability:
    seconds = sum(track.seconds for track in tracks)
    flickers = sum(len(track.flickers) for track in tracks)
    delays = np.array([change.delay for track in tracks for change in track.changes], np.float64)
    answered = distribution(delays)
    return Stability(
        flicker_per_minute=_ratio(60 * flickers, seconds),
        flickers=flickers,
        minutes=seconds / 60,
        right=_ratio(sum(track.right for track in tracks), seconds),
        wrong=_ratio(sum(track.wrong for track in tracks), seconds),
        without=_ratio(sum(track.without for track in tracks), seconds),
        changes=len(delays),
        delays=answered.values,
        delay_median=answered.median,
        delay_p95=answered.p95,
        never=answered.left_out,
        tracks=tuple(tracks),
        left_out=left_out,
    )


def _published_labels(joined: Joined) -> Indices:
    """[N] index of the label that is published of each person; -1 none."""
    told = published(joined)
    matches = match(told, thresholds=[0.5])
    tops = [
        np.full(len(image.boxes), -1, np.intp) if image.tracked is None else image.tracked.top for image in told.images
    ]
    first = np.cumsum([0, *map(len, tops)])
    found = matches.detection[0] >= 0
    detection = matches.detection[0][found]
    labels = np.full(len(found), -1, np.intp)
    labels[found] = np.concatenate(tops)[first[matches.image[detection]] + matches.row[detection]]
    return labels


def _people(joined: Joined) -> Iterator[tuple[str, str, Indices, NDArray[np.int64], float]]:
    """Sequence, id, persons and stamps [n], and longest step of each annotated track in a sequence with stamps."""
    first = np.cumsum([0, *map(len, joined.samples)])
    for sequence, images in sequences(joined.samples).items():
        order = stamps(joined.samples, images)
        if order is None:
            continue
        members: dict[str, list[tuple[int, int]]] = {}
        for index, stamp in zip(images.tolist(), order.tolist(), strict=True):
            for row, track_id in enumerate(joined.samples[index].track_ids):
                if track_id:
                    members.setdefault(track_id, []).append((first[index] + row, stamp))
        for track_id, found in members.items():
            persons, at = zip(*found, strict=True)
            yield sequence, track_id, np.array(persons, np.intp), np.array(at, np.int64), longest_step(order)


def _track(
    sequence: str,
    track_id: str,
    order: NDArray[np.int64],
    longest: float,
    truth: NDArray[np.bool_],
    labels: Indices,
) -> TrackStability:
    """A person in n images: stamps and published labels [n], truth [n,E]."""
    right = (labels >= 0) & truth[np.arange(len(labels)), labels]
    # Each change of the truth begins a part.
    part = np.cumsum(np.append(False, (truth[1:] != truth[:-1]).any(axis=1)))
    lasts = np.append(steps(order, longest), 0.0)
    return TrackStability(
        sequence=sequence,
        track_id=track_id,
        images=len(order),
        seconds=float(lasts.sum()),
        right=float(lasts[right].sum()),
        wrong=float(lasts[(labels >= 0) & ~right].sum()),
        without=float(lasts[labels < 0].sum()),
        flickers=tuple(order[_flickers(labels, right, part)].tolist()),
        changes=tuple(_changes(order, right, part)),
    )


def _flickers(labels: Indices, right: NDArray[np.bool_], part: Indices) -> list[int]:
    """The images in which the published label [n] flickers."""
    found = []
    answered = {0}  # the first part begins with no change of the truth
    certain = np.flatnonzero(labels >= 0).tolist()
    for before, now in zip([None, *certain], certain, strict=False):
        is_answer = right[now] and part[now] not in answered
        if before is not None and labels[before] != labels[now] and part[before] == part[now] and not is_answer:
            found.append(now)
        if right[now]:
            answered.add(part[now])
    return found


def _changes(order: NDArray[np.int64], right: NDArray[np.bool_], part: Indices) -> Iterator[Change]:
    for low, high in _runs(part)[1:]:
        answers = np.flatnonzero(right[low:high])
        delay = (order[low + answers[0]] - order[low]) / 1e9 if len(answers) else float("nan")
        yield Change(int(order[low]), float(delay))


def _runs(numbers: Indices) -> list[tuple[int, int]]:
    """First index, and the one after the last, of each run of equal numbers."""
    return list(pairwise([0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
