"""A composed bundle of somebody's expression network: the carried networks find persons and faces, it reads them."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from caer_ros import __version__
from caer_ros.offline.export.demo_photos import named_pictures
from caer_ros.offline.importers.face_description import describe
from caer_ros.offline.importers.onnx_file import read
from caer_ros.offline.importers.published_faces import COMMIT
from caer_ros.offline.importers.refused import ImporterError
from caer_ros.perception.bundle.bundle import MANIFEST, Bundle, BundleError
from caer_ros.perception.bundle.finding import find_bundle, is_replaceable
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineError, EngineSettings
from caer_ros.perception.person import EmotionStatus
from caer_ros.perception.predictors import predictor
from caer_ros.whole_folder import recover, whole_folder

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.importers.face_description import Described, Given
    from caer_ros.offline.importers.onnx_file import OnnxFile
    from caer_ros.offline.importers.published_faces import Preset
    from caer_ros.perception.bundle.bundle import Column
    from caer_ros.perception.prediction import Prediction

CARRIED = "bootstrap"
"""The bundle whose networks find persons and faces."""
_CARRIED_LICENCE = "Apache-2.0"
"""Of these two: NanoDet's and MediaPipe's."""
_BESIDE = "LICENSE-Apache-2.0.txt"
_FILE = "expression.onnx"


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """What neither graph nor preset knows."""

    name: str = ""
    """Name of the bundle; "" takes the output folder's."""
    version: str = "1.0.0"
    licence: str | None = None
    """SPDX expression of the network; None takes the preset's, else LicenseRef-unknown."""
    commercial_use: bool | None = None
    """None: unknown."""
    data: str = ""
    """What it was trained on."""
    uncertain: float | None = None
    """A top score below it is UNCERTAIN; None takes the carried bundle's."""


@dataclass(frozen=True, slots=True)
class FaceImport:
    """A written bundle."""

    bundle: Bundle
    described: Described
    published: bool
    """Is it, byte for byte, the file that the preset is about?"""
    answers: dict[str, str]
    """What the bundle says of the demo's photographs, by their names."""


def write(
    path: Path,
    output: Path,
    given: Given,
    preset: Preset | None,
    settings: FaceSettings,
    *,
    overwrite: bool = False,
) -> FaceImport:
    """Writes a bundle, complete or not at all: three networks, ``model.yaml``, the card and a licence.

    Before the folder appears, the bundle was read, loaded and run on the demo's photographs as the node does it.

    Args:
        path: the ONNX file; it is stored as it is.
        output: the folder; its name is the bundle's.
        given: what a person says of the file.
        preset: what is published of it.
        settings: of the bundle.
        overwrite: replace an existing bundle.

    Raises:
        ImporterError: the file cannot be used, is not described, or reads no face; or the folder exists (with
            ``overwrite``: and is neither a bundle nor empty).
        BundleError: the carried bundle is missing or damaged.
    """
    recover(output)
    _check_place(output, overwrite)
    file = read(path)
    pictures = named_pictures()
    described = describe(file, given, preset, pictures)
    carried = _carried()
    published = preset is not None and file.blob == preset.blob
    fields = manifest(file, described, preset if published else None, preset, settings, carried, output.name)
    with whole_folder(output, overwrite) as made:
        made.mkdir(parents=True)
        for name in ("detector", "face"):
            shutil.copyfile(carried.files[name].path, made / carried.files[name].path.name)
        shutil.copyfile(carried.path / _BESIDE, made / _BESIDE)
        (made / _FILE).write_bytes(file.content)
        (made / MANIFEST).write_text(as_yaml(fields), "utf-8")
        (made / "README.md").write_text(readme(file, described, preset, published, fields), "utf-8")
        answers = _tried(made, pictures, path)
    return FaceImport(read_bundle(output), described, published, answers)


def _check_place(output: Path, overwrite: bool) -> None:
    if output.exists() and not overwrite:
        raise ImporterError(f"{output} exists; give another name, or --overwrite")
    if output.exists() and not is_replaceable(output):
        raise ImporterError(f"{output} is no bundle, so it is not replaced; give another folder")


def _carried() -> Bundle:
    bundle = read_bundle(find_bundle(CARRIED))
    if bundle.faces is None or not (bundle.path / _BESIDE).is_file():
        raise BundleError(
            f"{bundle.path}: not the {CARRIED} that comes with the package; take it out of the working directory and "
            "of CAER_MODEL_PATH, or install the package again"
        )
    return bundle


