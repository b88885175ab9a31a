"""DSCT as a ``systems.system.System``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from caer_ros.offline.systems.dsct.config import DsctConfig, DsctTraining, Resnet
from caer_ros.offline.systems.system import Description, Outline
from caer_ros.offline.training.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import nn

    from caer_ros.offline.export.graph import SingleShotGraph
    from caer_ros.offline.systems.dsct.examples import DsctBatch, DsctExample, DsctExamples
    from caer_ros.offline.systems.dsct.graph import DsctGraph
    from caer_ros.offline.systems.dsct.task import DsctTask
    from caer_ros.offline.training.checkpoint_card import CheckpointCard
    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.recordings.annotations.sample import Dataset

CONFIG = DsctTraining
NETWORKS = {"dsct": "DSCT: a few subject queries on Deformable DETR"}
MANNERS: dict[str, str] = {}


def upgraded(plain: dict[str, Any]) -> dict[str, Any]:
    """Without what earlier versions wrote and DSCT never read: ``recipe``, and of ``model`` all but the weights."""
    kept = {name: value for name, value in plain.items() if name != "recipe"}
    if isinstance(kept.get("model"), dict):
        kept["model"] = {name: value for name, value in kept["model"].items() if name == "weights"}
    return kept


def rule(config: TrainConfig) -> Resize:
    """The size of the images of validation."""
    from caer_ros.offline.systems.dsct.examples import resize_rule

    assert isinstance(config, DsctTraining)
    return resize_rule(config.dsct_recipe)


def examples(config: TrainConfig, dataset: Dataset, seed: int | None) -> DsctExamples:
    """An example for each image."""
    from caer_ros.offline.systems.dsct.examples import DsctExamples

    assert isinstance(config, DsctTraining)
    return DsctExamples(dataset, config, seed)


def collate(examples: list[DsctExample]) -> DsctBatch:
    """Images padded to the largest."""
    from caer_ros.offline.systems.dsct.examples import collate

    return collate(examples)


def task(config: TrainConfig, labels: int, multi_label: bool, initialise: bool = True) -> DsctTask:
    """The network with the losses of its queries."""
    from caer_ros.offline.systems.dsct.task import build

    assert isinstance(config, DsctTraining)
    return build(config, labels, multi_label, initialise)


def recipe(config: TrainConfig) -> str:
    """The number of subject queries."""
    assert isinstance(config, DsctTraining)
    return f"DSCT, {config.dsct.subjects} subject queries"


def network(card: CheckpointCard) -> nn.Module:
    """The network of the card's ``dsct``."""
    from caer_ros.offline.systems.dsct.network import Dsct  # it imports transformers, which takes seconds

    return Dsct(DsctConfig(**card.config["dsct"]), len(card.labels))


def description(card: CheckpointCard) -> Description:
    """DSCT and its ResNet."""
    return Description("DSCT (Li et al., ACM MM 2024)", f"Deformable DETR on {card.config['dsct']['backbone']}")


def graph(network: nn.Module, card: CheckpointCard, max_persons: int | None) -> DsctGraph:
    """DSCT as a graph, whose K is the number of its subject queries."""
    from caer_ros.offline.export.graph import ExportError
    from caer_ros.offline.systems.dsct.graph import DsctGraph
    from caer_ros.offline.systems.dsct.network import Dsct

    assert isinstance(network, Dsct)
    if max_persons not in (None, network.config.subjects):
        raise ExportError(f"max_persons {max_persons}: this DSCT has {network.config.subjects} subject queries")
    return DsctGraph(network, card.resize, card.multi_label, card.predictable)


def in_manner(path: Path, graph: SingleShotGraph, manners: Collection[str]) -> tuple[SingleShotGraph, None]:
    """The graph as it is, because ``MANNERS`` is empty."""
    return graph, None


def outline(task: str, backbone: str | None, labels: int, head_width: int, size: tuple[int, int]) -> Outline:
    """DSCT of EMOTIC's size on one of its ResNets."""
    import torch

    from caer_ros.offline.systems.dsct.network import Dsct

    resnets: tuple[Resnet, ...] = get_args(Resnet)
    resnet = next((name for name in resnets if name == (backbone or DsctConfig.backbone)), None)
    if resnet is None:
        raise ConfigError(f"--backbone {backbone}: a dsct has {', '.join(resnets)}")
    return Outline(resnet, Dsct(DsctConfig(resnet), labels), (torch.empty(1, 3, *size),))
