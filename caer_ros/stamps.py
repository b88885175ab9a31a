"""The header stamp of a serialized message, read and replaced without deserializing it.

Serialized messages are OMG CDR: 4 bytes of encapsulation, then a std_msgs/Header that begins with the stamp.
"""

from __future__ import annotations

import struct


class StampError(ValueError):
    """A serialized message is too short to have a header."""


def stamp_of(cdr: bytes) -> int:
    """Header stamp in nanoseconds of any serialized message that begins with a std_msgs/Header. Raises StampError."""
    seconds, nanoseconds = struct.unpack_from(_stamp_format(cdr), cdr, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def with_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """The same serialized message with another header stamp. Raises StampError."""
    stamp = struct.pack(_stamp_format(cdr), *divmod(stamp_ns, 10**9))
    return b"".join((cdr[:4], stamp, memoryview(cdr)[12:]))


def _stamp_format(cdr: bytes) -> str:
    if len(cdr) < 12:
        raise StampError(f"a recorded message has {len(cdr)} bytes: too short for a header")
    return "<iI" if cdr[1] & 1 else ">iI"
