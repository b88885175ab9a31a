"""HOTA, IDF1 and CLEAR MOT's counts: does a person keep one id, and one id one person?

HOTA is that of Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 129, 2021, with
the matching of its authors' TrackEval; IDF1 of Ristani et al., 2016; matches, switches and fragmentations as CLEAR MOT
counts them (Bernardin and Stiefelhagen, 2008).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from faster_coco_eval.core import mask  # type: ignore[import-untyped]
from scipy.optimize import linear_sum_assignment

from caer_ros.offline.metrics import matching
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.over_time.sequences import ids, published, sequences
from caer_ros.perception.boxes import iou

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import ImagePrediction
    from caer_ros.offline.metrics.joined import Floats, Joined
    from caer_ros.recordings.annotations.sample import Sample

    Indices = NDArray[np.intp]

ALPHAS: Floats = np.arange(0.05, 0.99, 0.05)
"""The IoU thresholds that HOTA is the mean over: 0.05:0.05:0.95."""
IDENTITY_IOU = 0.5
"""Least IoU of IDF1 and of CLEAR MOT."""
_EPS = np.finfo(np.float64).eps
_STAY = 1000.0
"""CLEAR: to keep the id of the image before is worth more than any overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracking:
    """Over S sequences, A = 19 IoU thresholds (``ALPHAS``). On sequences that are not annotated exhaustively, true
    persons without annotation count as false here.
    """

    hota: float
    """Mean over thresholds, as the next three."""
    detection_accuracy: float
    """DetA: matches among all persons and detections."""
    association_accuracy: float
    """AssA: mean over the matches of how much their two tracks are the same."""
    localisation_accuracy: float
    """LocA: mean IoU of the matches; as in TrackEval 1 at a threshold at which nothing matches."""
    hota_by_threshold: Floats
    """[A] the geometric mean of the next two."""
    detection_by_threshold: Floats
    """[A]"""
    association_by_threshold: Floats
    """[A]"""
    localisation_by_threshold: Floats
    """[A]"""
    idf1: float
    """F1 of identities at IoU 0.5, each annotated track paired with one published track at most."""
    identity_matches: int
    """IDTP: detections of the published track that a person's track is paired with."""
    matched: int
    """Persons that CLEAR MOT matches to a detection at IoU 0.5; the other persons are missed, the other detections
    false."""
    switches: int
    """How often the id of an annotated person, matched at IoU 0.5, is another than when last matched."""
    fragmentations: int
    """How often an annotated person is matched again after images in which the person was there and missed."""
    tracks: int
    """Annotated ones."""
    published_tracks: int
    """Ids that were published in these sequences, and untracked detections."""
    persons: int
    """Boxes of the annotated tracks."""
    detections: int
    """Detections that count."""
    left_out: int
    """Detections in ignored regions, or of persons whose track is not annotated."""
    sequences: int
    images: int
    exhaustive_images: int


@dataclass(frozen=True, slots=True, eq=False)
class _Sequence:
    """P persons, D detections, and the R pairs of them that overlap; images are numbered in order of time."""

    tracks: Indices
    """[P] number of the person's track."""
    ids: Indices
    """[D] number of the detection's id."""
    person_image: Indices
    """[P] rising."""
    detection_image: Indices
    """[D] rising."""
    person: Indices
    """[R] rising by image."""
    detection: Indices
    """[R]"""
    overlap: Floats
    """[R] IoU, above 0."""
    left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class _Clear:
    """CLEAR MOT's counts of one sequence."""

    matched: int
    switches: int
    fragmentations: int


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """What is summed over sequences; arrays are [A]. Their sums give what TrackEval's ``combine_sequences`` gives."""

    reached: Floats
    """Matches."""
    association: Floats
    """A(c) of the paper's eq. 6, summed over the matches."""
    overlap: Floats
    """Summed over the matches."""
    identity: int
    """IDTP"""
    matched: int
    switches: int
    fragmentations: int
    persons: int
    detections: int
    tracks: int
    published_tracks: int
    left_out: int


