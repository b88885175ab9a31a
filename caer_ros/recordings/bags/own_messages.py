"""Messages of our types in a bag, read by the definition that the bag carries: old bags stay readable.

Fields are matched by name. What a later version added is missing from an old message, and gets the default of
``value``; what it removed is not looked at. What a message says nothing without, ``persons`` asks for.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from caer_ros.perception.person import BoxKind, ScoreType, TrackState
from caer_ros.recordings import definitions, frames
from caer_ros.recordings.bags import raw
from caer_ros.recordings.definitions import PERSONS
from caer_ros.recordings.sources import SourceError, bag_errors
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore

_IMAGE_FIELDS = ("header", "image_width", "image_height", "labels", "persons")
_PERSON_FIELDS = ("x_min", "y_min", "x_max", "y_max", "scores")
_MEMBERS = {"score_type": {*ScoreType}, "box_kind": {*BoxKind}, "track_state": {*TrackState}}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a bag."""

    log_ns: int
    """When the recorder received it."""
    content: Any
    """Fields by name, as rosbags deserializes them."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One message of a bag that cannot be used."""

    stamp: int
    """Stamp of the header, in nanoseconds; 0 where it is not set, or the message is too short to have one."""
    why: str
    """A line that names bag and topic."""


def topics(bag: Path, msgtype: str) -> dict[str, int]:
    """The topics of a type, and how many messages each has. Raises SourceError."""
    with bag_errors(bag), raw.opened(bag) as reader:
        return {name: info.msgcount for name, info in sorted(reader.topics.items()) if info.msgtype == msgtype}


def read(bag: Path, topic: str, left_out: list[LeftOut]) -> Iterator[Recorded]:
    """The messages of a topic, in the order of the recording.

    Args:
        bag, topic: where.
        left_out: gets the messages that cannot be deserialized.

    Raises:
        SourceError: the bag cannot be read, or has no such topic.
    """
    with bag_errors(bag), raw.opened(bag) as reader:
        connections = [connection for connection in reader.connections if connection.topic == topic]
        if not connections:
            raise SourceError(f"{bag}: no topic {topic}; there are {', '.join(sorted(reader.topics)) or 'none'}")
        stores = {connection.id: types_of(connection) for connection in connections}
        with closing(reader.messages(connections)) as messages:
            for connection, log_ns, data in messages:
                try:
                    content: Any = stores[connection.id].deserialize_cdr(data, connection.msgtype)
                except Exception as error:  # rosbags asserts, slices and unpacks: a damaged message may raise anything
                    why = f"{bag}: a message of {topic} at {log_ns} ns: {type(error).__name__} {error}"
                    left_out.append(LeftOut(frames.header_stamp(bytes(data)), why))
                    continue
                yield Recorded(log_ns, content)


def persons(bag: Path, topic: str, left_out: list[LeftOut], fields: Iterable[str] = ()) -> Iterator[Recorded]:
    """The messages of a topic of PersonEmotionArray, in the order of the recording.

    Args:
        bag, topic: where.
        left_out: gets the messages that cannot be deserialized, or that number a kind of box, of score or of track
            which this version does not know.
        fields: of each person that must be there, beside box and scores.

    Raises:
        SourceError: as ``read``; or the messages lack a field without which they say nothing.
    """
    for message in read(bag, topic, left_out):
        content = message.content
        _require(f"{bag}: {topic}", content, _IMAGE_FIELDS)
        for person in content.persons:
            _require(f"{bag}: {topic}: persons", person, (*_PERSON_FIELDS, *fields))
        if unknown := _unknown(content):
            why = f"{bag}: a message of {topic} at {message.log_ns} ns: {unknown}; is it of a newer version?"
            left_out.append(LeftOut(nanoseconds(content.header.stamp), why))
            continue
        yield message


def value(content: Any, field: str, default: Any) -> Any:
    """A field of a message, or a default where its definition has no such field."""
    return getattr(content, field, default)


def _require(where: str, content: Any, fields: Iterable[str]) -> None:
    for field in fields:
        if not hasattr(content, field):
            raise SourceError(f"{where}: no field {field} in these messages: are they {PERSONS}?")


def _unknown(content: Any) -> str:
    """The first number of an enumeration that has no such member, with the name of its field; "" if there is none."""
    for said in (content, *content.persons):
        for field, known in _MEMBERS.items():
            if (number := int(value(said, field, 0))) not in known:
                return f"{field} {number} is not known"
    return ""


def box_of(person: Any) -> tuple[float, float, float, float]:
    """x_min, y_min, x_max, y_max in pixels."""
    return float(person.x_min), float(person.y_min), float(person.x_max), float(person.y_max)


def vad_of(person: Any) -> tuple[float, float, float]:
    """Valence, arousal, dominance, -1..1; NaN where not known."""
    valence, arousal, dominance = (float(value(person, field, nan)) for field in ("valence", "arousal", "dominance"))
    return valence, arousal, dominance


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
