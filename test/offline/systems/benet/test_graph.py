from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from scipy.special import expit
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from caer_ros.offline.export.export import to_onnx
from caer_ros.offline.export.graph import INPUT, ExportError, run
from caer_ros.offline.export.parity import parity
from caer_ros.offline.systems.benet import codec as codec
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.benet.graph import PERSONS, BenetGraph
from caer_ros.offline.systems.benet.network import Attention, Benet
from caer_ros.perception.imaging.resizing import Resize

CONFIG = BenetConfig(width=8, modules=1, blocks=1, person_centric=False, background=False)
RESIZE = Resize("short_side", short=128, longest=1024, multiple=64)


def network(config=CONFIG):
    """With lively maps: what is new answers almost the same everywhere."""
    torch.manual_seed(0)
    made = Benet(config, 4)
    for module in made.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.weight, std=0.3)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        made.train()(torch.rand(2, 3, 128, 192))
        if made.sizes_head is not None:
            made.sizes_head.coarse_tail[-1].bias.fill_(5)
            made.sizes_head.fine_tail[-1].bias.fill_(10)
    return made.eval()


@pytest.fixture(scope="module")
def graph():
    return BenetGraph(network(), RESIZE).eval()


def pictures(*shape):
    random = np.random.default_rng(1)
    batch, height, width = shape
    coarse = random.integers(0, 256, (batch, height // 16, width // 16, 3), np.uint8)
    return coarse.repeat(16, 1).repeat(16, 2)


def test_what_it_does_with_an_image(graph):
    images = pictures(2, 128, 192)
    output = run(graph, images)
    planes = (images / 255 - np.array(IMAGENET_DEFAULT_MEAN)) / np.array(IMAGENET_DEFAULT_STD)
    with torch.no_grad():
        maps = codec.merge(graph.network(torch.from_numpy(planes).permute(0, 3, 1, 2).float()))
    persons = codec.decode(maps)
    sides = np.array([192, 128, 192, 128])
    # float64 pixels here, float32 in the graph
    np.testing.assert_allclose(output.boxes.numpy() * sides, persons.boxes, atol=0.05)
    for ours, expected in (
        (expit(output.person_scores.numpy()), persons.scores),
        (output.emotion_scores, persons.emotions),
        (expit(output.emotion_maps.numpy()), maps.emotion_maps),
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-3)
    assert output.person_scores.shape == (2, PERSONS) == (2, 15)
    assert np.ptp(output.person_scores.numpy()) > 0.01
    assert output.emotion_maps.shape == (2, 4, 64, 96)


def test_with_flip_a_mirrored_image_gives_mirrored_maps():
    flipping = BenetGraph(network(), RESIZE, flip=True)
    images = pictures(1, 64, 128)
    one, other = run(flipping, images), run(flipping, np.ascontiguousarray(images[:, :, ::-1]))
    np.testing.assert_allclose(one.emotion_maps, other.emotion_maps.flip(3), atol=1e-3)
    without = run(BenetGraph(network(), RESIZE), images)
    assert (one.emotion_maps - without.emotion_maps).abs().max() > 1e-2


def test_a_single_label_is_a_softmax_over_what_was_taught(graph):
    single = BenetGraph(network(), RESIZE, multi_label=False, predictable=[True, True, False, True])
    scores = run(single, pictures(1, 64, 64)).emotion_scores
    np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-5)
    assert (scores[..., 2] == 0).all()


def test_without_detection_it_finds_nobody():
    output = run(BenetGraph(network(dataclasses.replace(CONFIG, detection=False)), RESIZE), pictures(1, 64, 64))
    assert output.boxes.shape == (1, 0, 4)
    assert output.person_scores.shape == (1, 0)
    assert output.emotion_scores.shape == (1, 0, 4)
    assert output.emotion_maps.shape == (1, 4, 32, 32)


def test_certain_maps_stay_finite():
    made = network()
    with torch.no_grad():
        for head in (made.emotion_head, made.heatmap_head):
            head.coarse_tail[-1].bias.fill_(1e4)
            head.fine_tail[-1].bias.fill_(1e4)
    assert all(value.isfinite().all() for value in run(BenetGraph(made, RESIZE), pictures(1, 64, 64)).present.values())


@pytest.mark.parametrize(
    ("resize", "persons", "said"),
    [
        (dataclasses.replace(RESIZE, multiple=32), 15, "multiples of 64"),
        (RESIZE, 0, "max_persons 0: expected 1 to 4096"),
        (RESIZE, 5000, "max_persons 5000: expected 1 to 4096"),
    ],
)
def test_what_it_cannot_be(resize, persons, said):
    with pytest.raises(ExportError, match=said):
        BenetGraph(Benet(CONFIG, 4), resize, persons)


class Streams(nn.Module):
    """Stands for the backbone, whose export with sizes left open takes a minute; the import's own tests pay for it."""

    def __init__(self):
        super().__init__()
        self.finest, self.attention = nn.Conv2d(3, CONFIG.width, 1), Attention(CONFIG.width)

    def forward_features(self, images):
        return [self.attention(self.finest(F.avg_pool2d(images, 4)))]


def test_onnx_runtime_answers_alike_at_any_size():
    made = network(dataclasses.replace(CONFIG, blocks=0))
    made.body = Streams()
    graph = BenetGraph(made, RESIZE, flip=True).eval()
    model = to_onnx(graph)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in ((2, 128, 192), (1, 192, 128), (1, 64, 64)):
        images = pictures(*shape)
        expected = run(graph, images).present
        assert list(expected) == ["boxes", "person_scores", "emotion_scores", "emotion_maps"]
        answers = session.run(list(expected), {INPUT: images})
        for (name, ours), theirs in zip(expected.items(), answers, strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-3, err_msg=f"{name} {shape}")
    found = parity(graph, model, [*pictures(2, 128, 192)])
    assert found.holds, found
    assert found.slots > 0
