"""KA as a ``systems.system.System``: the student, and the classifiers and detectors that teach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caer_ros.offline.systems.ka.config import KaConfig, ModelConfig
from caer_ros.offline.systems.system import Description, Outline

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import nn

    from caer_ros.offline.export.graph import SingleShotGraph
    from caer_ros.offline.systems.ka.examples import Batch, Example, KaExamples
    from caer_ros.offline.systems.ka.graph import StudentGraph
    from caer_ros.offline.training.checkpoint_card import CheckpointCard
    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.offline.training.task import Task
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.recordings.annotations.sample import Dataset

CONFIG = KaConfig
NETWORKS = {
    "student": "emotion maps and persons in one pass",
    "classifier": "teacher of faces or of scenes",
    "detector": "teacher of object detection",
}
MANNERS: dict[str, str] = {}


def upgraded(plain: dict[str, Any]) -> dict[str, Any]:
    """No field was ever renamed."""
    return plain


def rule(config: TrainConfig) -> Resize:
    """The rule of ``data.size`` and ``data.resize``."""
    from caer_ros.offline.systems.ka.examples import resize_rule

    return resize_rule(config.data)


def examples(config: TrainConfig, dataset: Dataset, seed: int | None) -> KaExamples:
    """An example for each image; for a classifier one for each person's crop."""
    from caer_ros.offline.systems.ka.examples import KaExamples

    return KaExamples(dataset, config.data, seed, crops=config.task == "classifier")


def collate(examples: list[Example]) -> Batch:
    """Persons padded to the largest number of them in an image."""
    from caer_ros.offline.systems.ka.examples import collate

    return collate(examples)


def task(config: TrainConfig, labels: int, multi_label: bool, initialise: bool = True) -> Task:
    """The network, its losses, and its teachers."""
    from caer_ros.offline.systems.ka.task import build

    assert isinstance(config, KaConfig)
    return build(config, labels, multi_label, initialise)


def recipe(config: TrainConfig) -> str:
    """The name of the paper's recipe."""
    assert isinstance(config, KaConfig)
    recipe = config.recipe
    return recipe.name + (f" of {len(recipe.teachers)} teachers" if recipe.name == "ka" else "")


def network(card: CheckpointCard) -> nn.Module:
    """The student, classifier or detector."""
    from caer_ros.offline.systems.ka.networks import build

    return build(card.task, ModelConfig(**card.config["model"]), len(card.labels))


def description(card: CheckpointCard) -> Description:
    """The student and its backbone."""
    return Description("A single-shot student of caer_ros", card.config["model"]["backbone"])


def graph(network: nn.Module, card: CheckpointCard, max_persons: int | None) -> StudentGraph:
    """The student as a graph; teachers have none."""
    from caer_ros.offline.export.graph import ExportError
    from caer_ros.offline.systems.ka.graph import PERSONS, StudentGraph
    from caer_ros.offline.systems.ka.network import Student

    if not isinstance(network, Student):
        raise ExportError(f"holds a {card.task}, which finds no persons' emotions; only a student does")
    persons = PERSONS if max_persons is None else max_persons
    return StudentGraph(network, card.resize, persons, card.multi_label, card.predictable)


def in_manner(path: Path, graph: SingleShotGraph, manners: Collection[str]) -> tuple[SingleShotGraph, None]:
    """The graph as it is, because ``MANNERS`` is empty."""
    return graph, None


def outline(task: str, backbone: str | None, labels: int, head_width: int, size: tuple[int, int]) -> Outline:
    """A network on any of timm's backbones with four pyramid levels."""
    import torch

    from caer_ros.offline.systems.ka.networks import build

    model = ModelConfig(backbone or ModelConfig.backbone, None, head_width)
    return Outline(model.backbone, build(task, model, labels), (torch.empty(1, 3, *size),))
