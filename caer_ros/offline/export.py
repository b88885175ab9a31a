"""From a student's checkpoint to a bundle that the node loads by name: the single-shot ONNX graph, and its card."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import torch
import yaml
from torch import Tensor, nn

from caer_ros import __version__, share
from caer_ros.offline import quantisation
from caer_ros.offline.codecs import centre, pooling
from caer_ros.offline.models.student import Student, StudentOutput
from caer_ros.offline.training.checkpoint import CheckpointCard, load_network
from caer_ros.perception import bundle as bundles
from caer_ros.perception import predictor
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.resizing import Resize, place, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

OPSET, IR_VERSION = 18, 8
"""What ONNX Runtime 1.17, the oldest that the robot may have, reads."""
INPUT = "images"
WEIGHTS = ("float32", "float16", "int8")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of RGB 0..1."""
LARGEST_STRIDE = 32
UNTAUGHT = -1e4
"""Logit, before a softmax, of a label that cannot be predicted: its probability is 0, and fp16 can hold it."""


class ExportError(Exception):
    """A checkpoint that cannot become a bundle, or a bundle that does not answer as the checkpoint does."""


class SingleShotOutput(NamedTuple):
    """What the graph gives; the names are those of its outputs."""

    boxes: Tensor
    """[B,K,4] xyxy, 0..1 of the input, best first; not clipped."""
    person_scores: Tensor
    """[B,K] logits."""
    emotion_scores: Tensor
    """[B,K,E] probabilities."""
    emotion_maps: Tensor
    """[B,E,h,w] logits; only evaluation fetches them."""


class SingleShotGraph(nn.Module):
    """The student with everything around it that a robot needs: pixels in, persons out.

    Args:
        student: in eval mode. Without a detection head it finds nobody, and K is 0.
        resize: the rule by which images are brought to the input's fixed size.
        max_persons: K.
        multi_label: scores are sigmoids, not a softmax.
        predictable: E times whether the label was taught; the others take no part in a softmax. None: all were.

    Raises:
        ExportError: the size is not fixed, or no multiple of the student's largest stride; K is not possible.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor
    untaught: Tensor

    def __init__(
        self,
        student: Student,
        resize: Resize,
        max_persons: int,
        multi_label: bool,
        predictable: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        height, width = resize.size
        if resize.mode not in ("stretch", "letterbox"):
            raise ExportError(f'resize mode "{resize.mode}": a student has a fixed input size: stretch or letterbox')
        if height % LARGEST_STRIDE or width % LARGEST_STRIDE or not height or not width:
            raise ExportError(f"input of {height}x{width} pixels: both must be multiples of {LARGEST_STRIDE}")
        cells = height * width // student.stride**2
        if not 0 < max_persons <= cells:
            raise ExportError(f"max_persons {max_persons}: expected 1 to {cells}, the pixels of the student's maps")
        self.student = student
        self.max_persons = max_persons if student.config.detection else 0
        self.multi_label = multi_label
        self.size = (height, width)
        self.register_buffer("mean", 255 * torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD).reshape(1, 3, 1, 1), persistent=False)
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        self.register_buffer("scale", student.stride / sides, persistent=False)
        untaught = ~torch.tensor(predictable or [True] * student.config.labels)
        self.register_buffer("untaught", untaught, persistent=False)

    def forward(self, images: Tensor) -> SingleShotOutput:
        """Images uint8 [B,H,W,3] RGB."""
        planes = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        output = self.student(planes)
        boxes, person_scores = self._persons(output)
        logits = pooling.pool(output.emotion_maps, boxes)
        if self.multi_label:
            emotion_scores = logits.sigmoid()
        else:
            emotion_scores = logits.masked_fill(self.untaught, UNTAUGHT).softmax(dim=-1)
        return SingleShotOutput(boxes * self.scale, person_scores, emotion_scores, output.emotion_maps)

    def _persons(self, output: StudentOutput) -> tuple[Tensor, Tensor]:
        """Boxes [B,K,4] in pixels of the maps, and logits [B,K]."""
        if output.heatmap is None or output.sizes is None:
            images = len(output.emotion_maps)
            return output.emotion_maps.new_empty(images, 0, 4), output.emotion_maps.new_empty(images, 0)
        return centre.decode(output.heatmap, output.sizes, self.max_persons)


def run(graph: SingleShotGraph, images: Image) -> SingleShotOutput:
    """The graph's outputs, on the CPU, for images uint8 [B,H,W,3]."""
    with torch.inference_mode():
        output = graph.eval()(torch.from_numpy(images).to(graph.mean.device))
    return SingleShotOutput(*(value.float().cpu() for value in output))


