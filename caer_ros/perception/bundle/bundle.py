"""A model bundle: a folder with ``model.yaml`` and ONNX files, found by name, read strictly, verified.

Nothing in a bundle is executed or unpickled, and no field is guessed: a wrong one is an error that says what to do.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeVar

import yaml

from caer_ros import share
from caer_ros.perception.calibration import Calibration
from caer_ros.perception.imaging.resizing import INTERPOLATIONS, MODES, Resize
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.taxonomy import LABEL_SETS

MANIFEST = "model.yaml"
FILES = {"single_shot": ("model",), "composed": ("detector", "face", "expression_grey", "expression_colour")}
"""Which files each kind of bundle consists of."""
_SCORE_TYPES = {"softmax": ScoreType.SOFTMAX, "sigmoid": ScoreType.SIGMOID}
_BOX_KINDS = {"body": BoxKind.BODY, "head": BoxKind.HEAD, "face": BoxKind.FACE}
_PERSON_SCORES = ("logit", "max_class")
_POOLINGS = ("box_mean", "centre", "query")
_COMMERCIAL_USE = {"true": True, "false": False, "unknown": None}


class BundleError(Exception):
    """A bundle that is missing, incomplete, altered, or whose ``model.yaml`` is wrong."""


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One ONNX file: where it lies, and the size in bytes and hash that ``model.yaml`` gives."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """``person``: lowest detection score, 0..1. ``uncertain``: a top emotion score below it is UNCERTAIN, 0..1."""

    person: float
    uncertain: float


@dataclass(frozen=True, slots=True)
class FaceRules:
    """Composed bundles only: when a face is good enough to be read.

    ``person_nms``: IoU above which the weaker of two person boxes goes. ``face_score``: lowest score of a face, 0..1.
    ``min_face``: narrowest face in source pixels. ``max_yaw``: degrees that a face may be turned away.
    ``min_visible``: smallest part of a face's box inside the image, 0..1.
    """

    person_nms: float
    face_score: float
    min_face: float
    max_yaw: float
    min_visible: float


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured number and how it was measured."""

    name: str
    value: float
    protocol: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the weights come from: training data, recipe, commit of the code, and what was measured."""

    data: str
    recipe: str
    commit: str
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What ``model.yaml`` says; models/bootstrap/model.yaml is a commented one."""

    path: Path
    """The folder."""
    name: str
    version: str
    kind: str
    """A key of ``FILES``."""
    label_set: str
    labels: tuple[str, ...]
    predictable: tuple[bool, ...]
    """True for each label that the model can predict."""
    score_type: ScoreType
    box_kind: BoxKind
    max_persons: int
    thresholds: Thresholds
    calibration: Calibration | None
    provenance: Provenance
    licence: str
    """SPDX expression."""
    commercial_use: bool | None
    """None: unknown."""
    files: dict[str, BundleFile]
    sha256: str
    """Hash of ``model.yaml`` and of the hashes of the files."""
    person_score: str | None = None
    """Single shot: "logit" (before the sigmoid) or "max_class" (the largest class probability, used as it is)."""
    pooling: str | None = None
    """Single shot: how the graph reads a person's emotion off its maps: "box_mean", "centre" or "query"."""
    resize: Resize | None = None
    """Single shot."""
    faces: FaceRules | None = None
    """Composed."""

    @property
    def model_version(self) -> str:
        """What messages carry: the first 16 hex digits of ``sha256``."""
        return self.sha256[:16]


def find(name_or_path: str) -> Path:
    """The folder of a bundle.

    Args:
        name_or_path: a path to the folder, or the name of one in a folder of ``CAER_MODEL_PATH`` (a path list) or in
            models/ of the package (see :func:`caer_ros.share.folders`).

    Raises:
        BundleError: none there; names the places searched and the bundles that exist.
    """
    given = Path(name_or_path).expanduser()
    if (given / MANIFEST).is_file():
        return given
    if given.name != name_or_path:
        raise BundleError(f"{given}: no {MANIFEST} in this folder; give the folder that holds it, or a bundle's name")
    for folder in _search_path():
        if (folder / name_or_path / MANIFEST).is_file():
            return folder / name_or_path
    places = "\n  ".join(str(folder) for folder in _search_path())
    names = ", ".join(path.name for path in available()) or "none"
    raise BundleError(
        f'no model bundle named "{name_or_path}"; there are: {names}. Searched:\n  {places}\n'
        "Give a path, or add the folder that holds the bundle to CAER_MODEL_PATH"
    )


