"""One ONNX Runtime session on exactly the device that was asked for.

ONNX Runtime falls back to the CPU without an error (onnxruntime#23372), so nothing here is believed but
``session.get_providers()`` after loading. That still hides single nodes which fell back: see ``placement``.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_LOG = logging.getLogger(__name__)
CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_DEVICE = re.compile(r"auto|cpu|(?P<kind>cuda|tensorrt):(?P<index>\d+)")

FLOAT = "tensor(float)"
UINT8 = "tensor(uint8)"
Provider = tuple[str, dict[str, str]]
Shape = tuple[int | None, ...]
"""Lengths of a tensor's dimensions; None where it is dynamic, or where any will do."""


class EngineError(Exception):
    """A model that cannot be loaded, does not fit its bundle, or cannot run on the device that was named."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a session runs.

    ``device``: "auto" (CUDA where it works, else the CPU), "cpu", "cuda:N" or "tensorrt:N"; a named device that does
    not work is an error. ``threads``: inside one operator, 0 = one for each physical core. ``spin``: waiting threads
    busy-wait; only for cores that nothing else uses (two threads on two busy cores: 50 ms became 200 ms).
    ``warm_up``: run once while loading. ``profile``: a folder in which ONNX Runtime notes what each node of each run
    did, for ``placement``; None: no notes.
    """

    device: str = "auto"
    threads: int = 0
    spin: bool = False
    warm_up: bool = True
    profile: Path | None = None

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise EngineError(
                f'device: "{self.device}" is none of "auto", "cpu", "cuda:N", "tensorrt:N" (N = 0, 1, ...)'
            )
        if self.threads < 0:
            raise EngineError(f"threads: {self.threads} is negative; 0 lets ONNX Runtime choose")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output as the graph declares it; the type as ONNX Runtime writes it."""

    name: str
    shape: Shape
    type: str


class Engine:
    """A loaded ONNX file.

    Args:
        path: the ONNX file.
        settings: device and threads.

    Raises:
        EngineError: the file cannot be read as ONNX, or does not run on the named device.
    """

    def __init__(self, path: Path, settings: EngineSettings) -> None:
        self.path = path
        self._session = _open(path, settings)
        self.provider: str = self._session.get_providers()[0]
        self.inputs = {node.name: _tensor(node) for node in self._session.get_inputs()}
        self.outputs = {node.name: _tensor(node) for node in self._session.get_outputs()}

    def require(self, input_: str, shape: Shape, outputs: Mapping[str, Shape], type_: str = FLOAT) -> None:
        """Raises EngineError unless the graph's one input takes ``shape`` and its outputs can have theirs."""
        if set(self.inputs) != {input_}:
            raise EngineError(f'{self.path}: expected one input named "{input_}", found {", ".join(self.inputs)}')
        self._require(self.inputs[input_], "input", shape, type_)
        for name, output_shape in outputs.items():
            if name not in self.outputs:
                raise EngineError(f'{self.path}: no output named "{name}"; there are {", ".join(self.outputs)}')
            self._require(self.outputs[name], "output", output_shape, FLOAT)

    def _require(self, tensor: Tensor, direction: str, shape: Shape, type_: str) -> None:
        if tensor.type != type_ or not _fits(tensor.shape, shape):
            raise EngineError(
                f'{self.path}: {direction} "{tensor.name}" should be {type_} {written(shape)} by the bundle, but the '
                f"graph declares {tensor.type} {written(tensor.shape)}; correct model.yaml or export the graph again"
            )

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> list[NDArray[np.float32]]:
        """The named outputs (all, in the graph's order, when None). Raises EngineError when the run fails."""
        try:
            result: list[NDArray[np.float32]] = self._session.run(outputs, dict(feeds))
        except Exception as error:  # ONNX Runtime's errors have no base class of their own
            raise EngineError(f"{self.path.name} failed on {self.provider}: {_first_line(error)}") from error
        return result

    def end_profile(self) -> Path:
        """The file with the notes on all runs so far; later ones are not noted. Raises EngineError where none are."""
        profile = self._session.end_profiling()
        if not profile:
            raise EngineError(f"{self.path}: was not loaded with EngineSettings.profile: there is no profile")
        return Path(profile)


def _open(path: Path, settings: EngineSettings) -> ort.InferenceSession:
    if settings.device != "auto":
        return _open_on(path, settings, settings.device)
    if _CUDA in ort.get_available_providers():
        try:
            return _open_on(path, settings, "cuda:0")
        except EngineError as error:  # a GPU build on a machine without a GPU; a broken file fails again below
            _LOG.warning("device auto: the CPU is used, because %s", error)
    return _open_on(path, settings, "cpu")


def _open_on(path: Path, settings: EngineSettings, device: str) -> ort.InferenceSession:
    providers = _providers(device)
    asked = providers[0][0]
    installed = ort.get_available_providers()
    if asked not in installed:
        raise EngineError(
            f'device "{device}" needs {asked}, but this onnxruntime ({ort.__version__}) has only '
            f'{", ".join(installed)}: install onnxruntime-gpu in place of onnxruntime, or set device to "auto" or "cpu"'
        )
    if asked != CPU and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA libraries that came as wheels; 1.21 and later
    try:
        session = ort.InferenceSession(str(path), _options(path, settings), providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise EngineError(f"{path} cannot be loaded for {device}: {_first_line(error)}") from error
    got = session.get_providers()
    if got[0] != asked:
        raise EngineError(
            f'device "{device}" was asked for and {got[0]} came: {asked} could not start. Check the driver and that '
            f'the CUDA libraries fit onnxruntime {ort.__version__}, or set device to "auto" or "cpu"'
        )
    return session


def _providers(device: str) -> list[Provider]:
    """Execution providers in the order of preference; the CPU always last, for operators that the device lacks."""
    match = _DEVICE.fullmatch(device)
    kind, index = (match["kind"], match["index"]) if match else (None, None)
    cpu: Provider = (CPU, {})
    if kind is None or index is None:
        return [cpu]
    cuda: Provider = (_CUDA, {"device_id": index})
    return [cuda, cpu] if kind == "cuda" else [(_TENSORRT, {"device_id": index}), cuda, cpu]


def _options(path: Path, settings: EngineSettings) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; its warnings are about its own optimisations
    for pool in ("intra", "inter"):
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", str(int(settings.spin)))
    if settings.profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(settings.profile / path.stem)
    return options


def _fits(declared: Shape, wanted: Shape) -> bool:
    if not declared:  # the graph does not say how many dimensions there are
        return True
    if len(declared) != len(wanted):
        return False
    return all(d is None or w is None or d == w for d, w in zip(declared, wanted, strict=True))


def written(shape: Shape) -> str:
    """A shape for people, such as "[any, 512, 512, 3]"."""
    return "[" + ", ".join("any" if length is None else str(length) for length in shape) + "]"


def _tensor(node: Any) -> Tensor:
    return Tensor(node.name, tuple(d if isinstance(d, int) else None for d in node.shape), node.type)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
