"""Where each node of a network really ran, read from a profile of ONNX Runtime.

``get_providers()`` names the providers that a session may use. Nodes that the first of them has no kernel for go to the
CPU without a word, and with them the data: such a network can be slower than on the CPU alone.

ONNX Runtime puts one kind of node on the CPU on purpose: the arithmetic on shapes that begins at Shape and Size, whose
results lie in the CPU's memory anyway (its ``GetCpuPreferredNodes``; a constant of more than 100 elements ends it). The
rule here, for a device other than the CPU:

- a node on the CPU none of whose inputs and outputs has more than ``SMALL`` elements is shape arithmetic, and fine;
- the other nodes on the CPU matter when together they take ``SHARE`` of the run or more.

A node on the CPU is waited for, so its time is a part of the run's. Nodes elsewhere are only started, and the times
noted of them are those of starting; so parts are of the whole run, in which the device's work is awaited, and there are
none for nodes elsewhere. A copy between the two (MemcpyToHost, MemcpyFromHost) is a node of the device's provider.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from caer_ros.perception.engine import CPU, EngineError
from caer_ros.perception.predictors import predictor
from caer_ros.perception.predictors.composed.composed import Composed
from caer_ros.perception.predictors.single_shot import SingleShot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.engine import EngineSettings

SMALL = 100
"""Elements of the largest tensor of shape arithmetic; ONNX Runtime's own limit for its constants."""
SHARE = 0.01
"""Part of the run's time from which on other nodes on the CPU matter. Ours."""
COPIES = ("MemcpyToHost", "MemcpyFromHost")
_CONTAIN_OTHERS = ("If", "Loop", "Scan")  # their bodies' nodes are noted as well


@dataclass(frozen=True, slots=True)
class Node:
    """One node in one run."""

    op: str
    """Type, such as "Conv"."""
    provider: str
    seconds: float
    """On the CPU the time until the node was done; elsewhere the time until it was started."""
    largest: float
    """Elements of its largest input or output; infinite where the profile does not say."""


@dataclass(frozen=True, slots=True)
class Operators:
    """All nodes of one type that ran on the CPU."""

    op: str
    nodes: int
    share: float
    """Their part of the run's time, 0..1."""
    small: bool
    """All of them are fine there: their tensors are as small as those of shape arithmetic."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The nodes of one run, which took ``seconds``."""

    nodes: tuple[Node, ...]
    seconds: float

    @property
    def providers(self) -> dict[str, int]:
        """How many nodes each provider ran, most first."""
        return dict(Counter(node.provider for node in self.nodes).most_common())

    @property
    def copies(self) -> int:
        """Nodes that copy data between the device and the CPU. Input and outputs of the network are not among them."""
        return sum(node.op in COPIES for node in self.nodes)

    def on_cpu(self) -> list[Operators]:
        """What ran on the CPU, by type, the longest first."""
        return self._operators(node for node in self.nodes if node.provider == CPU)

    def astray(self, provider: str) -> list[Operators]:
        """What should have run by ``provider``, matters, and ran on the CPU; see the module for the rule.

        Other providers of the same device, such as CUDA beside TensorRT, are where they should be.
        """
        if provider == CPU:
            return []
        found = self._operators(node for node in self.nodes if node.provider == CPU and node.largest > SMALL)
        return found if sum(operators.share for operators in found) >= SHARE else []

    def _operators(self, nodes: Iterable[Node]) -> list[Operators]:
        by_type: dict[str, list[Node]] = {}
        for node in nodes:
            by_type.setdefault(node.op, []).append(node)
        found = [
            Operators(op, len(same), self._share(same), all(node.largest <= SMALL for node in same))
            for op, same in by_type.items()
        ]
        return sorted(found, key=lambda operators: -operators.share)

    def _share(self, nodes: Sequence[Node]) -> float:
        return sum(node.seconds for node in nodes) / self.seconds if self.seconds else 0.0


def measure(bundle: Bundle, settings: EngineSettings) -> tuple[SingleShot | Composed, dict[str, Placement]]:
    """Loads a bundle, runs it twice on black, and says of each of its files where the nodes ran the second time.

    The first time, libraries choose their kernels. Profiles are written to a temporary folder, which is removed.

    Raises:
        EngineError, BundleError: as ``predictor.load``; or there is no profile.
    """
    with TemporaryDirectory(prefix="caer_profile_") as folder:
        model = predictor.load(bundle, replace(settings, warm_up=True, profile=Path(folder)))
        assert isinstance(model, SingleShot | Composed)
        model.warm_up()
        return model, {name: read(engine.end_profile()) for name, engine in model.engines.items()}


def read(path: Path) -> Placement:
    """The last run of a profile that ONNX Runtime wrote. Raises EngineError for a file that holds none."""
    try:
        events = json.loads(path.read_text("utf8"))
        return _last_run(events)
    except OSError as error:
        raise EngineError(f"{path}: the profile cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{path}: no profile of ONNX Runtime with a whole run in it ({error})") from error


def _last_run(events: list[dict[str, Any]]) -> Placement:
    """Raises ValueError where nothing ran, KeyError, TypeError or AttributeError where a field is not what it was."""
    runs = [event for event in events if event["cat"] == "Session" and event["name"] == "model_run"]
    if not runs:
        raise ValueError("no model_run")
    last = max(runs, key=lambda event: int(event["ts"]))
    start, end = int(last["ts"]), int(last["ts"]) + int(last["dur"])
    nodes = [_node(event) for event in events if _is_node(event) and start <= int(event["ts"]) <= end]
    if not nodes:
        raise ValueError("no node ran")
    return Placement(tuple(nodes), int(last["dur"]) / 1e6)


def _is_node(event: dict[str, Any]) -> bool:
    """Is it the run of a kernel? Older versions note fences too, which have no provider."""
    return event["cat"] == "Node" and "provider" in event["args"] and event["args"]["op_name"] not in _CONTAIN_OTHERS


def _node(event: dict[str, Any]) -> Node:
    fields = event["args"]
    shapes = [*fields.get("input_type_shape", ()), *fields.get("output_type_shape", ())]
    sizes = [math.prod(dims) for shape in shapes for dims in shape.values()]
    return Node(fields["op_name"], fields["provider"], int(event["dur"]) / 1e6, max(sizes, default=math.inf))
