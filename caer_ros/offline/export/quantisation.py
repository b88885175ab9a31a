"""Smaller weights for an exported graph: float16 that is computed as float32, or convolutions in 8 bits."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

_HALF_MAX = float(np.finfo(np.float16).max)


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights of two and more dimensions are stored as float16 and cast to float32 when it is loaded.

    ONNX Runtime casts them once, while loading; everything is computed in float32 as before. Weights that float16
    cannot hold stay as they are.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    casts = []
    for tensor in result.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        weights = numpy_helper.to_array(tensor)
        if np.abs(weights).max(initial=0) > _HALF_MAX:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(weights.astype(np.float16), f"{name}_f16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}_f32", to=TensorProto.FLOAT))
    nodes = [*casts, *result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def quantise(model: onnx.ModelProto, batches: Iterable[NDArray[np.uint8]]) -> onnx.ModelProto:
    """A copy whose convolutions compute in 8 bits, but for the last of each path (static, QDQ).

    Those (emotion maps, centres, sizes), additions, decoding and pooling stay in float32; additions in 8 bits were
    neither faster nor slower. Weights have a scale for each channel and 7 bits, because processors without VNNI
    instructions overflow on 8, and machines shall not differ.

    Args:
        model: a float32 graph with one input.
        batches: inputs for which the range of every activation is measured, [B,H,W,3] each.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds = ({model.graph.input[0].name: batch} for batch in batches)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._feeds, None)

    copy = onnx.ModelProto()
    copy.CopyFrom(model)  # the quantiser moves the weights of what it is given into a file
    with TemporaryDirectory(prefix="caer_export_") as folder, _quiet():
        path = Path(folder) / "model.onnx"
        quantize_static(
            copy,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=_inner_convolutions(model),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(str(path))


def _inner_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions whose result reaches another one, at whatever distance."""
    needed: set[str] = set()  # tensors that a convolution seen so far depends on
    inner = []
    for node in reversed(model.graph.node):  # ONNX demands topological order
        leads = not needed.isdisjoint(node.output)
        if leads and node.op_type == "Conv":
            inner.append(node.name)
        if leads or node.op_type == "Conv":
            needed.update(node.input)
    return inner


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser recommends a pre-processing that the exporter has done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def batched(images: Sequence[NDArray[np.uint8]], size: int = 8) -> Iterator[NDArray[np.uint8]]:
    """Images [H,W,3] of equal size as arrays [B,H,W,3] of at most ``size``."""
    for start in range(0, len(images), size):
        yield np.stack(images[start : start + size])
