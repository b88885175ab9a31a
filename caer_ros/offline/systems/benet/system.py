"""BENet as a ``systems.system.System``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from caer_ros.offline.systems.benet.config import BenetConfig, BenetTraining
from caer_ros.offline.systems.system import Description, Outline
from caer_ros.offline.training.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import nn

    from caer_ros.offline.export.graph import SingleShotGraph
    from caer_ros.offline.systems.benet.examples import BenetBatch, BenetExample, BenetExamples
    from caer_ros.offline.systems.benet.graph import BenetGraph
    from caer_ros.offline.systems.benet.task import BenetTask
    from caer_ros.offline.systems.system import Refine
    from caer_ros.offline.training.checkpoint_card import CheckpointCard
    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.recordings.annotations.sample import Dataset

CONFIG = BenetTraining
NETWORKS = {"benet": "BENet: emotion maps and persons at two resolutions"}
MANNERS = {
    "flip": "mean with the mirrored image, as the published scores",
    "person_centric": "scores in annotated boxes are the mean with the person-centric head",
}
LONGEST = 4
"""Most times that the longer side is the shorter; BENet has no limit of its own, and memory has."""
MULTIPLE = 64
"""Pixels of which the input's sides are multiples."""


def upgraded(plain: dict[str, Any]) -> dict[str, Any]:
    """Without ``model`` and ``recipe``, which earlier versions wrote and BENet never read."""
    return {name: value for name, value in plain.items() if name not in ("model", "recipe")}


def rule(config: TrainConfig) -> Resize:
    """The shorter side becomes the side of the squares that BENet learns from."""
    return input_rule(config.data.size[0])


def input_rule(short: int) -> Resize:
    """The rule for a shorter side of so many pixels."""
    from caer_ros.perception.imaging.resizing import Resize

    return Resize("short_side", short=short, longest=LONGEST * short, multiple=MULTIPLE)


def examples(config: TrainConfig, dataset: Dataset, seed: int | None) -> BenetExamples:
    """An example for each annotated person."""
    from caer_ros.offline.systems.benet.examples import examples

    assert isinstance(config, BenetTraining)
    return examples(dataset, config, seed)


def collate(examples: list[BenetExample]) -> BenetBatch:
    """Persons padded to the largest number of them in an image."""
    from caer_ros.offline.systems.benet.examples import collate

    return collate(examples)


def task(config: TrainConfig, labels: int, multi_label: bool, initialise: bool = True) -> BenetTask:
    """The network with the losses of its heads."""
    from caer_ros.offline.systems.benet.task import build

    assert isinstance(config, BenetTraining)
    return build(config, labels, multi_label, initialise)


def recipe(config: TrainConfig) -> str:
    """The heads that learn."""
    assert isinstance(config, BenetTraining)
    network = config.benet
    heads = {"Det": network.detection, "PC": network.person_centric, "BG": network.background}
    return "+".join(["BENet, heads BU", *(head for head, there in heads.items() if there)])


def network(card: CheckpointCard) -> nn.Module:
    """The network of the card's ``benet``."""
    from caer_ros.offline.systems.benet.network import Benet

    return Benet(BenetConfig(**card.config["benet"]), len(card.labels))


def description(card: CheckpointCard) -> Description:
    """BENet and the width of its HRNet."""
    width = card.config["benet"]["width"]
    return Description("BENet (Cladière et al., ACIVS 2023)", f"HRNet of width {width} with attention")


def graph(network: nn.Module, card: CheckpointCard, max_persons: int | None) -> BenetGraph:
    """BENet as a graph; 15 persons where nothing is asked for."""
    from caer_ros.offline.systems.benet.graph import PERSONS, BenetGraph
    from caer_ros.offline.systems.benet.network import Benet

    assert isinstance(network, Benet)
    persons = PERSONS if max_persons is None else max_persons
    return BenetGraph(network, card.resize, persons, card.multi_label, card.predictable)


def in_manner(path: Path, graph: SingleShotGraph, manners: Collection[str]) -> tuple[BenetGraph, Refine | None]:
    """The graph with the mirrored image, and the mean with the person-centric head."""
    from caer_ros.offline.evaluation.predict import EvaluationError
    from caer_ros.offline.systems.benet.graph import BenetGraph
    from caer_ros.offline.systems.benet.person_centric import refined

    assert isinstance(graph, BenetGraph)
    graph.flip = flip = "flip" in manners
    if "person_centric" not in manners:
        return graph, None
    if not graph.network.config.person_centric:
        raise EvaluationError(f"{path}: this BENet has no person-centric head; leave --person-centric out")
    return graph, partial(refined, graph.network, flip=flip, short=graph.resize.short)


def outline(task: str, backbone: str | None, labels: int, head_width: int, size: tuple[int, int]) -> Outline:
    """BENet of the paper's size, which has no choice of backbone."""
    import torch

    from caer_ros.offline.systems.benet.network import Benet

    if backbone:
        raise ConfigError(f"--backbone {backbone}: a benet has no choice")
    return Outline("its own HRNet", Benet(BenetConfig(), labels), (torch.empty(1, 3, *size),))
