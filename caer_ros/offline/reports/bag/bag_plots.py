"""The plots of a bag's report: each small enough for a telephone, several beside each other on a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from caer_ros.offline.metrics.average_precision import average_precision, prevalence
from caer_ros.offline.metrics.matching import IOU_THRESHOLDS, match
from caer_ros.offline.metrics.over_time.tracking import ALPHAS
from caer_ros.offline.reports.plots import BLUE, GREY, ORANGE, RC, curve, diagram, reliability_words, svg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation
    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.metrics.over_time.timing import Distribution
    from caer_ros.offline.reports.plots import Plot

GREEN, VERMILION = "#009e73", "#d55e00"
"""Okabe and Ito's too."""
_SIZE = (5.2, 3.0)
"""Inches; 500 px wide."""
_SMALL = (1.75, 1.6)
_BINS = 40
_MOST_DROPS = 12
"""The last bar has all messages with more."""


def all_plots(result: BagEvaluation, joined: Joined) -> Iterator[Plot]:
    """Heading, explanation and SVG of each plot that there are numbers for."""
    with rc_context(RC):
        if result.curve and result.model.labels:
            yield _deadlines(result)
        if result.evaluation.persons:
            yield _detections(result, joined)
            if result.model.labels:
                yield _overlaps(result)
        reliability = result.evaluation.against_labels or result.reliability_of_found
        if reliability is not None and reliability.count.sum():
            figure, axes = _figure()
            diagram(axes, reliability)
            of = "in annotated boxes" if result.evaluation.against_labels else "of the persons who were found"
            yield "Reliability", f"Scores {of}. {reliability_words(reliability)}", svg(figure)
        if result.tracking is not None:
            yield _tracking(result)
        if result.timing is not None:
            yield from _timing(result)


def label_plots(result: BagEvaluation, joined: Joined) -> Iterator[tuple[str, bytes]]:
    """For each label that somebody has, name with average precision, and SVG of precision against recall.

    As in OER at IoU 0.5: a person has the scores of the detection, a missed one none.
    """
    field = result.evaluation.oer
    matches = match(joined, field.threshold, field.top, thresholds=[0.5])
    scores = np.nan_to_num(matches.scores_of_persons())
    value, part = average_precision(joined.targets, scores), prevalence(joined.targets)
    with rc_context(RC):
        for index, label in enumerate(joined.header.labels):
            if np.isnan(value[index]):
                continue
            figure = Figure(_SMALL, layout="constrained")
            curve(figure.subplots(), joined.targets[:, index], scores[:, index], part[index])
            yield f"{label} {100 * value[index]:.0f}", svg(figure)


def _deadlines(result: BagEvaluation) -> Plot:
    """OER of the newest answers against the deadline, what chance gets, and the strict variant as a point."""
    assert result.deadline is not None
    figure, axes = _figure()
    deadlines = [1000 * point.deadline for point in result.curve]
    axes.plot(deadlines, [100 * point.oer for point in result.curve], color=BLUE, marker="o", markersize=4, label="OER")
    axes.plot(deadlines, [100 * point.chance for point in result.curve], color=ORANGE, linewidth=1.5, label="chance")
    here = 1000 * result.deadline
    axes.axvline(here, color=GREY, linewidth=1, zorder=0)
    if result.strict is not None:
        strict = 100 * result.strict.oer.mean_average_precision
        axes.plot([here], [strict], color=VERMILION, marker="D", linestyle="", label="strict: the very frames")
    axes.set(xlim=(0, None), ylim=(0, None), xlabel="deadline after the frame's stamp, ms", ylabel="OER, %")
    _legend(axes)
    note = (
        "At each annotated stamp + deadline the newest answer by then is scored against what was true at the stamp. "
        f"The grey line is this report's deadline, {here:g} ms."
    )
    return "OER against deadline", note, svg(figure)


def _detections(result: BagEvaluation, joined: Joined) -> Plot:
    """Precision against recall of persons at two overlaps."""
    figure, axes = _figure()
    persons = max(result.evaluation.persons, 1)
    matches = match(joined, most=result.evaluation.pd.top, thresholds=[0.5, 0.75])
    order = np.argsort(-matches.scores, kind="stable")
    values = zip((BLUE, GREEN), ("0.5", "0.75"), matches.person[:, order] >= 0, matches.ignored[:, order], strict=True)
    for colour, name, right, ignored in values:
        true, counted = np.cumsum(right), np.cumsum(~ignored)
        precision = np.divide(true, counted, out=np.ones(len(true)), where=counted > 0)
        axes.plot([0, *(true / persons)], [1, *precision], color=colour, label=f"IoU {name}")
    point = result.evaluation.operating_point
    if point is not None:
        here = int((matches.scores >= np.float32(point.threshold)).sum()) - 1
        if here >= 0:
            best = order[: here + 1]
            true, counted = (matches.person[0, best] >= 0).sum(), (~matches.ignored[0, best]).sum()
            at = f"threshold {point.threshold:.2g}"
            axes.plot([true / persons], [true / max(counted, 1)], color=BLUE, marker="o", linestyle="", label=at)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
    _legend(axes)
    return (
        "Persons: precision and recall",
        "Over the detection score; the point is the model's own threshold.",
        svg(figure),
    )


