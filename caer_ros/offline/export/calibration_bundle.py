"""A calibrated bundle: a copy of one folder into another, with the calibration in its card."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml

from caer_ros import __version__
from caer_ros.offline.export.calibration_fit import CalibrationError
from caer_ros.perception.bundle.bundle import MANIFEST
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.whole_folder import recover, whole_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from caer_ros.perception.bundle.bundle import Bundle, Metric, Thresholds
    from caer_ros.perception.calibration import Calibration

README = "README.md"


def write(
    bundle: Bundle,
    output: Path,
    calibration: Calibration,
    thresholds: Thresholds,
    origin: str,
    metrics: Sequence[Metric],
) -> Bundle:
    """Writes the calibrated bundle, complete or not at all; the given one stays as it is.

    Args:
        bundle: where networks, licences and all else come from.
        output: the new folder; its name is the bundle's.
        calibration, thresholds: what the new card says.
        origin: what it was calibrated on, one sentence; appended to the provenance's recipe.
        metrics: appended to the provenance's.

    Raises:
        CalibrationError: the folder exists.
        BundleError: the given bundle is not what its card says.
    """
    recover(output)
    if output.exists():
        raise CalibrationError(f"{output} exists; give another folder")
    read_bundle(bundle.path)  # a damaged file is not worth a copy
    document = yaml.safe_load((bundle.path / MANIFEST).read_text("utf-8"))
    text = _manifest(document, output.name, calibration, thresholds, origin, metrics)
    with whole_folder(output) as made:
        made.mkdir()
        _copy(bundle, made)
        (made / MANIFEST).write_text(text, "utf-8")
        with (made / README).open("a", encoding="utf-8") as file:
            file.write(_readme(bundle, calibration, thresholds, origin, metrics))
        read_bundle(made)
    return read_bundle(output)


def _copy(bundle: Bundle, folder: Path) -> None:
    """The networks, and what lies beside the card, such as licences; links become files."""
    beside = [path for path in bundle.path.iterdir() if path.is_file() and path.name != MANIFEST]
    for path in {*beside, *(file.path for file in bundle.files.values())}:
        target = folder / path.relative_to(bundle.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _manifest(
    document: dict[str, Any],
    name: str,
    calibration: Calibration,
    thresholds: Thresholds,
    origin: str,
    metrics: Sequence[Metric],
) -> str:
    """The text of the new ``model.yaml``."""
    provenance = document["provenance"]
    provenance = provenance | {
        "recipe": f"{provenance['recipe'].rstrip().rstrip('.')}. {origin}",
        "metrics": [*provenance["metrics"], *map(asdict, metrics)],
    }
    changed = document | {"name": name, "thresholds": asdict(thresholds), "provenance": provenance}
    fields: dict[str, Any] = {}
    for field, value in changed.items():
        if field == "calibration":  # null: the given bundle has none
            continue
        fields[field] = value
        if field == "thresholds":
            fields["calibration"] = {
                "temperature": list(calibration.temperature),
                "bias": list(calibration.bias),
            }
    head = f"# Written by caer calibrate, caer_ros {__version__}.\n"
    return head + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


_README = """
## Calibrated

{origin}

What is said above of thresholds and of the confidence of scores is that of `{name}`, not of this bundle: here a person
counts from a detection score of {person:g} on, and a label is certain from a score of {uncertain:g} on.

| label | temperature | bias |
|---|---|---|
{parameters}

| metric | value | protocol |
|---|---|---|
{metrics}
"""


def _readme(
    bundle: Bundle, calibration: Calibration, thresholds: Thresholds, origin: str, metrics: Sequence[Metric]
) -> str:
    parameters = zip(bundle.labels, calibration.temperature, calibration.bias, strict=True)
    return _README.format(
        origin=origin,
        name=bundle.name,
        person=thresholds.person,
        uncertain=thresholds.uncertain,
        parameters="\n".join(
            f"| {label} | {temperature:.3f} | {bias:+.3f} |" for label, temperature, bias in parameters
        ),
        metrics="\n".join(f"| {metric.name} | {metric.value:.4g} | {metric.protocol} |" for metric in metrics),
    )
