from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import yaml
from onnx import TensorProto
from tiny_student import BACKBONE, LABELS, SIZE, network, pictures, rule, write_checkpoint

from caer_ros.cli import main
from caer_ros.offline.evaluation import pooling_numpy
from caer_ros.offline.export import export, loading, quantisation
from caer_ros.offline.export import graph as single_shot
from caer_ros.offline.export.card import ExportSettings
from caer_ros.offline.export.graph import ExportError
from caer_ros.offline.systems.ka.config import ModelConfig
from caer_ros.offline.systems.ka.graph import StudentGraph
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.predictors import predictor

BACKBONES = (BACKBONE, "resnet10t", "hrnet_w18_small")
SETTINGS = ExportSettings(max_persons=8, person=0.01)


@pytest.fixture(scope="session")
def exported(student_checkpoint, student_bundle):
    """Graph and ONNX model of a backbone; exporting takes seconds, so each is exported once."""
    made = {BACKBONE: (loading.load_graph(student_checkpoint, 8)[0], onnx.load(str(student_bundle / "model.onnx")))}

    def get(backbone=BACKBONE):
        if backbone not in made:
            student = network(ModelConfig(backbone, None, head_width=8, head_blocks=1))
            graph = StudentGraph(student, rule(), 8, multi_label=True).eval()
            made[backbone] = graph, export.to_onnx(graph)
        return made[backbone]

    return get


@pytest.fixture(scope="session")
def inputs():
    """The demo's photographs, as the network sees them."""
    return export.inputs_of(rule(), export.demo_pictures())


@pytest.fixture
def ready(exported, monkeypatch):
    """The ONNX model of the checkpoint without waiting for it."""
    monkeypatch.setattr(export, "to_onnx", lambda graph: exported()[1])


def run(model, images):
    names = [output.name for output in model.graph.output]
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


# --- The graph -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", BACKBONES)
def test_onnx_runtime_answers_as_pytorch_does(exported, inputs, backbone):
    graph, model = exported(backbone)
    found = export.parity(graph, model, inputs)
    assert found.holds, found
    assert found.persons > 4 * len(inputs)  # else there was nothing to compare
    assert found.logits > 0.1
    assert found.boxes < 1e-3
    assert found.emotion_maps < 1e-3


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_numpy_codec_reads_what_the_graph_reads(exported, inputs, backbone):
    graph, model = exported(backbone)
    for image in inputs:
        outputs = run(model, image[None])
        height, width = SIZE
        boxes = outputs["boxes"][0] * np.array([width, height, width, height], np.float32) / graph.stride
        logits = pooling_numpy.pool(outputs["emotion_maps"][0], boxes)
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), outputs["emotion_scores"][0], atol=1e-5)


def test_the_batch_is_dynamic_and_images_do_not_touch_each_other(exported):
    _, model = exported()
    images = np.stack(export.inputs_of(rule(), pictures(5)))
    together = run(model, images)
    for number, image in enumerate(images):
        for name, values in run(model, image[None]).items():
            np.testing.assert_allclose(values[0], together[name][number], atol=1e-4)


def test_the_graph_says_what_the_node_expects(exported):
    _, model = exported()
    (given,) = model.graph.input
    assert given.name == "images"
    assert given.type.tensor_type.elem_type == TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == ["B", *SIZE, 3]
    shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.output}
    assert shapes == {
        "boxes": ["B", 8, 4],
        "person_scores": ["B", 8],
        "emotion_scores": ["B", 8, 3],
        "emotion_maps": ["B", 3, SIZE[0] // 4, SIZE[1] // 4],
    }


def test_the_graph_is_old_enough_for_a_robot_and_has_no_traces(exported):
    _, model = exported()
    assert model.ir_version <= 9  # ONNX Runtime 1.17
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    text = str(model)
    assert "doc_string" not in text
    assert "metadata" not in text
    assert ".py" not in text
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


def test_a_softmax_for_a_single_label():
    student = network(ModelConfig(BACKBONE, None, head_width=8, head_blocks=1))
    images = np.stack(export.inputs_of(rule(), pictures(2)))
    single = single_shot.run(StudentGraph(student, rule(), 4, multi_label=False), images)
    several = single_shot.run(StudentGraph(student, rule(), 4, multi_label=True), images)
    torch.testing.assert_close(single.emotion_scores.sum(-1), torch.ones(2, 4))
    odds = several.emotion_scores.logit()
    torch.testing.assert_close(single.emotion_scores, odds.softmax(-1), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("resize", "persons", "says"),
    [
        (rule(size=(64, 90)), 4, "multiples of 32"),
        (export.Resize("short_side", short=64, longest=96), 4, "short_side"),
        (rule(), 0, "max_persons 0: expected 1 to 384"),
        (rule(), 385, "max_persons 385"),
    ],
)
def test_what_cannot_be_a_graph(resize, persons, says):
    student = network(ModelConfig(BACKBONE, None, head_width=8, head_blocks=1))
    with pytest.raises(ExportError, match=says):
        StudentGraph(student, resize, persons, multi_label=True)


# --- Smaller weights -----------------------------------------------------------------------------------------------


def test_halved_weights_are_half_the_file_and_nearly_the_same_network(exported, inputs):
    _, model = exported()
    halved = quantisation.halve(model)
    assert len(halved.SerializeToString()) < 0.6 * len(model.SerializeToString())
    kept = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    assert all(len(t.dims) < 2 for t in halved.graph.initializer if t.data_type == TensorProto.FLOAT)
    assert kept == {t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}  # untouched itself
    expected, found = run(model, np.stack(inputs)), run(halved, np.stack(inputs))
    difference = np.abs(expected["emotion_maps"] - found["emotion_maps"])
    assert 0 < difference.max() < 0.05 * np.ptp(expected["emotion_maps"])
    assert found["emotion_maps"].dtype == np.float32


def test_weights_that_float16_cannot_hold_stay(exported):
    model = onnx.ModelProto()
    model.CopyFrom(exported()[1])
    huge = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) > 1)
    name = huge.name
    huge.CopyFrom(onnx.numpy_helper.from_array(np.full(huge.dims, 1e5, np.float32), name))
    kept = {t.name for t in quantisation.halve(model).graph.initializer if t.data_type == TensorProto.FLOAT}
    assert name in kept


