"""The numbers of an evaluation as recorded that a limit can be put on, by flat names that stay what they are.

Times are seconds of the bag's clock, but for processing and inference, which are of the steady clock. Parts are 0..1.
What the run cannot tell is NaN: OER of a ground truth without emotions, identities of one without tracks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from caer_ros.offline.evaluation.bags.as_recorded import Account
    from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of an evaluation."""

    what: str
    """Description in words, for people."""
    needs: str
    """What must be there for it to be measured."""
    read: Callable[[BagEvaluation], float]
    """NaN: not measured."""


def values(evaluation: BagEvaluation) -> dict[str, float]:
    """Every metric's value; NaN where it was not measured."""
    return {name: metric.read(evaluation) for name, metric in METRICS.items()}


def needs() -> dict[str, str]:
    """What each metric needs."""
    return {name: f"it needs {metric.needs}" for name, metric in METRICS.items()}


def _at(path: str) -> Callable[[BagEvaluation], float]:
    """Reads an attribute such as "tracking.hota"; NaN where a part of the way is None."""

    def read(evaluation: BagEvaluation) -> float:
        found: Any = evaluation
        for name in path.split("."):
            found = None if found is None else getattr(found, name)
        return math.nan if found is None else float(found)

    return read


def _above_chance(evaluation: BagEvaluation) -> float:
    oer = evaluation.evaluation.oer
    return oer.mean_average_precision - oer.chance


def _found(evaluation: BagEvaluation) -> float:
    oer = evaluation.evaluation.oer
    return float(oer.found[0]) if oer.persons else math.nan


def _strict_found(evaluation: BagEvaluation) -> float:
    strict = evaluation.strict
    return float(strict.oer.found[0]) if strict and strict.oer.persons else math.nan


def _part(count: Callable[[Account], int]) -> Callable[[BagEvaluation], float]:
    """So many of the bag's frames."""

    def read(evaluation: BagEvaluation) -> float:
        account = evaluation.account
        return count(account) / account.frames.total if account and account.frames.total else math.nan

    return read


def _dropped(account: Account) -> int:
    """Frames without an answer that the node dropped, by its own count; it may count some that are not in the bag."""
    return min(account.drops, account.frames.unanswered)


_LABELS, _PERSONS, _TRACKS = "annotated emotions", "annotated persons", "persons annotated with track ids"
_LABELLED_TRACKS = "tracks annotated with emotions"
_ALL = "images whose persons are all annotated"
_MESSAGES, _FRAMES = "messages of the node that tell their times", "frames"
_STREAM, _STRICT = "by the newest message at the deadline", "by the answers to the very frames"

METRICS = {
    "oer": Metric(f"OER, {_STREAM}", _LABELS, _at("evaluation.oer.mean_average_precision")),
    "oer_above_chance": Metric("OER less its floor, what no detection at all gets", _LABELS, _above_chance),
    "pd": Metric(f"AP of persons over IoU 0.50:0.95, {_STREAM}", _PERSONS, _at("evaluation.pd.ap")),
    "pd_ap50": Metric("AP of persons at IoU 0.5", _PERSONS, _at("evaluation.pd.ap50")),
    "found_at_iou_50": Metric("part of the persons whom a detection is matched to at IoU 0.5", _PERSONS, _found),
    "strict_oer": Metric(f"OER, {_STRICT}", _LABELS, _at("strict.oer.mean_average_precision")),
    "strict_pd": Metric(f"AP of persons over IoU 0.50:0.95, {_STRICT}", _PERSONS, _at("strict.pd.ap")),
    "strict_found_at_iou_50": Metric(f"part of the persons found at IoU 0.5, {_STRICT}", _PERSONS, _strict_found),
    "false_persons_per_minute": Metric("tracks of nobody, a minute", _ALL, _at("false_persons.per_minute")),
    "false_detections_per_image": Metric("detections of nobody, an image", _ALL, _at("false_persons.per_image")),
    "hota": Metric("HOTA", _TRACKS, _at("tracking.hota")),
    "association_accuracy": Metric("AssA, HOTA's part of identity", _TRACKS, _at("tracking.association_accuracy")),
    "idf1": Metric("IDF1 at IoU 0.5", _TRACKS, _at("tracking.idf1")),
    "identity_switches": Metric("how often a person's id becomes another", _TRACKS, _at("tracking.switches")),
    "flicker_per_minute": Metric(
        "changes of a person's label without reason, a minute", _LABELLED_TRACKS, _at("stability.flicker_per_minute")
    ),
    "right_part": Metric("part of the time with a right label", _LABELLED_TRACKS, _at("stability.right")),
    "delay_of_change_median": Metric(
        "s from a change of emotion to the first right label",
        "changes of an annotated emotion that were answered",
        _at("stability.delay_median"),
    ),
    "changes_never_seen": Metric("changes of emotion without an answer", _LABELLED_TRACKS, _at("stability.never")),
    "latency_p50": Metric("s from an image's stamp to publishing, median", _MESSAGES, _at("timing.latency.median")),
    "latency_p95": Metric("s from an image's stamp to publishing, 95 %", _MESSAGES, _at("timing.latency.p95")),
    "processing_p50": Metric("s in the node, median", _MESSAGES, _at("timing.processing.median")),
    "processing_p95": Metric("s in the node, 95 %", _MESSAGES, _at("timing.processing.p95")),
    "inference_p50": Metric("s in the networks, median", _MESSAGES, _at("timing.inference.median")),
    "inference_p95": Metric("s in the networks, 95 %", _MESSAGES, _at("timing.inference.p95")),
    "in_time_part": Metric(
        "part of the frames answered by the deadline", _FRAMES, _part(lambda account: account.frames.in_time)
    ),
    "late_part": Metric(
        "part of the frames answered after the deadline", _FRAMES, _part(lambda account: account.frames.late)
    ),
    "dropped_part": Metric("part of the frames replaced in the node's mailbox, by its count", _FRAMES, _part(_dropped)),
    "lost_part": Metric(
        "part of the frames without an answer, and not dropped",
        _FRAMES,
        _part(lambda account: account.frames.unanswered - _dropped(account)),
    ),
    "messages": Metric("that the node published", "a running node", _at("timing.messages")),
}
"""Metrics by name. Those of persons are streaming (by the newest message at the deadline) unless called strict."""
