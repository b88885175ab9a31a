"""Writes a node's messages into an mcap bag, which any reader of ROS 2 bags understands: definitions are inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rclpy.serialization import serialize_message
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer

from caer_ros.recordings.definitions import typestore
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class RecordingError(Exception):
    """The messages cannot be written; says why."""


@dataclass(frozen=True)
class Topic:
    """A topic to record: its name, type such as ``caer_ros/msg/PersonEvent``, and whether late joiners get the last."""

    name: str
    msgtype: str
    latched: bool = False


@dataclass(frozen=True)
class Recorded:
    """One message, serialized (CDR)."""

    topic: Topic
    time_ns: int
    """Time on the node's ROS clock; 0 when that had not started."""
    cdr: bytes


def recorded(topic: Topic, message: Any) -> Recorded:
    """A message of the node as it is recorded: at the time it was published, else at its stamp."""
    time = getattr(message, "published", message.header.stamp)
    return Recorded(topic, nanoseconds(time), serialize_message(message))


def write(folder: Path, messages: Iterable[Recorded]) -> None:
    """Write a new bag in the given order, at times that never go back: those of the node's clock, where it is later.

    Args:
        folder: becomes the bag; must not exist.
        messages: in the order in which they came. What came before the clock started is put at the first known time.

    Raises:
        RecordingError: ``folder`` exists.
        FileNotFoundError: our message definitions are not installed.

    """
    if folder.exists():
        raise RecordingError(f"{folder} exists already")
    received = list(messages)
    first = min((message.time_ns for message in received if message.time_ns), default=1)
    types = typestore()
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(
                topic.name, topic.msgtype, typestore=types, offered_qos_profiles=[_qos(topic.latched)]
            )
            for topic in dict.fromkeys(message.topic for message in received)
        }
        now = first
        for message in received:
            now = max(now, message.time_ns)  # an event bears its image's stamp, and came later
            writer.write(connections[message.topic], now, message.cdr)


def _qos(latched: bool) -> Qos:
    """What the node offers, so that `ros2 bag play` offers the same."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 50,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=QosTime(0, 0),
        lifespan=QosTime(0, 0),
        liveliness=QosLiveliness.SYSTEM_DEFAULT,
        liveliness_lease_duration=QosTime(0, 0),
        avoid_ros_namespace_conventions=False,
    )
