"""Give this process Fast DDS's shared-memory profile, so that whole images reach best-effort subscribers."""

from __future__ import annotations

import os
from pathlib import Path

from caer_ros import share

PROFILE = "config/fastdds_shm.xml"
VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""Fast DDS 2 (Jazzy) reads the first, Fast DDS 3 (Kilted and later) the second."""

USERS_OWN = (*VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")
SHARED_MEMORY = Path("/dev/shm")
NEEDED_BYTES = 32 << 20
"""The profile's segment of 24 MiB, and the ports beside it."""


def use_profile() -> str:
    """Set the profile for the ROS context that this process creates next; call it before ``rclpy.init``.

    A profile or transport that the user has chosen stays.

    Returns:
        "" when images travel well, else one line on why they may get lost.
    """
    if any(os.environ.get(name) for name in USERS_OWN) or Path("DEFAULT_FASTRTPS_PROFILES.xml").exists():
        return ""
    try:
        profile = share.find(PROFILE)
    except FileNotFoundError as error:
        return f"{error} Raw images may get lost on the way"
    free = free_bytes(SHARED_MEMORY)
    if free < NEEDED_BYTES:
        return (
            f"{SHARED_MEMORY} has {free >> 20} MiB free and {NEEDED_BYTES >> 20} MiB are needed: raw images may "
            "get lost on the way (in a container, give it more shared memory)"
        )
    for name in VARIABLES:
        os.environ[name] = str(profile)
    return ""


def free_bytes(folder: Path) -> int:
    """Bytes that can still be written to ``folder``; 0 when it does not exist."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return 0
    return room.f_bavail * room.f_frsize
