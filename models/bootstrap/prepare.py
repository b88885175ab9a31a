"""Makes the four ONNX files of this folder from those they derive from: ``python prepare.py FOLDER``.

Needs ``onnx`` (1.16 or newer) and nothing of caer_ros. FOLDER holds the published networks as they were converted to
ONNX, by the same names; the files beside this script are overwritten, with the same bytes by the same onnx. The weights
stay the same 16-bit numbers. What changes is what a robot would otherwise compute in many small steps:

- All take uint8 ``images`` [N, height, width, channels], RGB or grey; normalisation is part of the graph.
- NanoDet wants BGR: the first convolution's planes are put in reverse order, instead of those of each image.
- NanoDet gives the scores of persons alone, not of COCO's 80 classes.
- Both detectors give one tensor for all their grids, instead of one for each.
- BlazeFace takes N images, instead of one.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import onnx
from onnx import compose, numpy_helper, parser, shape_inference, utils

ORIGINALS = {
    "nanodet_f16.onnx": "ba97727c75de6951cc003fa51d4e5cfe0fdcc80902ec27a878dd69be36bad9bd",
    "blazeface_back_f16.onnx": "e2811cb528dfba7ae6d4af3cb18c3082dba0a8361be9d0a3737cb6f60e111458",
    "emotion_f16.onnx": "797ba95a15f5dc78f844d75fdcf2f0e28005121743dba41e210e218fd6ba57aa",
    "faceapi_expr_f16.onnx": "9c5cdb09bbf6456f0ad23fc9b426a40ba8267a54dad6537abc1ee2da8285cf6d",
}
"""sha256 of the files in FOLDER; model.yaml has those of what is made of them."""

NANODET_FRONT = """
images_to_planes (uint8[1,416,416,3] images) => (float[1,3,416,416] normalised)
<float[1,3,1,1] mean = {123.675, 116.28, 103.53}, float[1,3,1,1] std = {58.395, 57.12, 57.375}>
{
    planes = Transpose <perm = [0, 3, 1, 2]> (images)
    numbers = Cast <to = 1> (planes)
    centred = Sub (numbers, mean)
    normalised = Div (centred, std)
}"""
NANODET_BACK = """
grids_to_cells (
    float[1,80,52,52] classes_8, float[1,80,26,26] classes_16, float[1,80,13,13] classes_32,
    float[1,2704,44] sides_8, float[1,676,44] sides_16, float[1,169,44] sides_32
) => (float[1,3549] scores, float[1,3549,44] sides)
<int64[1] first = {0}, int64[1] second = {1}, int64[2] flat = {1, -1}>
{
    persons_8 = Slice (classes_8, first, second, second)
    persons_16 = Slice (classes_16, first, second, second)
    persons_32 = Slice (classes_32, first, second, second)
    logits_8 = Reshape (persons_8, flat)
    logits_16 = Reshape (persons_16, flat)
    logits_32 = Reshape (persons_32, flat)
    logits = Concat <axis = 1> (logits_8, logits_16, logits_32)
    scores = Sigmoid (logits)
    sides = Concat <axis = 1> (sides_8, sides_16, sides_32)
}"""
BLAZEFACE_BACK = """
grids_to_cells (
    float[N,512,1] logits_16, float[N,384,1] logits_8, float[N,512,16] points_16, float[N,384,16] points_8
) => (float[N,896] logits, float[N,896,16] points)
<int64[1] last = {2}>
{
    column = Concat <axis = 1> (logits_16, logits_8)
    logits = Squeeze (column, last)
    points = Concat <axis = 1> (points_16, points_8)
}"""
UNIT_FRONT = """
images_to_unit (uint8[N,{size}] images) => (float[N,{size}] normalised)
<float half = {{127.5}}, float one = {{1.0}}>
{{
    numbers = Cast <to = 1> (images)
    halves = Div (numbers, half)
    normalised = Sub (halves, one)
}}"""
CAST_FRONT = """
images_to_numbers (uint8[N,112,112,3] images) => (float[N,112,112,3] numbers)
{
    numbers = Cast <to = 1> (images)
}"""


def nanodet(net: onnx.ModelProto) -> onnx.ModelProto:
    """Persons: scores 0..1 and the four sides in bins, of the cells of strides 8, 16 and 32."""
    _reverse_planes(net, "PartitionedCall/split:0_f16")
    grids = [(f"PartitionedCall/onnx_tf_prefix_Split_{n}:0", sides) for n, sides in _NANODET_GRIDS]
    classes, sides = [name for name, _ in grids], [name for _, name in grids]
    net = utils.Extractor(shape_inference.infer_shapes(net)).extract_model(["input_1:0"], classes + sides)
    net = _with_front(NANODET_FRONT, net)
    ends = [f"{kind}_{stride}" for kind in ("classes", "sides") for stride in (8, 16, 32)]
    return compose.merge_models(net, _part(NANODET_BACK), list(zip(classes + sides, ends, strict=True)))


def blazeface(net: onnx.ModelProto) -> onnx.ModelProto:
    """Faces: logits and points (centre, size, keypoints) of the cells of both grids."""
    _free_batch(net)
    net = _with_front(UNIT_FRONT.format(size="256,256,3"), net)
    ends = ("logits_16", "logits_8", "points_16", "points_8")
    outputs = ("Identity:0", "Identity_1:0", "Identity_2:0", "Identity_3:0")
    return compose.merge_models(net, _part(BLAZEFACE_BACK), list(zip(outputs, ends, strict=True)))


def emotion(net: onnx.ModelProto) -> onnx.ModelProto:
    """Expression, grey."""
    return _with_front(UNIT_FRONT.format(size="64,64,1"), net)


def faceapi(net: onnx.ModelProto) -> onnx.ModelProto:
    """Expression, colour; it subtracts its own mean."""
    return _with_front(CAST_FRONT, net)


_NANODET_GRIDS = ((153, "Identity_3:0"), (164, "Identity_4:0"), (175, "Identity_5:0"))
_MAKERS = dict(zip(ORIGINALS, (nanodet, blazeface, emotion, faceapi), strict=True))


def _part(text: str) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 7, opset_import: ["": 13, "ai.onnx.ml": 2]> {text}')


def _with_front(text: str, net: onnx.ModelProto) -> onnx.ModelProto:
    front = _part(text)
    return compose.merge_models(front, net, [(front.graph.output[0].name, net.graph.input[0].name)])


def _reverse_planes(net: onnx.ModelProto, kernel: str) -> None:
    """Makes a first convolution's kernel [out, 3, rows, columns] for BGR one for RGB."""
    (tensor,) = (tensor for tensor in net.graph.initializer if tensor.name == kernel)
    planes = numpy_helper.to_array(tensor)[:, ::-1].copy()
    tensor.CopyFrom(numpy_helper.from_array(planes, kernel))


def _free_batch(net: onnx.ModelProto) -> None:
    """Inputs, outputs and reshapes for one image become those for any number."""
    for value in (*net.graph.input, *net.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del net.graph.value_info[:]
    shapes = {node.input[1] for node in net.graph.node if node.op_type == "Reshape"}
    for tensor in net.graph.initializer:
        if tensor.name in shapes:
            shape = numpy_helper.to_array(tensor).copy()
            shape[0] = -1
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def main(folder: Path) -> None:
    """Prints the lines of model.yaml that change."""
    for name, sha256 in ORIGINALS.items():
        data = (folder / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            sys.exit(f"{folder / name} is not the file that this script is for: its sha256 is not {sha256}")
        model = _MAKERS[name](onnx.load_model_from_string(data))
        model.graph.name = name.removesuffix(".onnx")
        onnx.checker.check_model(model, full_check=True)
        made = model.SerializeToString(deterministic=True)
        (Path(__file__).parent / name).write_bytes(made)
        print(f"path: {name}\nsize: {len(made)}\nsha256: {hashlib.sha256(made).hexdigest()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
