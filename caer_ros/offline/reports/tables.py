"""All numbers of an evaluation as tables of text, each beside what it must be read with; the report shows the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.pages.words import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from rich.console import Console

    from caer_ros.offline.metrics.detection import PersonDetection
    from caer_ros.offline.metrics.on_the_field import OnTheField
    from caer_ros.offline.metrics.reliability import Reliability
    from caer_ros.offline.metrics.summary import Evaluation

ANNOTATIONS = {
    "labels": "the set's own labels",
    "any_vote": "any annotator",
    "majority": "half of the annotators",
}
"""What counts as having an emotion, in words."""
READ = {
    "box_mean": "the mean over the box",
    "box_attention": "the mean over the box, where a face may be most",
    "centre": "at the box's centre",
    "query": "of the query with the highest IoU",
    "flip": "mean with the mirrored image",
    "person_centric": "mean with the person-centric head",
}
"""How emotions were read in annotated boxes, in words, for ``PredictionHeader.pooling``."""
SUMMARY = ("metric", "value", "to be read with")
COMPAT = "inflated IoU; only to compare with BENet's published numbers"


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows; the first column and the last of the summary are words, the others numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    """Columns that are not numbers."""


def tables(evaluation: Evaluation) -> list[Table]:
    """Summary, classes and breakdowns, as far as there is anything in them."""
    shown = [summary(evaluation)]
    if evaluation.model.labels:
        shown.append(classes(evaluation))
    if evaluation.breakdowns:
        shown.append(breakdowns(evaluation))
    return shown


def title(evaluation: Evaluation) -> str:
    """Which model on what."""
    return (
        f"{evaluation.model.model} ({evaluation.model.model_version[:16]}) on {evaluation.dataset} {evaluation.split}"
    )


def summary(evaluation: Evaluation) -> Table:
    """One row a metric. Values are in per cent where they are parts."""
    rows = (*summary_rows(evaluation), *interval_rows(evaluation))
    return Table(f"{title(evaluation)}: {size(evaluation)}", SUMMARY, rows, (0, 2))


def size(evaluation: Evaluation) -> str:
    """How much was evaluated, and in what the numbers are."""
    kind = evaluation.model.box_kind.name.lower()
    return f"{evaluation.persons:,} persons ({kind} boxes), {evaluation.images:,} images; parts in per cent"


def summary_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """List the summary's rows: metric, value, and what it is to be read with; ``interval_rows`` gives the last one."""
    return [
        *_recognition(evaluation),
        *_persons(evaluation),
        *_on_the_field(evaluation),
        *_calibration(evaluation),
        *_controls(evaluation),
    ]


def classes(evaluation: Evaluation, of_found: Reliability | None = None) -> Table:
    """One row a label; calibration ``of_found`` where there are no scores in annotated boxes."""
    labels, recognised, field = evaluation.model.labels, evaluation.er, evaluation.oer
    reliability = evaluation.against_labels or of_found
    rows = []
    for index, label in enumerate(labels):
        rows.append(
            (
                label,
                f"{(recognised or field).positives[index]:,}",
                percent((recognised or field).prevalence[index]),
                percent(recognised.average_precision[index]) if recognised else "—",
                percent(field.average_precision[index]) if evaluation.model.max_persons else "—",
                percent(reliability.ece[index]) if reliability else "—",
            )
        )
    return Table("Labels", ("label", "persons", "prevalence", "AP of ER", "AP of OER", "ECE"), tuple(rows))


def breakdowns(evaluation: Evaluation) -> Table:
    """One row a group of persons."""
    rows = [
        (f"{name}: {group.name}", f"{group.persons:,}", percent(group.mean_average_precision), percent(group.chance))
        for name, groups in evaluation.breakdowns.items()
        for group in groups
    ]
    return Table(
        "ER of groups, each to be held against its own chance", ("group", "persons", "ER", "chance"), tuple(rows)
    )


def show(evaluation: Evaluation, console: Console) -> None:
    """Print everything."""
    print_tables(tables(evaluation), evaluation.notes, console)


