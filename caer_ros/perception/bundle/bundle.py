"""A model bundle: a folder with ``model.yaml`` and ONNX files, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.perception.calibration import Calibration
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.perception.person import BoxKind, ScoreType

MANIFEST = "model.yaml"
FILES = {"single_shot": ("model",), "composed": ("detector", "face")}
"""Which files each kind of bundle consists of; a composed one has its expression networks beside them."""
EXPRESSION_PAIR = ("expression_grey", "expression_colour")
"""The carried expression networks, which the code knows."""
EXPRESSION_NETWORK = ("expression",)
"""The one network of a bundle whose ``model.yaml`` has a section ``expression``."""


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
class Readability:
    """Single-shot bundles that say of each person whether they can be read: when that is so, and if not, why.

    ``readable``: lowest output ``readable`` of a person who has a label, 0..1. ``face``: lowest output ``face`` of one
    who has a face, turned away or covered as it may be, 0..1. ``small``: pixels of the network's input; whose box is
    shorter on its longer side is too small, rather than without a face.
    """

    readable: float
    face: float
    small: float


@dataclass(frozen=True, slots=True)
class Column:
    """One number that a network gives for each face: ``output`` [N,W], column ``index`` of it."""

    output: str
    index: int


@dataclass(frozen=True, slots=True)
class Expression:
    """What the one expression network of a composed bundle takes and gives.

    A pixel value p, 0..255, of a channel becomes (p * ``span`` / 255 - mean) / std; with ``dtype`` "uint8" it stays p.
    """

    size: int
    """Side of the square input in pixels."""
    layout: str
    """"nchw" or "nhwc"."""
    channels: str
    """"rgb", "bgr" or "grey"."""
    dtype: str
    """"float32" or "uint8"."""
    span: float
    """What 255 becomes before mean and std: 1 or 255, as a rule."""
    mean: tuple[float, ...]
    """One number for each channel, in the order of ``channels``."""
    std: tuple[float, ...]
    crop: float
    """Side of the square that is cut out, in longer sides of the face's box."""
    antialias: bool
    """Average the pixels where the square shrinks."""
    output: str
    """Name of the output [N,W] whose first columns are the labels' scores."""
    gives: str
    """"logits" or "probabilities"."""
    labels: tuple[str, ...]
    """In the order of the output's columns; all of them are the bundle's."""
    valence: Column | None = None
    """-1..1; values beyond are cut off."""
    arousal: Column | None = None

    def columns(self, output: str) -> int:
        """How many columns ``output`` has at least; the labels' output has just so many."""
        used = [column.index + 1 for column in (self.valence, self.arousal) if column and column.output == output]
        return max(used + [len(self.labels)] * (output == self.output))

    @property
    def outputs(self) -> list[str]:
        """Every output that is read, each once; the labels' first."""
        columns = [column.output for column in (self.valence, self.arousal) if column]
        return list(dict.fromkeys([self.output, *columns]))


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
    """Single shot: how the graph reads a person's emotion off its maps: "box_mean", "box_attention" (the mean, but most
    where a face may be), "centre" or "query"."""
    resize: Resize | None = None
    """Single shot."""
    readability: Readability | None = None
    """Single shot; None where the graph does not say who can be read."""
    faces: FaceRules | None = None
    """Composed."""
    expression: Expression | None = None
    """Composed, with one network for the expression; None: with the carried pair."""

    @property
    def model_version(self) -> str:
        """What messages carry: the first 16 hex digits of ``sha256``."""
        return self.sha256[:16]
