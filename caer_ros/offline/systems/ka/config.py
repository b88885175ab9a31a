"""What the student and its teachers are built of, and how knowledge of other networks gets in: plain data.

Defaults are the paper's (Cladière et al., VISAPP 2025, section 3), or where it is silent, the choice said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from caer_ros.offline.training.config import ConfigError, TrainConfig, at_least


@dataclass(frozen=True)
class ModelConfig:
    """The network; see ``systems.ka.network`` and ``systems.ka.teachers``."""

    backbone: str = "hrnet_w32"
    """Any of timm's with four pyramid levels."""
    weights: str | None = "imagenet"
    """How the backbone begins: imagenet, null (random), or a .safetensors or .pth file."""
    head_width: int = 32
    """Channels in the student's and detector's heads. Not in the paper."""
    head_blocks: int = 4
    """Residual blocks in each head."""
    detection: bool = True
    """Does the student find persons too (ER+PD), or only recognise emotions in given boxes (ER)?"""


@dataclass(frozen=True)
class RecipeConfig:
    """How knowledge of other networks gets in: the paper's three recipes."""

    name: Literal["baseline", "ft", "ka"] = "baseline"
    """baseline: fine-tune model.weights. ft: fine-tune the one teacher's backbone. ka: amalgamate all teachers."""
    teachers: tuple[str, ...] = ()
    """Checkpoints of `caer train`, or .safetensors or .pth files of model.backbone."""
    channels: int = 192
    """C, channels of the common feature space, a multiple of the number of teachers. Not in the paper."""
    decoder_width: int | None = None
    """Channels of the residual blocks that reconstruct a teacher's features; null is C. Not in the paper."""
    detach_target: bool = False
    """Stop eq. 7's gradient at the teachers' projection. The paper does not say; false is our choice."""


@dataclass(frozen=True)
class KaConfig(TrainConfig):
    """A training run of the student or of one of its teachers."""

    task: Literal["student", "classifier", "detector"] = "student"
    """student: emotions of persons, and where they are. classifier: a FER or VEA teacher. detector: an OD teacher."""
    model: ModelConfig = field(default_factory=ModelConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)

    def __post_init__(self) -> None:
        """Check what types cannot say. Raises ConfigError, which names the field."""
        super().__post_init__()
        recipe, teachers, name = self.recipe, len(self.recipe.teachers), self.recipe.name
        at_least("model.head_width", self.model.head_width, 1)
        at_least("model.head_blocks", self.model.head_blocks, 1)
        at_least("recipe.channels", recipe.channels, 1)
        if recipe.decoder_width is not None:
            at_least("recipe.decoder_width", recipe.decoder_width, 1)
        if name == "baseline" and teachers:
            raise ConfigError("recipe.teachers: a baseline has none; set recipe.name to ft or ka")
        if name == "ft" and teachers != 1:
            raise ConfigError(f"recipe.teachers: {teachers} given, but ft fine-tunes exactly one")
        if name == "ka" and not teachers:
            raise ConfigError("recipe.teachers: none given, but ka needs at least one")
        if name == "ka" and self.task != "student":
            raise ConfigError(f"recipe.name: ka amalgamates into a student, but task is {self.task}")
        if name == "ka" and recipe.channels % teachers:
            raise ConfigError(f"recipe.channels: {recipe.channels} is no multiple of {teachers} teachers")
