"""How large the networks of a bundle are, and how much they compute: out of their ONNX graphs, without running them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from caer_ros.perception.engine import Engine, EngineSettings
from caer_ros.perception.imaging.resizing import plan
from caer_ros.perception.predictors.composed import expression_network

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.perception.bundle.bundle import Bundle

CAMERA = (480, 640)
"""Height and width of the image for which the input's size is that of a bundle with a resize rule."""
_KERNEL_AT = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}
"""Which input of a convolution has its kernel [out, in / groups, ...]."""
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
_WHOLE = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Cost:
    """One file of a bundle."""

    name: str
    """In the bundle's files."""
    parameters: int
    """Numbers in its weights, constants included."""
    gflops: float
    """10⁹ floating-point operations of one pass, a multiply-add being two. Convolutions and matrix products only."""
    input: tuple[int, ...]
    """Shape of the input, with one image or face."""
    unknown: int
    """Convolutions and matrix products that are not counted, as their shapes cannot be inferred."""


def costs(bundle: Bundle) -> list[Cost]:
    """One pass of each file with one image or face. Raises EngineError where a file cannot be loaded."""
    sizes: dict[str, tuple[int | None, ...]] = {}
    if bundle.resize is not None:
        sizes["model"] = (1, *plan(bundle.resize, *CAMERA).canvas, 3)
    if bundle.expression is not None:
        sizes["expression"] = expression_network.shape(bundle.expression)
    return [_cost(name, file.path, sizes.get(name)) for name, file in bundle.files.items()]


def _cost(name: str, path: Path, size: tuple[int | None, ...] | None) -> Cost:
    tensor = next(iter(Engine(path, EngineSettings("cpu", threads=1)).inputs.values()))
    shape = tuple(1 if length is None else length for length in size or tensor.shape)
    model = onnx.load(path)
    weights = {entry.name for entry in model.graph.initializer}
    for entry in model.graph.input:
        if entry.name not in weights:
            for dimension, length in zip(entry.type.tensor_type.shape.dim, shape, strict=True):
                dimension.dim_value = length
    # What was inferred for any size would stay.
    del model.graph.value_info[:]
    for entry in model.graph.output:
        entry.type.tensor_type.ClearField("shape")
    shapes = _shapes(onnx.shape_inference.infer_shapes(model, data_prop=True))
    flops = [_flops(node, shapes) for node in model.graph.node if node.op_type in {*_KERNEL_AT, "Gemm", "MatMul"}]
    parameters = sum(
        math.prod(entry.dims)
        for entry in model.graph.initializer
        if entry.data_type in _FLOATS or (entry.data_type in _WHOLE and len(entry.dims) > 1)
    )
    return Cost(name, parameters, sum(filter(None, flops)) / 1e9, shape, flops.count(None))


def _shapes(model: onnx.ModelProto) -> Shapes:
    """Of all tensors whose shape is known."""
    found: Shapes = {entry.name: tuple(entry.dims) for entry in model.graph.initializer}
    for entry in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        if entry.type.tensor_type.HasField("shape"):
            sides = entry.type.tensor_type.shape.dim
            if all(side.HasField("dim_value") for side in sides):
                found[entry.name] = tuple(side.dim_value for side in sides)
    return found


def _flops(node: onnx.NodeProto, shapes: Shapes) -> int | None:
    """None where a shape is not known."""
    out = shapes.get(node.output[0])
    other = shapes.get(node.input[_KERNEL_AT.get(node.op_type, 0)])
    if out is None or other is None:
        return None
    if node.op_type in _KERNEL_AT:
        return 2 * math.prod(out) * math.prod(other[1:])
    transposed = node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)
    return 2 * math.prod(out) * other[0 if transposed else -1]
