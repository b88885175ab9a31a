"""Read a model bundle strictly: nothing in it is executed or unpickled, and no field of ``model.yaml`` is guessed."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from caer_ros.perception.bundle.bundle import (
    FILES,
    MANIFEST,
    Bundle,
    BundleError,
    BundleFile,
    FaceRules,
    Metric,
    Provenance,
    Readability,
    Thresholds,
)
from caer_ros.perception.bundle.fields import Fields
from caer_ros.perception.bundle.verifying import bundle_hash, verify_file
from caer_ros.perception.calibration import Calibration
from caer_ros.perception.imaging.resizing import INTERPOLATIONS, MODES, Resize
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.taxonomy import LABEL_SETS

if TYPE_CHECKING:
    from pathlib import Path

_SCORE_TYPES = {"softmax": ScoreType.SOFTMAX, "sigmoid": ScoreType.SIGMOID}
_BOX_KINDS = {"body": BoxKind.BODY, "head": BoxKind.HEAD, "face": BoxKind.FACE}
_PERSON_SCORES = ("logit", "max_class")
_POOLINGS = ("box_mean", "box_attention", "centre", "query")
_COMMERCIAL_USE = {"true": True, "false": False, "unknown": None}


def read_bundle(path: Path, verify: bool = True) -> Bundle:
    """Read a bundle's folder.

    Args:
        path: the folder, as ``finding.find_bundle`` returns it.
        verify: compare the files' sizes and hashes with ``model.yaml``.

    Raises:
        BundleError: names the file and field, what was expected and the remedy.
    """
    manifest = path / MANIFEST
    text, document = _load(manifest)
    fields = Fields(manifest, document)
    bundle = _bundle(path, text, fields)
    fields.end()
    if verify:
        for name, file in bundle.files.items():
            verify_file(manifest, name, file)
    return bundle


def _load(manifest: Path) -> tuple[bytes, Any]:
    try:
        text = manifest.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{manifest}: cannot be read ({error.strerror}); a bundle is a folder with this file"
        ) from error
    try:
        return text, yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BundleError(f"{manifest}: not valid YAML: {error}") from error


def _bundle(path: Path, text: bytes, fields: Fields) -> Bundle:
    kind = fields.choice("kind", {kind: kind for kind in FILES})
    single_shot = kind == "single_shot"
    label_set, labels = _labels(fields)
    files = _files(path, kind, fields.section("files"))
    return Bundle(
        path=path,
        name=fields.text("name"),
        version=fields.text("version"),
        kind=kind,
        label_set=label_set,
        labels=labels,
        predictable=_predictable(fields, labels),
        score_type=fields.choice("score_type", _SCORE_TYPES),
        box_kind=fields.choice("box_kind", _BOX_KINDS),
        max_persons=fields.integer("max_persons", 1),
        thresholds=_thresholds(fields.section("thresholds")),
        calibration=_calibration(fields, len(labels)),
        provenance=_provenance(fields.section("provenance")),
        licence=fields.text("licence"),
        commercial_use=fields.choice("commercial_use", _COMMERCIAL_USE),
        files=files,
        sha256=bundle_hash(text, files),
        person_score=fields.choice("person_score", {score: score for score in _PERSON_SCORES}) if single_shot else None,
        pooling=fields.choice("pooling", {pooling: pooling for pooling in _POOLINGS}) if single_shot else None,
        resize=_resize(fields.section("resize")) if single_shot else None,
        readability=_readability(fields) if single_shot else None,
        faces=None if single_shot else _face_rules(fields.section("faces")),
    )


def _labels(fields: Fields) -> tuple[str, tuple[str, ...]]:
    label_set, labels = fields.text("label_set"), fields.texts("labels")
    if not labels or len(set(labels)) != len(labels):
        fields.fail("labels", "a list of different names", labels)
    if label_set in LABEL_SETS and labels != LABEL_SETS[label_set]:
        expected = f'exactly those of label set "{label_set}", in this order: {", ".join(LABEL_SETS[label_set])}'
        fields.fail("labels", expected, labels, "give another label_set when the labels are your own")
    return label_set, labels


def _predictable(fields: Fields, labels: tuple[str, ...]) -> tuple[bool, ...]:
    names = fields.texts("predictable")
    for name in names:
        if name not in labels:
            fields.fail("predictable", "names out of labels", name)
    return tuple(label in names for label in labels)


def _thresholds(fields: Fields) -> Thresholds:
    result = Thresholds(fields.number("person", 0, 1), fields.number("uncertain", 0, 1))
    fields.end()
    return result


def _face_rules(fields: Fields) -> FaceRules:
    result = FaceRules(
        person_nms=fields.number("person_nms", 0, 1),
        face_score=fields.number("face_score", 0.01, 0.99),
        min_face=fields.number("min_face", 1, 1000),
        max_yaw=fields.number("max_yaw", 0, 90),
        min_visible=fields.number("min_visible", 0, 1),
    )
    fields.end()
    return result


def _readability(fields: Fields) -> Readability | None:
    if not fields.has("readability"):
        return None
    section = fields.section("readability")
    result = Readability(section.number("readable", 0, 1), section.number("face", 0, 1), section.number("small", 0))
    section.end()
    return result


def _resize(fields: Fields) -> Resize:
    mode = fields.choice("mode", {mode: mode for mode in MODES})
    interpolation = fields.choice("interpolation", {name: name for name in INTERPOLATIONS})
    if mode == "short_side":
        short = fields.integer("short", 1)
        result = Resize(
            mode,
            short=short,
            longest=fields.integer("max", short),
            multiple=fields.integer("multiple", 1),
            interpolation=interpolation,
        )
    else:
        expected = "[height, width] in pixels"
        size = fields.take("size", expected)
        if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
            fields.fail("size", expected, size)
        result = Resize(mode, size=(size[0], size[1]), interpolation=interpolation)
    fields.end()
    return result


def _calibration(fields: Fields, labels: int) -> Calibration | None:
    if not fields.has("calibration"):
        return None
    section = fields.section("calibration")
    temperature, bias = section.numbers("temperature", labels), section.numbers("bias", labels)
    if min(temperature) <= 0:
        section.fail("temperature", "numbers above 0", list(temperature))
    section.end()
    return Calibration(temperature, bias)


def _provenance(fields: Fields) -> Provenance:
    metrics = []
    for metric in fields.sections("metrics"):
        metrics.append(Metric(metric.text("name"), metric.number("value"), metric.text("protocol")))
        metric.end()
    result = Provenance(fields.text("data"), fields.text("recipe"), fields.text("commit"), tuple(metrics))
    fields.end()
    return result


def _files(path: Path, kind: str, fields: Fields) -> dict[str, BundleFile]:
    files = {}
    for name in FILES[kind]:
        entry = fields.section(name)
        relative = entry.text("path")
        # By its words, not resolved: colcon --symlink-install installs files as links out of the folder.
        pure = PurePosixPath(relative)
        if pure.is_absolute() or ".." in pure.parts or "\\" in relative or ":" in relative:
            entry.fail("path", "a path inside the bundle's folder", relative)
        digest = entry.text("sha256").lower()
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            entry.fail("sha256", "64 hex digits", digest, f"run sha256sum {relative}")
        files[name] = BundleFile(path / relative, entry.integer("size", 1), digest)
        entry.end()
    fields.end()
    return files
