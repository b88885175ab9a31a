"""What a checkpoint says about its network, beside the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.perception.person import BoxKind

FORMAT = 1


@dataclass(frozen=True)
class CheckpointCard:
    """What is known about a trained network beside its weights."""

    task: str
    """What was trained, one of ``systems.TASKS``."""
    config: dict[str, Any]
    """The whole configuration of the training as plain data."""
    labels: tuple[str, ...]
    known: tuple[str, ...]
    """Those of the labels that the training data says something about; the others were not taught."""
    label_set: str
    multi_label: bool
    box_kind: BoxKind
    resize: Resize
    """The network's input."""
    version: str
    """Version of caer_ros."""
    commit: str
    """Commit of the sources, or "" where they are not a git checkout."""
    data: str
    """What it has seen, for a person to read."""
    recipe: str
    """How it was trained, for a person to read."""
    epoch: int
    """Epochs it has been trained for."""
    metrics: dict[str, float]
    """That epoch's row of metrics.csv."""

    @property
    def predictable(self) -> tuple[bool, ...]:
        """Whether each label was taught."""
        return tuple(label in self.known for label in self.labels)


def plain_card(card: CheckpointCard) -> dict[str, Any]:
    """The card as plain data, as it stands in a checkpoint under "caer"."""
    plain = {field.name: getattr(card, field.name) for field in fields(card)}
    return plain | {
        "format": FORMAT,
        "labels": list(card.labels),
        "known": list(card.known),
        "box_kind": card.box_kind.name.lower(),
        "resize": asdict(card.resize) | {"size": list(card.resize.size)},
    }
