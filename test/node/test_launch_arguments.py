"""The launch file's decisions; and, where the launch packages are installed, the launch file itself."""

import importlib.util
import sys
from pathlib import Path

import pytest

from caer_ros.node.launch_arguments import ARGUMENTS, node_action
from caer_ros.node.parameters import BY_NAME

DEFAULTS = {name: default for name, (default, _) in ARGUMENTS.items()}
LAUNCH_FILE = Path(__file__).parents[2] / "launch/emotion.launch.py"


def test_without_arguments_the_parameter_file_rules() -> None:
    action = node_action(DEFAULTS, "/share/emotion.yaml")
    assert action.parameters == ["/share/emotion.yaml", {}]
    assert action.remappings == [("image_raw", "image_raw"), ("camera_info", "camera_info")]
    assert action.arguments == ["--ros-args", "--log-level", "info"]
    assert (action.package, action.executable, action.name) == ("caer_ros", "emotion_node", "emotion")
    assert action.respawn is False


def test_arguments_win_over_the_parameter_file() -> None:
    given = {"model": "m", "device": "cpu", "autostart": "False", "use_sim_time": "true", "params_file": "mine.yaml"}
    action = node_action({**DEFAULTS, **given}, "default.yaml")
    assert action.parameters == [
        "mine.yaml",
        {"model": "m", "device": "cpu", "autostart": False, "use_sim_time": True},
    ]


@pytest.mark.parametrize(
    ("image", "info", "expected"),
    [
        ("/camera/image_raw", "", "/camera/camera_info"),
        ("front/color/image_rect", "", "front/color/camera_info"),
        ("/image", "", "/camera_info"),
        ("/camera/image_raw", "/calibration", "/calibration"),
    ],
)
def test_camera_info_lies_beside_the_image(image: str, info: str, expected: str) -> None:
    action = node_action({**DEFAULTS, "input_image_topic": image, "camera_info_topic": info}, "")
    assert action.remappings == [("image_raw", image), ("camera_info", expected)]


def test_a_flag_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="use_respawn must be true or false, not 'maybe'"):
        node_action({**DEFAULTS, "use_respawn": "maybe"}, "")


def test_overrides_are_parameters_of_the_node() -> None:
    given = {**DEFAULTS, "model": "m", "device": "cpu", "autostart": "true", "image_transport": "raw"}
    assert set(node_action(given, "").parameters[1]) <= set(BY_NAME)


def test_the_launch_file_describes_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("launch_ros", reason="launch and launch_ros are not on PyPI; they come with a ROS installation")
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    from launch import LaunchContext

    spec = importlib.util.spec_from_file_location("emotion_launch", LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "emotion_launch", module)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    declared = {entity.name for entity in description.entities if isinstance(entity, DeclareLaunchArgument)}
    assert declared == set(ARGUMENTS)
    assert isinstance(description.entities[-1], OpaqueFunction)
    context = LaunchContext()
    context.launch_configurations.update(DEFAULTS)
    (node,) = module.start(context)
    assert node.node_package == "caer_ros"
    assert node.node_executable == "emotion_node"
