"""From a checkpoint to a bundle that the node loads by name: the single-shot graph as ONNX, and its card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx
import torch
from torch import nn

from caer_ros import __version__
from caer_ros.offline.export import quantisation
from caer_ros.offline.export.card import WEIGHTS, ExportSettings, as_yaml, manifest, readme
from caer_ros.offline.export.demo_photos import demo_pictures
from caer_ros.offline.export.graph import INPUT, ExportError, SingleShotGraph, SingleShotOutput
from caer_ros.offline.export.loading import load_graph
from caer_ros.offline.export.parity import LIMITS, Parity, parity
from caer_ros.perception.bundle.bundle import MANIFEST, Bundle
from caer_ros.perception.bundle.finding import is_replaceable
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.imaging.resizing import Resize, place, plan
from caer_ros.perception.predictors import predictor
from caer_ros.whole_folder import recover, whole_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

_WIDE = (1080, 1920)  # of a camera: the longest image that a graph must take
OPSET, IR_VERSION = 18, 8
"""What ONNX Runtime 1.17, the oldest that the robot may have, reads."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A written bundle."""

    bundle: Bundle
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
    """Writes a bundle, complete or not at all: ``model.onnx``, ``model.yaml`` and ``README.md``.

    Before the folder appears, the graph has answered as PyTorch does, and the bundle was read, loaded and run as the
    node does it.

    Args:
        checkpoint: of a network that finds persons and their emotions.
        output: the folder; its name is the bundle's.
        settings: what the checkpoint does not know.
        calibration: images of any sizes, RGB uint8 [H,W,3], that tell the ranges of activations; for int8 only.
        pictures: on which parity is checked; the demo's photographs when None.
        overwrite: replace an existing bundle.

    Raises:
        ExportError: the checkpoint cannot be exported, the folder exists (with ``overwrite``: and is neither a bundle
            nor empty), or the answers differ by more than ``parity.LIMITS`` allows.
        CheckpointError: the file is no checkpoint of ours.
        FolderError: the bundle cannot be put in its place; the old one is there again, or where the error says.
    """
    settings = settings or ExportSettings()
    recover(output)
    if output.exists() and not overwrite:
        raise ExportError(f"{output} exists; give another folder, or --overwrite")
    if output.exists() and not is_replaceable(output):
        raise ExportError(f"{output} is no bundle, so it is not replaced; give another folder")
    if settings.weights not in WEIGHTS:
        raise ExportError(f'weights "{settings.weights}": expected one of {", ".join(WEIGHTS)}')
    if settings.weights == "int8" and not len(calibration):
        raise ExportError("int8 needs images to calibrate on: give --calibrate-on NAME PATH")
    graph, card = load_graph(checkpoint, settings.max_persons)
    if not graph.max_persons:
        raise ExportError(
            f"{checkpoint}: a network without a detection head finds no persons; train it with detection: true"
        )
    if not graph.fixed and min(plan(graph.resize, *_WIDE).canvas) < graph.smallest:
        raise ExportError(
            f"{checkpoint}: short side {graph.resize.short}: a wide image would have less than {graph.smallest} rows"
        )
    pictures = demo_pictures() if pictures is None else pictures
    inputs = inputs_of(graph.resize, pictures)
    model = to_onnx(graph)
    exact = stored = parity(graph, model, inputs, person=settings.person)
    if not exact.holds:
        raise ExportError(
            f"{checkpoint}: ONNX Runtime and PyTorch differ: {exact}; nothing was written. If little could be "
            "compared, give --pictures of your own"
        )
    if settings.weights == "float16":
        model = quantisation.halve(model)
    elif settings.weights == "int8":
        size = 8 if graph.fixed else 1  # a batch holds images of one size
        model = quantisation.quantise(model, quantisation.batched(inputs_of(graph.resize, calibration), size))
        _strip(model)
    if settings.weights != "float32":
        stored = parity(graph, model, inputs, LIMITS[settings.weights], settings.person)
    if not stored.holds:
        raise ExportError(
            f"{checkpoint}: with {settings.weights} weights ONNX Runtime and PyTorch differ: {stored}; nothing was "
            "written. Take --fp32"
            + (", or --calibrate-on images like the robot's" if settings.weights == "int8" else "")
        )
    with whole_folder(output, overwrite) as made:
        made.mkdir()
        content = model.SerializeToString(deterministic=True)
        (made / "model.onnx").write_bytes(content)
        fields = manifest(card, graph, settings, settings.name or output.name, content)
        (made / MANIFEST).write_text(as_yaml(fields, settings), "utf-8")
        (made / "README.md").write_text(readme(card, graph, fields, settings, exact, stored), "utf-8")
        bundle = read_bundle(made)
        predictor.load(bundle, EngineSettings(device="cpu"))(pictures[:1])
    return Exported(read_bundle(output), exact, stored)


def to_onnx(graph: SingleShotGraph) -> onnx.ModelProto:
    """The graph as an ONNX model: float32, without traces of the machine that made it.

    The batch is dynamic; so are height and width where the resize rule keeps the aspect.
    """
    sides = graph.typical
    dynamic: dict[int, Any] = {0: torch.export.Dim("B")}
    if not graph.fixed:
        sides = (max(sides[0], 2 * graph.multiple), max(sides[1], 2 * graph.multiple))  # torch.export freezes a 1
        least = -(-graph.smallest // graph.multiple)
        dynamic |= {axis: graph.multiple * torch.export.Dim(name, min=least) for axis, name in ((1, "h"), (2, "w"))}
    example = torch.zeros(2, *sides, 3, dtype=torch.uint8, device=graph.mean.device)
    program = torch.onnx.export(
        _Present(graph).eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=outputs_of(graph),
        dynamic_shapes={"images": dynamic},
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


def outputs_of(graph: SingleShotGraph) -> list[str]:
    """The names of the outputs that a graph has."""
    black = torch.zeros(1, *graph.typical, 3, dtype=torch.uint8, device=graph.mean.device)
    with torch.inference_mode():
        given: SingleShotOutput = graph(black)
    return list(given.present)


class _Present(nn.Module):
    """A graph without the outputs that it does not have."""

    def __init__(self, graph: SingleShotGraph) -> None:
        super().__init__()
        self.single_shot = graph  # "graph" is taken by torch.export

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given: SingleShotOutput = self.single_shot(images)
        return tuple(given.present.values())


def _strip(message: Any) -> None:
    """Removes descriptions, metadata (stack traces with paths) and inferred types, at any depth."""
    for descriptor, value in message.ListFields():
        if descriptor.name in ("doc_string", "metadata_props", "value_info"):
            message.ClearField(descriptor.name)
        elif descriptor.message_type is not None:
            for child in (value,) if hasattr(value, "ListFields") else value:
                _strip(child)


def inputs_of(rule: Resize, pictures: Sequence[Image]) -> list[Image]:
    """Pictures of any sizes as the network's inputs."""
    return [place(picture, plan(rule, *picture.shape[:2])) for picture in pictures]
