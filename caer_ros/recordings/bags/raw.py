"""A bag opened without a look into its messages: whatever is wrong with it is a SourceError that names it."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from rosbags.rosbag2 import Reader, StoragePlugin
from rosbags.rosbag2.storage_mcap import McapReader

from caer_ros.recordings.sources import BAG_FILES, SourceError, bag_errors

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from rosbags.interfaces import Connection

    Message = tuple[Connection, int, bytes]
    """Connection, time of recording in nanoseconds, and the serialized message."""


def find(path: Path) -> Path:
    """What to open for a path: itself, or the one bag file of a folder that lacks metadata.yaml.

    Raises:
        SourceError: there is nothing that could be opened.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    if path.is_file():
        if path.suffix in BAG_FILES:
            return path
        remedy = f"; convert it with: rosbags-convert --src {path} --dst {path.stem}" if path.suffix == ".bag" else ""
        raise SourceError(f"{path}: not a ROS 2 bag ({', '.join(BAG_FILES)}, or a folder with metadata.yaml){remedy}")
    if (path / "metadata.yaml").exists():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix in BAG_FILES)
    if len(files) != 1:
        raise SourceError(
            f"{path}: no metadata.yaml and {len(files)} bag files in this folder; if it is a bag: "
            f"ros2 bag reindex {path}"
        )
    return files[0]


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """A bag, ready to be read. Raises SourceError."""
    recording = find(path)
    with bag_errors(path):
        reader = Reader(recording)
        reader.open()
    try:
        yield reader
    finally:
        reader.close()


def messages(path: Path, reader: Reader) -> Generator[Message]:
    """All messages of an opened bag in the order of the recording. Raises SourceError where the bag breaks off."""
    # Closed before its reader: an open cursor keeps an sqlite bag open.
    with bag_errors(path), closing(reader.messages()) as recorded:
        for connection, time, data in recorded:
            yield connection, time, bytes(data)


def files(path: Path) -> list[Path]:
    """The files that a bag consists of."""
    found = find(path)
    return sorted(file for file in found.iterdir() if file.is_file()) if found.is_dir() else [found]


def storage(path: Path) -> StoragePlugin:
    """The kind of a bag's files."""
    return StoragePlugin.MCAP if any(".mcap" in file.suffixes for file in files(path)) else StoragePlugin.SQLITE3


def chunk_compressions(reader: Reader) -> set[str]:
    """How the chunks of an opened mcap bag are compressed; empty where they are not, and of other bags."""
    storages: list[Any] = getattr(reader.storage, "storages", [reader.storage])
    mcaps = [storage for storage in storages if isinstance(storage, McapReader)]
    return {chunk.compression for mcap in mcaps for chunk in mcap.chunks} - {""}