# --- The ONNX file -------------------------------------------------------------------------------------------------


def to_onnx(graph: SingleShotGraph) -> onnx.ModelProto:
    """The graph as an ONNX model: float32, batch dynamic, without traces of the machine that made it."""
    example = torch.zeros(2, *graph.size, 3, dtype=torch.uint8, device=graph.mean.device)
    program = torch.onnx.export(
        graph.eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(SingleShotOutput._fields),
        dynamic_shapes={"images": {0: torch.export.Dim("B")}},
        optimize=True,
        verbose=False,
    )
    assert program is not None  # with dynamo=True it always returns one
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "caer_ros", __version__
    model.graph.name = "single_shot"
    onnx.checker.check_model(model, full_check=True)
    return model


def _strip(message: Any) -> None:
    """Removes descriptions, metadata (stack traces with paths) and inferred types, at any depth."""
    for descriptor, value in message.ListFields():
        if descriptor.name in ("doc_string", "metadata_props", "value_info"):
            message.ClearField(descriptor.name)
        elif descriptor.message_type is not None:
            for child in (value,) if hasattr(value, "ListFields") else value:
                _strip(child)


# --- Parity --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute differences between two runs on the same pictures."""

    images: int
    persons: int
    """Of the first run, at least as likely as the lowest score asked for. Boxes and scores are compared for these."""
    unmatched: int
    """Of these, how many have no box of the second run within one pixel of the map, four of the input."""
    boxes: float
    """Pixels of the input."""
    person_scores: float
    """Probabilities."""
    emotion_scores: float
    """Probabilities."""
    emotion_maps: float
    """Logits."""
    logits: float
    """Largest absolute logit of the maps, to judge ``emotion_maps`` by."""

    def __str__(self) -> str:
        missing = f" ({self.unmatched} without a counterpart)" if self.unmatched else ""
        maps = f"emotion maps {self.emotion_maps:.2g} (logits up to {self.logits:.2g})"
        if not self.persons:
            return f"nobody in {self.images} images, so neither boxes nor scores were compared; {maps}"
        return (
            f"{self.persons} persons{missing} in {self.images} images: boxes {self.boxes:.2g} px, person scores "
            f"{self.person_scores:.2g}, emotion scores {self.emotion_scores:.2g}, {maps}"
        )

    @property
    def holds(self) -> bool:
        """Is the difference that of float32 rounding?"""
        scores = max(self.person_scores, self.emotion_scores, self.emotion_maps / max(1.0, self.logits))
        return not self.unmatched and self.boxes < 0.05 and scores < 1e-3


