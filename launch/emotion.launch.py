"""Start the emotion node.

ros2 launch caer_ros emotion.launch.py input_image_topic:=/camera/image_raw
"""

from dataclasses import asdict
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from caer_ros.node.launch_arguments import ARGUMENTS, node_action
from launch import LaunchContext, LaunchDescription


def start(context: LaunchContext) -> list[Node]:
    """The node, for the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    params_file = Path(get_package_share_directory("caer_ros"), "config", "emotion.yaml")
    return [Node(**asdict(node_action(given, str(params_file))))]


def generate_launch_description() -> LaunchDescription:
    """What ``ros2 launch`` asks for."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
