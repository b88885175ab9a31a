"""Results on the same frames side by side, and whether their differences are more than chance.

Their tables are measured again, together, so that all numbers are of the same frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.offline.evaluation.identity import json_sha256
from caer_ros.offline.metrics.intervals import (
    Interval,
    er_statistic,
    image_groups,
    oer_statistic,
    paired_difference,
    pd_statistic,
    reservation,
)
from caer_ros.offline.metrics.joined import MetricsError, join
from caer_ros.offline.metrics.over_time.stability import stability
from caer_ros.offline.metrics.over_time.tracking import tracking
from caer_ros.offline.reports.tables import Table, percent, reading
from caer_ros.plain_data import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from caer_ros.offline.evaluation.results import Result
    from caer_ros.offline.metrics.intervals import Statistic
    from caer_ros.offline.metrics.joined import Floats, Joined
    from caer_ros.recordings.annotations.sample import Dataset, Sample

_NAMED = 3
"""Frames that an error names."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of R results."""

    metric: str
    values: tuple[float, ...]
    """[R] NaN where it does not apply."""
    differences: tuple[Interval | None, ...]
    """[R-1] of the second, third, ... to the first; None where either has no such metric, or intervals are not asked
    for."""
    is_part: bool
    """Is it a part of 1, which tables show in per cent?"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is said of several results."""

    names: tuple[str, ...]
    models: tuple[str, ...]
    manners: tuple[str, ...]
    run_hashes: tuple[str, ...]
    """"" for results on data sets."""
    frames: int
    persons: int
    left_out: int
    """Frames of any result that are not among those compared."""
    metrics: tuple[Compared, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for json; NaN becomes None. Each difference says whether it is conclusive."""
        content: dict[str, Any] = plain(self)
        for said, metric in zip(content["metrics"], self.metrics, strict=True):
            for fields, interval in zip(said["differences"], metric.differences, strict=True):
                if interval is not None:
                    fields["conclusive"] = interval.conclusive
        return content


def compare(
    results: Sequence[Result],
    replicates: int = 1000,
    common: bool = False,
    any_box_kind: bool = False,
    seed: int = 0,
) -> Comparison:
    """Measures results on the same frames.

    Args:
        results: two or more; the others are held against the first.
        replicates: draws of the paired bootstrap over tracks or recordings; 0: no intervals.
        common: take the frames that all have with the same annotations, where they do not have the same.
        any_box_kind: compare boxes of bodies, heads and faces.
        seed: of the draws.

    Raises:
        MetricsError: other frames, annotations, labels or box kinds; or a table that does not belong to its
            annotations.
    """
    _check_labels(results)
    _check_kinds(results, any_box_kind)
    chosen = _common(results) if common else _same(results)
    joined = [_joined(result, chosen, any_box_kind) for result in results]
    samples = joined[0].samples
    everything = {sample.image_id for result in results for sample in result.dataset.samples}
    groups = image_groups(samples)
    notes = [*_notes(results, joined)]
    if replicates:
        enough, said = reservation(samples, groups)
        replicates = replicates if enough else 0
        notes += [said] if said else []

    def differences(statistics: Sequence[Statistic | None]) -> tuple[Interval | None, ...]:
        first, *others = statistics
        return tuple(
            None
            if first is None or other is None or not replicates
            else paired_difference(other, first, groups, replicates, seed=seed)
            for other in others
        )

    measured = []
    for name, statistic in (("ER", _er), ("PD", _pd), ("OER", _oer)):
        statistics = [statistic(one) for one in joined]
        values = tuple(math.nan if one is None else one(_once(samples)) for one in statistics)
        if any(one is not None for one in statistics):
            measured.append(Compared(name, values, differences(statistics), is_part=True))
    return Comparison(
        names=_distinct_names(results),
        models=tuple(f"{r.predictions.header.model} ({r.predictions.header.model_version[:16]})" for r in results),
        manners=tuple(result.manner for result in results),
        run_hashes=tuple(str((result.metrics.get("identity") or {}).get("run_hash", "")) for result in results),
        frames=len(samples),
        persons=len(joined[0].targets),
        left_out=len(everything) - len(samples),
        metrics=(*measured, *_over_time(joined)),
        notes=tuple(notes),
    )


def table(comparison: Comparison) -> Table:
    """One row a metric: the value of each result, and the difference of each but the first to the first."""
    names = comparison.names
    rows = [
        (
            metric.metric,
            *(_value(value, metric) for value in metric.values),
            *(_difference(difference) for difference in metric.differences),
        )
        for metric in comparison.metrics
    ]
    kinds = (
        f"{name}: {model}, {manner}"
        for name, model, manner in zip(names, comparison.models, comparison.manners, strict=True)
    )
    left_out = f", {comparison.left_out:,} others left out" if comparison.left_out else ""
    title = f"{comparison.frames:,} frames, {comparison.persons:,} persons{left_out}; {'; '.join(kinds)}"
    header = ("metric", *names, *(f"{name} − {names[0]}" for name in names[1:]))
    return Table(title, header, tuple(rows), (0, *range(len(names) + 1, len(header))))


# --- Which frames --------------------------------------------------------------------------------------------------


def _same(results: Sequence[Result]) -> list[str]:
    """The image ids of the first, if the others have the same with the same annotations."""
    first, *others = results
    expected = _annotated(first.dataset)
    for other in others:
        found = _annotated(other.dataset)
        said = [
            _frames("only in", first, expected.keys() - found.keys()),
            _frames("only in", other, found.keys() - expected.keys()),
            _frames(
                "annotated otherwise in", other, {i for i in expected.keys() & found.keys() if expected[i] != found[i]}
            ),
        ]
        if any(said):
            raise MetricsError(
                f"{first.folder} and {other.folder} are not of the same frames: {'; '.join(filter(None, said))}. "
                "Evaluate both on the same annotations, or compare what they share: --common"
            )
    return list(expected)


def _common(results: Sequence[Result]) -> list[str]:
    """The image ids that all have with the same annotations."""
    shared, *rest = (_annotated(result.dataset) for result in results)
    chosen = [image_id for image_id, digest in shared.items() if all(one.get(image_id) == digest for one in rest)]
    if not chosen:
        examples = ", ".join(next(iter(_annotated(result.dataset)), "none") for result in results)
        raise MetricsError(f"no frame has the same annotations in all results; their first frames: {examples}")
    return chosen


def _annotated(dataset: Dataset) -> dict[str, str]:
    """Hash of what is annotated, for each image id."""
    return {sample.image_id: json_sha256(plain(_annotation(sample))) for sample in dataset.samples}


def _annotation(sample: Sample) -> tuple[Any, ...]:
    return (
        sample.size,
        sample.boxes,
        sample.box_kind,
        sample.emotions,
        sample.track_ids,
        sample.ignore,
        sample.exhaustive,
        sample.stamp,
    )


def _frames(what: str, result: Result, image_ids: set[str]) -> str:
    if not image_ids:
        return ""
    named = sorted(image_ids)
    more = ", ..." if len(named) > _NAMED else ""
    return f"{len(named):,} {what} {result.folder} ({', '.join(named[:_NAMED])}{more})"


def _joined(result: Result, chosen: Sequence[str], any_box_kind: bool) -> Joined:
    samples = {sample.image_id: sample for sample in result.dataset.samples}
    wanted = set(chosen)
    images = [image for image in result.predictions.images if image.image_id in wanted]
    try:
        return join(
            [samples[image_id] for image_id in chosen],
            replace(result.predictions, images=images),
            any_box_kind=any_box_kind,
        )
    except MetricsError as error:
        raise MetricsError(f"{result.folder}: {error}") from error


def _check_labels(results: Sequence[Result]) -> None:
    first, *others = results
    other = next((result for result in others if result.dataset.labels != first.dataset.labels), None)
    if other is not None:
        raise MetricsError(
            f"{first.folder} is annotated with {', '.join(first.dataset.labels) or 'no labels'}, {other.folder} with "
            f"{', '.join(other.dataset.labels) or 'no labels'}; evaluate both on the same annotations"
        )


def _check_kinds(results: Sequence[Result], any_box_kind: bool) -> None:
    first, *others = results
    kind = first.predictions.header.box_kind
    other = next((result for result in others if result.predictions.header.box_kind != kind), None)
    if other is not None and not any_box_kind:
        raise MetricsError(
            f"{first.folder} predicts {kind.name.lower()} boxes, {other.folder} "
            f"{other.predictions.header.box_kind.name.lower()} boxes; these are not compared unless that is asked for "
            "(--any-box-kind)"
        )


# --- What is measured ----------------------------------------------------------------------------------------------


def _once(samples: Sequence[Sample]) -> Floats:
    return np.ones(len(samples))


def _er(joined: Joined) -> Statistic | None:
    return er_statistic(joined) if joined.has_pooled and joined.header.labels else None


def _pd(joined: Joined) -> Statistic | None:
    return pd_statistic(joined) if joined.header.max_persons else None


def _oer(joined: Joined) -> Statistic | None:
    return oer_statistic(joined) if joined.header.max_persons and joined.header.labels else None


def _over_time(joined: Sequence[Joined]) -> list[Compared]:
    """What is measured over tracks, as far as there are any; without intervals."""
    measures: tuple[tuple[str, Callable[[Joined], float], bool], ...] = (
        ("HOTA", lambda one: tracking(one).hota, True),
        ("flicker per minute", lambda one: stability(one).flicker_per_minute, False),
    )
    measured = []
    for name, measure, is_part in measures:
        values = tuple(_or_nan(measure, one) for one in joined)
        if not all(math.isnan(value) for value in values):
            measured.append(Compared(name, values, (None,) * (len(values) - 1), is_part))
    return measured


def _or_nan(measure: Callable[[Joined], float], joined: Joined) -> float:
    try:
        return measure(joined)
    except MetricsError:  # nothing is tracked, or nothing annotated as a track
        return math.nan


def _notes(results: Sequence[Result], joined: Sequence[Joined]) -> list[str]:
    """What a reader of the differences must know."""
    notes = []
    if len({result.manner for result in results}) > 1:
        notes.append("The results came about in different manners: not only the models differ.")
    kept = [one.kept for one in joined]
    if max(kept) > min(kept):
        notes.append(
            "The tables were cut at different detection scores "
            f"({', '.join(f'{score:g}' for score in kept)}): PD and OER favour the lower one."
        )
    kinds = {one.header.box_kind.name.lower() for one in joined}
    if len(kinds) > 1:
        notes.append(f"The results are of different boxes: {' and '.join(sorted(kinds))}.")
    readings = [reading(one.header.pooling) or "not known" for one in joined if one.has_pooled]
    if len(set(readings)) > 1:
        notes.append(f"ER was read in the annotated boxes in different ways: {'; '.join(readings)}.")
    for result in results:
        field = (result.metrics.get("evaluation") or result.metrics).get("oer") or {}
        annotations = field.get("annotations", "labels")
        if annotations != "labels":
            notes.append(f'{result.folder} was evaluated by "{annotations}"; here all are compared by the labels.')
    return notes


# --- Words ---------------------------------------------------------------------------------------------------------


def _distinct_names(results: Sequence[Result]) -> tuple[str, ...]:
    """The folders' names, or their paths where two have the same."""
    names = [result.name for result in results]
    return tuple(names if len(set(names)) == len(names) else [str(result.folder) for result in results])


def _value(value: float, metric: Compared) -> str:
    if math.isnan(value):
        return "—"
    return percent(value) if metric.is_part else f"{value:.3g}"


def _difference(difference: Interval | None) -> str:
    if difference is None:
        return "—"
    value, low, high = (f"{100 * number:+.2f}" for number in (difference.value, difference.low, difference.high))
    return f"{value} [{low}, {high}] {'conclusive' if difference.conclusive else 'not conclusive'}"