def parity(graph: SingleShotGraph, model: onnx.ModelProto, inputs: Sequence[Image], lowest: float = 1e-6) -> Parity:
    """Compares PyTorch with ONNX Runtime on the CPU.

    Args:
        graph: what ``model`` was made of.
        model: the exported graph, possibly with smaller weights.
        inputs: images [H,W,3] of the graph's size, at least one.
        lowest: person score, above 0 and up to 1, from which on persons are compared.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = list(SingleShotOutput._fields)
    pairs = []
    for image in inputs:
        expected = [value[0].numpy() for value in run(graph, image[None])]
        given = [value[0] for value in session.run(names, {INPUT: image[None]})]
        pairs.append((dict(zip(names, expected, strict=True)), dict(zip(names, given, strict=True))))
    height, width = graph.size
    sides = np.array([width, height, width, height], np.float32)
    persons = unmatched = 0
    boxes, scores, emotions = [0.0], [0.0], [0.0]
    for ours, theirs in pairs:
        likely, found = _probability(ours["person_scores"]), _probability(theirs["person_scores"])
        for slot in np.flatnonzero(likely >= lowest):
            persons += 1
            distances = np.abs((theirs["boxes"] - ours["boxes"][slot]) * sides).max(axis=1)
            twin = int(distances.argmin())
            if distances[twin] > graph.student.stride:
                unmatched += 1
                continue
            boxes.append(float(distances[twin]))
            scores.append(abs(float(found[twin] - likely[slot])))
            emotions.append(float(np.abs(theirs["emotion_scores"][twin] - ours["emotion_scores"][slot]).max()))
    maps = max(float(np.abs(ours["emotion_maps"] - theirs["emotion_maps"]).max()) for ours, theirs in pairs)
    logits = max(float(np.abs(ours["emotion_maps"]).max()) for ours, _ in pairs)
    return Parity(len(inputs), persons, unmatched, max(boxes), max(scores), max(emotions), maps, logits)


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # of slots without a peak; 1 / infinity is the right 0
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def demo_pictures() -> list[Image]:
    """The photographs that come with the package, RGB."""
    from caer_ros.offline.datasets import images

    folder = share.find("resource/demo/photos")
    names = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg") and "_mask" not in path.stem)
    return [images.read(path) for path in names]


def inputs_of(rule: Resize, pictures: Sequence[Image]) -> list[Image]:
    """Pictures of any sizes as the network's inputs."""
    return [place(picture, plan(rule, *picture.shape[:2])) for picture in pictures]


# --- The bundle ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What the checkpoint does not know."""

    name: str = ""
    """Of the bundle; "" takes the output folder's."""
    version: str = "1.0.0"
    weights: str = "float16"
    """One of ``WEIGHTS``: "float16" halves the file and computes in float32 all the same."""
    max_persons: int = 100
    person: float = 0.3
    """Lowest detection score of a person."""
    uncertain: float = 0.4
    """A top emotion score below it is UNCERTAIN."""
    licence: str = "LicenseRef-unknown"
    """SPDX expression."""
    commercial_use: bool | None = None
    """None: unknown."""
    note: str = ""
    """Put at the top of the card, in Markdown."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A written bundle."""

    bundle: bundles.Bundle
    graph: Parity
    """ONNX Runtime in float32 against PyTorch."""
    stored: Parity
    """With the weights as they are stored, against PyTorch."""


