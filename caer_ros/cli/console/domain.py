"""A ROS domain of this machine alone, for commands that start processes which shall not meet anybody else's."""

from __future__ import annotations

import os
import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DOMAINS = range(10, 102)
"""Domains up to 101: above, the ports of a domain meet Linux's ephemeral ones."""


def enter(domain: int | None, logs: Path) -> int:
    """Put this process and its children into a domain; call it before ``rclpy.init``.

    Args:
        domain: which one; None takes a free one.
        logs: folder for ROS's logs.

    Returns:
        The domain.
    """
    chosen = free() if domain is None else domain
    for name in ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER"):
        os.environ.pop(name, None)
    os.environ["ROS_DOMAIN_ID"] = str(chosen)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_LOG_DIR"] = str(logs)
    os.environ["PYTHONUNBUFFERED"] = "1"  # what a child says is read while it runs
    return chosen


def free() -> int:
    """A ROS domain in which nobody on this machine is."""
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        # The first participant of a domain takes this port (DDSI-RTPS 2.3, section 9.6.1.1).
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7400 + 250 * domain + 10))
            except OSError:
                continue
            return domain
    return random.choice(DOMAINS)