def tracking(joined: Joined, keep_last: bool = False) -> Tracking:
    """How well persons are tracked.

    Only persons with a track id are annotated tracks, and only sequences (see ``sequences``) with such a person count;
    ids of two sequences are never the same person. A detection that matches a person without a track id at IoU 0.5, or
    nobody and lies with half of its area in an ignored region, is left out. A detection without an id is a track of
    its own. Time does not matter but for the order: to leave and return is to be tracked if the id is the same.

    Args:
        joined: samples and what was published.
        keep_last: which ids CLEAR MOT keeps where it can: those of the image before, as TrackEval does; or if true
            everybody's last one, as motmetrics does.

    Raises:
        MetricsError: no track is annotated, or the tracker had no part in the predictions; or two persons of an image
            have the same id.
    """
    joined = published(joined)
    found = [image for image in joined.images if len(image.boxes)]
    if all(image.tracked is None for image in joined.images) or (found and not any(any(ids(image)) for image in found)):
        raise MetricsError("the predictions hold no track ids: they were made without the tracker")
    chosen = [
        images
        for images in sequences(joined.samples).values()
        if any(any(joined.samples[index].track_ids) for index in images)
    ]
    if not chosen:
        raise MetricsError("no track is annotated: no person of the samples has a track id")
    parts = [_counts(sequence, keep_last) for sequence in _read(joined, chosen)]
    total = {field.name: sum(getattr(part, field.name) for part in parts) for field in fields(_Counts)}
    return _tracking(_Counts(**total), joined, chosen)


def _tracking(total: _Counts, joined: Joined, chosen: Sequence[Indices]) -> Tracking:
    some = np.maximum(total.reached, 1)
    detection = total.reached / (total.persons + total.detections - total.reached)
    association = total.association / some
    localisation = np.where(total.reached > 0, total.overlap / some, 1.0)
    hota = np.sqrt(detection * association)
    images = [joined.samples[index] for sequence in chosen for index in sequence]
    return Tracking(
        hota=float(hota.mean()),
        detection_accuracy=float(detection.mean()),
        association_accuracy=float(association.mean()),
        localisation_accuracy=float(localisation.mean()),
        hota_by_threshold=hota,
        detection_by_threshold=detection,
        association_by_threshold=association,
        localisation_by_threshold=localisation,
        idf1=2 * total.identity / (total.persons + total.detections),
        identity_matches=total.identity,
        matched=total.matched,
        switches=total.switches,
        fragmentations=total.fragmentations,
        tracks=total.tracks,
        published_tracks=total.published_tracks,
        persons=total.persons,
        detections=total.detections,
        left_out=total.left_out,
        sequences=len(chosen),
        images=len(images),
        exhaustive_images=sum(sample.exhaustive for sample in images),
    )


def _read(joined: Joined, chosen: Sequence[Indices]) -> Iterator[_Sequence]:
    """The sequences as numbers."""
    counted = _counted(joined)
    for images in chosen:
        tracks, names, overlaps, left_out = [], [], [], 0
        for index in images:
            sample, image, rows = joined.samples[index], joined.images[index], counted[index]
            annotated = np.flatnonzero([bool(track) for track in sample.track_ids])
            tracks.append([sample.track_ids[row] for row in annotated])
            _refuse_twice(sample.image_id, "annotated", tracks[-1])
            published_ids = ids(image)
            names.append([published_ids[row] for row in rows])
            _refuse_twice(sample.image_id, "published", names[-1])
            left_out += len(published_ids) - len(rows)
            overlaps.append(iou(sample.boxes[annotated].astype(np.float64), image.boxes[rows].astype(np.float64)))
        yield _numbered(tracks, names, overlaps, left_out)


def _counted(joined: Joined) -> list[Indices]:
    """For each image the rows of the detections that count. Who is who goes by overlap, as in TrackEval: a tracker may
    publish a faint detection, so scores do not matter here.
    """
    return [
        np.arange(len(image.boxes))
        if all(sample.track_ids) and not len(sample.ignore)
        else _not_left_out(sample, image)
        for sample, image in zip(joined.samples, joined.images, strict=True)
    ]


