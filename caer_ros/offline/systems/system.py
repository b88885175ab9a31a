"""What a system is to the rest of the companion: training, export and evaluation know it by this and not by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from caer_ros.offline.data.predictions import Predictions
    from caer_ros.offline.export.graph import SingleShotGraph
    from caer_ros.offline.training.checkpoint_card import CheckpointCard
    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.offline.training.loader import Examples
    from caer_ros.offline.training.task import Task
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.recordings.annotations.sample import Dataset, Sample

    Refine = Callable[[Predictions, Sequence[Sample], Callable[[Any], Any]], Predictions]
    """Predictions, the samples that they are about, and what wraps the loop over images, to better predictions."""


class Description(NamedTuple):
    """What a network is, in words for a bundle's card."""

    kind: str
    """What the network is, with its paper."""
    network: str
    """What the network is built on."""


class Outline(NamedTuple):
    """A network of untrained weights, to be counted and measured."""

    backbone: str
    """What the network is built on."""
    network: nn.Module
    inputs: tuple[Tensor, ...]


class System(Protocol):
    """The module ``system`` of a system's folder. Its functions import what is heavy when they are called."""

    @property
    def CONFIG(self) -> type[TrainConfig]:
        """The typed fields of its trainings."""

    @property
    def NETWORKS(self) -> Mapping[str, str]:
        """Its tasks, and what the network of each does."""

    @property
    def MANNERS(self) -> Mapping[str, str]:
        """Ways of evaluating that only this system's protocol has, and what each is."""

    def upgraded(self, plain: dict[str, Any]) -> dict[str, Any]:
        """A configuration that an earlier version wrote, as plain data, with the fields of ``CONFIG``."""

    def rule(self, config: TrainConfig) -> Resize:
        """How the robot shall bring images to the network's input."""

    def examples(self, config: TrainConfig, dataset: Dataset, seed: int | None) -> Examples:
        """The examples of a split.

        Args:
            config: of the run.
            dataset: the split.
            seed: of all randomness; None for no augmentation, as in validation.

        Raises:
            ConfigError, DatasetError: the fields do not fit the data; there is nothing to learn from.
        """

    def collate(self, examples: Any) -> Any:
        """Examples as a batch, which has a method ``to(device)``."""

    def task(self, config: TrainConfig, labels: int, multi_label: bool, initialise: bool = True) -> Task:
        """The network with its losses, on the CPU.

        Args:
            config: says which network, how it begins and who teaches it.
            labels: E.
            multi_label: can a person have several labels?
            initialise: load the first weights; False where a checkpoint replaces them anyway.

        Raises:
            BackboneError, CheckpointError, ConfigError: weights or a teacher that cannot be had or do not fit.
        """

    def recipe(self, config: TrainConfig) -> str:
        """How a network was trained, for a person to read."""

    def network(self, card: CheckpointCard) -> nn.Module:
        """The untrained network of a checkpoint. Raises KeyError, TypeError or ValueError for a broken card."""

    def description(self, card: CheckpointCard) -> Description:
        """What a checkpoint's network is, in words."""

    def graph(self, network: nn.Module, card: CheckpointCard, max_persons: int | None) -> SingleShotGraph:
        """The network of a checkpoint as a robot runs it.

        Args:
            network: in eval mode.
            card: of its checkpoint.
            max_persons: K; None takes what suits the network.

        Raises:
            ExportError: the network finds no persons' emotions, or cannot have so many persons.
        """

    def in_manner(
        self, path: Path, graph: SingleShotGraph, manners: Collection[str]
    ) -> tuple[SingleShotGraph, Refine | None]:
        """The graph to evaluate a checkpoint with in some of ``MANNERS``, and what is done with its predictions.

        Raises:
            EvaluationError: the network of ``path`` has not what a manner needs.
        """

    def outline(self, task: str, backbone: str | None, labels: int, head_width: int, size: tuple[int, int]) -> Outline:
        """A network by its usual fields, with what it takes at height and width ``size``.

        Raises:
            ConfigError: there is no choice of backbone, or not this one.
        """
