"""Stable ids: joins the persons of successive images into tracks.

The association is that of ByteTrack (Zhang et al., ECCV 2022, "ByteTrack: Multi-Object Tracking by Associating Every
Detection Box", algorithm 1): confident detections are matched first, then faint ones may keep what is left of the
tracks alive. It differs in two things. Time is counted in image stamps, not in images, so that cameras of 5 Hz, of
60 Hz and such that stutter are tracked alike. And a third look, with boxes grown by the uncertainty of the track
(after Yang et al., WACV 2023, "Hard to Track Objects with Irregular Motions and Similar Appearances", C-BIoU), keeps
the ids of those who moved by more than their own width between two images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from caer_ros.perception.boxes import iou, paired_iou
from caer_ros.perception.person import EmotionStatus, Person, TrackState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

# The motion model, for (x, y, width, height) of a box. Lengths are in heights of the box, so that near and far
# persons move alike. Chosen on simulated pans, walks, crossings and occlusions at 5, 10 and 30 Hz.
_MEASUREMENT_STD = 0.04  # jitter of a detection
_ACCELERATION_STD = np.array([1.5, 1.5, 0.5, 0.5])  # per sqrt(s³)
_VELOCITY_MEMORY = np.array([1.0, 1.0, 0.4, 0.4])  # s, after which an unseen velocity has decayed to 1/e
_FIRST_VELOCITY_STD = np.array([2.0, 1.0, 0.2, 0.2])  # per s, of somebody seen once

# The third look.
_GROWTH_STDS = 2.0  # boxes grow by this many standard deviations of the position on each side,
_GROWTH_LIMIT = 1.0  # but at most by this many heights,
_SIZE_RATIO = 0.7  # and grown boxes say little about size: heights must agree to this ratio


@dataclass(frozen=True)
class TrackerSettings:
    """When persons are one and the same. Times are seconds of image stamps."""

    high: float = 0.5
    """0..1. Detections at or above it are matched first and may start tracks."""
    low: float = 0.1
    """0..1. Detections from here up to ``high`` may only keep a track alive; fainter ones are ignored."""
    match_iou: float = 0.3
    """0..1. Least overlap of a detection with the predicted box of its track."""
    buffer: float = 2.0
    """s. A person away for longer gets a new id."""
    coast: float = 0.3
    """s. For so long a person who is not detected is still reported, at the predicted place."""
    duplicate_iou: float = 0.8
    """0..1. A detection that overlaps a tracked one by more starts no track: it is the same person twice."""


@dataclass(slots=True)
class _Track:
    track_id: str
    first_ns: int
    last_ns: int
    person: Person
    """The person as last detected."""


class Tracker:
    """Gives the persons of one camera their ids; ``settings`` may be replaced between two updates.

    Args:
        settings: thresholds and times.
        run: prefix of all ids, which are ``<run>-1``, ``<run>-2``, ...; none is ever given twice.
    """

    def __init__(self, settings: TrackerSettings, run: str) -> None:
        self.settings = settings
        self._run = run
        self._count = 0
        self.reset()

    def reset(self) -> None:
        """Forgets all tracks, as after a jump back in time; the numbers of the ids go on."""
        self._tracks: list[_Track] = []
        self._motion = _Motion()
        self._stamp_ns: int | None = None

    @property
    def alive(self) -> tuple[str, ...]:
        """Ids that may still be reported, oldest first; who is missing here has been away for the buffer."""
        return tuple(track.track_id for track in self._tracks)

    def update(self, persons: list[Person], stamp_ns: int) -> list[Person]:
        """Steps by one image, also by one without persons.

        Sets ``track_id``, ``track_state`` and ``track_age`` of ``persons`` in place.

        Args:
            persons: all detections of the image, from ``settings.low`` on.
            stamp_ns: the image's stamp in nanoseconds, later than that of the update before.

        Returns:
            The persons that belong to a track, in the order given, then those who coast: copies of the last
            detection at the predicted box, without emotions. Somebody seen only once does not coast: their motion is
            unknown, and single detections are often false.

        Raises:
            ValueError: the stamp is not later than the last one; call ``reset`` first.
        """
        self._advance(stamp_ns)
        boxes = np.array([person.box for person in persons], np.float64).reshape(-1, 4)
        confidences = np.array([person.confidence for person in persons], np.float64)
        order = _canonical_order(boxes, confidences)
        confident = order[confidences[order] >= self.settings.high]
        faint = order[(confidences[order] >= self.settings.low) & (confidences[order] < self.settings.high)]

        matches = self._associate(boxes, confident, faint)
        for track, detection in zip(self._tracks, matches.tolist(), strict=True):
            if detection >= 0:
                track.last_ns, track.person = stamp_ns, persons[detection]
                _identify(track.person, track, TrackState.TRACKED, stamp_ns)
        rows = np.flatnonzero(matches >= 0)
        matched = matches[rows]
        self._motion.correct(rows, boxes[matched])
        coasting = self._coasting(stamp_ns)

        born = self._births(boxes, confident, matched)
        for detection in born:
            self._count += 1
            track = _Track(f"{self._run}-{self._count}", stamp_ns, stamp_ns, persons[detection])
            _identify(track.person, track, TrackState.NEW, stamp_ns)
            self._tracks.append(track)
        self._motion.add(boxes[born])
        return [persons[detection] for detection in sorted(matched.tolist() + born)] + coasting

    def _advance(self, stamp_ns: int) -> None:
        """Moves all tracks to ``stamp_ns`` and drops those whose buffer is over."""
        if self._stamp_ns is not None:
            if stamp_ns <= self._stamp_ns:
                raise ValueError(f"stamp_ns {stamp_ns} is not later than {self._stamp_ns}; reset the tracker first")
            kept = [_seconds(track.last_ns, stamp_ns) <= self.settings.buffer for track in self._tracks]
            if not all(kept):
                self._tracks = [track for track, keep in zip(self._tracks, kept, strict=True) if keep]
                self._motion.keep(np.array(kept))
            self._motion.predict(_seconds(self._stamp_ns, stamp_ns))
        self._stamp_ns = stamp_ns

    def _associate(self, boxes: Floats, confident: Indices, faint: Indices) -> Indices:
        """Index in ``boxes`` of the detection of each track, -1 without one."""
        matches = np.full(len(self._tracks), -1, np.intp)
        free = np.ones(len(boxes), bool)
        predicted, margins = self._motion.boxes(), self._motion.margins()
        for candidates, grown in ((confident, False), (faint, False), (confident, True)):
            rows, columns = np.flatnonzero(matches < 0), candidates[free[candidates]]
            if len(rows) and len(columns):
                pair = predicted[rows], boxes[columns]
                overlap: Floats = _grown_iou(*pair, margins[rows]) if grown else iou(*pair)
                row, column = _assign(overlap, self.settings.match_iou)
                matches[rows[row]] = columns[column]
                free[columns[column]] = False
        return matches

    def _births(self, boxes: Floats, confident: Indices, matched: Indices) -> list[int]:
        """Indices of the detections that start a track, most confident first."""
        candidates = confident[~np.isin(confident, matched)].tolist()
        if not candidates:
            return []
        duplicates = iou(boxes, boxes) > self.settings.duplicate_iou
        taken: list[int] = matched.tolist()
        born: list[int] = []
        for candidate in candidates:
            if not duplicates[candidate, taken + born].any():
                born.append(candidate)
        return born

    def _coasting(self, stamp_ns: int) -> list[Person]:
        """Reports of the tracks that were not detected in this image."""
        boxes = self._motion.boxes().astype(np.float32)
        persons = []
        for box, track in zip(boxes, self._tracks, strict=True):
            seen_twice = track.last_ns > track.first_ns
            if seen_twice and 0 < _seconds(track.last_ns, stamp_ns) <= self.settings.coast:
                person = replace(
                    track.person,
                    box=box,
                    status=EmotionStatus.NOT_PREDICTED,
                    scores=np.full_like(track.person.scores, np.nan),
                    smoothed_scores=np.full_like(track.person.scores, np.nan),
                    face_box=None,
                    vad=None,
                    embedding=None,
                )
                _identify(person, track, TrackState.COASTED, stamp_ns)
                persons.append(person)
        return persons


class _Motion:
    """Kalman filters of all tracks at once: position and decaying velocity of (cx, cy, w, h), each on its own.

    Arrays have shape [N, 4], in pixels and seconds. Because the coordinates are uncorrelated, a filter is a 2×2
    covariance in closed form, which stays positive for any time step. The velocity is an Ornstein-Uhlenbeck process:
    constant over a short gap, forgotten over a long one, so that lost tracks do not drift away.
    """

    def __init__(self) -> None:
        self.position = np.empty((0, 4))
        self.velocity = np.empty((0, 4))
        self.position_variance = np.empty((0, 4))
        self.covariance = np.empty((0, 4))
        self.velocity_variance = np.empty((0, 4))

    def add(self, boxes: Floats) -> None:
        """Starts a filter for each of ``boxes`` [M, 4]."""
        if len(boxes) == 0:
            return
        position = _centred(boxes)
        height = _scale(position)
        none = np.zeros_like(position)
        self.position = np.concatenate([self.position, position])
        self.velocity = np.concatenate([self.velocity, none])
        self.position_variance = np.concatenate([self.position_variance, none + (_MEASUREMENT_STD * height) ** 2])
        self.covariance = np.concatenate([self.covariance, none])
        self.velocity_variance = np.concatenate([self.velocity_variance, (_FIRST_VELOCITY_STD * height) ** 2])

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drops the filters where ``kept`` [N] is false."""
        self.position = self.position[kept]
        self.velocity = self.velocity[kept]
        self.position_variance = self.position_variance[kept]
        self.covariance = self.covariance[kept]
        self.velocity_variance = self.velocity_variance[kept]

    def predict(self, dt: float) -> None:
        """Moves all filters on by ``dt`` seconds."""
        tau = _VELOCITY_MEMORY
        decay = np.exp(-dt / tau)
        lead = -tau * np.expm1(-dt / tau)  # s: a velocity of 1 moves the position by so much
        noise = (_ACCELERATION_STD * _scale(self.position)) ** 2
        # The exact integral of white acceleration; the subtraction may round below zero where dt is tiny.
        position_noise = np.maximum(tau**2 * (dt - 2 * lead + tau / 2 * (1 - decay**2)), 0.0)
        self.position_variance = self.position_variance + (
            2 * lead * self.covariance + lead**2 * self.velocity_variance + noise * position_noise
        )
        self.covariance = decay * (self.covariance + lead * self.velocity_variance) + noise * lead**2 / 2
        self.velocity_variance = decay**2 * self.velocity_variance + noise * tau / 2 * (1 - decay**2)
        self.position = self.position + lead * self.velocity
        self.position[:, 2:] = np.maximum(self.position[:, 2:], 1.0)
        self.velocity = decay * self.velocity

    def correct(self, rows: Indices, boxes: Floats) -> None:
        """Takes in the detections ``boxes`` [M, 4] of the filters ``rows`` [M]."""
        if len(rows) == 0:
            return
        measured = _centred(boxes)
        variance, covariance = self.position_variance[rows], self.covariance[rows]
        measurement_variance = (_MEASUREMENT_STD * _scale(measured)) ** 2
        total = variance + measurement_variance
        surprise = measured - self.position[rows]
        self.position[rows] += variance / total * surprise
        self.velocity[rows] += covariance / total * surprise
        self.velocity_variance[rows] -= covariance**2 / total
        self.covariance[rows] = covariance * measurement_variance / total
        self.position_variance[rows] = variance * measurement_variance / total

    def boxes(self) -> Floats:
        """[N, 4] x_min, y_min, x_max, y_max."""
        half = self.position[:, 2:] / 2
        return np.concatenate([self.position[:, :2] - half, self.position[:, :2] + half], axis=1)

    def margins(self) -> Floats:
        """[N, 2] pixels by which the position in x and y may be off."""
        return np.minimum(_GROWTH_STDS * np.sqrt(self.position_variance[:, :2]), _GROWTH_LIMIT * _scale(self.position))