def _not_left_out(sample: Sample, image: ImagePrediction) -> Indices:
    overlap = iou(image.boxes.astype(np.float64), sample.boxes.astype(np.float64))
    overlap[overlap < IDENTITY_IOU - _EPS] = 0.0
    detection, person = linear_sum_assignment(overlap, maximize=True)
    theirs = overlap[detection, person] > 0
    detected, regions = matching.xywh(image.boxes, image.size), matching.xywh(sample.ignore, sample.size)
    inside = np.asarray(mask.iou(detected, regions, [1] * len(regions))).reshape(len(detected), len(regions))
    left_out = np.any(inside >= IDENTITY_IOU, axis=1)
    without = np.array([not track for track in sample.track_ids], bool)
    left_out[detection[theirs]] = without[person[theirs]]
    return np.flatnonzero(~left_out)


def _refuse_twice(image_id: str, what: str, names: list[str]) -> None:
    if len(names) == len(set(names)):
        return
    for name, times in Counter(filter(None, names)).items():
        if times > 1:
            raise MetricsError(f'{image_id}: track id "{name}" is {what} {times} times in one image')


def _numbered(tracks: list[list[str]], names: list[list[str]], overlaps: list[Floats], left_out: int) -> _Sequence:
    first_person = np.cumsum([0, *map(len, tracks)])
    first_detection = np.cumsum([0, *map(len, names)])
    near = [np.nonzero(overlap > 0) for overlap in overlaps]
    return _Sequence(
        tracks=_numbers([track for image in tracks for track in image]),
        ids=_numbers([name for image in names for name in image]),
        person_image=np.repeat(np.arange(len(tracks)), np.diff(first_person)),
        detection_image=np.repeat(np.arange(len(names)), np.diff(first_detection)),
        person=np.concatenate([rows + first for (rows, _), first in zip(near, first_person, strict=False)]),
        detection=np.concatenate([columns + first for (_, columns), first in zip(near, first_detection, strict=False)]),
        overlap=np.concatenate([overlap[where] for overlap, where in zip(overlaps, near, strict=True)]),
        left_out=left_out,
    )


def _numbers(names: list[str]) -> Indices:
    """Each name as a number; every "" as one of its own."""
    known: dict[str | int, int] = {}
    return np.array([known.setdefault(name or place, len(known)) for place, name in enumerate(names)], np.intp)


def _counts(sequence: _Sequence, keep_last: bool) -> _Counts:
    track_boxes, id_boxes = np.bincount(sequence.tracks), np.bincount(sequence.ids)
    # Pairs of a track and an id, of which most never meet, by number; and which of them each pair of boxes is.
    both, pair = np.unique(
        sequence.tracks[sequence.person] * len(id_boxes) + sequence.ids[sequence.detection], return_inverse=True
    )
    track, name = np.divmod(both, max(len(id_boxes), 1))
    boxes = track_boxes[track] + id_boxes[name]

    matched = _matched(sequence, pair, boxes)
    overlap, matched_pair = sequence.overlap[matched], pair[matched]
    reached = overlap >= ALPHAS[:, None] - _EPS
    together = np.array([np.bincount(matched_pair[row], minlength=len(both)) for row in reached])
    identical = np.bincount(pair[sequence.overlap >= IDENTITY_IOU], minlength=len(both))
    clear = _clear(sequence, keep_last)
    return _Counts(
        reached=reached.sum(axis=1).astype(np.float64),
        association=(together**2 / np.maximum(boxes - together, 1)).sum(axis=1),
        overlap=(overlap * reached).sum(axis=1),
        identity=_most(identical, track, name),
        matched=clear.matched,
        switches=clear.switches,
        fragmentations=clear.fragmentations,
        persons=len(sequence.tracks),
        detections=len(sequence.ids),
        tracks=len(track_boxes),
        published_tracks=len(id_boxes),
        left_out=sequence.left_out,
    )