def test_eight_bits(exported, inputs):
    _, model = exported()
    before = model.SerializeToString(deterministic=True)
    batches = quantisation.batched(export.inputs_of(rule(), pictures(10)), 4)
    quantised = quantisation.quantise(model, batches)
    assert model.SerializeToString(deterministic=True) == before
    weights = {t.name for t in quantised.graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 4}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(weights) == len(convolutions) - 3  # emotion maps, heatmap and sizes stay as they are
    expected, found = run(model, np.stack(inputs)), run(quantised, np.stack(inputs))
    noise = (found["emotion_maps"] - expected["emotion_maps"]).std()
    assert 0 < noise < 0.6 * expected["emotion_maps"].std()


# --- The bundle ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ready")
def test_a_bundle_that_the_node_loads(student_checkpoint, tmp_path):
    made = export.export(student_checkpoint, tmp_path / "models" / "tiny", SETTINGS)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]
    bundle = read_bundle(tmp_path / "models" / "tiny")
    assert bundle == made.bundle
    assert (bundle.name, bundle.kind, bundle.labels, bundle.pooling) == ("tiny", "single_shot", LABELS, "box_mean")
    assert bundle.resize == rule()
    assert bundle.thresholds.person == 0.01
    assert bundle.commercial_use is None
    assert [(metric.name, metric.value) for metric in bundle.provenance.metrics] == [("val/loss", 1.25)]
    assert made.graph.holds
    assert made.stored.persons == made.graph.persons
    (prediction,) = predictor.load(bundle, EngineSettings("cpu"))(export.demo_pictures()[:1])
    assert prediction.persons
    assert prediction.saturated
    model = onnx.load(str(bundle.path / "model.onnx"))
    assert any(t.data_type == TensorProto.FLOAT16 for t in model.graph.initializer)


def test_labels_that_were_not_taught_are_not_predicted(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "distilled.ckpt", multi_label=False, known=("calm", "glad"))
    made = export.export(checkpoint, tmp_path / "out", replace(SETTINGS, weights="float32"))
    assert made.graph.holds
    assert made.bundle.predictable == (True, False, True)
    assert "calm, glad; not taught, so never predicted: cross" in (tmp_path / "out" / "README.md").read_text("utf-8")
    (prediction,) = predictor.load(made.bundle, EngineSettings("cpu"))(export.demo_pictures()[:1])
    scores = np.stack([person.scores for person in prediction.persons])
    assert np.isnan(scores[:, 1]).all()
    np.testing.assert_allclose(np.nansum(scores, axis=1), 1, atol=1e-5)


@pytest.mark.usefixtures("ready")
def test_the_card_says_what_is_known(student_checkpoint, tmp_path):
    note = "It has never seen a real person."
    settings = ExportSettings(name="small", licence="Apache-2.0", commercial_use=True, max_persons=8, note=note)
    export.export(student_checkpoint, tmp_path / "out", settings)
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "Commercial use: allowed" in card
    for text in ("# small", note, "Apache-2.0", "random weights", "64×96", "calm, cross", "val/loss | 1.25", BACKBONE):
        assert text in card
    assert "{" not in card
    fields = yaml.safe_load((tmp_path / "out" / "model.yaml").read_text("utf-8"))
    assert fields["name"] == "small"
    assert fields["commercial_use"] is True


