"""What the student for real people is built of, and how it learns: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from caer_ros.offline.training.config import ConfigError, TrainConfig, at_least


@dataclass(frozen=True)
class PeopleModelConfig:
    """The network; see ``systems.people.network``."""

    trunk: str = "bootstrap"
    """The bundle, by name or path, whose person detector is the trunk. It stays as it is."""
    weights: str | None = None
    """A checkpoint of such a student to go on from, such as on pictures of one's own; it may have fewer blocks.
    null: the branch is new."""
    trunk_scale: float = 0.65
    """The trunk sees the image so much smaller than the branch."""
    pooling: Literal["attention", "mean"] = "attention"
    """How maps become a person's scores: where a face may be counts most, or all of the box alike (KA's)."""
    widths: tuple[int, int] = (32, 64)
    """Channels of the branch at stride 4 and 8."""
    blocks: tuple[int, int] = (1, 3)
    """Residual blocks of the branch at stride 4 and 8."""


@dataclass(frozen=True)
class PeopleTrainConfig(TrainConfig):
    """A training run of the student for real people."""

    task: Literal["people"] = "people"
    model: PeopleModelConfig = field(default_factory=PeopleModelConfig)

    def __post_init__(self) -> None:
        """Check what types cannot say. Raises ConfigError, which names the field."""
        super().__post_init__()
        if not 0.25 <= self.model.trunk_scale <= 1:
            raise ConfigError(f"model.trunk_scale: {self.model.trunk_scale}, expected 0.25 to 1")
        for width in self.model.widths:
            at_least("model.widths", width, 1)
        for count in self.model.blocks:
            at_least("model.blocks", count, 0)
