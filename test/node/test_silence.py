"""How long nobody was followed: which clock counts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from ros_process import environment
from rosgraph_msgs.msg import Clock

from caer_ros.node.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rclpy.node import Node

LIMIT = 0.05


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node in simulated time; nobody spins it, so that its clock is set by hand."""
    context = Context()
    rclpy.init(context=context, domain_id=int(environment(tmp_path)["ROS_DOMAIN_ID"]), args=[])
    node = rclpy.create_node(
        "silent", context=context, parameter_overrides=[Parameter("use_sim_time", value=True)], enable_rosout=False
    )
    yield node
    node.destroy_node()
    context.try_shutdown()


def set_clock(node: Node, seconds: float) -> None:
    node.get_clock().set_ros_time_override(rclpy.time.Time(seconds=seconds, clock_type=rclpy.clock.ClockType.ROS_TIME))


def test_a_clock_that_stands_and_goes_on(node: Node) -> None:
    node.create_publisher(Clock, "/clock", 1)
    set_clock(node, 100.0)
    silence = Silence(node)
    time.sleep(2 * LIMIT)
    assert not silence.longer_than(LIMIT)
    set_clock(node, 100.1)
    assert silence.longer_than(LIMIT)
    silence.end()
    assert not silence.longer_than(LIMIT)


def test_a_clock_that_has_only_begun(node: Node) -> None:
    node.create_publisher(Clock, "/clock", 1)
    silence = Silence(node)
    set_clock(node, 100.0)
    assert not silence.longer_than(LIMIT)
    set_clock(node, 100.1)
    assert silence.longer_than(LIMIT)


def test_a_clock_that_jumps_back(node: Node) -> None:
    node.create_publisher(Clock, "/clock", 1)
    set_clock(node, 100.0)
    silence = Silence(node)
    set_clock(node, 10.0)
    assert not silence.longer_than(LIMIT)
    set_clock(node, 10.1)
    assert silence.longer_than(LIMIT)


def test_without_anybody_who_publishes_the_clock_the_steady_one_counts(node: Node) -> None:
    silence = Silence(node)
    assert not silence.longer_than(60.0)
    time.sleep(2 * LIMIT)
    assert silence.longer_than(LIMIT)
