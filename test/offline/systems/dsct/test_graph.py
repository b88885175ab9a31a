from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from caer_ros.offline.export import export
from caer_ros.offline.export.graph import INPUT
from caer_ros.offline.export.parity import parity
from caer_ros.offline.systems.dsct.config import DsctConfig
from caer_ros.offline.systems.dsct.graph import DsctGraph
from caer_ros.offline.systems.dsct.network import Dsct
from caer_ros.perception.imaging.resizing import Resize

CONFIG = DsctConfig(
    "resnet18",
    subjects=3,
    contexts=12,
    spatial=5,
    semantic=4,
    width=32,
    layers=1,
    heads=2,
    points=2,
    feedforward=32,
)
LABELS = 4
RULE = Resize("short_side", short=96, longest=160)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = Dsct(CONFIG, LABELS).eval()
    with torch.no_grad():  # else all offsets, and so all answers, are those of the start
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def pictures(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def run(graph, images):
    with torch.inference_mode():
        return graph(torch.from_numpy(images))


def answer(network, images):
    """Of the last layer, for images normalised here."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    planes = ((images / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.inference_mode():
        output = network(torch.from_numpy(planes))
    return output.logits[-1], output.boxes[-1]


def test_many_labels_a_person_is_as_likely_as_its_subject_logit_says(network):
    graph = DsctGraph(network, RULE, multi_label=True).eval()
    assert (graph.person_score, graph.pooling, graph.max_persons) == ("logit", "query", 3)
    images = pictures(2, 96, 128)
    output = run(graph, images)
    logits, boxes = answer(network, images)
    x, y, width, height = boxes.unbind(-1)
    corners = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1)
    assert output.boxes.shape == (2, 3, 4)
    assert output.emotion_maps is None
    torch.testing.assert_close(output.boxes, corners, rtol=0, atol=1e-5)
    torch.testing.assert_close(output.person_scores, logits[..., -1], rtol=0, atol=1e-4)
    torch.testing.assert_close(output.emotion_scores, logits[..., :-1].sigmoid(), rtol=0, atol=1e-5)


def test_one_label_a_person_is_as_likely_as_its_likeliest_emotion(network):
    graph = DsctGraph(network, RULE, multi_label=False, predictable=[True, False, True, True]).eval()
    assert graph.person_score == "max_class"
    images = pictures(2, 96, 128)
    output = run(graph, images)
    taught = answer(network, images)[0][..., [0, 2, 3]]  # neither the untaught label, nor the subject
    torch.testing.assert_close(output.person_scores, taught.amax(-1).sigmoid(), rtol=0, atol=1e-5)
    torch.testing.assert_close(output.emotion_scores[..., [0, 2, 3]], taught.softmax(-1), rtol=0, atol=1e-5)
    assert output.emotion_scores[..., 1].eq(0).all()


@pytest.mark.timeout(300)
def test_one_onnx_file_takes_batches_and_sizes_of_all_kinds(network):
    graph = DsctGraph(network, RULE, multi_label=True).eval()
    model = export.to_onnx(graph)
    assert {node.op_type for node in model.graph.node} >= {"GridSample", "TopK"}
    assert [output.name for output in model.graph.output] == ["boxes", "person_scores", "emotion_scores"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in ((1, 96, 128), (2, 96, 160), (3, 101, 97), (1, 65, 200)):
        images = pictures(*shape)
        for ours, theirs in zip(run(graph, images), session.run(None, {INPUT: images}), strict=False):
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=2e-4)
    found = parity(graph, model, [*pictures(2, 96, 128)])
    assert found.holds, found
    assert (found.slots, found.elsewhere) == (2 * CONFIG.subjects, 0)
