"""An ONNX file that others published: read, checked and run once, without torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx.external_data_helper import uses_external_data

from caer_ros.offline.importers.refused import ImporterError, check_kind
from caer_ros.perception.engine import Engine, EngineError, EngineSettings, Tensor, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROBOT_OPSET, ROBOT_IR = 20, 9
"""The newest that ONNX Runtime 1.17 reads, the oldest that a robot may have."""
_HEADS = {
    b"PK": "a zip archive, such as PyTorch's; export the network with torch.onnx.export",
    b"\x89HDF": "an HDF5 file, such as Keras's; convert the network with tf2onnx",
    b"\x80": "a pickle, such as PyTorch's; export the network with torch.onnx.export",
}


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A file that ONNX Runtime runs on this machine's CPU."""

    path: Path
    content: bytes
    engine: Engine
    opset: int
    """Version of the standard operators."""
    ir_version: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob(self) -> str:
        """The name that git gives the content."""
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content, usedforsecurity=False).hexdigest()

    @property
    def input(self) -> Tensor:
        """The one input."""
        return next(iter(self.engine.inputs.values()))


def read(path: Path) -> OnnxFile:
    """Read a file of one input, check it against ONNX's rules, and load it on the CPU.

    Raises:
        ImporterError: no such file, no ONNX, not by ONNX's rules, weights beside the file, several inputs, or ONNX
            Runtime cannot load it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ImporterError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ImporterError(f"{path} is a folder; name the .onnx file in it") from None
    except OSError as error:
        raise ImporterError(f"{path}: {error.strerror or error}") from error
    check_kind(path, content[:512], ".onnx file")
    model = _parsed(path, content)
    if outside := sorted({tensor.name for tensor in _tensors(model) if uses_external_data(tensor)}):
        raise ImporterError(
            f"{path}: {len(outside)} of its weights, such as {outside[0]}, lie in another file (external data), whose "
            "content no bundle vouches for; put them inside: onnx.save(onnx.load(FILE), NEW)"
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ImporterError(
            f"{path}: not by ONNX's rules ({str(error).strip().splitlines()[0]}); export it again"
        ) from error
    try:
        engine = Engine(path, EngineSettings(device="cpu"))
    except EngineError as error:
        raise ImporterError(f"{error}; export it again, with standard operators only and an older opset") from error
    if len(engine.inputs) != 1:
        raise ImporterError(
            f"{path}: {len(engine.inputs)} inputs ({', '.join(engine.inputs)}); a network of one input, a face, is "
            "expected: export it without the others"
        )
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    return OnnxFile(path, content, engine, opset, model.ir_version)


def _parsed(path: Path, content: bytes) -> onnx.ModelProto:
    for head, what in _HEADS.items():
        if content.startswith(head):
            raise ImporterError(f"{path}: no ONNX file but {what}")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own
        raise ImporterError(f"{path}: truncated, or no ONNX file; download or export it again") from error
    if not model.graph.node:  # some text parses as an empty message
        raise ImporterError(f"{path}: no ONNX file: there is no graph in it; name the .onnx file of a network")
    return model


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """All tensors, at any depth: weights, constants, those of inner graphs."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for child in (value,) if hasattr(value, "ListFields") else value:
            if isinstance(child, onnx.TensorProto):
                yield child
            else:
                yield from _tensors(child)


def answers(file: OnnxFile, pixels: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """All outputs by name, for inputs [N,...] given one at a time.

    Raises:
        ImporterError: ONNX Runtime cannot run it on an input of this shape, or an output is no array for one image.
    """
    found: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in file.engine.outputs}
    for one in np.split(pixels, len(pixels)):
        try:
            values = file.engine.run({file.input.name: one})
        except EngineError as error:
            raise ImporterError(f"{file.path}: on an input of {written(one.shape)}: {error}") from error
        for name, value in zip(found, values, strict=True):
            found[name].append(np.asarray(value))
    return {name: np.concatenate(values) for name, values in found.items() if all(v.ndim for v in values)}
