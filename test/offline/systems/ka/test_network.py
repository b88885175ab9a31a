from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock
from torch import nn

from caer_ros.offline.systems.components import centre, pooling
from caer_ros.offline.systems.ka.network import Student, StudentConfig

CONFIG = StudentConfig(labels=5, backbone="mobilenetv4_conv_small_050", head_width=8)


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(0)
    return Student(CONFIG).eval()


def test_its_maps(student):
    with torch.no_grad():
        output = student(torch.randn(2, 3, 64, 96))
    assert student.stride == 4
    assert output.features.shape == (2, student.channels, 16, 24)
    assert output.emotion_maps.shape == (2, 5, 16, 24)
    assert output.heatmap.shape == (2, 1, 16, 24)
    assert output.sizes.shape == (2, 2, 16, 24)


def test_without_detection_there_is_no_such_head():
    student = Student(StudentConfig(5, CONFIG.backbone, 8, detection=False)).eval()
    with torch.no_grad():
        output = student(torch.randn(1, 3, 32, 32))
    assert output.heatmap is None
    assert output.sizes is None
    assert not any("detection" in name for name in student.state_dict())


def check_tail(tail, width, outputs):
    conv, norm, relu, last = tail
    assert (conv.in_channels, conv.out_channels, conv.kernel_size, conv.padding) == (width, width, (3, 3), (1, 1))
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(relu, nn.ReLU)
    assert (last.in_channels, last.out_channels, last.kernel_size) == (width, outputs, (1, 1))


def test_the_heads_are_those_of_the_paper(student):
    blocks, tail = student.emotion_head
    trunk = student.detection_head.trunk
    for residual in (blocks, trunk):
        assert len(residual) == 4
        assert all(isinstance(block, BasicBlock) for block in residual)
        assert residual[0].conv1.in_channels == student.channels
        assert [block.downsample is None for block in residual] == [False, True, True, True]  # the first projects
    check_tail(tail, 8, 5)
    check_tail(student.detection_head.heatmap, 8, 1)
    check_tail(student.detection_head.sizes, 8, 2)


def test_the_heatmap_starts_with_few_persons(student):
    assert student.detection_head.heatmap[-1].bias.sigmoid().item() == pytest.approx(0.1, abs=1e-3)


def test_every_parameter_learns_from_its_maps():
    student = Student(CONFIG)
    output = student(torch.randn(2, 3, 32, 32))
    (output.emotion_maps.sum() + output.heatmap.sum() + output.sizes.sum() + output.features.square().sum()).backward()
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_it_runs_under_autocast(student):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = student(torch.randn(1, 3, 64, 64))
        boxes, scores = centre.decode(output.heatmap, output.sizes, 5)
        pooled = pooling.pool(output.emotion_maps, boxes)
    assert all(value.isfinite().all() for value in (*output, boxes, scores, pooled))
    assert pooled.dtype == torch.float32


class Pyramid(nn.Module):
    """Stands for a backbone's body: exporting a whole one takes long, and has its own tests."""

    def __init__(self, widths):
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(3, width, 1) for width in widths)

    def forward(self, images):
        return [level(F.avg_pool2d(images, stride)) for level, stride in zip(self.levels, (4, 8, 16, 32), strict=True)]


class Graph(nn.Module):
    def __init__(self, student):
        super().__init__()
        self.student = student

    def forward(self, images):
        output = self.student(images)
        boxes, scores = centre.decode(output.heatmap, output.sizes, 10)
        return boxes, scores, pooling.pool(output.emotion_maps, boxes), output.emotion_maps


def test_upsampling_heads_and_codecs_export_with_any_batch_and_size(tmp_path):
    torch.manual_seed(0)
    student = Student(StudentConfig(5, CONFIG.backbone, head_width=8, head_blocks=1))
    student.backbone.body, student.backbone._levels = Pyramid(student.backbone.widths), [0, 1, 2, 3]
    graph, any_size = Graph(student).eval(), torch.export.Dim.DYNAMIC
    torch.onnx.export(
        graph,
        (torch.randn(2, 3, 64, 96),),
        tmp_path / "student.onnx",
        input_names=["images"],
        opset_version=18,
        dynamo=True,
        dynamic_shapes={"images": {0: any_size, 2: any_size, 3: any_size}},
        verbose=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "student.onnx", providers=["CPUExecutionProvider"])
    for shape in ((2, 3, 64, 96), (1, 3, 96, 64)):
        images = torch.randn(shape)
        with torch.no_grad():
            expected = graph(images)
        for ours, theirs in zip(expected, session.run(None, {"images": images.numpy()}), strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-4)
