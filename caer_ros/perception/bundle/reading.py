"""Read a model bundle strictly: nothing in it is executed or unpickled, and no field of ``model.yaml`` is guessed."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from caer_ros.perception.bundle.bundle import (
    EXPRESSION_NETWORK,
    EXPRESSION_PAIR,
    FILES,
    MANIFEST,
    Bundle,
    BundleError,
    BundleFile,
    Column,
    Expression,
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
LAYOUTS = ("nchw", "nhwc")
CHANNELS = {"rgb": 3, "bgr": 3, "grey": 1}
"""Orders of an expression network's channels, and how many there are."""
DTYPES = ("float32", "uint8")
GIVES = ("logits", "probabilities")


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
    predictable = _predictable(fields, labels)
    expression = None
    names = FILES[kind]
    if not single_shot:
        expression = _expression(fields, labels, predictable)
        names += EXPRESSION_PAIR if expression is None else EXPRESSION_NETWORK
    files = _files(path, names, fields.section("files"))
    return Bundle(
        path=path,
        name=fields.text("name"),
        version=fields.text("version"),
        kind=kind,
        label_set=label_set,
        labels=labels,
        predictable=predictable,
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
        expression=expression,
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


def _expression(fields: Fields, labels: tuple[str, ...], predictable: tuple[bool, ...]) -> Expression | None:
    """None where there is no such section: the carried pair needs no description."""
    if not fields.has("expression"):
        return None
    section = fields.section("expression")
    dtype = section.choice("dtype", {dtype: dtype for dtype in DTYPES})
    channels = section.choice("channels", {channels: channels for channels in CHANNELS})
    count = CHANNELS[channels]
    span, mean, std = 255.0, (0.0,) * count, (1.0,) * count
    if dtype == "float32":  # bytes are not normalised
        span = section.number("span", 1e-6, 1e6)
        mean, std = section.numbers("mean", count, "channel"), section.numbers("std", count, "channel")
        if min(std) <= 0:
            section.fail("std", "numbers above 0", list(std))
    result = Expression(
        size=section.integer("size", 8),
        layout=section.choice("layout", {layout: layout for layout in LAYOUTS}),
        channels=channels,
        dtype=dtype,
        span=span,
        mean=mean,
        std=std,
        crop=section.number("crop", 0.5, 4),
        antialias=section.choice("antialias", {"true": True, "false": False}),
        output=section.text("output"),
        gives=section.choice("gives", {gives: gives for gives in GIVES}),
        labels=section.texts("labels"),
        valence=_column(section, "valence"),
        arousal=_column(section, "arousal"),
    )
    _check_labels(section, result, labels, predictable)
    section.end()
    return result


def _column(fields: Fields, name: str) -> Column | None:
    if not fields.has(name):
        return None
    section = fields.section(name)
    result = Column(section.text("output"), section.integer("column", 0))
    section.end()
    return result


def _check_labels(section: Fields, network: Expression, labels: tuple[str, ...], predictable: tuple[bool, ...]) -> None:
    """The network's labels are the bundle's, and those alone can be predicted; valence and arousal have own columns."""
    if not network.labels or len(set(network.labels)) != len(network.labels):
        section.fail("labels", "a list of different names, in the order of the output's columns", network.labels)
    for name in network.labels:
        if name not in labels:
            section.fail("labels", "names out of the bundle's labels", name)
    for name, possible in zip(labels, predictable, strict=True):
        if possible and name not in network.labels:
            section.fail("labels", f'all that is predictable, so "{name}" too', network.labels)
    taken = {(network.output, index) for index in range(len(network.labels))}
    for field, column in (("valence", network.valence), ("arousal", network.arousal)):
        if column is not None and (column.output, column.index) in taken:
            section.fail(field, "a column that is no label's and not the other's", column.index)
        taken |= {(column.output, column.index)} if column else set()


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


def _files(path: Path, names: tuple[str, ...], fields: Fields) -> dict[str, BundleFile]:
    files = {}
    for name in names:
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
