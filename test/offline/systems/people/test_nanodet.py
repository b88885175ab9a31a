from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from caer_ros.offline.export.export import demo_pictures
from caer_ros.offline.systems.people import nanodet
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.imaging.resizing import Resize, place, plan
from caer_ros.perception.predictors.composed.nanodet import INPUT, OUTPUTS, SIZE

FILE = find_bundle("bootstrap") / "nanodet_f16.onnx"


@pytest.fixture(scope="module")
def network():
    return nanodet.load(FILE).eval()


def test_answers_as_onnx_runtime_does(network):
    session = ort.InferenceSession(str(FILE), providers=["CPUExecutionProvider"])
    mean, std = (255 * torch.tensor(v)[:, None, None] for v in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    rule = Resize("letterbox", (SIZE, SIZE))
    best = []
    for picture in demo_pictures():
        pixels = place(picture, plan(rule, *picture.shape[:2]))
        scores, sides = session.run(list(OUTPUTS), {INPUT: pixels[None]})
        with torch.inference_mode():
            found = network((torch.from_numpy(pixels).permute(2, 0, 1)[None] - mean) / std)
        np.testing.assert_allclose(found.logits.sigmoid(), scores, atol=1e-4)
        np.testing.assert_allclose(found.sides, sides, atol=1e-4)
        best.append(scores.max())
    assert min(best) > 0.5  # there was somebody to find in each


@pytest.mark.parametrize(("height", "width"), [(32, 64), (320, 416)])
def test_takes_any_multiple_of_32(network, height, width):
    with torch.inference_mode():
        found = network(torch.zeros(2, 3, height, width))
    cells = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    assert found.logits.shape == (2, cells)
    assert found.sides.shape == (2, cells, 44)


def test_its_features_are_as_wide_as_said(network):
    features = network.trunk(torch.zeros(1, 3, 64, 64))
    assert [f.shape[1] for f in features] == list(nanodet.WIDTHS.values())
    assert [64 // f.shape[2] for f in features] == list(nanodet.WIDTHS)
    assert {f.shape[1] for f in network.neck(features[1:])} == {nanodet.NECK_WIDTH}


def test_refuses_another_network_by_name(tmp_path):
    other = find_bundle("bootstrap") / "blazeface_back_f16.onnx"
    with pytest.raises(nanodet.NanoDetError, match=r"blazeface_back_f16.onnx: \d+ convolutions"):
        nanodet.load(other)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(FILE.read_bytes()[:1000])
    with pytest.raises(nanodet.NanoDetError, match=r"broken.onnx: not readable"):
        nanodet.load(broken)


def test_refuses_kernels_of_another_size(tmp_path):
    model = onnx.load(str(FILE))
    first = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    cast = next(node for node in model.graph.node if first in node.output).input[0]
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == cast)
    values = onnx.numpy_helper.to_array(stored)
    stored.CopyFrom(onnx.numpy_helper.from_array(values[:16], cast))
    onnx.save(model, str(tmp_path / "narrow.onnx"))
    with pytest.raises(nanodet.NanoDetError, match=r"\[16, 3, 3, 3\] where the carried detector has \[32, 3, 3, 3\]"):
        nanodet.load(tmp_path / "narrow.onnx")
