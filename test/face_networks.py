"""Small expression networks as ONNX files: each answers with the mean of its input's channels, times known weights."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from caer_ros.perception.bundle.bundle import MANIFEST
from caer_ros.perception.bundle.finding import find_bundle

if TYPE_CHECKING:
    from pathlib import Path

MOODS = ("calm", "cross", "glad")
IMAGENET = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")


def weights(columns: int, channels: int = 3) -> np.ndarray:
    """[channels,columns] of the last layer."""
    return np.random.default_rng(columns).normal(size=(channels, columns)).astype(np.float32)


def network(
    path: Path,
    *,
    outputs: dict[str, int] | None = None,
    shape: tuple[int | str, ...] = ("B", 3, 32, 32),
    channels_last: bool = False,
    softmax: bool = False,
    dtype: int = TensorProto.FLOAT,
    scale: float = 1.0,
    bias: float = 0.0,
    second_input: bool = False,
    opset: int = 17,
) -> Path:
    """Write a network.

    Args:
        path: of the file.
        outputs: columns of each output, the matrix of which is ``scale * weights(columns)``.
        shape: of the input; text is a dynamic dimension.
        channels_last: [B,H,W,C] instead of [B,C,H,W].
        softmax: inside, on the first output.
        dtype: of the input.
        scale, bias: of the last layers.
        second_input: one that no picture is.
        opset: of the standard operators.
    """
    outputs = {"output": 3} if outputs is None else outputs
    channels = shape[3 if channels_last else 1] if len(shape) == 4 else 3
    channels = channels if isinstance(channels, int) else 3
    nodes = [
        helper.make_node("Cast", ["input"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["channels_first"], perm=[0, 3, 1, 2])
        if channels_last
        else helper.make_node("Identity", ["numbers"], ["channels_first"]),
        helper.make_node("GlobalAveragePool", ["channels_first"], ["means_of_map"]),
        helper.make_node("Flatten", ["means_of_map"], ["means"]),
    ]
    held: dict[str, Any] = {}
    for number, (name, columns) in enumerate(outputs.items()):
        held |= {f"w_{name}": scale * weights(columns, channels), f"b_{name}": np.full(columns, bias)}
        inside = softmax and number == 0
        nodes.append(helper.make_node("Gemm", ["means", f"w_{name}", f"b_{name}"], [f"raw_{name}" if inside else name]))
        if inside:
            nodes.append(helper.make_node("Softmax", [f"raw_{name}"], [name], axis=1))
    inputs = [helper.make_tensor_value_info("input", dtype, shape)]
    if second_input:
        inputs.append(helper.make_tensor_value_info("pose", TensorProto.FLOAT, [1]))
    batch = shape[0]
    graph = helper.make_graph(
        nodes,
        "faces",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, columns]) for name, columns in outputs.items()],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


SECTION: dict[str, Any] = {
    "size": 32,
    "layout": "nchw",
    "channels": "rgb",
    "dtype": "float32",
    "span": 1,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "crop": 1.2,
    "antialias": True,
    "output": "output",
    "gives": "logits",
    "labels": list(MOODS),
}
"""What ``model.yaml`` says of ``network()`` as it is by itself."""


def composed(folder: Path, file: Path, section: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A composed bundle with the expression network ``file``; what it carries is linked, not copied.

    Args:
        folder: of the bundle, made.
        file: the network.
        section: changes of ``SECTION``; None as a value takes the field out.
        changes: of whole fields of ``model.yaml``.
    """
    carried = find_bundle("bootstrap")
    document = yaml.safe_load((carried / MANIFEST).read_text("utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: document["files"][name] for name in ("detector", "face")}
    for entry in files.values():
        (folder / entry["path"]).symlink_to((carried / entry["path"]).resolve())
    content = file.read_bytes()
    (folder / file.name).write_bytes(content)
    files["expression"] = {
        "path": file.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    fields = {name: value for name, value in (SECTION | (section or {})).items() if value is not None}
    moods = {"label_set": "moods", "labels": list(MOODS), "predictable": list(MOODS)}
    document |= moods | {"name": folder.name, "expression": fields, "files": files} | changes
    (folder / MANIFEST).write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return folder
