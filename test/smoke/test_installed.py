"""The installed package in its workspace: `colcon test` runs this, and so does anybody who sourced the workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest
import rclpy
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

import caer_ros
from caer_ros.msg import PerceptionStatus, PersonEmotionArray
from caer_ros.srv import LoadModel

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = Path(get_package_prefix("caer_ros"))
SHARE = Path(get_package_share_directory("caer_ros"))
DOMAIN = 1 + os.getpid() % 100  # away from other robots and other runs; the node's process inherits the rest


@pytest.fixture
def node_process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "ROS_DOMAIN_ID": str(DOMAIN),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(tmp_path),
    }
    process = subprocess.Popen([PREFIX / "lib" / "caer_ros" / "emotion_node"], env=environment, cwd=tmp_path)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[rclpy.node.Node]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield node
    executor.shutdown()
    node.destroy_node()
    context.shutdown()


def test_the_installed_package_is_what_is_imported() -> None:
    assert PREFIX in Path(sys.modules["caer_ros.msg"].__file__ or "").parents
    assert PREFIX in Path(caer_ros.__file__).absolute().parents
    assert LoadModel.Request(model="a").model == "a"


@pytest.mark.parametrize(
    "file",
    [
        "package.xml",
        "config/emotion.yaml",
        "config/fastdds_shm.xml",
        "launch/emotion.launch.py",
        "models/bootstrap/model.yaml",
        "msg/PersonEmotionArray.msg",
        "resource/demo/photos/grace_hopper.jpg",
        "srv/LoadModel.srv",
    ],
)
def test_the_share_folder_has(file: str) -> None:
    assert (SHARE / file).is_file()


def test_the_installed_node_finds_a_person(node_process: subprocess.Popen[bytes], listener: rclpy.node.Node) -> None:
    photo = cv2.imread(str(SHARE / "resource/demo/photos/grace_hopper.jpg"))
    height, width = photo.shape[:2]
    image = Image(height=height, width=width, encoding="bgr8", step=3 * width)
    image.data.frombytes(photo.tobytes())
    states: list[int] = []
    results: list[PersonEmotionArray] = []
    listener.create_subscription(PerceptionStatus, "/emotion/status", lambda status: states.append(status.state), 1)
    listener.create_subscription(PersonEmotionArray, "/emotion/emotions", results.append, 5)
    camera = listener.create_publisher(Image, "/image_raw", qos_profile_sensor_data)

    deadline = time.monotonic() + 60
    while not (PerceptionStatus.ACTIVE in states and any(result.persons for result in results)):
        assert node_process.poll() is None, "the node ended"
        assert time.monotonic() < deadline, f"states seen: {states}, messages: {len(results)}"
        image.header.stamp = listener.get_clock().now().to_msg()
        camera.publish(image)
        rclpy.spin_once(listener, executor=listener.executor, timeout_sec=0.2)

    person = next(result for result in results if result.persons).persons[0]
    assert 0 <= person.x_min < person.x_max <= width
    node_process.send_signal(signal.SIGINT)
    assert node_process.wait(timeout=20) == 0