@pytest.mark.usefixtures("ready")
def test_nothing_is_overwritten_unless_asked(student_checkpoint, tmp_path):
    out = tmp_path / "out"
    export.export(student_checkpoint, out, SETTINGS)
    (out / "note").write_text("")
    with pytest.raises(ExportError, match="exists; give another folder"):
        export.export(student_checkpoint, out, SETTINGS)
    assert (out / "note").exists()
    export.export(student_checkpoint, out, SETTINGS, overwrite=True)
    assert {path.name for path in out.iterdir()} == {"model.onnx", "model.yaml", "README.md"}
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("ready")
def test_only_bundles_and_empty_folders_are_replaced(student_checkpoint, tmp_path):
    models = tmp_path / "models"
    export.export(student_checkpoint, models / "tiny", SETTINGS)
    (tmp_path / "file").write_text("")
    for output in (models, tmp_path / "file"):
        with pytest.raises(ExportError, match="is no bundle, so it is not replaced; give another folder"):
            export.export(student_checkpoint, output, SETTINGS, overwrite=True)
    assert read_bundle(models / "tiny")
    assert (tmp_path / "file").is_file()
    (tmp_path / "empty").mkdir()
    assert export.export(student_checkpoint, tmp_path / "empty", SETTINGS, overwrite=True).bundle.name == "empty"


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("broken", ["answers", "card"])
def test_nothing_is_written_when_it_fails(student_checkpoint, tmp_path, monkeypatch, exported, broken):
    if broken == "answers":
        other = onnx.ModelProto()
        other.CopyFrom(exported()[1])
        for tensor in other.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 4:
                weights = onnx.numpy_helper.to_array(tensor) * np.float32(1.01)
                tensor.CopyFrom(onnx.numpy_helper.from_array(weights, tensor.name))
        monkeypatch.setattr(export, "to_onnx", lambda graph: other)
        error, says = ExportError, "ONNX Runtime and PyTorch differ: .*nothing was written"
    else:
        manifest = export.manifest
        monkeypatch.setattr(export, "manifest", lambda *args: manifest(*args) | {"max_persons": 0})
        error, says = BundleError, "max_persons"
    with pytest.raises(error, match=says):
        export.export(student_checkpoint, tmp_path / "out", SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported(tmp_path, student_checkpoint):
    only_emotions = write_checkpoint(tmp_path / "er.ckpt", detection=False)
    with pytest.raises(ExportError, match=r"er\.ckpt.*without a detection head"):
        export.export(only_emotions, tmp_path / "out", SETTINGS)
    teacher = write_checkpoint(tmp_path / "teacher.ckpt", task="detector")
    with pytest.raises(ExportError, match=r'teacher\.ckpt: holds a detector; only a "student"'):
        export.export(teacher, tmp_path / "out", SETTINGS)
    with pytest.raises(ExportError, match="images to calibrate on"):
        export.export(student_checkpoint, tmp_path / "out", ExportSettings(weights="int8"))
    with pytest.raises(ExportError, match='weights "int4": expected one of'):
        export.export(student_checkpoint, tmp_path / "out", ExportSettings(weights="int4"))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("ready")
def test_the_command(student_checkpoint, tmp_path, capsys):
    options = ["--max-persons", "8", "--person-threshold", "0.01", "--fp32", "--commercial-use", "false"]
    assert main(["export", str(student_checkpoint), "--output", str(tmp_path / "out"), *options]) == 0
    said = capsys.readouterr().out
    assert "ONNX Runtime against PyTorch" in said
    assert "boxes" in said
    assert read_bundle(tmp_path / "out").commercial_use is False
    assert main(["export", str(student_checkpoint), "--output", str(tmp_path / "out"), *options]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["export", str(student_checkpoint), "--output", str(tmp_path / "other"), "--int8"]) == 2
    assert "--calibrate-on" in capsys.readouterr().err
    assert (
        main(["export", str(student_checkpoint), "--output", str(tmp_path / "other"), "--person-threshold", "2"]) == 2
    )


def test_parity_tells_a_moved_box_from_a_lost_one(exported, inputs):
    graph, model = exported()
    shifted = _with_added(model, "boxes", np.float32([3 / SIZE[1], 0, 3 / SIZE[1], 0]))
    found = export.parity(graph, shifted, inputs)
    assert found.persons
    assert not found.unmatched
    # Of two peaks, one would suppress the other nearer than two pixels of the map, so no other box is as near.
    assert found.boxes == pytest.approx(3, abs=0.01)
    assert not found.holds
    lost = export.parity(graph, _with_added(model, "boxes", np.float32([1, 1, 1, 1])), inputs)
    assert lost.unmatched == lost.persons > 0


def _with_added(model, name, value):
    """The model with a constant added to one of its outputs."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node, index in itertools.product(result.graph.node, range(5)):
        if index < len(node.output) and node.output[index] == name:
            node.output[index] = f"{name}_before"
    result.graph.initializer.append(onnx.numpy_helper.from_array(value, "added"))
    result.graph.node.append(onnx.helper.make_node("Add", [f"{name}_before", "added"], [name]))
    return result