def _overlaps(result: BagEvaluation) -> Plot:
    """OER and the persons found over the IoU thresholds that OER is the mean of."""
    figure, axes = _figure()
    field = result.evaluation.oer
    axes.plot(IOU_THRESHOLDS, 100 * field.found, color=GREEN, marker="o", markersize=4, label="persons found")
    axes.plot(IOU_THRESHOLDS, 100 * field.by_threshold, color=BLUE, marker="o", markersize=4, label="OER")
    axes.axhline(100 * field.chance, color=ORANGE, linewidth=1.5, label="chance")
    axes.set(ylim=(0, 101), xlabel="IoU that a box needs", ylabel="%")
    _legend(axes)
    return "OER by overlap", "How exact a box must be for its person to count as found; OER is the mean.", svg(figure)


def _tracking(result: BagEvaluation) -> Plot:
    assert result.tracking is not None
    figure, axes = _figure()
    tracking = result.tracking
    axes.plot(ALPHAS, 100 * tracking.hota_by_threshold, color=BLUE, linewidth=2, label="HOTA")
    axes.plot(ALPHAS, 100 * tracking.detection_by_threshold, color=GREEN, label="detection")
    axes.plot(ALPHAS, 100 * tracking.association_by_threshold, color=ORANGE, label="association")
    axes.set(xlim=(0, 1), ylim=(0, 101), xlabel="IoU that a match needs", ylabel="%")
    _legend(axes)
    return (
        "Tracks",
        "HOTA is the geometric mean of detection and association at each overlap, and their mean.",
        svg(figure),
    )


def _timing(result: BagEvaluation) -> Iterator[Plot]:
    timing = result.timing
    assert timing is not None
    whole = [("latency", BLUE, timing.latency), ("age at arrival", ORANGE, timing.age)]
    note = "From the image's stamp until the message was published, and until the image reached the node; ROS clock."
    yield "Latency and age", note, _times(whole, result.deadline)
    inside = [("arrival to publishing", BLUE, timing.processing), ("in the networks", ORANGE, timing.inference)]
    yield "Inside the node", "What a message took on the steady clock.", _times(inside, None)
    if result.known_age is not None and len(result.known_age.values):
        note = "Of what a listener knew at each frame's stamp + deadline: by so much the image it was about was older."
        yield "Age of what was known", note, _times([("age", BLUE, result.known_age)], result.deadline, "frames")
    figure, axes = _figure()
    count = np.bincount(np.minimum(timing.drops_before, _MOST_DROPS).astype(int))
    axes.bar(np.arange(len(count)), count, width=0.85, color=BLUE)
    last = max(len(count), 6)
    names = [f"{number}+" if number == _MOST_DROPS else str(number) for number in range(last)]
    axes.set(xlim=(-0.6, last - 0.4), xlabel="images dropped before the message", ylabel="messages")
    axes.set_xticks(np.arange(last), names)
    note = f"By the node's mailbox of one: {timing.drops:,} images before {timing.messages:,} messages."
    yield "Drops", note, svg(figure)


def _times(shown: list[tuple[str, str, Distribution]], deadline: float | None, counted: str = "messages") -> bytes:
    """Histograms of times in ms on one axis; times beyond the highest 99 % are in the last bin."""
    figure, axes = _figure()
    shown = [(name, colour, times) for name, colour, times in shown if len(times.values)]
    most = 1000 * max([times.p99 for _, _, times in shown] + [deadline or 0.0], default=1.0) * 1.15
    least = min([0.0, *(1000 * float(times.values.min()) for _, _, times in shown)])
    edges = np.linspace(least, max(most, least + 1.0), _BINS + 1)
    for name, colour, times in shown:
        values = np.clip(1000 * times.values, edges[0], edges[-1])
        words = f"{name}: median {1000 * times.median:.3g}, 95 % {1000 * times.p95:.3g} ms"
        axes.hist(values, edges.tolist(), color=colour, alpha=0.65, histtype="stepfilled", label=words)
    if deadline is not None:
        axes.axvline(1000 * deadline, color=VERMILION, linewidth=1.2, label=f"deadline {1000 * deadline:g} ms")
    axes.set(xlim=(edges[0], edges[-1]), xlabel="ms", ylabel=counted)
    if shown:
        _legend(axes, columns=1)
    return svg(figure)


def _legend(axes: Axes, columns: int = 3) -> None:
    """Above the plot, where nothing is hidden."""
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=columns, borderaxespad=0.2)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(_SIZE, layout="constrained")
    return figure, figure.subplots()
