"""The ground truth as a topic of the bag itself: a copy of the bag with one message more for each annotated frame."""

from __future__ import annotations

import struct
from contextlib import closing
from typing import TYPE_CHECKING

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from rosbags.typesys import Stores, get_typestore

from caer_ros.recordings import definitions, frames
from caer_ros.recordings.annotations import truth_message
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.bags import raw
from caer_ros.recordings.bags.own_messages import types_of
from caer_ros.recordings.definitions import PERSONS, TRUTH_TOPIC
from caer_ros.recordings.sources import COMPRESSED_IMAGE, IMAGE
from caer_ros.recordings.stamps import stamp_of
from caer_ros.whole_folder import whole_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rosbags.interfaces import Connection
    from rosbags.rosbag2 import Reader
    from rosbags.typesys.store import Typestore

    from caer_ros.recordings.annotations.sample import Dataset, Sample
    from caer_ros.recordings.bags.raw import Message

    Watch = Callable[[Iterable[Message], int], Iterable[Message]]


def merge(
    bag: Path,
    dataset: Dataset,
    output: Path,
    topic: str = TRUTH_TOPIC,
    watch: Watch = lambda messages, count: messages,
) -> int:
    """Write a copy of a bag, message by message as it was recorded, with a topic more: see ``truth_message``.

    Storage, compression, times, qualities of service and message definitions stay as they are; the copy is one file.
    A message of the truth stands behind its image, at the image's recording time and with its header.

    Args:
        bag: a rosbag2.
        dataset: of ``truth.from_json``: all frames of one camera that are in the bag.
        output: the copy; must not exist, and appears complete or not at all.
        topic: of the truth; must not be in the bag.
        watch: wraps the messages, given their number, to show progress.

    Returns:
        How many frames got a truth.

    Raises:
        SourceError: the bag cannot be read.
        DatasetError: ``output`` or ``topic`` exist already.
    """
    if output.exists():
        raise DatasetError(f"{output} exists already: remove it, or choose another name")
    with raw.opened(bag) as reader:
        if topic in {connection.topic for connection in reader.connections}:
            raise DatasetError(f"{bag}: has a topic {topic} already: merge into the original, or name another --topic")
        with whole_folder(output) as made:
            return _copy(bag, reader, dataset, made, topic, watch)


def _copy(bag: Path, reader: Reader, dataset: Dataset, output: Path, topic: str, watch: Watch) -> int:
    waiting: dict[tuple[str, int], Sample] = {
        (sample.image_id.rpartition("/")[0], sample.stamp): sample for sample in dataset.samples if sample.stamp
    }
    scheme = truth_message.Scheme.of(dataset)
    types = _types(reader.connections)
    count = len(waiting)
    writer = Writer(output, version=9, storage_plugin=raw.storage(bag))
    writer.set_compression(_compression(reader), CompressionFormat.ZSTD)
    for name, value in (reader.storage.metadata.custom or {}).items():
        writer.set_custom_data(name, str(value))
    with writer:
        copies = _connections(reader.connections, writer)
        truth = writer.add_connection(topic, PERSONS, typestore=types)
        with closing(raw.messages(bag, reader)) as messages:
            for connection, time, data in watch(messages, reader.message_count):
                writer.write(copies[connection.id], time, data)
                if connection.msgtype not in (IMAGE, COMPRESSED_IMAGE):
                    continue
                sample = waiting.pop((connection.topic.lstrip("/"), frames.header_stamp(data)), None)
                if sample is not None:
                    writer.write(truth, time, _truth(types, data, sample, scheme))
    return count - len(waiting)


def _truth(types: Typestore, image: bytes, sample: Sample, scheme: truth_message.Scheme) -> memoryview:
    """The serialized truth of a serialized image."""
    persons = truth_message.persons_of(sample)
    message = truth_message.message(
        types, stamp_of(image), _frame_id(image), sample.size, scheme, persons, sample.exhaustive
    )
    return types.serialize_cdr(message, PERSONS)


def _frame_id(image: bytes) -> str:
    """Return the frame id of a serialized message that begins with a std_msgs/Header: the string after the stamp."""
    (length,) = struct.unpack_from("<I" if image[1] & 1 else ">I", image, 12)
    return image[16 : 16 + length].rstrip(b"\0").decode("utf-8", "replace")


def _compression(reader: Reader) -> CompressionMode:
    if reader.compression_mode:
        return CompressionMode[reader.compression_mode.upper()]
    return CompressionMode.STORAGE if raw.chunk_compressions(reader) else CompressionMode.NONE


def _types(connections: Iterable[Connection]) -> Typestore:
    """What the truth is written with: the bag's own definition, where it has one, for a bag holds one of each type."""
    ours = next((connection for connection in connections if connection.msgtype == PERSONS), None)
    return definitions.typestore() if ours is None else types_of(ours)


def _connections(connections: Iterable[Connection], writer: Writer) -> dict[int, Connection]:
    """The copy of each connection, by id."""
    copies: dict[int, Connection] = {}
    same: dict[tuple[str, str, str], Connection] = {}
    for connection in connections:
        key = (connection.topic, connection.msgtype, repr(connection.ext))
        if key not in same:  # several publishers of a topic
            same[key] = _add(connection, writer)
        copies[connection.id] = same[key]
    return copies


def _add(connection: Connection, writer: Writer) -> Connection:
    ext = connection.ext
    definition, digest = _definition(connection)
    return writer.add_connection(
        connection.topic,
        connection.msgtype,
        msgdef=definition,
        rihs01=digest,
        serialization_format=getattr(ext, "serialization_format", "cdr"),
        offered_qos_profiles=getattr(ext, "offered_qos_profiles", ()),
    )


def _definition(connection: Connection) -> tuple[str, str]:
    """Text and hash of a type's definition, which older bags lack: then those that we know, else an empty one."""
    if connection.msgdef.format != MessageDefinitionFormat.NONE and connection.digest:
        return connection.msgdef.data, connection.digest
    types = types_of(connection)
    if connection.msgtype not in types.fielddefs:
        types = get_typestore(Stores.EMPTY)
        types.register({connection.msgtype: ([], [])})
    known = connection.msgdef.data or types.generate_msgdef(connection.msgtype, ros_version=2)[0]
    return known, types.hash_rihs01(connection.msgtype)
