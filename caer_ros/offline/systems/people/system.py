"""The student for real people as a ``systems.system.System``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caer_ros.offline.systems.people.config import PeopleModelConfig, PeopleTrainConfig
from caer_ros.offline.systems.system import Description, Outline

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import nn

    from caer_ros.offline.export.graph import SingleShotGraph
    from caer_ros.offline.systems.people.examples import Batch, Example, PeopleExamples
    from caer_ros.offline.systems.people.graph import PeopleGraph
    from caer_ros.offline.training.checkpoint_card import CheckpointCard
    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.offline.training.task import Task
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.recordings.annotations.sample import Dataset

CONFIG = PeopleTrainConfig
NETWORKS = {"people": "persons by the carried detector, and their emotions, in one pass"}
MANNERS: dict[str, str] = {}


def upgraded(plain: dict[str, Any]) -> dict[str, Any]:
    """No field was ever renamed."""
    return plain


def rule(config: TrainConfig) -> Resize:
    """The rule of ``data.size`` and ``data.resize``."""
    from caer_ros.offline.systems.people.examples import resize_rule

    return resize_rule(config.data)


def examples(config: TrainConfig, dataset: Dataset, seed: int | None) -> PeopleExamples:
    """An example for each image."""
    from caer_ros.offline.systems.people.examples import PeopleExamples

    return PeopleExamples(dataset, config.data, seed)


def collate(examples: list[Example]) -> Batch:
    """Persons padded to the largest number of them in an image."""
    from caer_ros.offline.systems.people.examples import collate

    return collate(examples)


def task(config: TrainConfig, labels: int, multi_label: bool, initialise: bool = True) -> Task:
    """The network with the carried detector as trunk, and its losses."""
    from caer_ros.offline.systems.people.task import build

    assert isinstance(config, PeopleTrainConfig)
    return build(config, labels, multi_label, initialise)


def recipe(config: TrainConfig) -> str:
    """What the trunk is, and how maps are pooled."""
    assert isinstance(config, PeopleTrainConfig)
    begun = "; went on from an earlier run" if config.model.weights else ""
    return f"trunk of {config.model.trunk}, frozen; {config.model.pooling} pooling{begun}"


def network(card: CheckpointCard) -> nn.Module:
    """The student."""
    from caer_ros.offline.systems.people.network import PeopleStudent
    from caer_ros.offline.systems.people.task import network_config

    return PeopleStudent(network_config(PeopleModelConfig(**card.config["model"]), len(card.labels)))


def description(card: CheckpointCard) -> Description:
    """The student and its trunk."""
    return Description(
        "A single-shot student of caer_ros for real people", "NanoDet (frozen), and a branch for emotions"
    )


def graph(network: nn.Module, card: CheckpointCard, max_persons: int | None) -> PeopleGraph:
    """The student as a graph."""
    from caer_ros.offline.systems.people.graph import PERSONS, PeopleGraph
    from caer_ros.offline.systems.people.network import PeopleStudent

    assert isinstance(network, PeopleStudent)
    persons = PERSONS if max_persons is None else max_persons
    return PeopleGraph(network, card.resize, persons, card.multi_label, card.predictable)


def in_manner(path: Path, graph: SingleShotGraph, manners: Collection[str]) -> tuple[SingleShotGraph, None]:
    """The graph as it is, because ``MANNERS`` is empty."""
    return graph, None


def outline(task: str, backbone: str | None, labels: int, head_width: int, size: tuple[int, int]) -> Outline:
    """The network of untrained weights; there is one trunk."""
    import torch

    from caer_ros.offline.systems.people.network import PeopleConfig, PeopleStudent
    from caer_ros.offline.training.config import ConfigError

    if backbone is not None:
        raise ConfigError(f"--backbone {backbone}: the people student has the carried detector as its trunk, no other")
    return Outline("nanodet", PeopleStudent(PeopleConfig(labels)), (torch.empty(1, 3, *size),))