def available() -> list[Path]:
    """The folders of all bundles that can be found by name, by name; the first place searched wins."""
    found: dict[str, Path] = {}
    for folder in _search_path():
        for manifest in folder.glob(f"*/{MANIFEST}"):
            found.setdefault(manifest.parent.name, manifest.parent)
    return [found[name] for name in sorted(found)]


def _search_path() -> list[Path]:
    own = [Path(entry) for entry in os.environ.get("CAER_MODEL_PATH", "").split(os.pathsep) if entry]
    return list(dict.fromkeys([*own, *(folder / "models" for folder in share.folders())]))


def read(path: Path, verify: bool = True) -> Bundle:
    """Reads a bundle's folder.

    Args:
        path: the folder, as ``find`` returns it.
        verify: compare the files' sizes and hashes with ``model.yaml``.

    Raises:
        BundleError: names the file and field, what was expected and the remedy.
    """
    manifest = path / MANIFEST
    text, document = _load(manifest)
    fields = _Fields(manifest, document)
    bundle = _bundle(path, text, fields)
    fields.end()
    if verify:
        for name, file in bundle.files.items():
            _verify(manifest, name, file)
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


def _bundle(path: Path, text: bytes, fields: _Fields) -> Bundle:
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
        sha256=_bundle_hash(text, files),
        person_score=fields.choice("person_score", {score: score for score in _PERSON_SCORES}) if single_shot else None,
        pooling=fields.choice("pooling", {pooling: pooling for pooling in _POOLINGS}) if single_shot else None,
        resize=_resize(fields.section("resize")) if single_shot else None,
        faces=None if single_shot else _face_rules(fields.section("faces")),
    )


def _labels(fields: _Fields) -> tuple[str, tuple[str, ...]]:
    label_set, labels = fields.text("label_set"), fields.texts("labels")
    if not labels or len(set(labels)) != len(labels):
        fields.fail("labels", "a list of different names", labels)
    if label_set in LABEL_SETS and labels != LABEL_SETS[label_set]:
        expected = f'exactly those of label set "{label_set}", in this order: {", ".join(LABEL_SETS[label_set])}'
        fields.fail("labels", expected, labels, "give another label_set when the labels are your own")
    return label_set, labels


def _predictable(fields: _Fields, labels: tuple[str, ...]) -> tuple[bool, ...]:
    names = fields.texts("predictable")
    for name in names:
        if name not in labels:
            fields.fail("predictable", "names out of labels", name)
    return tuple(label in names for label in labels)


def _thresholds(fields: _Fields) -> Thresholds:
    result = Thresholds(fields.number("person", 0, 1), fields.number("uncertain", 0, 1))
    fields.end()
    return result


def _face_rules(fields: _Fields) -> FaceRules:
    result = FaceRules(
        person_nms=fields.number("person_nms", 0, 1),
        face_score=fields.number("face_score", 0.01, 0.99),
        min_face=fields.number("min_face", 1, 1000),
        max_yaw=fields.number("max_yaw", 0, 90),
        min_visible=fields.number("min_visible", 0, 1),
    )
    fields.end()
    return result


def _resize(fields: _Fields) -> Resize:
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


def _calibration(fields: _Fields, labels: int) -> Calibration | None:
    if not fields.has("calibration"):
        return None
    section = fields.section("calibration")
    temperature, bias = section.numbers("temperature", labels), section.numbers("bias", labels)
    if min(temperature) <= 0:
        section.fail("temperature", "numbers above 0", list(temperature))
    section.end()
    return Calibration(temperature, bias)


def _provenance(fields: _Fields) -> Provenance:
    metrics = []
    for metric in fields.sections("metrics"):
        metrics.append(Metric(metric.text("name"), metric.number("value"), metric.text("protocol")))
        metric.end()
    result = Provenance(fields.text("data"), fields.text("recipe"), fields.text("commit"), tuple(metrics))
    fields.end()
    return result


