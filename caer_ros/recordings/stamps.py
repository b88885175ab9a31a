"""Times of messages in nanoseconds; the header stamp of a serialized one, read and replaced without deserializing it.

Serialized messages are OMG CDR: 4 bytes of encapsulation, then a std_msgs/Header that begins with the stamp.
"""

from __future__ import annotations

import struct
from typing import Protocol


class Time(Protocol):
    """A builtin_interfaces/Time, of rclpy or of rosbags."""

    sec: int
    nanosec: int


class StampError(ValueError):
    """A serialized message is too short to have a header."""


def nanoseconds(time: Time) -> int:
    """A builtin_interfaces/Time in nanoseconds."""
    return int(time.sec) * 10**9 + int(time.nanosec)


def stamp_of(cdr: bytes) -> int:
    """Header stamp in nanoseconds of any serialized message that begins with a std_msgs/Header. Raises StampError."""
    sec, nanosec = struct.unpack_from(_stamp_format(cdr), cdr, 4)
    return int(sec) * 10**9 + int(nanosec)


def with_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """The same serialized message with another header stamp. Raises StampError."""
    stamp = struct.pack(_stamp_format(cdr), *divmod(stamp_ns, 10**9))
    return b"".join((cdr[:4], stamp, memoryview(cdr)[12:]))


def _stamp_format(cdr: bytes) -> str:
    if len(cdr) < 12:
        raise StampError(f"a recorded message has {len(cdr)} bytes: too short for a header")
    return "<iI" if cdr[1] & 1 else ">iI"
