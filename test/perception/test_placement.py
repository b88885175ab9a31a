"""Profiles of ONNX Runtime: a real one of the CPU, and one of CUDA by hand.

The latter has the fields of the former (1.31) and those that ONNX Runtime's own profile_result_processor.py reads of
CUDA's: microseconds; cat "Session" with "model_run" noted when the run is over; cat "Node" with the provider,
and the types and shapes of inputs and outputs; cat "Kernel" for what the GPU did; Memcpy nodes between the two.
"""

from __future__ import annotations

import json

import pytest
from graphs import single_shot, write_bundle

from caer_ros.perception import placement
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import CPU, Engine, EngineError, EngineSettings
from caer_ros.perception.placement import SMALL

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"


def node(op, provider, ts, dur, inputs=(), outputs=()):
    """``inputs`` and ``outputs`` are shapes of float tensors."""
    shapes = {
        "input_type_shape": [{"float": list(shape)} for shape in inputs],
        "output_type_shape": [{"float": list(shape)} for shape in outputs],
    }
    args = {"op_name": op, "provider": provider, "node_index": str(ts), "output_size": "64", **shapes}
    return {
        "cat": "Node",
        "pid": 1,
        "tid": 1,
        "dur": dur,
        "ts": ts,
        "ph": "X",
        "name": f"{op}_kernel_time",
        "args": args,
    }


def session(name, ts, dur):
    return {"cat": "Session", "pid": 1, "tid": 1, "dur": dur, "ts": ts, "ph": "X", "name": name, "args": {}}


def kernel(ts, dur):
    args = {"stream": "7", "grid_x": "64", "block_x": "256", "op_name": "Conv"}
    return {"cat": "Kernel", "pid": -1, "tid": -1, "dur": dur, "ts": ts, "ph": "X", "name": "cudnn_conv", "args": args}


def cuda_profile(*further, run_us=10_000):
    """A slow first run, in which a node is on the CPU that is not in the second; ``further`` are of the second."""
    return [
        session("model_loading_uri", 14, 9000),
        session("session_initialization", 9100, 12_000),
        node("Conv", CUDA, 30_000, 500_000, [(1, 3, 64, 64)], [(1, 8, 64, 64)]),
        node("NonZero", CPU, 540_000, 9000, [(1, 4096)], [(2, 9)]),
        session("SequentialExecutor::Execute", 29_900, 560_000),
        session("model_run", 29_000, 562_000),
        node("Conv", CUDA, 600_100, 30, [(1, 3, 64, 64)], [(1, 8, 64, 64)]),
        kernel(600_200, 3000),
        node("Shape", CUDA, 600_150, 4, [(1, 8, 64, 64)], [(4,)]),
        node("Gather", CPU, 600_160, 300, [(4,), (1,)], [(1,)]),
        node("Concat", CPU, 600_500, 100, [(1,), (1,)], [(2,)]),
        node("If", CUDA, 600_600, 900, [()], [(1, 8)]),
        *further,
        session("SequentialExecutor::Execute", 600_010, run_us - 20),
        session("model_run", 600_000, run_us),
    ]


def read(tmp_path, events):
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events))
    return placement.read(path)


def test_only_the_last_run_counts_and_bodies_are_counted_once(tmp_path):
    placed = read(tmp_path, cuda_profile())
    assert placed.seconds == pytest.approx(0.01)
    assert [one.op for one in placed.nodes] == ["Conv", "Shape", "Gather", "Concat"]
    assert placed.providers == {CUDA: 2, CPU: 2}
    assert placed.copies == 0


def test_arithmetic_on_shapes_is_fine_on_the_cpu(tmp_path):
    """It takes 4 % of the run here."""
    placed = read(tmp_path, cuda_profile())
    assert [(o.op, o.nodes, o.share, o.small) for o in placed.on_cpu()] == [
        ("Gather", 1, pytest.approx(0.03), True),
        ("Concat", 1, pytest.approx(0.01), True),
    ]
    assert placed.astray(CUDA) == []


