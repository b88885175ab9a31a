"""predict -> calibrate -> track -> smooth: what the node and the offline side both call for each image."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.perception.calibration import calibrated, is_uncertain
from caer_ros.perception.person import EmotionStatus, Person, TrackState
from caer_ros.perception.tracking.smoothing import Smoother
from caer_ros.perception.tracking.timeline import Order, Timeline
from caer_ros.perception.tracking.tracker import Tracker, TrackerSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.predictors.predictor import Predictor

LOW_SCORE_FRACTION = 0.5
"""Detections down to this fraction of the person threshold keep a track alive, and start none (ByteTrack)."""
FORGET_TIME = 2.0
"""Seconds without any evidence after which a track's emotion is forgotten."""


@dataclass(frozen=True)
class PipelineSettings:
    """What may change between two images. Times in seconds of image stamps."""

    person_threshold: float | None = None
    """Confidence 0..1 from which a detection is a person; None takes the bundle's."""
    uncertain_below: float | None = None
    """A smoothed top score 0..1 below this is UNCERTAIN; None takes the bundle's."""
    smoothing_time: float = 0.7
    track_buffer: float = 2.0
    coast_time: float = 0.3


@dataclass
class Frame:
    """One image's result. ``persons`` is empty when nobody is there, and when ``order`` is LATE (not processed)."""

    stamp_ns: int
    order: Order
    persons: list[Person] = field(default_factory=list)
    saturated: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    """Steady-clock seconds of the stages "resize", "inference", "post" and "track"."""


class Pipeline:
    """One camera's way from images to tracked persons.

    Args:
        predictor: the loaded model; may be shared by the pipelines of several cameras.
        settings: see :class:`PipelineSettings`; may be replaced between two images.
        run: prefix of the track ids. Two runs that must not share ids need two prefixes.
    """

    def __init__(self, predictor: Predictor, settings: PipelineSettings, run: str) -> None:
        self._predictor = predictor
        self._timeline = Timeline()
        self._tracker = Tracker(TrackerSettings(), run)
        self._smoother = Smoother(settings.smoothing_time, FORGET_TIME)
        self.settings = settings
        self._size: tuple[int, ...] = ()

    @property
    def predictor(self) -> Predictor:
        return self._predictor

    @predictor.setter
    def predictor(self, predictor: Predictor) -> None:
        """Swap the model. Tracks go on when both models box the same thing; emotions start anew."""
        if predictor.bundle.box_kind != self._predictor.bundle.box_kind:
            self._tracker.reset()
        self._smoother.reset()
        self._predictor = predictor

    @property
    def person_threshold(self) -> float:
        own = self.settings.person_threshold
        return self._predictor.bundle.thresholds.person if own is None else own

    @property
    def uncertain_below(self) -> float:
        own = self.settings.uncertain_below
        return self._predictor.bundle.thresholds.uncertain if own is None else own

    @property
    def alive(self) -> frozenset[str]:
        """Ids of the tracks that are not older than the track buffer."""
        return frozenset(self._tracker.alive)

    def behind(self, stamp_ns: int) -> float:
        """Seconds by which a stamp is older than the newest image's."""
        return self._timeline.behind(stamp_ns)

    def reset(self) -> None:
        """Forget everybody. Track ids are not reused."""
        self._tracker.reset()
        self._smoother.reset()

    def __call__(self, image: NDArray[np.uint8], stamp_ns: int) -> Frame:
        """Process one image.

        Args:
            image: RGB uint8 [H, W, 3].
            stamp_ns: the image's stamp in nanoseconds; 0 when the camera sets none (persons stay untracked).
        """
        order = self._timeline.admit(stamp_ns)
        if order is Order.LATE:
            return Frame(stamp_ns, order)
        if order is Order.JUMPED_BACK or (self._size and self._size != image.shape):
            self.reset()
        self._size = image.shape

        high = self.person_threshold
        low = high * LOW_SCORE_FRACTION if order is not Order.UNSTAMPED else high
        prediction = self._predictor([image], min_confidence=low, emotion_confidence=high)[0]
        started = perf_counter()
        bundle = self._predictor.bundle
        for person in prediction.persons:
            person.scores = calibrated(person.scores, bundle.calibration, bundle.score_type)
        if order is Order.UNSTAMPED:
            persons = prediction.persons
            for person in persons:
                person.smoothed_scores = person.scores
        else:
            persons = self._followed(prediction.persons, stamp_ns, high, low)
        for person in persons:
            if person.status == EmotionStatus.OK and is_uncertain(person.smoothed_scores, self.uncertain_below):
                person.status = EmotionStatus.UNCERTAIN
        seconds = {**prediction.seconds, "track": perf_counter() - started}
        return Frame(stamp_ns, order, persons, prediction.saturated, seconds)

    def _followed(self, persons: list[Person], stamp_ns: int, high: float, low: float) -> list[Person]:
        settings = self.settings
        self._tracker.settings = TrackerSettings(
            high=high, low=low, buffer=settings.track_buffer, coast=settings.coast_time
        )
        self._smoother.time_constant = settings.smoothing_time
        persons = self._tracker.update(persons, stamp_ns)
        for person in persons:
            if person.track_state == TrackState.COASTED:  # perhaps from before a swap to a model with other labels
                person.scores = np.full(len(self._predictor.bundle.labels), np.nan, np.float32)
        self._smoother.update(persons, stamp_ns)
        return persons
