from __future__ import annotations

import numpy as np
import pytest
import torch

from caer_ros.offline.export.demo_photos import demo_pictures
from caer_ros.offline.export.export import inputs_of, outputs_of, to_onnx
from caer_ros.offline.export.graph import ExportError, run
from caer_ros.offline.export.parity import parity
from caer_ros.offline.systems.people import task
from caer_ros.offline.systems.people.graph import PeopleGraph
from caer_ros.offline.systems.people.network import PeopleConfig, PeopleStudent
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.predictors import predictor

RULE = Resize("letterbox", (480, 640), interpolation="area")


def student(pooling="attention", seed=0):
    torch.manual_seed(seed)
    network = PeopleStudent(PeopleConfig(7, pooling))
    network.detector.load_state_dict(task.nanodet_of("bootstrap").state_dict())
    torch.nn.init.normal_(network.maps.weight, std=0.3)
    return network.eval()


@pytest.fixture(scope="module")
def graph():
    return PeopleGraph(student(), RULE, 20, multi_label=False).eval()


def test_onnx_runtime_answers_as_pytorch_does(graph):
    found = parity(graph, to_onnx(graph), inputs_of(RULE, demo_pictures()))
    assert found.holds
    assert found.persons >= 3
    assert set(outputs_of(graph)) >= {"readable", "face", "attention", "emotion_maps"}


def test_persons_are_where_the_composed_bundle_finds_them(graph):
    composed = predictor.load(read_bundle(find_bundle("bootstrap")), EngineSettings("cpu", threads=1))
    for picture in demo_pictures():
        expected = composed([picture])[0].persons[0].box
        (image,) = inputs_of(RULE, [picture])
        output = run(graph, image[None])
        scale = max(picture.shape[0] / 480, picture.shape[1] / 640)
        box = output.boxes[0, 0].numpy() * np.array([640, 480, 640, 480]) * scale
        np.testing.assert_allclose(box, expected, atol=0.06 * max(expected[2:] - expected[:2]))


def test_a_person_is_read_in_the_box_that_is_given_out(graph):
    images = np.stack(inputs_of(RULE, demo_pictures()))
    with torch.inference_mode():
        output = graph(torch.from_numpy(images))
        maps = graph.network(graph.normalised(torch.from_numpy(images)))
        persons = graph.network.read(maps, output.boxes * torch.tensor([80.0, 60, 80, 60]))
    torch.testing.assert_close(output.emotion_scores, persons.emotions.softmax(-1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.readable, persons.readable.sigmoid(), atol=1e-4, rtol=1e-4)


def test_the_papers_mean_is_a_choice():
    mean = PeopleGraph(student("mean"), RULE, 5, multi_label=False)
    assert mean.pooling == "box_mean"
    images = np.stack(inputs_of(RULE, demo_pictures()[:1]))
    attention = PeopleGraph(student(), RULE, 5, multi_label=False)
    assert not torch.allclose(run(mean, images).emotion_scores, run(attention, images).emotion_scores, atol=1e-3)


@pytest.mark.parametrize(
    ("rule", "persons", "match"),
    [
        (Resize("short_side", short=480, longest=640, multiple=32), 5, "stretch or letterbox"),
        (Resize("letterbox", (470, 640)), 5, "multiples of 32"),
        (RULE, 0, "max_persons 0: expected 1 to 300"),
        (RULE, 301, "max_persons 301: expected 1 to 300"),
    ],
)
def test_what_cannot_be_run_is_refused(rule, persons, match):
    with pytest.raises(ExportError, match=match):
        PeopleGraph(student(), rule, persons, multi_label=False)
