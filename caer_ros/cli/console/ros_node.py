"""A ROS node for a command: started and stopped with it, and silent."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rclpy.node import Node


@contextmanager
def ros_node(name: str, ros_arguments: Sequence[str] = ()) -> Iterator[Node]:
    """A node of this process alone, with ROS started before and shut down after; Ctrl-C stays Python's."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=list(ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node(f"{name}_{os.getpid()}", enable_rosout=False, start_parameter_services=False)
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.utilities.try_shutdown()


def message_class(msgtype: str) -> Any:
    """The Python class of a message type such as ``sensor_msgs/msg/Image``."""
    package, _, name = msgtype.split("/")
    return getattr(import_module(f"{package}.msg"), name)
