"""The student and its teachers, each by the name of its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caer_ros.offline.systems.ka.network import Student, StudentConfig
from caer_ros.offline.systems.ka.teachers import Classifier, Detector

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.ka.config import ModelConfig


def build(
    task: str, model: ModelConfig, labels: int, weights: str | Path | None = None
) -> Student | Classifier | Detector:
    """An untrained network.

    Args:
        task: "student", "classifier" or "detector".
        model: what the network is built of.
        labels: E.
        weights: of its backbone, as in ``Backbone``.

    Raises:
        BackboneError: the backbone or its weights cannot be had or do not fit.
    """
    heads = {"head_width": model.head_width, "head_blocks": model.head_blocks}
    if task == "classifier":
        return Classifier(model.backbone, labels, weights)
    if task == "detector":
        return Detector(model.backbone, weights, **heads)
    return Student(StudentConfig(labels, model.backbone, detection=model.detection, **heads), weights)
