"""What launch/emotion.launch.py decides, as plain data, so that it can be tested without the launch packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENTS: dict[str, tuple[str, str]] = {
    "namespace": ("", "Namespace of the node."),
    "use_sim_time": ("", "Take the time from /clock; empty: as in the parameter file."),
    "params_file": ("", "Parameter file; empty: config/emotion.yaml of this package."),
    "autostart": ("", "Configure and activate at start; empty: as in the parameter file."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
    "use_respawn": ("false", "Start the process again when it ends unexpectedly."),
    "input_image_topic": ("image_raw", "The camera's image topic, without /compressed."),
    "camera_info_topic": ("", "The camera's calibration; empty: camera_info beside the image topic."),
    "image_transport": ("", "raw or compressed; empty: as in the parameter file."),
    "model": ("", "Model bundle, a name or a path; empty: as in the parameter file."),
    "device": ("", "auto, cpu, cuda:N or tensorrt:N; empty: as in the parameter file."),
}
"""Launch argument -> its default and its description."""

FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class NodeAction:
    """The arguments of ``launch_ros.actions.Node``."""

    namespace: str
    parameters: list[Any]
    remappings: list[tuple[str, str]]
    arguments: list[str]
    respawn: bool
    package: str = "caer_ros"
    executable: str = "emotion_node"
    name: str = "emotion"
    output: str = "screen"
    emulate_tty: bool = True
    respawn_delay: float = 2.0


def node_action(given: Mapping[str, str], default_params_file: str) -> NodeAction:
    """The node to start for these launch arguments. An argument that is given wins over the parameter file.

    Raises:
        ValueError: a flag is neither true nor false.
    """
    overrides: dict[str, Any] = {name: given[name] for name in ("model", "device", "image_transport") if given[name]}
    overrides |= {name: _flag(name, given[name]) for name in ("use_sim_time", "autostart") if given[name]}
    image_topic = given["input_image_topic"]
    camera_info = given["camera_info_topic"] or "/".join([*image_topic.split("/")[:-1], "camera_info"])
    return NodeAction(
        namespace=given["namespace"],
        parameters=[given["params_file"] or default_params_file, overrides],
        remappings=[("image_raw", image_topic), ("camera_info", camera_info)],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        respawn=_flag("use_respawn", given["use_respawn"]),
    )


def _flag(name: str, value: str) -> bool:
    try:
        return FLAGS[value.lower()]
    except KeyError:
        raise ValueError(f"launch argument {name} must be true or false, not {value!r}") from None
