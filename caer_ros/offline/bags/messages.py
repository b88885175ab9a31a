"""Messages of our types in a bag, read by the definition that the bag carries: old bags stay readable.

Fields are matched by name. What a later version added is missing from an old message, and gets the default of
``value``; what it removed is not looked at.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from caer_ros import definitions
from caer_ros.sources import SourceError, bag_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a bag."""

    log_ns: int
    """When the recorder received it."""
    content: Any
    """Fields by name, as rosbags deserializes them."""


def topics(bag: Path, msgtype: str) -> dict[str, int]:
    """The topics of a type, and how many messages each has. Raises SourceError."""
    with bag_errors(bag), Reader(bag) as reader:
        return {name: info.msgcount for name, info in sorted(reader.topics.items()) if info.msgtype == msgtype}


def read(bag: Path, topic: str, left_out: list[str]) -> Iterator[Recorded]:
    """The messages of a topic, in the order of the recording.

    Args:
        bag, topic: where.
        left_out: gets a line for each message that cannot be deserialized.

    Raises:
        SourceError: the bag cannot be read, or has no such topic.
    """
    with bag_errors(bag), Reader(bag) as reader:
        connections = [connection for connection in reader.connections if connection.topic == topic]
        if not connections:
            raise SourceError(f"{bag}: no topic {topic}; there are {', '.join(sorted(reader.topics)) or 'none'}")
        stores = {connection.id: types_of(connection) for connection in connections}
        with closing(reader.messages(connections)) as messages:
            for connection, log_ns, data in messages:
                try:
                    content: Any = stores[connection.id].deserialize_cdr(data, connection.msgtype)
                except Exception as error:  # rosbags asserts, slices and unpacks: a damaged message may raise anything
                    left_out.append(f"{bag}: a message of {topic} at {log_ns} ns: {type(error).__name__} {error}")
                    continue
                yield Recorded(log_ns, content)


def value(content: Any, field: str, default: Any) -> Any:
    """A field of a message, or a default where its definition has no such field."""
    return getattr(content, field, default)


def nanoseconds(time: Any) -> int:
    """A builtin_interfaces/Time in nanoseconds."""
    return int(time.sec) * 10**9 + int(time.nanosec)


def types_of(connection: Connection) -> Typestore:
    """The bag's own definitions; ours, where it carries none (sqlite bags of old)."""
    definition = connection.msgdef
    if definition.format == MessageDefinitionFormat.NONE or not definition.data:
        return definitions.typestore()
    types = get_typestore(Stores.EMPTY)
    if definition.format == MessageDefinitionFormat.IDL:
        types.register(get_types_from_idl(definition.data))
    else:
        types.register(get_types_from_msg(definition.data, connection.msgtype))
    return types
