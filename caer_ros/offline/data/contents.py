"""A loaded data set in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.offline.metrics import average_precision as ap
from caer_ros.offline.metrics.positives import positives_of_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.recordings.annotations.sample import Dataset


def prevalence(dataset: Dataset) -> NDArray[np.float64]:
    """[E] part of the persons who have each label, of those for whom it is known; NaN where it is for nobody."""
    return ap.prevalence(positives_of_labels(np.concatenate([sample.emotions for sample in dataset.samples])))


def summary(dataset: Dataset) -> dict[str, Any]:
    """Plain data for JSON and tables: counts, prevalence by label (None where unknown), findings.

    ``chance_map`` is the mean prevalence: the mean AP of scores that say nothing.
    """
    persons = [len(sample) for sample in dataset.samples]
    parts = prevalence(dataset)
    by_label = dict(zip(dataset.labels, (_or_none(part) for part in parts), strict=True))
    known = [part for part in by_label.values() if part is not None]
    return {
        "images": len(persons),
        "persons": sum(persons),
        "persons_per_image": {str(count): images for count, images in sorted(Counter(persons).items())},
        "box_kinds": dict(Counter(sample.box_kind.name.lower() for sample in dataset.samples)),
        "exhaustive": all(sample.exhaustive for sample in dataset.samples),
        "ignored_regions": sum(len(sample.ignore) for sample in dataset.samples),
        "with_emotions": sum(int((~np.isnan(sample.emotions)).any(axis=1).sum()) for sample in dataset.samples),
        "with_vad": sum(int((~np.isnan(sample.vad)).any(axis=1).sum()) for sample in dataset.samples),
        "prevalence": by_label,
        "chance_map": sum(known) / len(known) if known else None,
        "findings": asdict(dataset.findings),
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
