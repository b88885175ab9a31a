"""Several bags evaluated as one set: image and track ids begin with the bag's name, so that sequences stay apart."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from caer_ros.offline.data.predictions import Predictions
from caer_ros.offline.evaluation.bags import as_recorded
from caer_ros.offline.evaluation.bags.as_recorded import Account, Fates
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader
    from caer_ros.recordings.annotations.sample import Sample


def names(bags: Sequence[Path]) -> tuple[str, ...]:
    """A name for each bag: of its folder, or of its file without the ending; numbered where two are alike."""
    own = [bag.resolve().stem if bag.is_file() else bag.resolve().name for bag in bags]
    result: list[str] = []
    for name in own:
        numbered = (f"{name}_{number}" for number in count(1))
        free = (other for other in numbered if other not in own and other not in result)
        result.append(next(free) if own.count(name) > 1 else name)
    return tuple(result)


def samples_of(datasets: Sequence[Dataset], named: Sequence[str]) -> Dataset:
    """The samples of all bags as one set; of one bag as they are.

    Raises:
        DatasetError: the bags are annotated with different labels.
    """
    first, *others = datasets
    if not others:
        return first
    for name, other in zip(named[1:], others, strict=True):
        if (other.labels, other.multi_label) != (first.labels, first.multi_label):
            raise DatasetError(
                f"{named[0]} is annotated with {_labels(first)}, {name} with {_labels(other)}; evaluate them apart"
            )
    drafts: list[dict[str, Any]] = []
    for draft in (draft for dataset in datasets for draft in dataset.drafts):
        drafts += [draft] if draft not in drafts else []
    return replace(
        first,
        samples=tuple(
            _sample(sample, name) for dataset, name in zip(datasets, named, strict=True) for sample in dataset.samples
        ),
        findings=_findings([dataset.findings for dataset in datasets]),
        prefilled_by=drafts if len(drafts) > 1 else next(iter(drafts), None),
    )


def tables_of(tables: Sequence[Predictions], named: Sequence[str]) -> Predictions:
    """The tables of all bags, by one model, as one; of one bag as it is.

    Raises:
        DatasetError: the bags were answered by different models.
    """
    first, *others = tables
    if not others:
        return first
    for name, other in zip(named[1:], others, strict=True):
        if _model(other.header) != _model(first.header):
            raise DatasetError(
                f"{named[0]} was answered by {first.header.model} {first.header.model_version}, {name} by "
                f"{other.header.model} {other.header.model_version}; evaluate them apart"
            )
    headers = [table.header for table in tables]
    thresholds = {
        threshold: min(header.thresholds[threshold] for header in headers)
        for threshold in first.header.thresholds
        if all(threshold in header.thresholds for header in headers)
    }
    header = replace(
        first.header,
        source="; ".join(header.source for header in headers),
        max_persons=max(header.max_persons for header in headers),
        thresholds=thresholds,
    )
    images = [_image(image, name) for table, name in zip(tables, named, strict=True) for image in table.images]
    return Predictions(header, images)


def apart(whole: Predictions, dataset: Dataset, named: Sequence[str]) -> list[tuple[Predictions, list[Sample]]]:
    """For each bag its part of a table and of the samples, which keep their ids; the inverse of putting them together
    but for the header.
    """
    if len(named) == 1:
        return [(whole, list(dataset.samples))]
    return [
        (
            replace(whole, images=[image for image in whole.images if image.image_id.startswith(f"{name}/")]),
            [sample for sample in dataset.samples if sample.image_id.startswith(f"{name}/")],
        )
        for name in named
    ]


def answers_of(
    tables: Sequence[Predictions], parts: Sequence[Sequence[Sample]], named: Sequence[str], deadline: float
) -> Predictions:
    """What a listener knew of each sample of all bags, see ``as_recorded.streaming``.

    Args:
        tables: what was published in each bag.
        parts: the samples of each bag.
        named: the bags.
        deadline: seconds.

    Raises:
        MetricsError: as ``as_recorded.streaming``.
    """
    both = zip(tables, parts, strict=True)
    return tables_of([as_recorded.streaming(table, samples, deadline) for table, samples in both], named)


def accounts_of(accounts: Sequence[Account], named: Sequence[str]) -> Account:
    """What became of the frames of all bags; of one bag as it is."""
    first, *others = accounts
    if not others:
        return first
    return Account(
        deadline=first.deadline,
        fates=tuple(fate for one in accounts for fate in one.fates),
        image_missing=tuple(missing for one in accounts for missing in one.image_missing),
        annotated=_fates([one.annotated for one in accounts]),
        frames=_fates([one.frames for one in accounts]),
        drops=sum(one.drops for one in accounts),
        rejected=None if all(one.rejected is None for one in accounts) else sum(one.rejected or 0 for one in accounts),
        unexplained=sum(one.unexplained for one in accounts),
        images_missing=sum(one.images_missing for one in accounts),
        images_lost=sum(one.images_lost for one in accounts),
        before_first=sum(one.before_first for one in accounts),
        after_last=sum(one.after_last for one in accounts),
        notes=tuple(f"{name}: {note}" for one, name in zip(accounts, named, strict=True) for note in one.notes),
    )


def _fates(parts: Sequence[Fates]) -> Fates:
    return Fates(**{field.name: sum(getattr(part, field.name) for part in parts) for field in fields(Fates)})


def _sample(sample: Sample, name: str) -> Sample:
    tracks = tuple(f"{name}/{track}" if track else "" for track in sample.track_ids)
    return replace(sample, image_id=f"{name}/{sample.image_id}", track_ids=tracks)


def _image(image: ImagePrediction, name: str) -> ImagePrediction:
    tracked = image.tracked and replace(
        image.tracked, ids=tuple(f"{name}/{track}" if track else "" for track in image.tracked.ids)
    )
    return replace(image, image_id=f"{name}/{image.image_id}", tracked=tracked)


def _model(header: PredictionHeader) -> tuple[object, ...]:
    return header.model, header.model_version, header.labels, header.box_kind


def _findings(parts: Sequence[Findings]) -> Findings:
    return Findings(
        **{field.name: [line for part in parts for line in getattr(part, field.name)] for field in fields(Findings)}
    )


def _labels(dataset: Dataset) -> str:
    several = "several" if dataset.multi_label else "one"
    return f"{several} of {', '.join(dataset.labels) or 'no labels'}"
