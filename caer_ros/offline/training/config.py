"""What every training run has, as typed fields.

Defaults are KA's (Cladière et al., VISAPP 2025, section 3), or where it is silent, the choice said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


class ConfigError(Exception):
    """A configuration that cannot be used; names the file, the field and what is expected."""


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of training images; boxes move along."""

    perspective: float = 0.5
    """How far a corner moves at most, as a part of half the side (torchvision's default)."""
    perspective_probability: float = 0.5
    """How often (torchvision's default)."""
    flip_probability: float = 0.5
    """How often left and right are swapped."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Range of random zoom about the centre, 1 is none. Not in the paper."""
    jitter: float = 0.0
    """Random brightness, contrast and saturation up to this part, and a tenth of it in hue. Not in the paper."""
    min_visible: float = 0.25
    """A person of whom less than this part of the box stays in the image is not learnt from."""


@dataclass(frozen=True)
class DataConfig:
    """Which images, and how they reach the network."""

    name: str
    """A data set, as `caer data check` calls it."""
    root: str
    """Its folder."""
    train: str = "train"
    """Split to learn from."""
    val: str = "val"
    """Split that chooses the best epoch."""
    size: tuple[int, int] = (512, 512)
    """Height and width of the network's input, pixels; multiples of 32."""
    resize: Literal["stretch", "letterbox"] = "stretch"
    """To size whatever the aspect, or with black beside. The paper does not say; stretch is our choice."""
    batch: int = 20
    """Images in a step, over all processes together."""
    workers: int = 4
    """Processes a training process starts to load images; 0 loads them in the training process."""
    cache: bool = False
    """Keep all resized images in memory (height x width x 3 bytes each), decoded once."""
    unlabelled_are_negative: bool = True
    """In sets where not everybody is annotated, is the rest of an image background? False: nothing is said there."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam. The paper's learning rate is constant, without warm-up or weight decay."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    """Decoupled from the gradient (AdamW), which at 0 is Adam."""
    schedule: Literal["constant", "cosine", "step"] = "constant"
    """cosine: down to 0 at the last step. step: to a tenth at drop_epoch."""
    drop_epoch: int = 40
    """Epochs before the learning rate drops, where schedule is step."""
    warmup_epochs: float = 0.0
    """Epochs over which the learning rate rises linearly from 0."""
    clip: float = 0.0
    """Largest norm of the gradient; 0 leaves it as it is."""


@dataclass(frozen=True)
class TrainerConfig:
    """How long, on what, and in which numbers."""

    epochs: int = 150
    seed: int = 0
    """Seed of weights, order and augmentation. Same seed, configuration and machine: same result, bitwise on a CPU."""
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    accelerator: str = "auto"
    """As Lightning's: auto, cpu, gpu, ..."""
    devices: int | str = "auto"
    """As Lightning's: auto, a number, or a list such as 0,2."""
    num_nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    sync_batchnorm: bool = False
    """With several processes, normalise over the whole batch instead of each process's part."""
    deterministic: bool = True
    """Prefer deterministic kernels, and warn where there is none; on a GPU they cost some speed."""
    checkpoint_steps: int = 0
    """Save last.ckpt every so many steps too, not only after each epoch; 0 does not."""
    threads: int = 0
    """Threads of torch in each training process; 0 leaves it to torch."""


@dataclass(frozen=True)
class TrainConfig:
    """What every training run has; each system adds what its networks are built of, and how they learn."""

    output: str
    """The run's folder. A run that is there is continued if its configuration is the same."""
    data: DataConfig
    task: str
    """Name of what is trained, one of those that ``systems.TASKS`` lists."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        """Check what types cannot say.

        Raises:
            ConfigError: names the field.
        """
        for name, value, lowest in (
            ("data.batch", self.data.batch, 1),
            ("data.workers", self.data.workers, 0),
            ("trainer.epochs", self.trainer.epochs, 1),
            ("trainer.seed", self.trainer.seed, 0),
            ("trainer.checkpoint_steps", self.trainer.checkpoint_steps, 0),
            ("trainer.threads", self.trainer.threads, 0),
            ("optimiser.warmup_epochs", self.optimiser.warmup_epochs, 0),
            ("optimiser.clip", self.optimiser.clip, 0),
            ("optimiser.drop_epoch", self.optimiser.drop_epoch, 1),
        ):
            at_least(name, value, lowest)
        if not self.optimiser.learning_rate > 0:
            raise ConfigError(f"optimiser.learning_rate: {self.optimiser.learning_rate}, expected more than 0")
        if any(length < 32 or length % 32 for length in self.data.size):
            raise ConfigError(f"data.size: {list(self.data.size)}, expected multiples of 32")


def at_least(name: str, value: float, lowest: float) -> None:
    """Raise ConfigError where the value of a field is below ``lowest``, or NaN."""
    if not value >= lowest:
        raise ConfigError(f"{name}: {value}, expected {lowest} or more")
