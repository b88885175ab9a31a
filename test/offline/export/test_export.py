from __future__ import annotations

import errno
import itertools
import os
from dataclasses import replace
from pathlib import Path

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
from caer_ros.offline.export.demo_photos import demo_pictures
from caer_ros.offline.export.graph import ExportError
from caer_ros.offline.export.parity import LIMITS
from caer_ros.offline.systems.ka.config import ModelConfig
from caer_ros.offline.systems.ka.graph import StudentGraph
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.predictors import predictor
from caer_ros.whole_folder import FolderError

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
    return export.inputs_of(rule(), demo_pictures())


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
    assert found.slots > 4 * len(inputs)
    assert (found.elsewhere, found.persons) == (0, 0)  # nobody by the threshold, and compared all the same
    assert 0 < found.boxes < 1e-4
    assert 0 < found.emotion_maps < 1e-4


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
    weights = [t for t in quantised.graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 4]
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(weights) == len(convolutions) - 3  # emotion maps, heatmap and sizes stay as they are
    assert 63 <= max(np.abs(onnx.numpy_helper.to_array(tensor)).max() for tensor in weights) <= 64  # 7 bits
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
    assert made.stored.holds
    (prediction,) = predictor.load(bundle, EngineSettings("cpu"))(demo_pictures()[:1])
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
    (prediction,) = predictor.load(made.bundle, EngineSettings("cpu"))(demo_pictures()[:1])
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
    assert "stored as float16" in card
    assert card.count("24 slots in 3 images, 0 of them elsewhere (limit") == 2
    assert all(text in card for text in ("(limit 5 %)", "(limit 0.1 %)", "(limit 25 %)", "(limit 2 %)", "(limit 10 %)"))
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
def test_a_bundle_that_cannot_be_replaced_is_still_there(student_checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "out"
    export.export(student_checkpoint, out, replace(SETTINGS, version="1"))
    rename = os.rename

    def full_disk(source, target):
        if target == out:
            monkeypatch.setattr(os, "rename", rename)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    monkeypatch.setattr(os, "rename", full_disk)
    with pytest.raises(FolderError, match=r"out: .*No space left on device.*; it is the old one again"):
        export.export(student_checkpoint, out, replace(SETTINGS, version="2"), overwrite=True)
    assert read_bundle(out).version == "1"
    assert list(tmp_path.iterdir()) == [out]


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
    with pytest.raises(ExportError, match=r"teacher\.ckpt: holds a detector, which finds no persons"):
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


# --- Parity --------------------------------------------------------------------------------------------------------


def test_parity_tells_a_moved_box_from_a_lost_one(exported, inputs):
    graph, model = exported()
    moved = export.parity(graph, _with_added(model, "boxes", np.float32([3 / SIZE[1], 0, 3 / SIZE[1], 0])), inputs)
    assert (moved.slots, moved.elsewhere) == (8 * len(inputs), 0)
    assert 0.05 < moved.boxes < 0.5  # 3 pixels, and boxes are of about 24
    assert not moved.holds
    lost = export.parity(graph, _with_added(model, "boxes", np.float32([1, 1, 1, 1])), inputs)
    assert lost.elsewhere == lost.slots > 0
    assert not lost.holds


@pytest.mark.parametrize(
    ("output", "added"),
    [
        pytest.param("boxes", [1 / SIZE[1], 0, 1 / SIZE[1], 0], id="boxes off by a pixel"),
        pytest.param("person_scores", [0.01], id="persons a hundredth of a logit likelier"),
        pytest.param("emotion_scores", [0.001], id="emotions a thousandth likelier"),
        pytest.param("emotion_maps", [0.01], id="maps"),
    ],
)
def test_with_nobody_above_the_threshold_all_is_compared(
    student_checkpoint, tmp_path, monkeypatch, exported, output, added
):
    monkeypatch.setattr(export, "to_onnx", lambda graph: _with_added(exported()[1], output, np.float32(added)))
    with pytest.raises(ExportError, match=r"differ: 24 slots in 3 images, .* 0 of 0 persons; .*nothing was written"):
        export.export(student_checkpoint, tmp_path / "out", replace(SETTINGS, person=0.999))
    assert list(tmp_path.iterdir()) == []


def test_slots_of_equal_scores_may_change_their_order_and_others_may_not(exported, inputs):
    student = network(ModelConfig(BACKBONE, None, head_width=8, head_blocks=1))
    torch.nn.init.zeros_(student.detection_head.heatmap[-1].weight)  # as likely everywhere
    cells = SIZE[0] * SIZE[1] // 16
    graph = StudentGraph(student, rule(), cells, multi_label=True).eval()
    found = export.parity(graph, _last_first(export.to_onnx(graph)), inputs[:1])
    assert found.holds, found
    assert found.slots == cells
    graph, model = exported()
    assert not export.parity(graph, _last_first(model), inputs).holds


def test_a_number_that_is_none_is_no_parity(exported, inputs):
    graph, model = exported()
    for output in ("boxes", "person_scores", "emotion_scores", "emotion_maps"):
        assert not export.parity(graph, _with_added(model, output, np.float32([np.nan])), inputs).holds


@pytest.mark.usefixtures("ready")
def test_the_stored_weights_are_held_to_their_own_limit(student_checkpoint, tmp_path, monkeypatch):
    int8 = replace(SETTINGS, weights="int8")
    black = [np.zeros((90, 120, 3), np.uint8)]  # tell nothing of the ranges of other pictures
    with pytest.raises(ExportError, match=r"with int8 weights .* differ: .*Take --fp32, or --calibrate-on"):
        export.export(student_checkpoint, tmp_path / "out", int8, calibration=black)
    halve = quantisation.halve
    shift = np.float32([2 / SIZE[1], 0, 2 / SIZE[1], 0])
    monkeypatch.setattr(quantisation, "halve", lambda model: _with_added(halve(model), "boxes", shift))
    with pytest.raises(ExportError, match=r"with float16 weights .*\(limit 2 %\).*nothing was written. Take --fp32$"):
        export.export(student_checkpoint, tmp_path / "out", SETTINGS)
    assert list(tmp_path.iterdir()) == []
    made = export.export(student_checkpoint, tmp_path / "out", int8, calibration=pictures(10))
    assert made.stored.limit == LIMITS["int8"]
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "convolutions in 8 bits but for the last of each path (weights in 7 bits)" in card
    assert "(limit 80 %)" in card


def test_the_guide_has_the_limits():
    guide = (Path(__file__).parents[3] / "docs" / "training.md").read_text("utf-8")
    for start, name in (("| float16, the default", "float16"), ("| float32", "float32"), ("| 8 bits", "int8")):
        cells = next(line for line in guide.splitlines() if line.startswith(start)).split(" | ")
        limit = LIMITS[name]
        percents = [f"{100 * part:.2g} %" for part in (limit.boxes, limit.logits, limit.elsewhere)]
        assert [cell.removesuffix(" |").partition(",")[0] for cell in cells[-3:]] == percents


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


def _last_first(model):
    """The model with its slots in the opposite order."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    names = ("boxes", "person_scores", "emotion_scores")
    for node, index in itertools.product(result.graph.node, range(5)):
        if index < len(node.output) and node.output[index] in names:
            node.output[index] += "_before"
        if index < len(node.input) and node.input[index] in names:
            node.input[index] += "_before"
    slots = (
        next(value for value in result.graph.output if value.name == "boxes").type.tensor_type.shape.dim[1].dim_value
    )
    order = onnx.numpy_helper.from_array(np.arange(slots)[::-1].copy(), "order")
    result.graph.initializer.append(order)
    for name in names:
        result.graph.node.append(onnx.helper.make_node("Gather", [f"{name}_before", "order"], [name], axis=1))
    return result
