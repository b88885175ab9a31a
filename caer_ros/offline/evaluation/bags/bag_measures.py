"""All numbers of the answers to the annotated frames of bags, whatever manner they came about in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from caer_ros.offline.evaluation.bags import as_recorded, bag_sets
from caer_ros.offline.metrics import summary
from caer_ros.offline.metrics.joined import MetricsError, join
from caer_ros.offline.metrics.over_time.false_persons import false_persons
from caer_ros.offline.metrics.over_time.stability import stability
from caer_ros.offline.metrics.over_time.timing import distribution
from caer_ros.offline.metrics.over_time.tracking import tracking
from caer_ros.offline.metrics.reliability import of_found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from caer_ros.offline.data.predictions import Predictions
    from caer_ros.offline.evaluation.bags.bag_inputs import Annotated
    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.metrics.over_time.false_persons import FalsePersons
    from caer_ros.offline.metrics.over_time.stability import Stability
    from caer_ros.offline.metrics.over_time.timing import Distribution
    from caer_ros.offline.metrics.over_time.tracking import Tracking
    from caer_ros.offline.metrics.reliability import Reliability
    from caer_ros.offline.metrics.summary import Evaluation
    from caer_ros.recordings.annotations.sample import Dataset

    T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """One answer to each frame, measured; None where a metric does not apply, and a note that says why."""

    joined: Joined
    evaluation: Evaluation
    false_persons: FalsePersons | None
    reliability_of_found: Reliability | None
    tracking: Tracking | None
    stability: Stability | None
    notes: tuple[str, ...]


def measure(dataset: Dataset, predictions: Predictions, replicates: int = 0, any_box_kind: bool = False) -> Measures:
    """Everything that applies.

    Args:
        dataset, predictions: one answer for each sample.
        replicates: of the bootstrap over tracks or recordings; 0: no intervals.
        any_box_kind: accept boxes that surround another thing than the annotated ones.

    Raises:
        MetricsError: the two do not belong together.
    """
    evaluation = summary.evaluate(dataset, predictions, replicates=replicates, any_box_kind=any_box_kind)
    joined = join(dataset.samples, predictions, any_box_kind=any_box_kind)
    notes: list[str] = []
    return Measures(
        joined=joined,
        evaluation=evaluation,
        false_persons=_or_note("false persons", false_persons, joined, notes),
        reliability_of_found=of_found(joined) if dataset.labels else None,
        tracking=_or_note("HOTA", tracking, joined, notes),
        stability=_or_note("stability over tracks", stability, joined, notes),
        notes=(*evaluation.notes, *notes),
    )


def strict(
    tables: Sequence[Predictions],
    bags: Sequence[Annotated],
    dataset: Dataset,
    deadline: float,
    any_box_kind: bool,
    notes: list[str],
) -> Evaluation | None:
    """ER, PD and OER of the answers to the very frames of all bags, see ``as_recorded.strict``.

    Args:
        tables, bags: of each bag what was published, and what is annotated.
        dataset: all of these bags.
        deadline: seconds.
        any_box_kind: as of ``measure``.
        notes: gets a line where there is no such frame.

    Raises:
        MetricsError: as ``as_recorded.strict``.
    """
    named = [bag.name for bag in bags]
    answered = [
        as_recorded.strict(table, bag.dataset.samples, deadline) for table, bag in zip(tables, bags, strict=True)
    ]
    left = [replace(bag.dataset, samples=tuple(samples)) for bag, (_, samples) in zip(bags, answered, strict=True)]
    answers, whole = bag_sets.tables_of([table for table, _ in answered], named), bag_sets.samples_of(left, named)
    if not whole.samples:
        notes.append("No strict numbers: no annotated frame lies between the first and the last answer.")
        return None
    return summary.evaluate(replace(dataset, samples=whole.samples), answers, any_box_kind=any_box_kind)


def known_age(answers: Predictions, dataset: Dataset, deadline: float) -> Distribution:
    """Age of what a listener knew of each sample, see ``as_recorded.ages``."""
    return distribution(as_recorded.ages(answers, dataset.samples, deadline))


def drafted(datasets: Sequence[Dataset], models: Sequence[str]) -> list[str]:
    """Who wrote the first drafts of the annotations; a warning where it is one whose answers are judged by them.

    Args:
        datasets: what is annotated.
        models: name and version of each that answered, with a space between.
    """
    said = []
    for draft in (draft for dataset in datasets for draft in dataset.drafts):
        what = " and ".join(part for part in ("boxes", "emotions") if draft.get(part)) or "boxes"
        judged = [model for model in models if model.endswith(f" {draft['version']}")]
        said += [
            f"{as_recorded.WARNING}: {model} wrote the first draft of these annotations ({what}) and is now judged by "
            "them: the numbers flatter it."
            for model in judged
        ]
        if not judged:
            said.append(
                f"The first draft of the annotations ({what}) was written by {draft['name']} {draft['version']}."
            )
    return list(dict.fromkeys(said))


def _or_note(what: str, metric: Callable[[Joined], T], joined: Joined, notes: list[str]) -> T | None:
    try:
        return metric(joined)
    except MetricsError as error:
        notes.append(f"No {what}: {error}.")
        return None