def _matched(sequence: _Sequence, pair: Indices, boxes: Indices) -> NDArray[np.bool_]:
    """[R] TrackEval's matching: in each image the largest sum of overlap, weighted by how much the tracks are alike.

    Args:
        pair: [R] which pair of track and id it is.
        boxes: how many boxes the two have, for each pair of track and id.
    """
    overlap, person, detection = sequence.overlap, sequence.person, sequence.detection
    of_person = np.bincount(person, overlap, len(sequence.tracks))[person]
    of_detection = np.bincount(detection, overlap, len(sequence.ids))[detection]
    shared = np.bincount(pair, overlap / (of_person + of_detection - overlap), len(boxes))
    return _assigned(sequence, (shared / (boxes - shared))[pair] * overlap)


def _assigned(sequence: _Sequence, scores: Floats) -> NDArray[np.bool_]:
    """[R] the pairs of boxes that are matched, one to one, for the largest sum of scores [R] in each image."""
    chosen = np.zeros(len(scores), bool)
    image = sequence.person_image[sequence.person]
    borders = np.flatnonzero(np.diff(image)) + 1
    for low, high in pairwise([0, *borders.tolist(), len(image)]):
        chosen[low:high] = _best(sequence.person[low:high], sequence.detection[low:high], scores[low:high])
    return chosen


def _best(rows: Indices, columns: Indices, scores: Floats) -> NDArray[np.bool_]:
    """Which of the pairs, of any row and column numbers, the matching with the largest sum of scores has."""
    row_names, row = np.unique(rows, return_inverse=True)
    column_names, column = np.unique(columns, return_inverse=True)
    table = np.zeros((len(row_names), len(column_names)))
    table[row, column] = scores
    taken = np.zeros(table.shape, bool)
    taken[linear_sum_assignment(table, maximize=True)] = True
    return taken[row, column]


def _most(together: Indices, track: Indices, name: Indices) -> int:
    """IDTP: the most boxes that tracks and ids share when they are paired one to one."""
    met = together > 0
    shared = together[met].astype(np.float64)
    return int(shared[_best(track[met], name[met], shared)].sum())


def _clear(sequence: _Sequence, keep_last: bool) -> _Clear:
    """CLEAR MOT: in each image the ids of the image before (or everybody's last one) are kept where they can be, then
    the overlap is largest.

    As in TrackEval, an image without persons or without detections does not end "the image before".
    """
    both_there = np.intersect1d(sequence.person_image, sequence.detection_image)
    near = np.flatnonzero(sequence.overlap >= IDENTITY_IOU - _EPS)
    image = sequence.person_image[sequence.person[near]]
    first = np.searchsorted(image, np.append(both_there, np.iinfo(np.intp).max))
    before: dict[int, int] = {}
    last: dict[int, int] = {}
    matched = np.zeros(len(sequence.tracks), bool)
    switches = 0
    for low, high in pairwise(first.tolist()):
        person, detection = sequence.person[near[low:high]], sequence.detection[near[low:high]]
        track, name = sequence.tracks[person], sequence.ids[detection]
        kept = last if keep_last else before
        stays = np.array([kept.get(key) == value for key, value in zip(track, name, strict=True)], bool)
        best = _best(person, detection, _STAY * stays + sequence.overlap[near[low:high]])
        matched[person[best]] = True
        before = dict(zip(track[best].tolist(), name[best].tolist(), strict=True))
        switches += sum(last.get(key, value) != value for key, value in before.items())
        last |= before
    return _Clear(int(matched.sum()), switches, _fragmentations(sequence.tracks, matched))


def _fragmentations(tracks: Indices, matched: NDArray[np.bool_]) -> int:
    """How often a track [P] is matched [P] again after persons of it that are not; both in order of time."""
    order = np.argsort(tracks, kind="stable")
    number, found = tracks[order], matched[order]
    goes_on = np.concatenate([[False], (number[1:] == number[:-1]) & found[:-1]])
    return int((found & ~goes_on).sum()) - len(np.unique(number[found]))
