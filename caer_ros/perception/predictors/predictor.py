"""Images in, persons out: one interface for every kind of bundle."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from caer_ros.perception.engine import CPU, EngineError, EngineSettings
from caer_ros.perception.prediction import Prediction
from caer_ros.perception.predictors.composed.composed import Composed
from caer_ros.perception.predictors.single_shot import SingleShot

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle

__all__ = ["Prediction", "Predictor", "load"]

_LOG = logging.getLogger(__name__)


class Predictor(Protocol):
    """A loaded bundle. Not to be called by two threads at once: inputs are prepared in memory that is kept."""

    bundle: Bundle
    provider: str
    """ONNX Runtime's execution provider that runs it."""

    def __call__(
        self,
        images: Sequence[NDArray[np.uint8]],
        min_confidence: float | None = None,
        emotion_confidence: float | None = None,
    ) -> list[Prediction]:
        """The persons of each image, best first.

        Args:
            images: RGB uint8 [H,W,3], of any sizes.
            min_confidence: lowest score of a person, 0..1; None takes the bundle's threshold.
            emotion_confidence: where emotions cost time for each person, those with a lower score are left
                NOT_PREDICTED; None takes the bundle's threshold.

        Returns:
            Persons with box, confidence and scores (NaN for labels that are not predictable, and all NaN where nothing
            can be said); the status is never a judgement about low scores, which is the pipeline's.

        Raises:
            EngineError: a network cannot run, or gives what does not fit its bundle.
        """
        ...


def load(bundle: Bundle, settings: EngineSettings, maps: bool = False) -> Predictor:
    """Loads a bundle's networks and, where the settings say so, runs each once: the first image is not slow.

    ``maps`` is for evaluation: see ``SingleShot``.

    Raises:
        EngineError: a graph is damaged, does not fit the bundle, or does not run on the named device.
        BundleError: the bundle's fields contradict its kind.
    """
    predictor = _load(bundle, settings, maps)
    if not settings.warm_up:
        return predictor
    try:
        predictor.warm_up()
    except EngineError as error:
        if settings.device != "auto" or predictor.provider == CPU:
            raise
        _LOG.warning("device auto: the CPU is used, because %s", error)
        return load(bundle, replace(settings, device="cpu"), maps)
    return predictor


def _load(bundle: Bundle, settings: EngineSettings, maps: bool) -> SingleShot | Composed:
    return SingleShot(bundle, settings, maps) if bundle.kind == "single_shot" else Composed(bundle, settings)
