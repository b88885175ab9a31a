"""Small ONNX graphs and bundles for tests: networks so simple that what they must answer is known.

They are written for ONNX Runtime 1.23, the newest for Python 3.10: IR version 10, opset 17.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import yaml

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("calm", "cross", "glad")

# Boxes the pixels brighter than 128; in an image without any, every score is 0.
_FINDER = """
<ir_version: 10, opset_import: ["" : 17]>
finder ({type}[{batch},{height},{width},3] images) => ({outputs})
{{
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    four = Constant <value_ints = [4]> ()
    zero = Constant <value_ints = [0]> ()
    limit = Constant <value_float = 128.0> ()
    pixels = Cast <to = 1> (images)
    brightest = ReduceMax <axes = [3], keepdims = 0> (pixels)
    over = Greater (brightest, limit)
    bright = Cast <to = 1> (over)
    columns = ReduceMax <axes = [1], keepdims = 0> (bright)
    rows = ReduceMax <axes = [2], keepdims = 0> (bright)
    left = ArgMax <axis = 1, keepdims = 1> (columns)
    top = ArgMax <axis = 1, keepdims = 1> (rows)
    last_column = ArgMax <axis = 1, keepdims = 1, select_last_index = 1> (columns)
    last_row = ArgMax <axis = 1, keepdims = 1, select_last_index = 1> (rows)
    right = Add (last_column, one)
    bottom = Add (last_row, one)
    corners = Concat <axis = 1> (left, top, right, bottom)
    shape = Shape (images)
    n = Gather (shape, zero)
    height = Gather (shape, one)
    width = Gather (shape, two)
    size = Concat <axis = 0> (width, height, width, height)
    corners_f = Cast <to = 1> (corners)
    size_f = Cast <to = 1> (size)
    box = Div (corners_f, size_f)
    box_of_image = Unsqueeze (box, one)
    scores_shape = Shape (slot_scores)
    slots_shape = Concat <axis = 0> (n, scores_shape)
    boxes_shape = Concat <axis = 0> (slots_shape, four)
    same_boxes = Expand (box_of_image, boxes_shape)
    boxes = Add (same_boxes, shift)
    found = ReduceMax <axes = [1], keepdims = 1> (rows)
    person_scores = Mul (found, slot_scores)
    {rest}
}}
"""
# A value that is the same for every image of the batch.
_CONSTANT = """
    shape_of_{name} = Shape (slot_{name})
    full_{name} = Concat <axis = 0> (n, shape_of_{name})
    {name} = Expand (slot_{name}, full_{name})
"""


def single_shot(
    path: Path,
    *,
    scores: tuple[float, ...] = (0.9, 0.2),
    emotions: np.ndarray | None = None,
    size: tuple[int | str, int | str] = ("H", "W"),
    batch: int | str = "B",
    dtype: str = "uint8",
    shift: float | np.ndarray = 0.0,
    names: dict[str, str] | None = None,
    **extra: np.ndarray,
) -> Path:
    """A single-shot graph that boxes the bright pixels.

    Args:
        scores: of the K slots, all with the same box.
        emotions: [K,E], as the graph shall give them; evenly spread when None.
        size, batch: of the input; text is a dynamic dimension.
        shift: added to the boxes: one number, or [K,4].
        names: outputs to rename.
        extra: further outputs such as ``vad`` [K,3], the same for each image.
    """
    if emotions is None:
        emotions = np.full((len(scores), len(LABELS)), 1 / len(LABELS))
    constants = {"emotion_scores": emotions, **extra}
    text = _FINDER.format(
        type=dtype,
        batch=batch,
        height=size[0],
        width=size[1],
        outputs=", ".join(
            [f"float[{batch},{len(scores)},4] boxes", f"float[{batch},{len(scores)}] person_scores"]
            + [f"float[{batch},{','.join(map(str, value.shape))}] {name}" for name, value in constants.items()]
        ),
        rest="".join(_CONSTANT.format(name=name) for name in constants),
    )
    for old, new in (names or {}).items():
        text = text.replace(f"] {old}", f"] {new}").replace(f" {old} =", f" {new} =")
    model = onnx.parser.parse_model(text)
    held = {"slot_scores": np.array(scores), "shift": np.array(shift)}
    held.update({f"slot_{name}": value for name, value in constants.items()})
    for name, value in held.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, np.float32), name))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def manifest(path: Path, **changes: Any) -> dict[str, Any]:
    """The ``model.yaml`` of a single-shot bundle whose one file is ``path``; ``changes`` replace whole fields."""
    content = path.read_bytes()
    return {
        "name": "finder",
        "version": "1.0.0",
        "kind": "single_shot",
        "label_set": "moods",
        "labels": list(LABELS),
        "predictable": list(LABELS),
        "score_type": "softmax",
        "box_kind": "body",
        "max_persons": 2,
        "person_score": "max_class",
        "pooling": "box_mean",
        "resize": {"mode": "stretch", "size": [64, 64], "interpolation": "nearest"},
        "thresholds": {"person": 0.5, "uncertain": 0.4},
        "provenance": {"data": "none", "recipe": "by hand", "commit": "none", "metrics": []},
        "licence": "Apache-2.0",
        "commercial_use": True,
        "files": {
            "model": {"path": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        },
    } | changes


def write_bundle(folder: Path, graph: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A single-shot bundle in ``folder``: arguments of ``single_shot``, and changes of ``manifest``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = single_shot(folder / "model.onnx", **(graph or {}))
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest(path, **changes), sort_keys=False))
    return folder


def edit_card(folder: Path, field: str, value: object) -> None:
    """Set the field ``a.b.c`` of model.yaml; ``...`` removes the field."""
    document = yaml.safe_load((folder / "model.yaml").read_text())
    *outer, last = field.split(".")
    section = document
    for name in outer:
        section = section[name]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    (folder / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
