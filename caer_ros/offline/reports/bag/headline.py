"""The headline numbers of a bag's report, each beside what it must be read with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from caer_ros.offline.reports.tables import percent
from caer_ros.pages.parts import Headline
from caer_ros.pages.words import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation


def numbers(result: BagEvaluation) -> list[Headline]:
    """OER first, which is the headline; what does not apply is left out."""
    return [*_emotions(result), *_persons(result), *_over_time(result), *_times(result)]


def _emotions(result: BagEvaluation) -> Iterator[Headline]:
    field, recognised = result.evaluation.oer, result.evaluation.er
    if result.model.labels:
        name = "OER, offline" if result.deadline is None else f"OER, streaming at {1000 * result.deadline:g} ms"
        beside = f"mAP of persons as found; floor (chance) {percent(field.chance)}"
        if result.strict:
            beside += f"; strict {percent(result.strict.oer.mean_average_precision)}"
        yield Headline(percent(field.mean_average_precision), name, beside + _interval(result, "oer"), "%")
    if recognised:
        beside = f"mAP in annotated boxes; chance {percent(recognised.chance)}"
        yield Headline(percent(recognised.mean_average_precision), "ER", beside + _interval(result, "er"), "%")


def _persons(result: BagEvaluation) -> Iterator[Headline]:
    detection, point, false = result.evaluation.pd, result.evaluation.operating_point, result.false_persons
    if result.model.max_persons:
        beside = f"COCO AP of persons; AP50 {percent(detection.ap50)}"
        yield Headline(percent(detection.ap), "PD", beside + _interval(result, "pd"), "%")
    if point and point.persons:
        beside = f"{point.persons - point.missed:,} of {point.persons:,}, at IoU 0.5 and the model's threshold"
        yield Headline(percent(1 - point.missed / point.persons), "persons found", beside, "%")
    if false and not math.isnan(false.per_minute):
        beside = f"{false.persons:,} in {60 * false.minutes:.0f} s that are annotated in full"
        yield Headline(number(false.per_minute), "false persons", beside, "a minute")


def _over_time(result: BagEvaluation) -> Iterator[Headline]:
    tracking, steady = result.tracking, result.stability
    if tracking:
        switches = f"{tracking.switches:,} switch{'' if tracking.switches == 1 else 'es'} of id"
        beside = f"{tracking.tracks:,} annotated tracks; {switches}, IDF1 {percent(tracking.idf1)}"
        yield Headline(percent(tracking.hota), "HOTA", beside, "%")
    if steady:
        beside = f"of a person's label, which is right {percent(steady.right)} % of the time"
        yield Headline(number(steady.flicker_per_minute), "flicker", beside, "a minute")
    if steady and steady.changes:
        beside = f"median; 95 %: {number(steady.delay_p95)} s; {steady.never:,} of {steady.changes:,} changes never"
        yield Headline(number(steady.delay_median), "until a change is told", beside, "s")


def _times(result: BagEvaluation) -> Iterator[Headline]:
    timing = result.timing
    if timing and len(timing.latency.values):
        beside = f"median, stamp to publishing; 95 %: {number(1000 * timing.latency.p95)} ms"
        yield Headline(number(1000 * timing.latency.median), "latency", beside, "ms")


def _interval(result: BagEvaluation, name: str) -> str:
    interval = result.evaluation.intervals.get(name)
    if not interval:
        return ""
    return f"; {interval.confidence:.0%} within [{percent(interval.low)}, {percent(interval.high)}]"
