"""What perception says about one person in one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class BoxKind(IntEnum):
    """What a box surrounds. Same values as ``BOX_*`` of msg/PersonEmotion."""

    UNKNOWN = 0
    BODY = 1
    HEAD = 2
    FACE = 3


class TrackState(IntEnum):
    """Same values as ``TRACK_*`` of msg/PersonEmotion."""

    UNTRACKED = 0
    NEW = 1
    TRACKED = 2
    COASTED = 3


class EmotionStatus(IntEnum):
    """What the emotion scores rest on. Same values as ``EMOTION_*`` of msg/PersonEmotion."""

    NOT_PREDICTED = 0
    OK = 1
    UNCERTAIN = 2
    NO_FACE = 3
    TOO_SMALL = 4
    PROFILE_OR_OCCLUDED = 5


class ScoreType(IntEnum):
    """Same values as ``SCORE_*`` of msg/PersonEmotionArray."""

    UNKNOWN = 0
    SOFTMAX = 1
    SIGMOID = 2


@dataclass(slots=True)
class Person:
    """One person. The predictor fills the first part, the pipeline the second.

    ``scores`` and ``smoothed_scores`` have shape [E] in the order of the bundle's labels,
    0..1, NaN where not predicted.
    """

    box: Array
    """[4] x_min, y_min, x_max, y_max in pixels of the source image; the tracker's estimate only while COASTED."""
    confidence: float
    """Detection score, 0..1."""
    box_kind: BoxKind
    scores: Array
    """[E], this image alone."""
    status: EmotionStatus
    face_box: Array | None = None
    """[4] as ``box``; None where no face was found or looked for."""
    vad: Array | None = None
    """[3] valence, arousal, dominance, -1..1."""
    embedding: Array | None = None
    """[D], L2-normalised."""

    track_id: str = ""
    """``<run>-<number>``; "" while untracked."""
    track_state: TrackState = TrackState.UNTRACKED
    track_age: float = 0.0
    """Seconds since the track was first seen, by image stamps."""
    smoothed_scores: Array = field(default_factory=lambda: np.empty(0, np.float32))
    """[E], over the track; equal to ``scores`` while untracked."""

    @property
    def top_index(self) -> int:
        """Index of the largest smoothed score; -1 unless the status is OK."""
        if self.status != EmotionStatus.OK:
            return -1
        # A fifth of np.nanargmax's time, for each person of each image.
        return int(np.where(np.isnan(self.smoothed_scores), -1, self.smoothed_scores).argmax())