def _tried(folder: Path, pictures: dict[str, Any], path: Path) -> dict[str, str]:
    """Reads, loads and runs the bundle; what it says of each picture."""
    try:
        model = predictor.load(read_bundle(folder), EngineSettings(device="cpu"))
        predictions = {name: model([image])[0] for name, image in pictures.items()}
    except EngineError as error:
        raise ImporterError(f"{path}: {str(error).replace(str(folder / _FILE), _FILE)}; nothing was written") from error
    persons = [person for prediction in predictions.values() for person in prediction.persons]
    if not any(person.status in (EmotionStatus.OK, EmotionStatus.UNCERTAIN) for person in persons):
        raise ImporterError(
            f"{path}: read none of the faces in the demo's photographs (not finite numbers); nothing was written"
        )
    return {name: in_words(prediction, model.bundle.labels) for name, prediction in predictions.items()}


def in_words(prediction: Prediction, labels: tuple[str, ...]) -> str:
    """The first person of a picture: "Happy 0.97", with valence and arousal where predicted, or the status."""
    if not prediction.persons:
        return "nobody found"
    person = prediction.persons[0]
    if not np.isfinite(person.scores).any():
        return person.status.name
    best = int(np.nanargmax(person.scores))
    words = f"{labels[best]} {person.scores[best]:.2f}"
    if person.vad is None:
        return words
    return words + "".join(
        f", {name} {value:+.2f}"
        for name, value in zip(("valence", "arousal"), person.vad.tolist()[:2], strict=True)
        if np.isfinite(value)
    )


def manifest(
    file: OnnxFile,
    described: Described,
    published: Preset | None,
    preset: Preset | None,
    settings: FaceSettings,
    carried: Bundle,
    name: str,
) -> dict[str, Any]:
    """The fields of ``model.yaml``.

    Args:
        file, described: the network.
        published: the preset where the file is the very one that it is about: its scores are the file's.
        preset: of the file's name.
        settings: of the bundle.
        carried: where detector, face network, their rules and thresholds are from.
        name: of the folder.
    """
    assert carried.faces is not None
    rules = carried.faces
    licence = settings.licence or (preset.licence if preset else "LicenseRef-unknown")
    own = f"({licence})" if " OR " in licence else licence
    uncertain = carried.thresholds.uncertain if settings.uncertain is None else settings.uncertain
    source = (preset.source + (", that very file" if published else ", a file of that name")) if preset else "unstated"
    return {
        "name": settings.name or name,
        "version": settings.version,
        "kind": "composed",
        "label_set": described.label_set or settings.name or name,
        "labels": list(described.labels),
        "predictable": list(described.predictable),
        "score_type": described.score_type.name.lower(),
        "box_kind": carried.box_kind.name.lower(),
        "max_persons": carried.max_persons,
        "thresholds": {"person": carried.thresholds.person, "uncertain": uncertain},
        "faces": {
            "person_nms": rules.person_nms,
            "face_score": rules.face_score,
            "min_face": rules.min_face,
            "max_yaw": rules.max_yaw,
            "min_visible": rules.min_visible,
        },
        "expression": _expression(described),
        "provenance": {
            "data": "Expression: "
            + (settings.data or (preset.data if preset else "unknown"))
            + ". Person: COCO. Face: MediaPipe's own images",
            "recipe": (
                f"Expression: trained by others, source {source}; {file.path.name}, sha256 {file.sha256}, stored as it "
                f"is. Person and face: of {carried.name} {carried.version}"
            ),
            "commit": f"EmotiEffLib {COMMIT}" if published else "unknown",
            "metrics": published.metrics if published else [],
        },
        "licence": _CARRIED_LICENCE if own == _CARRIED_LICENCE else f"{_CARRIED_LICENCE} AND {own}",
        "commercial_use": "unknown" if settings.commercial_use is None else settings.commercial_use,
        "files": {
            **{
                part: {
                    "path": carried.files[part].path.name,
                    "size": carried.files[part].size,
                    "sha256": carried.files[part].sha256,
                }
                for part in ("detector", "face")
            },
            "expression": {
                "path": _FILE,
                "size": len(file.content),
                "sha256": hashlib.sha256(file.content).hexdigest(),
            },
        },
    }


def _expression(described: Described) -> dict[str, Any]:
    rule = described.rule
    numbers = {"span": rule.span, "mean": list(rule.mean), "std": list(rule.std)} if rule.dtype == "float32" else {}
    columns: dict[str, Column | None] = {"valence": rule.valence, "arousal": rule.arousal}
    return {
        "size": rule.size,
        "layout": rule.layout,
        "channels": rule.channels,
        "dtype": rule.dtype,
        **numbers,
        "crop": rule.crop,
        "antialias": rule.antialias,
        "output": rule.output,
        "gives": rule.gives,
        "labels": list(rule.labels),
        **{name: {"output": at.output, "column": at.index} for name, at in columns.items() if at is not None},
    }


