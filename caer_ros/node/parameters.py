"""The node's parameters, declared once: the node, the README's table and the launch file all read this."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from caer_ros.perception.bundle.finding import DEFAULT
from caer_ros.perception.pipeline import PipelineSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rcl_interfaces.msg import SetParametersResult
    from rclpy.node import Node
    from rclpy.parameter import Parameter as RosParameter

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """One parameter. ``low``, ``high`` (both inclusive) and ``pattern`` say which values are allowed."""

    name: str
    default: Value
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    live: bool = False
    """Can it be changed while the node runs? The others are read when it is configured."""

    @property
    def allowed(self) -> str:
        """The allowed values in words, for messages and tables; "" when there is no limit."""
        if self.low is not None:
            return f"{self.low:g} to {self.high:g}"
        return self.pattern.replace("|", ", ").replace(r"\d+", "N")

    def refusal(self, value: Value) -> str:
        """Why ``value`` cannot be taken; "" when it can."""
        wanted = type(self.default)
        if type(value) is not wanted:
            return f"{self.name} must be a {wanted.__name__}, not {value!r}"
        if self.low is not None and self.high is not None:
            number = float(value)
            if not math.isfinite(number) or not self.low <= number <= self.high:
                return f"{self.name} must be {self.allowed}{self.unit and ' ' + self.unit}, not {value!r}"
        if self.pattern and not re.fullmatch(self.pattern, str(value)):
            return f"{self.name} must be one of {self.allowed}, not {value!r}"
        return ""


PARAMETERS: tuple[Parameter, ...] = (
    Parameter("autostart", True, "Configure and activate at start. Set false where a lifecycle manager does it."),
    Parameter("model", DEFAULT, "Model bundle: a name (see `caer models list`) or the path of its folder."),
    Parameter(
        "device",
        "auto",
        "Where the model runs. auto takes the best that works and says which; a named one that does not is an error.",
        pattern=r"auto|cpu|cuda:\d+|tensorrt:\d+",
    ),
    Parameter("threads", 0, "CPU threads of the model; 0 lets ONNX Runtime choose.", low=0, high=256),
    Parameter("spin", False, "Let the model's threads spin between images: less latency for a busy core."),
    Parameter(
        "image_transport",
        "raw",
        "raw subscribes to image_raw; compressed to image_raw/compressed.",
        pattern="raw|compressed",
    ),
    Parameter(
        "person_threshold",
        0.0,
        "Detections below this confidence start no track; 0 takes the model bundle's own threshold.",
        low=0.0,
        high=1.0,
        live=True,
    ),
    Parameter(
        "uncertain_below",
        0.0,
        "A smoothed top score below this is reported as UNCERTAIN; 0 takes the model bundle's own threshold.",
        low=0.0,
        high=1.0,
        live=True,
    ),
    Parameter(
        "smoothing_time",
        PipelineSettings.smoothing_time,
        "Time constant of the smoothed scores; 0 turns smoothing off.",
        unit="s",
        low=0.0,
        high=60.0,
        live=True,
    ),
    Parameter(
        "track_buffer",
        PipelineSettings.track_buffer,
        "A person away for longer than this gets a new track id, and LEFT is sent.",
        unit="s",
        low=0.1,
        high=60.0,
        live=True,
    ),
    Parameter(
        "coast_time",
        PipelineSettings.coast_time,
        "For how long a person who is not detected is still published, as COASTED.",
        unit="s",
        low=0.0,
        high=10.0,
        live=True,
    ),
    Parameter(
        "event_hold_time",
        0.5,
        "How long a person or a label has to last before APPEARED or EMOTION_CHANGED is sent.",
        unit="s",
        low=0.0,
        high=60.0,
        live=True,
    ),
    Parameter(
        "max_rate",
        0.0,
        "At most this many images a second are processed, the newest first; 0 is no limit.",
        unit="Hz",
        low=0.0,
        high=1000.0,
        live=True,
    ),
    Parameter(
        "no_image_timeout",
        2.0,
        "Without an image for this long the state is NO_CAMERA.",
        unit="s",
        low=0.1,
        high=3600.0,
        live=True,
    ),
    Parameter(
        "expected_rate",
        0.0,
        "The camera's rate, for the warning about lost images; 0 compares with camera_info instead.",
        unit="Hz",
        low=0.0,
        high=1000.0,
        live=True,
    ),
    Parameter(
        "debug_rate",
        10.0,
        "At most this many debug images a second are drawn, and only while somebody subscribes.",
        unit="Hz",
        low=0.1,
        high=1000.0,
        live=True,
    ),
    Parameter("debug_labels", 3, "Emotions drawn for each person in the debug image.", low=0, high=26, live=True),
)

BY_NAME: dict[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}


def declare(node: Node) -> None:
    """Declare them all. A bad value from the command line or a file is an error that says what is allowed.

    Raises:
        rclpy.exceptions.ParameterException: a value is of another type or out of range.
    """
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    for p in PARAMETERS:
        descriptor = ParameterDescriptor(description=p.description)
        if isinstance(p.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=p.low, to_value=p.high)]
        elif p.low is not None:
            descriptor.integer_range = [IntegerRange(from_value=int(p.low), to_value=int(p.high or 0))]
        if p.pattern:
            descriptor.additional_constraints = f"one of {p.allowed}"
        node.declare_parameter(p.name, p.default, descriptor)


def judge(changes: Iterable[RosParameter], *, configured: bool) -> SetParametersResult:
    """Accept or refuse a change, with the reason. Names that are not ours (use_sim_time, …) are not ours to judge.

    ``configured``: the node is, so that only what is live may change.
    """
    from rcl_interfaces.msg import SetParametersResult

    def refusal(parameter: Parameter, value: Value) -> str:
        if configured and not parameter.live:
            remedy = (
                "call ~/load_model, or clean the node up first" if parameter.name == "model" else "clean it up first"
            )
            return f"{parameter.name} is read when the node is configured, and it is: {remedy}"
        return parameter.refusal(value)

    reasons = (refusal(BY_NAME[p.name], p.value) for p in changes if p.name in BY_NAME)
    reason = next(filter(None, reasons), "")
    return SetParametersResult(successful=not reason, reason=reason)


def pipeline_settings(values: Mapping[str, Any]) -> PipelineSettings:
    """The pipeline's part of the parameters; a threshold of 0 means the bundle's own."""
    return PipelineSettings(
        person_threshold=values["person_threshold"] or None,
        uncertain_below=values["uncertain_below"] or None,
        smoothing_time=values["smoothing_time"],
        track_buffer=values["track_buffer"],
        coast_time=values["coast_time"],
    )


def markdown_table() -> str:
    """The table of the README."""
    rows = ["| parameter | default | unit | allowed | changes live | what it does |", "|---|---|---|---|---|---|"]
    for p in PARAMETERS:
        default = str(p.default).lower() if isinstance(p.default, bool) else str(p.default)
        rows.append(
            f"| `{p.name}` | `{default}` | {p.unit} | {p.allowed} | {'yes' if p.live else 'no'} | {p.description} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown_table())
