"""Plots of an evaluation, as SVG."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from caer_ros.offline.metrics.average_precision import precision_recall
from caer_ros.offline.metrics.matching import match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats, Joined
    from caer_ros.offline.metrics.reliability import Reliability
    from caer_ros.offline.metrics.summary import Evaluation

    Plot = tuple[str, str, bytes]

# Okabe and Ito's.
BLUE, ORANGE, GREY, INK = "#0072b2", "#e69f00", "#c3c9d0", "#1b2430"
_WIDTH = 10.4
"""Inches; the page is 1040 px wide."""
_COLUMNS = 6
_POINTS = 200
"""Points of a curve, at most."""
RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "caer_ros",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a96a3",
    "axes.titlesize": 9,
}


def all_plots(joined: Joined, evaluation: Evaluation) -> Iterator[Plot]:
    """Heading, explanation and SVG of each plot that the evaluation has the numbers for."""
    with rc_context(RC):
        if evaluation.er is not None:
            scores = joined.pooled()
            yield _average_precision(evaluation)
            yield _curves(evaluation, joined.targets, scores)
            yield _emotion_scores(evaluation, joined.targets, scores)
        for reliability in (evaluation.against_labels, evaluation.against_votes):
            if reliability is not None:
                yield _reliability(reliability)
        if evaluation.model.max_persons and evaluation.persons:
            yield _detection_scores(joined)


def _average_precision(evaluation: Evaluation) -> Plot:
    """Bars of AP with a mark at the prevalence, the highest first."""
    assert evaluation.er is not None
    er, labels = evaluation.er, np.array(evaluation.model.labels)
    order = [index for index in np.argsort(-er.average_precision) if not math.isnan(er.average_precision[index])]
    figure = Figure((_WIDTH, 1.0 + 0.22 * len(order)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(order))
    axes.barh(rows, 100 * er.average_precision[order], color=BLUE, height=0.7, label="AP of ER")
    marks = 100 * er.prevalence[order]
    axes.vlines(marks, rows - 0.42, rows + 0.42, color=ORANGE, linewidth=2.5, label="prevalence: what chance gets")
    axes.set(yticks=rows, yticklabels=labels[order], xlim=(0, 100), xlabel="%", ylim=(len(order) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, loc="lower right")
    return (
        "Average precision",
        "Of each label, in annotated boxes; beside it the part of persons who have it.",
        svg(figure),
    )


def _curves(evaluation: Evaluation, targets: Floats, scores: Floats) -> Plot:
    """Precision against recall, one small plot a label."""
    assert evaluation.er is not None
    er, labels = evaluation.er, evaluation.model.labels
    shown = [index for index in range(len(labels)) if er.positives[index]]
    figure, grid = _grid(len(shown))
    for axes, index in zip(grid, shown, strict=True):
        curve(axes, targets[:, index], scores[:, index], er.prevalence[index])
        axes.set_title(f"{labels[index]} {100 * er.average_precision[index]:.0f}")
    return "Precision and recall", "Recall to the right, precision upwards; the line is the prevalence.", svg(figure)


def curve(axes: Axes, targets: Floats, scores: Floats, prevalence: float) -> None:
    """Precision against recall of one label of persons [N], and its prevalence."""
    precision, recall, _ = precision_recall(targets, scores)
    chosen = np.unique(np.linspace(0, len(recall) - 1, _POINTS).astype(int))
    axes.axhline(prevalence, color=ORANGE, linewidth=1)
    axes.plot(recall[chosen], precision[chosen], color=BLUE, linewidth=1.2)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 1), yticks=(0, 1))


def _emotion_scores(evaluation: Evaluation, targets: Floats, scores: Floats) -> Plot:
    """Scores of persons with and without each label."""
    assert evaluation.er is not None
    labels = evaluation.model.labels
    shown = [i for i in range(len(labels)) if evaluation.er.positives[i] and np.isfinite(scores[:, i]).any()]
    figure, grid = _grid(len(shown), height=0.95)
    edges = np.linspace(0, 1, 26).tolist()
    for axes, index in zip(grid, shown, strict=True):
        for wanted, colour in ((0, GREY), (1, BLUE)):
            values = scores[(targets[:, index] == wanted) & ~np.isnan(scores[:, index]), index]
            weights = np.full(len(values), 1 / max(len(values), 1))
            axes.hist(values, edges, weights=weights, color=colour, alpha=0.75, histtype="stepfilled")
        axes.set(xlim=(0, 1), xticks=(0, 1), yticks=())
        axes.set_title(labels[index])
    return (
        "Emotion scores",
        "Blue: of persons who have the label; grey: of the others; each adds up to 1.",
        svg(figure),
    )


def _reliability(reliability: Reliability) -> Plot:
    """Mean truth against mean score over bins, and how many scores each bin has."""
    figure = Figure((_WIDTH, 4.2), layout="constrained")
    axes, counts = figure.subplots(1, 2, width_ratios=(2, 1))
    diagram(axes, reliability)
    count = reliability.count.sum(axis=0)
    bins = len(count)
    counts.bar((np.arange(bins) + 0.5) / bins, count, width=0.9 / bins, color=BLUE)
    counts.set(xlim=(0, 1), xlabel="score", ylabel="scores")
    heading = f"Reliability against the {'part of annotators' if reliability.against == 'votes' else 'labels'}"
    return heading, reliability_words(reliability), svg(figure)


def diagram(axes: Axes, reliability: Reliability) -> None:
    """Mean truth against mean score over bins, every label a thin line and all together a thick one."""
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=1)
    for score, frequency in zip(reliability.score, reliability.frequency, strict=True):
        filled = ~np.isnan(score)
        axes.plot(score[filled], frequency[filled], color=BLUE, alpha=0.15, linewidth=1)
    count = reliability.count.sum(axis=0)
    filled = count > 0
    score, frequency = (
        np.nansum(values * reliability.count, axis=0)[filled] / count[filled]
        for values in (reliability.score, reliability.frequency)
    )
    axes.plot(score, frequency, color=BLUE, linewidth=2, marker="o", markersize=4)
    truth = "part of annotators who chose it" if reliability.against == "votes" else "part that has the label"
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score", ylabel=truth)


def reliability_words(reliability: Reliability) -> str:
    """What the diagram shows."""
    error = f"{100 * reliability.mean_ece:.2f} %"
    return f"Thick: all labels together; thin: each. Expected calibration error {error}, mean of labels."


def _detection_scores(joined: Joined) -> Plot:
    """Detection scores of the matched and the others, and how many persons of each height are found."""
    matches = match(joined, thresholds=[0.5])
    threshold = joined.header.thresholds.get("person", 0.0)
    figure = Figure((_WIDTH, 3.0), layout="constrained")
    scores, heights = figure.subplots(1, 2)
    right = matches.person[0] >= 0
    edges = np.linspace(0, 1, 41).tolist()
    values = [matches.scores[right], matches.scores[~right & ~matches.ignored[0]]]
    names = ["an annotated person (IoU ≥ 0.5)", "nobody annotated"]
    scores.hist(values, edges, stacked=True, color=[BLUE, GREY], label=names)
    scores.axvline(threshold, color=ORANGE, linewidth=1.5, label=f"threshold {threshold:g}")
    scores.set(
        xlim=(0, 1), xlabel="detection score", ylabel="detections", yscale="log" if len(matches.scores) else "linear"
    )
    scores.legend(frameon=False)
    part = np.concatenate([(s.boxes[:, 3] - s.boxes[:, 1]) / s.size[0] for s in joined.samples])
    found = _found(matches.detection[0], matches.scores, threshold)
    bins = np.linspace(0, 1, 11).tolist()
    heights.hist(part, bins, color=GREY, label="annotated")
    heights.hist(part[found], bins, color=BLUE, label="found")
    heights.set(xlim=(0, 1), xlabel="height of the box, part of the image", ylabel="persons")
    heights.legend(frameon=False)
    return "Persons", "Detection scores, and who is found at the model's threshold.", svg(figure)


def _found(detection: NDArray[np.intp], scores: Floats, threshold: float) -> NDArray[np.bool_]:
    """[N] is the person matched to a detection of at least ``threshold``?"""
    return np.array([index >= 0 and scores[index] >= threshold for index in detection], bool)


def _grid(plots: int, height: float = 1.3) -> tuple[Figure, list[Axes]]:
    """Small plots in rows; those that are too many are removed."""
    rows = max(1, math.ceil(plots / _COLUMNS))
    figure = Figure((_WIDTH, 0.3 + (height + 0.35) * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in grid[plots:]:
        axes.remove()
    return figure, list(grid[:plots])


def svg(figure: Figure) -> bytes:
    """The figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
