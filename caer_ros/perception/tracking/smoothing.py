"""Scores over time: an exponential mean along each track, by image stamps.

The mean moves towards a new value by ``1 - exp(-dt / time_constant)`` of the way, which makes it independent of the
camera's rate: the exact response of a first-order low-pass to a value that held since the image before. Only images
with evidence move it; being a convex combination, it keeps the range of the scores and the sum of a softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.person import EmotionStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.person import Person

_EVIDENCE = (EmotionStatus.OK, EmotionStatus.UNCERTAIN)


@dataclass(slots=True)
class _Memory:
    """One person's scores. Labels have their own clocks, because each may be missing from any image."""

    scores: NDArray[np.float64]
    """[E], NaN where nothing is known."""
    stamps_ns: NDArray[np.int64]
    """[E], of the last evidence."""


class Smoother:
    """Smooths the scores of tracked persons.

    Args:
        time_constant: s, after which a step is followed by 63 %; 0 does not smooth.
        forget: s without evidence, after which what is known of a person is dropped. While it lasts the smoothed
            scores hold their last value.

    Both are attributes and may be changed between two updates.
    """

    def __init__(self, time_constant: float, forget: float) -> None:
        self.time_constant = time_constant
        self.forget = forget
        self.reset()

    def reset(self) -> None:
        """Forgets everybody, as after a jump back in time or a change of labels."""
        self._memories: dict[str, _Memory] = {}

    def update(self, persons: list[Person], stamp_ns: int) -> None:
        """Sets ``smoothed_scores`` of ``persons``, each one image's or none's; stamps in nanoseconds, increasing."""
        self._forget_stale(stamp_ns)
        tracked = [person for person in persons if person.track_id]
        if tracked:
            self._take_in(tracked, stamp_ns)
        for person in persons:
            memory = self._memories.get(person.track_id)
            if not person.track_id:
                person.smoothed_scores = person.scores.copy()
            elif memory is None:
                person.smoothed_scores = np.full(person.scores.shape, np.nan, np.float32)
            else:
                person.smoothed_scores = memory.scores.astype(np.float32)

    def _forget_stale(self, stamp_ns: int) -> None:
        """Bounds the memory: who has left gives no evidence."""
        self._memories = {
            track_id: memory
            for track_id, memory in self._memories.items()
            if (stamp_ns - memory.stamps_ns.max()) / 1e9 <= self.forget
        }

    def _take_in(self, persons: list[Person], stamp_ns: int) -> None:
        """The evidence of all persons at once, in arrays [N,E]: one by one, fifty would take ten times as long."""
        scores = np.stack([person.scores for person in persons]).astype(np.float64)
        scores[[person.status not in _EVIDENCE for person in persons]] = np.nan
        labels = scores.shape[1]
        nothing = _Memory(np.full(labels, np.nan), np.full(labels, stamp_ns, np.int64))
        memories = [self._memories.get(person.track_id, nothing) for person in persons]
        before = np.stack([memory.scores for memory in memories])
        elapsed_ns = stamp_ns - np.stack([memory.stamps_ns for memory in memories])
        before[elapsed_ns / 1e9 > self.forget] = np.nan
        before = np.where(np.isnan(before), scores, before)
        weights = self._weights(elapsed_ns)
        known = ~np.isnan(scores)
        smoothed = np.where(known, weights * scores + (1 - weights) * before, before)
        stamps_ns = np.where(known, stamp_ns, stamp_ns - elapsed_ns)
        for row in np.flatnonzero(~np.isnan(smoothed).all(axis=1)).tolist():
            self._memories[persons[row].track_id] = _Memory(smoothed[row], stamps_ns[row])

    def _weights(self, elapsed_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Weights 0..1 of values whose predecessors are ``elapsed_ns`` old."""
        if self.time_constant < 1e-9:  # s, the resolution of stamps; also keeps the division finite
            return np.ones(elapsed_ns.shape)
        return -np.expm1(elapsed_ns.astype(np.float64) * (-1e-9 / self.time_constant))
