from __future__ import annotations

import logging

import numpy as np
import onnxruntime as ort
import pytest
from graphs import single_shot

from caer_ros.perception.engine import UINT8, Engine, EngineError, EngineSettings

CPU_ONLY = "CUDAExecutionProvider" not in ort.get_available_providers()
IMAGE = np.full((1, 4, 5, 3), 255, np.uint8)


@pytest.fixture
def graph(tmp_path):
    return single_shot(tmp_path / "finder.onnx")


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda:0", "cuda:12", "tensorrt:1"])
def test_devices(device):
    assert EngineSettings(device=device).device == device


@pytest.mark.parametrize(
    "device", ["", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:x", "CPU", "cpu:0", "tensorrt", "cpu "]
)
def test_bad_devices(device):
    with pytest.raises(EngineError, match=r'device: .* is none of "auto", "cpu", "cuda:N", "tensorrt:N"'):
        EngineSettings(device=device)


def test_bad_threads():
    with pytest.raises(EngineError, match="threads: -1 is negative"):
        EngineSettings(threads=-1)


@pytest.mark.parametrize("settings", [EngineSettings("cpu"), EngineSettings("cpu", threads=2, spin=True)])
def test_runs_and_says_where(graph, settings):
    engine = Engine(graph, settings)
    assert engine.provider == "CPUExecutionProvider"
    scores, boxes = engine.run({"images": IMAGE}, ["person_scores", "boxes"])
    np.testing.assert_allclose(scores, [[0.9, 0.2]])
    np.testing.assert_allclose(boxes, [[[0, 0, 1, 1]] * 2])
    assert len(engine.run({"images": IMAGE})) == 3


def test_settings_reach_onnx_runtime(graph):
    options = Engine(graph, EngineSettings("cpu", threads=3, spin=False))._session.get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("session.inter_op.allow_spinning") == "0"


@pytest.mark.skipif(not CPU_ONLY, reason="this onnxruntime has CUDA")
@pytest.mark.parametrize("device", ["cuda:0", "tensorrt:0"])
def test_a_named_device_that_is_not_installed(graph, device):
    with pytest.raises(EngineError, match=f'device "{device}" needs .*ExecutionProvider, .*onnxruntime-gpu'):
        Engine(graph, EngineSettings(device))


@pytest.mark.skipif(not CPU_ONLY, reason="this onnxruntime has CUDA")
class TestPromisedButNotThere:
    """A GPU wheel whose CUDA libraries are missing lists the provider, and its sessions silently run on the CPU.

    The CPU wheel does the same when it is made to list it.
    """

    @pytest.fixture(autouse=True)
    def _promise(self, monkeypatch):
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])

    @pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
    def test_a_named_device_is_an_error(self, graph):
        with pytest.raises(EngineError, match=r'device "cuda:0" was asked for and CPUExecutionProvider came'):
            Engine(graph, EngineSettings("cuda:0"))

    @pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
    def test_auto_takes_the_cpu_and_says_so(self, graph, caplog):
        with caplog.at_level(logging.WARNING):
            assert Engine(graph, EngineSettings("auto")).provider == "CPUExecutionProvider"
        assert "device auto: the CPU is used, because" in caplog.text


@pytest.mark.skipif(CPU_ONLY, reason="needs onnxruntime-gpu and a GPU")
@pytest.mark.parametrize("device", ["auto", "cuda:0"])
def test_cuda(graph, device):
    engine = Engine(graph, EngineSettings(device))
    assert engine.provider == "CUDAExecutionProvider"
    np.testing.assert_allclose(engine.run({"images": IMAGE}, ["person_scores"])[0], [[0.9, 0.2]])


@pytest.mark.parametrize("keep", [0, 10, -10])
def test_a_damaged_file_is_named(graph, keep):
    graph.write_bytes(graph.read_bytes()[:keep])
    with pytest.raises(EngineError, match=r"finder\.onnx cannot be loaded for cpu: "):
        Engine(graph, EngineSettings("cpu"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EngineError, match=r"nothing\.onnx cannot be loaded"):
        Engine(tmp_path / "nothing.onnx", EngineSettings("cpu"))


def test_a_failing_run_is_an_engine_error(graph):
    engine = Engine(graph, EngineSettings("cpu"))
    with pytest.raises(EngineError, match=r"finder\.onnx failed on CPUExecutionProvider: "):
        engine.run({"images": IMAGE.astype(np.float32)})


@pytest.mark.parametrize(
    ("name", "shape", "outputs", "says"),
    [
        ("images", (None, None, None, 3), {"boxes": (None, 2, 4)}, None),
        ("images", (1, 64, 64, 3), {"boxes": (1, None, 4), "person_scores": (1, 2)}, None),
        ("image", (None, None, None, 3), {}, 'expected one input named "image", found images'),
        (
            "images",
            (1, 3, 64, 64),
            {},
            r'input "images" should be .* \[1, 3, 64, 64\] .* declares .* \[any, any, any, 3\]',
        ),
        ("images", (None, None, 3), {}, r'input "images" should be'),
        ("images", (None, None, None, 3), {"vad": (None, 2, 3)}, 'no output named "vad"; there are boxes, '),
        ("images", (None, None, None, 3), {"boxes": (None, 7, 4)}, r'output "boxes" should be .*\[any, 7, 4\]'),
    ],
)
def test_require(graph, name, shape, outputs, says):
    engine = Engine(graph, EngineSettings("cpu"))
    if says is None:
        engine.require(name, shape, outputs, UINT8)
    else:
        with pytest.raises(EngineError, match=r"finder\.onnx: " + says):
            engine.require(name, shape, outputs, UINT8)


def test_require_type(graph):
    with pytest.raises(EngineError, match=r"should be tensor\(float\) .* declares tensor\(uint8\)"):
        Engine(graph, EngineSettings("cpu")).require("images", (None, None, None, 3), {})
