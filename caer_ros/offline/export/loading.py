"""A checkpoint as the graph that a robot will run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caer_ros.offline import systems
from caer_ros.offline.export.graph import ExportError, SingleShotGraph
from caer_ros.offline.training.checkpoint import load_network

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.training.checkpoint_card import CheckpointCard


def load_graph(checkpoint: Path, max_persons: int | None = None) -> tuple[SingleShotGraph, CheckpointCard]:
    """The network of a checkpoint as a graph on the CPU, and what the checkpoint says about itself.

    Args:
        checkpoint: of `caer train` or `caer import`.
        max_persons: K; None takes what suits the network.

    Raises:
        ExportError: the network finds no persons' emotions.
        CheckpointError: the file is no checkpoint of ours.
    """
    network, card = load_network(checkpoint)
    try:
        return systems.of(card.task).graph(network, card, max_persons).eval(), card
    except ExportError as error:
        raise ExportError(f"{checkpoint}: {error}") from error