def as_yaml(fields: dict[str, Any]) -> str:
    """The text of ``model.yaml``."""
    head = f"# Written by caer import faces, caer_ros {__version__}. docs/bundles.md explains every field.\n"
    return head + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


_README = """# {name}: persons, faces, and their expressions by a network of others

A composed bundle, version {version}: NanoDet finds persons, BlazeFace their faces, and one network, which others
trained, reads the expression of each face. It looks at faces alone, never at body or scene, and its cost grows with
each person. Written by caer_ros; `model.yaml` holds the same facts for programs.

| | |
|---|---|
| expression network | `{file}`, sha256 {sha256}, stored as it is |
| source | {source} |
| trained on | {data} |
| input | {size}×{size} pixels, {channels}, {layout}, {dtype}, {numbers} |
| face | a square of {crop:g} times the longer side of its box{antialias} |
| output | `{output}`: {gives} of {network_labels} |
| valence, arousal | {affect} |
| labels | {label_set}: {labels} |
| person and face | those of `bootstrap`, changed by the caer_ros authors as its card says; Apache-2.0, see `{beside}` |

**Licence: {licence}. Commercial use: {commercial}.** {terms}

## Scores

{metrics}

Nothing was measured with these persons and faces. `caer evaluate dataset` measures the bundle on annotated images,
`caer models compare bootstrap {name}` shows where it disagrees with the carried networks.

## What it does not say

There is a label only where a face is found, is {min_face:g} px wide or more, is turned by at most {max_yaw:g}°, lies
in the image with {min_visible:.0%} of its box or more, and the top score is at least {uncertain:g}. These rules were
chosen for the networks of `bootstrap`, not for this one. Persons and faces are found as by `bootstrap`, with the known
failings of its card. One network cannot disagree with itself: a mistake that it is sure of is not noticed.

Apparent expression is not inner state. Not for decisions about people, and not for work or school, where the EU AI Act
(Regulation 2024/1689, article 5) forbids inferring emotions, other than for medical or safety reasons.
"""


def readme(file: OnnxFile, described: Described, preset: Preset | None, published: bool, fields: dict[str, Any]) -> str:
    """The card for people, Markdown."""
    rule = described.rule
    metrics = fields["provenance"]["metrics"]
    rows = [f"| {metric['name']} | {metric['value']:.4g} | {metric['protocol']} |" for metric in metrics]
    absent = [label for label in described.labels if label not in described.predictable]
    affect = [f"`{at.output}`, column {at.index}" for at in (rule.valence, rule.arousal) if at is not None]
    unlike = "" if published or preset is None else "; a file of that name, but not the one of that commit"
    return _README.format(
        name=fields["name"],
        version=fields["version"],
        file=file.path.name,
        sha256=file.sha256,
        source=(preset.source + unlike) if preset else "not stated",
        data=fields["provenance"]["data"],
        size=rule.size,
        channels=rule.channels,
        layout=rule.layout.upper(),
        dtype=rule.dtype,
        numbers=_numbers(described),
        crop=rule.crop,
        antialias=", averaged where it shrinks" if rule.antialias else "",
        output=rule.output,
        gives=rule.gives,
        network_labels=", ".join(rule.labels),
        affect=" and ".join(affect) or "not predicted",
        label_set=fields["label_set"],
        labels=", ".join(described.labels) + (f"; never predicted: {', '.join(absent)}" if absent else ""),
        beside=_BESIDE,
        licence=fields["licence"],
        commercial={True: "allowed", False: "not allowed"}.get(fields["commercial_use"], "unknown"),
        terms=f"{preset.terms}." if preset else "Ask its authors before you ship it.",
        metrics="\n".join(["| metric | value | protocol |", "|---|---|---|", *rows]) if rows else "None are known.",
        min_face=fields["faces"]["min_face"],
        max_yaw=fields["faces"]["max_yaw"],
        min_visible=fields["faces"]["min_visible"],
        uncertain=fields["thresholds"]["uncertain"],
    )


def _numbers(described: Described) -> str:
    rule = described.rule
    if rule.dtype == "uint8":
        return "bytes as they are"
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (rule.mean, rule.std))
    return f"pixels 0..{rule.span:g}, less {mean}, divided by {std}"