def export(
    checkpoint: Path,
    output: Path,
    settings: ExportSettings | None = None,
    *,
    calibration: Sequence[Image] = (),
    pictures: Sequence[Image] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Writes the bundle of a student: ``model.onnx``, ``model.yaml`` and ``README.md``, complete or not at all.

    Before the folder appears, the graph has answered as PyTorch does, and the bundle was read, loaded and run as the
    node does it.

    Args:
        checkpoint: of a student with a detection head.
        output: the folder; its name is the bundle's.
        settings: what the checkpoint does not know.
        calibration: images of any sizes, RGB uint8 [H,W,3], that tell the ranges of activations; for int8 only.
        pictures: on which parity is checked; the demo's photographs when None.
        overwrite: replace an existing bundle.

    Raises:
        ExportError: the checkpoint cannot be exported, the folder exists (with ``overwrite``: and is neither a bundle
            nor empty), or the answers differ.
        CheckpointError: the file is no checkpoint of ours.
    """
    settings = settings or ExportSettings()
    if output.exists() and not overwrite:
        raise ExportError(f"{output} exists; give another folder, or --overwrite")
    if output.exists() and not _is_replaceable(output):
        raise ExportError(f"{output} is no bundle, so it is not replaced; give another folder")
    if settings.weights not in WEIGHTS:
        raise ExportError(f'weights "{settings.weights}": expected one of {", ".join(WEIGHTS)}')
    if settings.weights == "int8" and not len(calibration):
        raise ExportError("int8 needs images to calibrate on: give --calibrate-on NAME PATH")
    graph, card = load_graph(checkpoint, settings.max_persons)
    if not graph.max_persons:
        raise ExportError(
            f"{checkpoint}: a student without a detection head finds no persons; train it with model.detection: true"
        )
    pictures = demo_pictures() if pictures is None else pictures
    inputs = inputs_of(card.resize, pictures)
    model = to_onnx(graph)
    exact = parity(graph, model, inputs, settings.person)
    if not exact.holds:
        raise ExportError(f"{checkpoint}: ONNX Runtime and PyTorch differ: {exact}; nothing was written")
    if settings.weights == "float16":
        model = quantisation.halve(model)
    elif settings.weights == "int8":
        model = quantisation.quantise(model, quantisation.batched(inputs_of(card.resize, calibration)))
        _strip(model)
    stored = parity(graph, model, inputs, settings.person)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder:
        made = Path(folder) / "bundle"
        made.mkdir()
        content = model.SerializeToString(deterministic=True)
        (made / "model.onnx").write_bytes(content)
        fields = manifest(card, settings, settings.name or output.name, content)
        (made / bundles.MANIFEST).write_text(_yaml(fields, settings), "utf-8")
        (made / "README.md").write_text(readme(card, fields, settings, _parameters(graph), exact, stored), "utf-8")
        bundle = bundles.read(made)
        predictor.load(bundle, EngineSettings(device="cpu"))(pictures[:1])
        if output.exists():
            output.replace(Path(folder) / "old")
        made.replace(output)
    return Exported(bundles.read(output), exact, stored)


def _is_replaceable(folder: Path) -> bool:
    """Is it a bundle or empty, and not, by a slip, the folder of all models?"""
    return (folder / bundles.MANIFEST).is_file() or (folder.is_dir() and not any(folder.iterdir()))


def load_graph(checkpoint: Path, max_persons: int = 100) -> tuple[SingleShotGraph, CheckpointCard]:
    """The network of a checkpoint as a graph on the CPU, and what the checkpoint says about itself.

    Raises:
        ExportError: it is no student's.
        CheckpointError: the file is no checkpoint of ours.
    """
    network, card = load_network(checkpoint)
    if not isinstance(network, Student):
        raise ExportError(f'{checkpoint}: holds a {card.task}; only a "student" finds persons and their emotions')
    try:
        graph = SingleShotGraph(network, card.resize, max_persons, card.multi_label, card.predictable)
    except ExportError as error:
        raise ExportError(f"{checkpoint}: {error}") from error
    return graph.eval(), card


def manifest(card: CheckpointCard, settings: ExportSettings, name: str, content: bytes) -> dict[str, Any]:
    """The fields of ``model.yaml`` for the ONNX file ``content``."""
    return {
        "name": name,
        "version": settings.version,
        "kind": "single_shot",
        "label_set": card.label_set,
        "labels": list(card.labels),
        "predictable": list(card.known),
        "score_type": "sigmoid" if card.multi_label else "softmax",
        "box_kind": card.box_kind.name.lower(),
        "max_persons": settings.max_persons,
        "person_score": "logit",
        "pooling": "box_mean",
        "resize": {
            "mode": card.resize.mode,
            "size": list(card.resize.size),
            "interpolation": card.resize.interpolation,
        },
        "thresholds": {"person": settings.person, "uncertain": settings.uncertain},
        "provenance": {
            "data": card.data,
            "recipe": card.recipe,
            "commit": card.commit or "unknown",
            "metrics": _metrics(card),
        },
        "licence": settings.licence,
        "commercial_use": "unknown" if settings.commercial_use is None else settings.commercial_use,
        "files": {"model": {"path": "model.onnx", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
    }


def _metrics(card: CheckpointCard) -> list[dict[str, Any]]:
    """What training measured, as the manifest wants it: finite numbers, each with its protocol."""
    protocol = f"while training, on the validation split, epoch {card.epoch}"
    measured = {name: value for name, value in card.metrics.items() if name.startswith("val/")}
    finite = {name: float(value) for name, value in measured.items() if np.isfinite(value)}
    return [{"name": name, "value": value, "protocol": protocol} for name, value in sorted(finite.items())]


def _parameters(graph: nn.Module) -> int:
    return sum(parameter.numel() for parameter in graph.parameters())


def _yaml(fields: dict[str, Any], settings: ExportSettings) -> str:
    head = f"# Written by caer export, caer_ros {__version__}. Weights: {_STORED[settings.weights]}.\n"
    return head + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


_README = """# {name}: persons and their apparent emotions in one pass

{note}A single-shot student of caer_ros, version {version}: one run of one network finds every person of an image and
gives a score for each emotion, at a cost that does not grow with the persons. Written by `caer export`; `model.yaml`
holds the same facts for programs.

| | |
|---|---|
| network | {backbone}, {parameters:.2f} million parameters |
| input | {height}×{width} pixels, {mode} |
| boxes | {box_kind}, at most {max_persons}, from a detection score of {person:g} on |
| labels | {label_set}: {labels} |
| scores | {scores} |
| weights | {weights}, {size:.1f} MB |
| trained on | {data} |
| recipe | {recipe} |
| epoch | {epoch} |
| code | caer_ros {trained_by}, commit {commit} |

**Licence: {licence}. Commercial use: {commercial}.** {commercial_note}

## What was measured

{metrics}

## Is it still the network that was trained?

ONNX Runtime against PyTorch, on the pictures that `caer export` was given, largest absolute differences:

- the graph in float32: {exact}
- with the weights as stored: {stored}

Apparent emotion is not inner state. Not for decisions about people, and not for work or school, where the EU AI Act
(Regulation 2024/1689, article 5) forbids inferring emotions, other than for medical or safety reasons.
"""
_COMMERCIAL = {
    None: ("unknown", "Nobody has said yet what the terms of the training data allow. Ask before you ship it."),
    True: ("allowed", ""),
    False: ("not allowed", "The terms of the training data, or of what it was distilled from, forbid it."),
}
_STORED = {
    "float32": "float32",
    "float16": "stored as float16, computed as float32",
    "int8": "8 bits in all convolutions but the last (static, QDQ)",
}


def readme(
    card: CheckpointCard,
    fields: dict[str, Any],
    settings: ExportSettings,
    parameters: int,
    exact: Parity,
    stored: Parity,
) -> str:
    """The card for people, Markdown."""
    rows = [f"| {m['name']} | {m['value']:.4g} | {m['protocol']} |" for m in fields["provenance"]["metrics"]]
    table = "\n".join(["| metric | value | protocol |", "|---|---|---|", *rows])
    untaught = ", ".join(label for label in card.labels if label not in card.known)
    commercial, commercial_note = _COMMERCIAL[settings.commercial_use]
    height, width = card.resize.size
    return _README.format(
        name=fields["name"],
        note=f"{settings.note.strip()}\n\n" if settings.note else "",
        version=settings.version,
        backbone=card.config["model"]["backbone"],
        parameters=parameters / 1e6,
        height=height,
        width=width,
        mode={"stretch": "whatever the aspect", "letterbox": "aspect kept, black below or to the right"}[
            card.resize.mode
        ],
        box_kind=card.box_kind.name.lower(),
        max_persons=settings.max_persons,
        person=settings.person,
        label_set=card.label_set,
        labels=", ".join(card.known) + (f"; not taught, so never predicted: {untaught}" if untaught else ""),
        scores="independent probabilities (sigmoid)" if card.multi_label else "they add up to 1 (softmax)",
        weights=_STORED[settings.weights],
        size=fields["files"]["model"]["size"] / 1e6,
        data=card.data,
        recipe=card.recipe,
        epoch=card.epoch,
        trained_by=card.version,
        commit=card.commit or "unknown",
        licence=settings.licence,
        commercial=commercial,
        commercial_note=commercial_note,
        metrics=table if rows else "Nothing yet: run `caer evaluate dataset`.",
        exact=exact,
        stored=stored,
    )