def _identify(person: Person, track: _Track, state: TrackState, stamp_ns: int) -> None:
    person.track_id = track.track_id
    person.track_state = state
    person.track_age = _seconds(track.first_ns, stamp_ns)


def _seconds(start_ns: int, end_ns: int) -> float:
    return (end_ns - start_ns) / 1e9


def _centred(boxes: Floats) -> Floats:
    """Corners to (cx, cy, w, h)."""
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _scale(centred: Floats) -> Floats:
    """Heights [N, 1], never so small that a variance vanishes."""
    return np.maximum(centred[:, 3:], 1.0)


def _canonical_order(boxes: Floats, confidences: Floats) -> Indices:
    """An order that does not depend on how the detections are listed: most confident first, then by place."""
    return np.lexsort((boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -confidences))


def _grown_iou(a: Floats, b: Floats, margins: Floats) -> Floats:
    """[N, M] overlap after both boxes of a pair grew on each side by ``margins`` [N, 2] of its ``a``.

    0 where the heights of the boxes themselves do not agree.
    """
    growth = np.concatenate([-margins, margins], axis=1)[:, None]
    a_heights, b_heights = (a[:, 3] - a[:, 1])[:, None], (b[:, 3] - b[:, 1])[None]
    alike = np.minimum(a_heights, b_heights) >= _SIZE_RATIO * np.maximum(a_heights, b_heights)
    overlap: Floats = np.where(alike, paired_iou(a[:, None] + growth, b[None] + growth), 0.0)
    return overlap


def _assign(overlap: Floats, least: float) -> tuple[Indices, Indices]:
    """Rows and columns of the one-to-one matching with the largest sum of overlaps, all of at least ``least``."""
    allowed = (overlap >= least) & (overlap > 0)
    rows, columns = linear_sum_assignment(np.where(allowed, overlap, 0.0), maximize=True)
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]
