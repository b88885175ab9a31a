"""OER, on-the-field emotion recognition: a person's emotions count only if the person is detected.

As in BENet's and KA's papers. A matched person gets the emotion scores of its detection, a missed one the zero vector.
With no detection at all every score ties at zero and the result is the prevalence: its floor is chance, not 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics import average_precision as ap
from caer_ros.offline.metrics.emotion_recognition import covered
from caer_ros.offline.metrics.matching import Matches, match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from caer_ros.offline.metrics.emotion_recognition import EmotionRecognition
    from caer_ros.offline.metrics.joined import Annotations, Floats, Joined

THRESHOLD = 0.1
"""Least detection score, as in BENet."""
TOP = 15
"""Most detections of an image, as in BENet."""


@dataclass(frozen=True, slots=True, eq=False)
class OnTheField:
    """OER over N persons, E labels, T IoU thresholds."""

    mean_average_precision: float
    """Mean over classes that have a positive, then over IoU thresholds."""
    chance: float
    """What no detection at all gets: the mean prevalence of those classes."""
    classes: int
    by_threshold: Floats
    """[T] mean over classes."""
    average_precision: Floats
    """[E] mean over IoU thresholds; NaN where no person is a positive."""
    positives: NDArray[np.intp]
    """[E] persons who have the label."""
    prevalence: Floats
    """[E] part of the persons, among those of whom it is known; NaN if of nobody."""
    found: Floats
    """[T] part of the persons that a detection is matched to."""
    persons: int
    images: int
    coverage: float
    """Part of the kept detections' scores that are numbers; the others count as 0. NaN without a detection."""
    annotations: Annotations
    threshold: float
    """Least detection score that counted: the one asked for, or what the table was cut at if that is higher."""
    top: int
    """Most detections of an image that counted."""
    strict: bool
    """Were false detections negatives of every class? Then only images count whose persons are all annotated."""
    benet_compat: bool
    """Was the IoU that of BENet's evaluator?"""

    def relative_to(self, er: EmotionRecognition) -> float:
        """(OER - chance) / (ER - chance): 1 where detection costs nothing, 0 at the floor; NaN unless ER > chance."""
        gain = er.mean_average_precision - er.chance
        return (self.mean_average_precision - self.chance) / gain if gain > 0 else float("nan")


def oer(joined: Joined, threshold: float = THRESHOLD, top: int = TOP) -> OnTheField:
    """OER. False detections cost nothing in it: PD and false persons per image belong beside it."""
    return _oer(joined, threshold, top)


def oer_strict(joined: Joined, threshold: float = THRESHOLD, top: int = TOP) -> OnTheField:
    """OER in which a detection without a person is one more negative of every class.

    Only images that are annotated exhaustively count; detections in ignored regions do not.

    Raises:
        MetricsError: no image is annotated exhaustively.
    """
    return _oer(joined.exhaustive(), threshold, top, strict=True)


def oer_benet_compat(joined: Joined, threshold: float = THRESHOLD, top: int = TOP) -> OnTheField:
    """OER with the inflated IoU of BENet's evaluator (see ``matching.match``), only to compare with its numbers."""
    return _oer(joined, threshold, top, benet_compat=True)


def rankings(targets: Floats, matches: Matches, strict: bool = False) -> Iterator[ap.Ranking]:
    """For each IoU threshold the ranking of the persons, whose targets are [N,E], by the scores of their detections.

    With ``strict`` rows of false detections follow, in the order of the detections.
    """
    for person, ignored, detection in zip(matches.person, matches.ignored, matches.detection, strict=True):
        found = detection >= 0
        scores = np.zeros_like(targets)
        scores[found] = matches.emotions[detection[found]]
        if strict:
            false = matches.emotions[(person < 0) & ~ignored]
            yield ap.Ranking(np.concatenate([targets, np.zeros_like(false)]), np.concatenate([scores, false]))
        else:
            yield ap.Ranking(targets, scores)


def _oer(joined: Joined, threshold: float, top: int, strict: bool = False, benet_compat: bool = False) -> OnTheField:
    matches, prevalence = match(joined, threshold, top, benet_compat=benet_compat), ap.prevalence(joined.targets)
    precision = np.stack([ranking.average_precision() for ranking in rankings(joined.targets, matches, strict)])
    by_threshold = np.array([ap.mean(row) for row in precision])
    return OnTheField(
        mean_average_precision=float(by_threshold.mean()),
        chance=ap.chance(precision[0], prevalence),
        classes=int(np.isfinite(precision[0]).sum()),
        by_threshold=by_threshold,
        average_precision=precision.mean(axis=0),
        positives=(joined.targets == 1).sum(axis=0),
        prevalence=prevalence,
        found=(matches.detection >= 0).sum(axis=1) / max(len(joined.targets), 1),
        persons=len(joined.targets),
        images=len(joined.samples),
        coverage=covered(matches.emotions, np.ones(matches.emotions.shape, bool)),
        annotations=joined.annotations,
        threshold=max(threshold, joined.kept),
        top=top,
        strict=strict,
        benet_compat=benet_compat,
    )
