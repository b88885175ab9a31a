"""The folders that ``caer evaluate bag`` and ``caer evaluate dataset`` write with --output, read again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from caer_ros.offline.data import predictions as prediction_table
from caer_ros.offline.evaluation.bags import as_recorded, bag_sets
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.recordings import whole_file
from caer_ros.recordings.annotations import own

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.data.predictions import Predictions
    from caer_ros.recordings.annotations.sample import Dataset

PREDICTIONS, METRICS, REPORT = "predictions.jsonl", "metrics.json", "report.html"
FILES = frozenset({PREDICTIONS, own.WHOLE, METRICS, REPORT})
"""What a result folder holds."""
BAG, DATASET = "caer evaluate bag", "caer evaluate dataset"
"""Formats of metrics.json."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One result folder."""

    name: str
    folder: Path
    manner: str
    """How the table came about, in words."""
    dataset: Dataset
    predictions: Predictions
    """One entry for each sample."""
    metrics: dict[str, Any]
    """Metrics as in ``metrics.json``."""


def write(folder: Path, dataset: Dataset, predictions: Predictions) -> None:
    """Predictions and annotations, as soon as they are there: they took the time.

    What an earlier run left goes first, so that the folder never holds parts of two results.
    """
    for name in (METRICS, REPORT, PREDICTIONS):
        (folder / name).unlink(missing_ok=True)
    whole_file.write_text(folder / own.WHOLE, own.dumps(dataset))
    prediction_table.write(folder / PREDICTIONS, predictions)


def finish(folder: Path, metrics: dict[str, Any], html: str) -> str:
    """Numbers and report beside them; returns where they are, in words."""
    whole_file.write_text(folder / REPORT, html)
    whole_file.write_text(folder / METRICS, json.dumps(metrics, indent=1) + "\n")
    return f"written: {folder / REPORT}; {METRICS}, {own.WHOLE} and {PREDICTIONS} beside it"


def read(folder: Path) -> Result:
    """One result folder.

    Raises:
        MetricsError: it is none.
        PredictionsError, DatasetError: a file in it cannot be read.
    """
    missing = [name for name in (METRICS, own.WHOLE, PREDICTIONS) if not (folder / name).is_file()]
    if missing:
        raise MetricsError(
            f"{folder}: no {' and no '.join(missing)}; a result is a folder that `{BAG}` or `{DATASET}` wrote with "
            "--output"
        )
    metrics = _metrics(folder / METRICS)
    dataset = own.read(folder / own.WHOLE)
    table = prediction_table.read(folder / PREDICTIONS)
    if metrics.get("manner") == "as recorded":
        table = _answers(folder, table, dataset, metrics)
    return Result(folder.name, folder, _manner(metrics), dataset, table, metrics)


def _metrics(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MetricsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") not in (BAG, DATASET):
        raise MetricsError(f'{path}: no field format of "{BAG}" or "{DATASET}"; was it written by one of them?')
    return content


def _answers(folder: Path, published: Predictions, dataset: Dataset, metrics: dict[str, Any]) -> Predictions:
    """What a listener knew of each sample, from the messages that the table of such a result holds."""
    try:
        names, deadline = [bag["name"] for bag in metrics["bags"]], float(metrics["deadline"])
    except (KeyError, TypeError, ValueError) as error:
        raise MetricsError(f"{folder / METRICS}: field missing or of the wrong kind: {error!r}") from error
    parts = bag_sets.apart(published, dataset, names)
    judged = [as_recorded.streaming(part, samples, deadline) for part, samples in parts]
    return replace(judged[0], images=[image for part in judged for image in part.images])


def _manner(metrics: dict[str, Any]) -> str:
    manner = str(metrics.get("manner", "on a data set"))
    deadline = metrics.get("deadline")
    return manner if deadline is None else f"{manner} at {1000 * deadline:g} ms"