def print_tables(shown_tables: Iterable[Table], notes: Iterable[str], console: Console) -> None:
    """Print tables, and below them the notes."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable

    for table in shown_tables:
        shown = RichTable(title=table.title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for index, name in enumerate(table.header):
            shown.add_column(name, justify="left" if index in table.words else "right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown, markup=False)
    for note in notes:
        console.print(f"· {note}", markup=False, highlight=False)


def percent(part: float) -> str:
    """A part 0..1 in per cent without the sign; a dash for NaN."""
    return "—" if math.isnan(part) else f"{100 * part:.2f}"


# --- The rows of the summary ---------------------------------------------------------------------------------------


def _recognition(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    er, classification = evaluation.er, evaluation.classification
    if not evaluation.model.labels:
        return []
    if er is None:
        return [("ER, mAP", "—", "this model gives no scores in annotated boxes")]
    beside = (
        f"chance {percent(er.chance)}; {er.classes} labels; {er.persons:,} persons; annotations: "
        f"{_annotations(evaluation)}{_coverage(er.coverage)}{_read(evaluation)}"
    )
    rows = [("ER, mAP", percent(er.mean_average_precision) + _interval(evaluation, "er"), beside)]
    scored = _scored(evaluation)
    if 0 < scored.sum() < er.classes:
        value, chance = float(er.average_precision[scored].mean()), float(er.prevalence[scored].mean())
        beside = f"chance {percent(chance)}; {scored.sum()} labels"
        rows.append(("  over the labels it predicts", percent(value), beside))
    if classification is not None:
        beside = f"mean F1 {percent(classification.mean_f1)}, balanced {percent(classification.balanced_accuracy)}"
        rows.append(("  top-1 accuracy", percent(classification.top1), f"{beside}; {classification.persons:,} persons"))
    return rows


def _read(evaluation: Evaluation) -> str:
    words = reading(evaluation.model.pooling)
    return f"; read: {words}" if words else ""


def reading(pooling: Sequence[str]) -> str:
    """How emotions were read in annotated boxes, in words; "" where it is not known."""
    return ", ".join(READ.get(part, part) for part in pooling)


def _annotations(evaluation: Evaluation) -> str:
    assert evaluation.er is not None
    united = evaluation.dataset == "emotic" and evaluation.split != "train" and evaluation.er.annotations == "labels"
    return ANNOTATIONS[evaluation.er.annotations] + (", the union of the annotators" if united else "")


def _scored(evaluation: Evaluation) -> NDArray[np.bool_]:
    """[E] the labels that have an AP, and of which the model says anything at all."""
    assert evaluation.er is not None
    counted = np.zeros(len(evaluation.model.labels), bool)
    if evaluation.against_labels is not None:
        counted = evaluation.against_labels.count.sum(axis=1) > 0
    return np.asarray(counted & ~np.isnan(evaluation.er.average_precision))


def _persons(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    if not evaluation.model.max_persons:
        return [("PD, COCO AP", "—", "this model finds no persons; it reads emotions in given boxes")]
    rows = [("PD, COCO AP", percent(evaluation.pd.ap) + _interval(evaluation, "pd"), _detection(evaluation.pd))]
    point = evaluation.operating_point
    if point is not None:
        missed = f"{point.missed:,} of {point.persons:,} persons missed, at score ≥ {point.threshold:g} and IoU ≥ 0.5"
        images = f"{point.exhaustive_images:,}" if point.exhaustive_images else "no"
        false = f"on {images} images annotated in full"
        full = f"; list full in {point.saturated:,} images" if point.saturated else ""
        rows.append(("  false persons per image", number(point.false_persons_per_image), f"{false}; {missed}{full}"))
    rows.append(
        ("  as BENet's code computes it", percent(evaluation.pd_benet_compat.ap), COMPAT),
    )
    return rows


def _detection(pd: PersonDetection) -> str:
    return (
        f"AP50 {percent(pd.ap50)}, AP75 {percent(pd.ap75)}, AR {percent(pd.average_recall)}; {pd.persons:,} persons; "
        f"best {pd.top} of score ≥ {pd.threshold:g}"
    )


def _on_the_field(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    if not evaluation.model.max_persons or not evaluation.model.labels:
        return []
    field, strict = evaluation.oer, evaluation.oer_strict
    share = f", (OER − chance) / (ER − chance) {percent(evaluation.oer_relative)}" if evaluation.er else ""
    beside = f"floor (chance) {percent(field.chance)}{share}; {_settings(field)}{_coverage(field.coverage)}"
    rows = [("OER", percent(field.mean_average_precision) + _interval(evaluation, "oer"), beside)]
    if strict is not None:
        beside = (
            f"false detections are negatives; {strict.persons:,} persons, {strict.images:,} images annotated in full"
        )
        rows.append(("  strict", percent(strict.mean_average_precision), beside))
    rows.append(("  as BENet's code computes it", percent(evaluation.oer_benet_compat.mean_average_precision), COMPAT))
    return rows


def _settings(field: OnTheField) -> str:
    return f"best {field.top} of score ≥ {field.threshold:g}; found at IoU 0.5: {percent(float(field.found[0]))}"


def _calibration(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    given: list[tuple[str, Reliability | None]] = [
        ("against the labels", evaluation.against_labels),
        ("against the part of annotators", evaluation.against_votes),
    ]
    return [
        (
            f"ECE {name}",
            percent(value.mean_ece),
            f"mean over labels, {value.score.shape[1]} bins; Brier {value.mean_brier:.4f}",
        )
        for name, value in given
        if value is not None
    ]


def _controls(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    rows = []
    control, agreement, affect = evaluation.label_shuffle, evaluation.agreement, evaluation.affect
    if control is not None:
        spread = f"± {percent(control.standard_deviation)} over {control.shuffles} shuffles"
        beside = f"{spread}; must be near chance, {percent(control.chance)}, and with few persons above it"
        rows.append(("ER with labels shuffled", percent(control.mean_average_precision), beside))
    if agreement is not None:
        beside = (
            f"one annotator against the union of the {agreement.annotators - 1} others; chance "
            f"{percent(agreement.one_against_union_chance)}"
        )
        rows.append(("ER of a human", percent(agreement.one_against_union), beside))
    if affect is not None and affect.annotated:
        ccc, mae = (" / ".join(number(value) for value in values) for values in (affect.ccc, affect.mae))
        rows.append(
            ("CCC of V / A / D", ccc, f"MAE {mae}; {affect.persons:,} of {affect.annotated:,} annotated persons")
        )
    return rows


def _coverage(coverage: float) -> str:
    if coverage == 1 or math.isnan(coverage):
        return ""
    return f"; scores are given for {percent(coverage)} %, the others count as 0"


def _interval(evaluation: Evaluation, name: str) -> str:
    interval = evaluation.intervals.get(name)
    return f" [{percent(interval.low)}, {percent(interval.high)}]" if interval else ""


def interval_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """What the intervals beside the values were made of, which is the same for all."""
    interval = next(iter(evaluation.intervals.values()), None)
    if interval is None:
        return []
    beside = f"of the intervals in brackets, {interval.confidence:.0%}: bootstrap with {interval.replicates:,} draws"
    return [("independent groups of images", f"{interval.groups:,}", beside)]
