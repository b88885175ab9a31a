"""Header stamps of serialized messages."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from caer_ros.recordings.stamps import StampError, stamp_of, with_stamp

SECOND = 10**9
stamps = st.integers(0, (2**31 - 1) * SECOND)


@pytest.mark.parametrize("message_type", [Image, CompressedImage, CameraInfo])
@settings(deadline=None)
@given(before=stamps, after=stamps, frame_id=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_a_serialized_message_gets_another_stamp_and_nothing_else_changes(message_type, before, after, frame_id):
    message = message_type()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(before, SECOND)
    message.header.frame_id = frame_id
    cdr = serialize_message(message)
    assert stamp_of(cdr) == before
    changed = with_stamp(cdr, after)
    assert stamp_of(changed) == after
    expected = deserialize_message(cdr, message_type)
    expected.header.stamp.sec, expected.header.stamp.nanosec = divmod(after, SECOND)
    assert deserialize_message(changed, message_type) == expected


def test_big_endian_messages_keep_their_order():
    cdr = bytes((0, 0, 0, 0)) + struct.pack(">iI", 5, 6) + b"rest"
    assert stamp_of(cdr) == 5 * SECOND + 6
    assert with_stamp(cdr, 7 * SECOND + 8) == bytes((0, 0, 0, 0)) + struct.pack(">iI", 7, 8) + b"rest"


@pytest.mark.parametrize("cdr", [b"", b"\0\1\0\0", b"\0\1\0\0" + bytes(7)])
def test_bytes_too_short_for_a_header_are_an_error(cdr):
    with pytest.raises(StampError, match=f"{len(cdr)} bytes"):
        stamp_of(cdr)
    with pytest.raises(StampError):
        with_stamp(cdr, 0)