def test_nodes_that_fell_back_are_found_with_their_copies(tmp_path):
    placed = read(
        tmp_path,
        cuda_profile(
            node("MemcpyToHost", CUDA, 602_000, 2000, [(1, 8, 64, 64)], [(1, 8, 64, 64)]),
            node("GridSample", CPU, 604_000, 1500, [(1, 8, 64, 64), (1, 9, 9, 2)], [(1, 8, 9, 9)]),
            node("GridSample", CPU, 605_500, 500, [(1, 8, 64, 64), (1, 9, 9, 2)], [(1, 8, 9, 9)]),
            node("TopK", CPU, 606_100, 50, [(1, SMALL + 1)], [(1, 15)]),
            node("MemcpyFromHost", CUDA, 606_200, 40, [(1, 8, 9, 9)], [(1, 8, 9, 9)]),
        ),
    )
    assert placed.copies == 2
    assert [(o.op, o.nodes, o.share) for o in placed.astray(CUDA)] == [
        ("GridSample", 2, pytest.approx(0.2)),
        ("TopK", 1, pytest.approx(0.005)),
    ]
    assert placed.astray(CPU) == []  # who asks for the CPU gets it


@pytest.mark.parametrize(("microseconds", "matters"), [(99, False), (100, True)])
def test_what_takes_less_than_a_hundredth_of_the_run_does_not_matter(tmp_path, microseconds, matters):
    placed = read(tmp_path, cuda_profile(node("Range", CPU, 603_000, microseconds, [()], [(SMALL + 1,)])))
    assert bool(placed.astray(CUDA)) == matters


@pytest.mark.parametrize(("elements", "matters"), [(SMALL, False), (SMALL + 1, True)])
def test_the_largest_tensor_decides_what_is_arithmetic_on_shapes(tmp_path, elements, matters):
    placed = read(tmp_path, cuda_profile(node("Cast", CPU, 603_000, 5000, [(2,), (elements,)], [(1,)])))
    assert bool(placed.astray(CUDA)) == matters


def test_a_node_of_which_nothing_is_known_matters(tmp_path):
    event = node("Loopy", CPU, 603_000, 5000)
    del event["args"]["input_type_shape"], event["args"]["output_type_shape"]
    assert [o.op for o in read(tmp_path, cuda_profile(event)).astray(CUDA)] == ["Loopy"]


def test_cuda_beside_tensorrt_is_the_same_device(tmp_path):
    placed = read(tmp_path, cuda_profile(node("TRTKernel_graph_1", TENSORRT, 603_000, 5000, [(1, 3, 64, 64)])))
    assert placed.providers[TENSORRT] == 1
    assert placed.astray(TENSORRT) == []


@pytest.mark.parametrize(
    "content",
    ["", "[", "{}", "[]", "[1]", json.dumps(cuda_profile()[:3]), json.dumps([session("model_run", 0, 9)])],
)
def test_a_file_that_is_no_whole_profile_is_refused(tmp_path, content):
    path = tmp_path / "profile.json"
    path.write_text(content)
    with pytest.raises(EngineError, match=r"profile\.json: no profile of ONNX Runtime with a whole run"):
        placement.read(path)
    with pytest.raises(EngineError, match="cannot be read"):
        placement.read(tmp_path / "gone.json")


def test_a_real_profile_of_the_cpu(tmp_path, monkeypatch):
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    bundle = read_bundle(write_bundle(tmp_path / "finder"))
    model, placements = placement.measure(bundle, EngineSettings("cpu", threads=1))
    assert model.provider == CPU
    (placed,) = placements.values()
    assert placed.providers.keys() == {CPU}
    assert {"Shape", "ReduceMax", "ArgMax"} <= {o.op for o in placed.on_cpu()}
    assert 0 < sum(o.share for o in placed.on_cpu()) <= 1
    assert placed.astray(CPU) == []
    assert placed.astray(CUDA)  # had the GPU been asked for
    assert list(kept.iterdir()) == []


def test_without_being_asked_for_nothing_is_profiled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = Engine(single_shot(tmp_path / "finder.onnx"), EngineSettings("cpu"))
    with pytest.raises(EngineError, match="there is no profile"):
        engine.end_profile()
    assert [path.name for path in tmp_path.iterdir()] == ["finder.onnx"]
