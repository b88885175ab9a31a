"""The real node, for commands that start it as a process of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NODE = "/emotion"
"""Its name, which its topics begin with."""


def command(image: str, camera_info: str, parameters: Mapping[str, str]) -> list[str]:
    """What starts the node.

    Args:
        image: topic of the images, without the suffix of its transport.
        camera_info: topic of the calibration.
        parameters: values in YAML by name.
    """
    remaps = {"image_raw": image, "camera_info": camera_info}
    words = [sys.executable, "-m", "caer_ros.node.emotion_node", "--ros-args"]
    words += [word for name, topic in remaps.items() for word in ("-r", f"{name}:={topic}")]
    return words + [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
