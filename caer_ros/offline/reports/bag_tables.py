"""All numbers of an evaluation of bags as tables of text; the report shows the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from caer_ros.offline.evaluation.bags.as_recorded import WARNING
from caer_ros.offline.reports import tables as table
from caer_ros.offline.reports.tables import SUMMARY, Table, percent
from caer_ros.pages.words import number

if TYPE_CHECKING:
    from rich.console import Console

    from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation
    from caer_ros.offline.metrics.over_time.timing import Distribution

    Row = tuple[str, str, str]

_KNOWN = "age of what a listener knew at the deadline, ROS clock"
_SHOWN = 5
"""Lines of what was left out that the terminal shows; the json and the report have all."""


def tables(result: BagEvaluation) -> list[Table]:
    """The headline first; then what there is of deadlines, fates, times, labels and groups."""
    shown = [summary(result)]
    if result.curve:
        shown.append(deadlines(result))
    if result.account is not None:
        shown.append(fates(result))
    if result.timing is not None:
        shown.append(times(result))
    if result.model.labels:
        shown.append(table.classes(result.evaluation, result.reliability_of_found))
    if result.evaluation.breakdowns:
        shown.append(table.breakdowns(result.evaluation))
    return shown


def show(result: BagEvaluation, console: Console) -> None:
    """Print everything; what makes the numbers doubtful as a whole comes first, and loudly."""
    for note in result.notes:
        if note.startswith(WARNING):
            console.print(note, style="bold red", markup=False, highlight=False)
    left_out = list(result.left_out[:_SHOWN])
    if len(result.left_out) > _SHOWN:
        left_out.append(f"and {len(result.left_out) - _SHOWN:,} more: see metrics.json or the report")
    calm = [note for note in result.notes if not note.startswith(WARNING)]
    notes = [*calm, *(f"left out: {line}" for line in left_out), f"run {result.identity.run_hash[:16]}"]
    table.print_tables(tables(result), notes, console)


def summary(result: BagEvaluation) -> Table:
    """One row a metric. Values are in per cent where they are parts."""
    rows = [
        *table.summary_rows(result.evaluation),
        *_very_frames(result),
        *_of_found(result),
        *_false_persons(result),
        *_tracking(result),
        *_stability(result),
        *table.interval_rows(result.evaluation),
    ]
    return Table(f"{result.title}: {table.size(result.evaluation)}", SUMMARY, tuple(rows), (0, 2))


def deadlines(result: BagEvaluation) -> Table:
    """One row a deadline."""
    rows = tuple(
        (
            f"{1000 * point.deadline:g}",
            percent(point.oer),
            percent(point.chance),
            percent(point.pd),
            percent(point.found),
        )
        for point in result.curve
    )
    title = "Newest answer by a deadline after the frame's stamp, scored against what was true at the stamp"
    return Table(title, ("ms", "OER", "its floor", "PD", "found at IoU 0.5"), rows, ())


def fates(result: BagEvaluation) -> Table:
    """What became of the annotated frames, and of all that are known of."""
    account = result.account
    assert account is not None
    rows = [
        ("answered in time", account.annotated.in_time, account.frames.in_time),
        ("answered late", account.annotated.late, account.frames.late),
        ("no answer", account.annotated.unanswered, account.frames.unanswered),
        ("dropped by the node, by its own count", None, account.drops),
        *(
            (("rejected by the node, by its own count", None, account.rejected),)
            if account.rejected is not None
            else ()
        ),
        ("no answer, unknown why", None, account.unexplained),
        ("answered, but the recorder lost the image", sum(account.image_missing), account.images_missing),
        ("dropped or rejected, and the recorder lost the image", None, account.images_lost),
    ]
    title = f"Frames, by {1000 * account.deadline:g} ms after their stamp"
    shown = tuple((name, "—" if some is None else f"{some:,}", f"{every:,}") for name, some, every in rows)
    return Table(title, ("frames", "annotated", "all"), shown)


def times(result: BagEvaluation) -> Table:
    """One row a time of the messages, in milliseconds."""
    timing = result.timing
    assert timing is not None
    rows = (
        _time("latency: stamp to publishing, ROS clock", timing.latency),
        _time("age: stamp to arrival at the node, ROS clock", timing.age),
        _time("processing: arrival to publishing, steady clock", timing.processing),
        _time("inference, steady clock", timing.inference),
        *([] if result.known_age is None else [_time(_KNOWN, result.known_age)]),
    )
    dropped = f"{timing.drops:,} images dropped by the node's mailbox, at most {timing.most_drops:,} before one message"
    title = f"Times of {timing.messages:,} messages in ms; {dropped}"
    return Table(title, ("what", "median", "95 %", "99 %", "most", "not known"), rows)


def _time(name: str, times: Distribution) -> tuple[str, ...]:
    quantiles = (times.median, times.p95, times.p99, times.max)
    return (name, *(_milliseconds(value) for value in quantiles), f"{times.left_out:,}")


def _very_frames(result: BagEvaluation) -> list[Row]:
    strict = result.strict
    if strict is None or not strict.model.labels:
        return []
    beside = (
        f"strict: only answers to the very frame, by the deadline; floor {percent(strict.oer.chance)}, "
        f"found at IoU 0.5: {percent(float(strict.oer.found[0]))}"
    )
    return [
        ("OER, very frames", percent(strict.oer.mean_average_precision), beside),
        ("PD, very frames", percent(strict.pd.ap), f"AP50 {percent(strict.pd.ap50)}"),
    ]


def _of_found(result: BagEvaluation) -> list[Row]:
    reliability = result.reliability_of_found
    if reliability is None:
        return []
    beside = (
        f"mean over labels, {reliability.score.shape[1]} bins; Brier {number(reliability.mean_brier)}; "
        f"of {percent(reliability.coverage)} % of the persons' known labels"
    )
    return [("ECE of persons as found", percent(reliability.mean_ece), beside)]


def _false_persons(result: BagEvaluation) -> list[Row]:
    false = result.false_persons
    if false is None:
        return []
    beside = (
        f"{false.persons:,} persons who are not there, in {number(false.minutes)} minutes; {number(false.per_image)} "
        f"false detections an image, on {false.images:,} images annotated in full"
    )
    return [("false persons per minute", number(false.per_minute), beside)]


def _tracking(result: BagEvaluation) -> list[Row]:
    tracking = result.tracking
    if tracking is None:
        return []
    beside = (
        f"DetA {percent(tracking.detection_accuracy)}, AssA {percent(tracking.association_accuracy)}; IDF1 "
        f"{percent(tracking.idf1)}, {tracking.switches:,} switches of id; {tracking.tracks:,} tracks annotated"
    )
    return [("HOTA", percent(tracking.hota), beside)]


def _stability(result: BagEvaluation) -> list[Row]:
    stability = result.stability
    if stability is None:
        return []
    time = (
        f"right {percent(stability.right)}, wrong {percent(stability.wrong)}, without a label "
        f"{percent(stability.without)} % of {number(stability.minutes)} minutes of persons"
    )
    rows = [("flicker per minute", number(stability.flicker_per_minute), f"of the published emotion; {time}")]
    if stability.changes:
        beside = (
            f"s, median until a change of the true emotion is told; 95 %: {number(stability.delay_p95)} s; "
            f"{stability.never:,} of {stability.changes:,} changes never"
        )
        rows.append(("delay of a change", number(stability.delay_median), beside))
    return rows


def _milliseconds(seconds: float) -> str:
    return "—" if math.isnan(seconds) else f"{1000 * seconds:.1f}"