def _files(path: Path, kind: str, fields: _Fields) -> dict[str, BundleFile]:
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


def _bundle_hash(text: bytes, files: dict[str, BundleFile]) -> str:
    digest = hashlib.sha256(text)
    for name in sorted(files):
        digest.update(f"{name}:{files[name].sha256}\n".encode())
    return digest.hexdigest()


def _verify(manifest: Path, name: str, file: BundleFile) -> None:
    where = f"{manifest}: files.{name}: {file.path.name}"
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{where} is missing or cannot be read ({error.strerror}); copy the whole folder again"
        ) from error
    if len(content) < file.size:
        raise BundleError(f"{where} is truncated: {len(content)} of {file.size} bytes; copy it again")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise BundleError(
            f"{where} is not the file that {MANIFEST} describes: sha256 {digest[:16]}... instead of "
            f"{file.sha256[:16]}...; copy it again, or correct sha256 and size if you changed it on purpose"
        )


_T = TypeVar("_T")
_MISSING = object()


class _Fields:
    """One mapping of ``model.yaml``: each field is taken once and checked; ``end`` refuses what is left."""

    def __init__(self, manifest: Path, value: Any, name: str = "") -> None:
        self._manifest = manifest
        self._name = name
        if not isinstance(value, dict):
            raise BundleError(
                f"{manifest}: expected fields (name: value){f' under {name}' if name else ''}, found {value!r}"
            )
        self._left = dict(value)
        self._known: list[str] = []

    def take(self, name: str, expected: str) -> Any:
        self._known.append(name)
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            raise BundleError(f"{self._manifest}: {self._full(name)} is missing; add it: {expected}")
        return value

    def has(self, name: str) -> bool:
        """Whether an optional field is there and not null."""
        if self._left.get(name) is not None:
            return True
        self._left.pop(name, None)
        self._known.append(name)
        return False

    def text(self, name: str) -> str:
        expected = "text (in quotes when it looks like a number)"
        value = self.take(name, expected)
        if not isinstance(value, str) or not value.strip():
            self.fail(name, expected, value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        expected = "a list of names (in quotes where they look like numbers)"
        values = self.take(name, expected)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self.fail(name, expected, values)
        return tuple(values)

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        expected = "a number" if low == -math.inf else f"a number from {low:g} to {high:g}"
        value = self.take(name, expected)
        if not _is_number(value) or not low <= value <= high:
            self.fail(name, expected, value)
        return float(value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        expected = f"a list of {count} numbers, one for each label"
        values = self.take(name, expected)
        if not isinstance(values, list) or len(values) != count or not all(map(_is_number, values)):
            self.fail(name, expected, values)
        return tuple(float(value) for value in values)

    def integer(self, name: str, low: int) -> int:
        expected = f"a whole number, at least {low}"
        value = self.take(name, expected)
        if type(value) is not int or value < low:  # not isinstance: true is no number here
            self.fail(name, expected, value)
        return value

    def choice(self, name: str, choices: dict[str, _T]) -> _T:
        expected = "one of " + ", ".join(choices)
        value = self.take(name, expected)
        if isinstance(value, bool):  # YAML reads true and false for itself
            value = str(value).lower()
        if not isinstance(value, str) or value not in choices:
            self.fail(name, expected, value)
        return choices[value]

    def section(self, name: str) -> _Fields:
        return _Fields(self._manifest, self.take(name, "fields (name: value)"), self._full(name))

    def sections(self, name: str) -> list[_Fields]:
        values = self.take(name, "a list, [] when there are none")
        if not isinstance(values, list):
            self.fail(name, "a list, [] when there are none", values)
        return [_Fields(self._manifest, value, f"{self._full(name)}[{i}]") for i, value in enumerate(values)]

    def end(self) -> None:
        for name in self._left:
            raise BundleError(
                f"{self._manifest}: {self._full(str(name))} is not a field of this kind of bundle; remove it, or "
                f"correct its name: {', '.join(self._known)}"
            )

    def fail(self, name: str, expected: str, found: object, remedy: str = "") -> NoReturn:
        message = f"{self._manifest}: {self._full(name)}: expected {expected}, found {found!r}"
        raise BundleError(f"{message}; {remedy}" if remedy else message)

    def _full(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name


def _is_number(value: object) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))
