"""What a training run is, as typed fields: read from YAML, overridden on the command line, written to the run folder.

Defaults are the paper's (Cladière et al., VISAPP 2025, section 3), or where it is silent, the choice said beside it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from caer_ros import share
from caer_ros.offline.systems.benet.config import BenetConfig, BenetRecipe
from caer_ros.offline.systems.dsct.config import DsctConfig, DsctRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import ArgumentParser


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
class ModelConfig:
    """The network; see models.student and models.teacher."""

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
class OptimiserConfig:
    """Adam. The paper's learning rate is constant, without warm-up or weight decay."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    """Decoupled from the gradient (AdamW), which at 0 is Adam."""
    schedule: Literal["constant", "cosine", "step"] = "constant"
    """cosine: down to 0 at the last step. step: to a tenth at drop_epoch."""
    drop_epoch: int = 40
    """Epochs before the learning rate drops, where schedule is step (DSCT: 40)."""
    warmup_epochs: float = 0.0
    """Epochs over which the learning rate rises linearly from 0."""
    clip: float = 0.0
    """Largest norm of the gradient; 0 leaves it as it is."""


@dataclass(frozen=True)
class TrainerConfig:
    """How long, on what, and in which numbers."""

    epochs: int = 150
    seed: int = 0
    """Of weights, order and augmentation. Same seed, configuration and machine: same result, bitwise on a CPU."""
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
    """One training run."""

    output: str
    """The run's folder. A run that is there is continued if its configuration is the same."""
    data: DataConfig
    task: Literal["student", "classifier", "detector", "benet", "dsct"] = "student"
    """student: emotions of persons, and where they are. classifier: a FER or VEA teacher. detector: an OD teacher.
    benet, dsct: those systems."""
    model: ModelConfig = field(default_factory=ModelConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    benet: BenetConfig | None = None
    """The network of task benet, in place of model."""
    benet_recipe: BenetRecipe | None = None
    """How it learns, in place of recipe."""
    dsct: DsctConfig | None = None
    """The network of task dsct, in place of model."""
    dsct_recipe: DsctRecipe | None = None
    """How it learns, in place of recipe."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        """Check what types cannot say.

        Raises:
            ConfigError: names the field.
        """
        for task, sections in _SECTIONS.items():
            for name, section in sections.items():
                if task == self.task and getattr(self, name) is None:
                    object.__setattr__(self, name, section())
                elif task != self.task and getattr(self, name) is not None:
                    raise ConfigError(f"{name}: given, but task is {self.task}; set task to {task}, or leave it out")
        for name, value, lowest in (
            ("data.batch", self.data.batch, 1),
            ("data.workers", self.data.workers, 0),
            ("model.head_width", self.model.head_width, 1),
            ("model.head_blocks", self.model.head_blocks, 1),
            ("recipe.channels", self.recipe.channels, 1),
            ("recipe.decoder_width", 1 if self.recipe.decoder_width is None else self.recipe.decoder_width, 1),
            ("trainer.epochs", self.trainer.epochs, 1),
            ("trainer.seed", self.trainer.seed, 0),
            ("trainer.checkpoint_steps", self.trainer.checkpoint_steps, 0),
            ("trainer.threads", self.trainer.threads, 0),
            ("optimiser.warmup_epochs", self.optimiser.warmup_epochs, 0),
            ("optimiser.clip", self.optimiser.clip, 0),
            ("optimiser.drop_epoch", self.optimiser.drop_epoch, 1),
        ):
            if not value >= lowest:  # NaN is not, either
                raise ConfigError(f"{name}: {value}, expected {lowest} or more")
        if not self.optimiser.learning_rate > 0:
            raise ConfigError(f"optimiser.learning_rate: {self.optimiser.learning_rate}, expected more than 0")
        if any(length < 32 or length % 32 for length in self.data.size):
            raise ConfigError(f"data.size: {list(self.data.size)}, expected multiples of 32")
        if self.benet_recipe and (problem := self.benet_recipe.problem()):
            raise ConfigError(problem)
        teachers, name = len(self.recipe.teachers), self.recipe.name
        if name == "baseline" and teachers:
            raise ConfigError("recipe.teachers: a baseline has none; set recipe.name to ft or ka")
        if name == "ft" and teachers != 1:
            raise ConfigError(f"recipe.teachers: {teachers} given, but ft fine-tunes exactly one")
        if name == "ka" and not teachers:
            raise ConfigError("recipe.teachers: none given, but ka needs at least one")
        if name == "ka" and self.task != "student":
            raise ConfigError(f"recipe.name: ka amalgamates into a student, but task is {self.task}")
        if name == "ka" and self.recipe.channels % teachers:
            raise ConfigError(f"recipe.channels: {self.recipe.channels} is no multiple of {teachers} teachers")

    @property
    def network(self) -> ModelConfig | BenetConfig | DsctConfig:
        """What the task's network is built of."""
        return self.benet or self.dsct or self.model


_SECTIONS: dict[str, dict[str, type[Any]]] = {
    "benet": {"benet": BenetConfig, "benet_recipe": BenetRecipe},
    "dsct": {"dsct": DsctConfig, "dsct_recipe": DsctRecipe},
}
"""Sections of one task alone."""


def find(name: str) -> Path:
    """A configuration file by its path, or one of the package's own by its name, such as "ka_heco".

    Raises:
        ConfigError: there is none; lists those there are.
    """
    if Path(name).is_file():
        return Path(name)
    try:
        return share.find(f"config/train/{name}.yaml")
    except FileNotFoundError:
        names = ", ".join(sorted({path.stem for folder in share.folders() for path in folder.glob("config/train/*")}))
        raise ConfigError(f"{name}: no such file, nor a configuration of caer_ros, which has: {names}") from None


def parser() -> ArgumentParser:
    """A parser whose options are the fields of ``TrainConfig``, such as ``--data.batch``."""
    result = _without_fields()
    result.add_class_arguments(TrainConfig, None)
    return result


def explanation() -> str:
    """What every field means, for a person to read."""
    result = _without_fields()
    optional = {name: section for sections in _SECTIONS.values() for name, section in sections.items()}
    result.add_class_arguments(TrainConfig, None, skip=set(optional))
    for name, section in optional.items():
        result.add_class_arguments(section, name)
    return str(result.format_help())


def _without_fields() -> ArgumentParser:
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    result = ArgumentParser(
        prog="caer train CONFIG", usage="%(prog)s [FIELDS]", exit_on_error=False, add_help=False, allow_abbrev=False
    )
    result.add_argument("--config", action="config", help="see CONFIG")
    return result


def read(name: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration of a file, found by path or name, with fields overridden as on the command line.

    Args:
        overrides: such as ``["--data.root", "/data/heco", "--trainer.epochs=3"]``.

    Raises:
        ConfigError: one line with the file or the command line, the field, and what is expected.
    """
    from argparse import ArgumentError

    path = find(name)
    arguments = parser()
    try:
        values = arguments.instantiate(arguments.parse_args([f"--config={path}", *overrides])).as_dict()
        return TrainConfig(**{key: value for key, value in values.items() if key != "config"})
    except (ArgumentError, ConfigError) as error:
        said = " ".join(str(error).split()).replace("<class '", "").replace("'>", "").replace("typing.", "")
        said = re.sub(r'^Parser key "([^"]+)":', r"\1:", said)
        given = [option.split("=")[0].removeprefix("--") for option in overrides if option.startswith("--")]
        typed = said.startswith(("unrecognized", *(f"{option}:" for option in given)))
        raise ConfigError(f"{'command line' if typed else path}: {said}") from None


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """Plain data, as in YAML."""
    return {key: _plain(value) for key, value in asdict(config).items()}


def dump(config: TrainConfig) -> str:
    """The whole configuration as YAML, which ``read`` takes."""
    import yaml

    text: str = yaml.safe_dump(to_dict(config), sort_keys=False)
    return text


# Where and how fast a run goes, not what it computes.
_MAY_CHANGE: dict[str, tuple[str, ...]] = {
    "data": ("root", "workers", "cache"),
    "trainer": ("accelerator", "devices", "num_nodes", "strategy", "threads", "checkpoint_steps"),
}


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """The fields in which ``new`` is another training than ``old``, as "data.batch: 20 -> 10".

    Where it runs may change; so may the number of epochs, if the learning rate does not depend on it.
    """
    may_change = dict(_MAY_CHANGE)
    if new.optimiser.schedule != "cosine":
        may_change["trainer"] = (*may_change["trainer"], "epochs")
    before, after = _flat(to_dict(replace(old, output=new.output))), _flat(to_dict(new))
    exempt = {f"{group}.{name}" for group, names in may_change.items() for name in names}
    return [
        f"{key}: {before.get(key)} -> {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if key not in exempt and before.get(key) != after.get(key)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[prefix + key] = value
    return result
