"""Two nodes in one process, as in a container: what one meets is not said by the other, and nothing of it stays."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import onnxruntime
import pytest
import rclpy
from graphs import write_bundle
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from robot import slow_bundle
from ros_process import environment, until

from caer_ros.node.emotion_node import EmotionNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = Context()
    rclpy.init(context=context, domain_id=int(environment(tmp_path)["ROS_DOMAIN_ID"]), args=[])
    yield context
    context.try_shutdown()


def emotion_node(context: Context, name: str, bundle: Path, device: str) -> EmotionNode:
    overrides = [Parameter("model", value=str(bundle)), Parameter("device", value=device)]
    return EmotionNode(name, context=context, parameter_overrides=overrides)


def problems(node: EmotionNode) -> list[str]:
    return [problem.key for problem in node.problems.all()]


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_each_node_reports_its_own_fall_back(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One falls back to the CPU, as on a machine whose GPU does not work, while the other reads a slow disk."""
    installed = onnxruntime.get_available_providers()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *installed])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    before = list(logging.getLogger("caer_ros").handlers)
    bundle, give = slow_bundle(write_bundle(tmp_path / "toy"), tmp_path)
    falls_back = emotion_node(context, "falls_back", tmp_path / "toy", "auto")
    is_slow = emotion_node(context, "is_slow", bundle, "cpu")

    loaded: list[TransitionCallbackReturn] = []
    thread = threading.Thread(target=lambda: loaded.append(is_slow.trigger_configure()), daemon=True)
    thread.start()
    assert until(lambda: len(logging.getLogger("caer_ros").handlers) > len(before), 10)
    loaded.append(falls_back.trigger_configure())
    assert thread.is_alive()
    give()
    thread.join(30)

    assert loaded == [TransitionCallbackReturn.SUCCESS] * 2
    assert problems(falls_back) == ["perception"]
    assert problems(is_slow) == []
    for node in (falls_back, is_slow):
        node.close()
    assert logging.getLogger("caer_ros").handlers == before
