"""Our message definitions, for reading and writing bags without ROS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from caer_ros import share

if TYPE_CHECKING:
    from pathlib import Path

    from rosbags.typesys.store import Typestore

PERSONS = "caer_ros/msg/PersonEmotionArray"
STATUS = "caer_ros/msg/PerceptionStatus"
TRUTH_TOPIC = "/ground_truth/persons"
"""Topic of type ``PERSONS`` on which a bag may carry its ground truth."""


def files() -> list[Path]:
    """Our .msg files. Raises FileNotFoundError when they are not installed."""
    return sorted(share.find("msg/PersonEmotionArray.msg").parent.glob("*.msg"))


def typestore() -> Typestore:
    """ROS 2 Jazzy's message types and our own. Raises FileNotFoundError when ours are not installed."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for file in files():
        types.register(get_types_from_msg(file.read_text("utf-8"), f"caer_ros/msg/{file.stem}"))
    return types
