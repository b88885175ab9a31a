"""How large a reproduction is: a minute or an hour of a CPU, minutes of a GPU, or the paper's own settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caer_ros.offline.datasets.synthetic.scenes import Settings


@dataclass(frozen=True, slots=True)
class Scale:
    """Settings of every training of a table. Fields that name no source are ours."""

    backbone: str
    weights: str | None
    """How a baseline's and a KA student's backbone begins: "imagenet" or None (random)."""
    size: int
    """Height and width of the input in pixels."""
    head_width: int
    head_blocks: int
    channels: int
    """C of the common feature space."""
    batch: int
    epochs: int
    teacher_epochs: int
    learning_rate: float
    schedule: Literal["constant", "cosine"]
    """The paper's is constant."""
    precision: Literal["32", "bf16-mixed"]
    seeds: int
    blocks: int
    """How many of a table's data sets are done on synthetic data."""
    images: int
    """Synthetic images to train on; a fifth of it more to choose the epoch, and two fifths to test."""
    teacher_images: int
    """Synthetic images that each teacher is trained on."""
    pictures: Settings
    """What synthetic images are like."""


SMALL_PICTURES = Settings(width=128, height=128, people=(0, 0.8, 0.2), sizes=(0.6, 1.2), object_sizes=(0.22, 0.32))
"""Few, large people and objects, for inputs of 64 pixels."""


SCALES = {
    "smoke": Scale(
        backbone="mobilenetv4_conv_small_050",
        weights=None,
        size=96,
        head_width=8,
        head_blocks=1,
        channels=12,
        batch=16,
        epochs=2,
        teacher_epochs=1,
        learning_rate=1e-3,
        schedule="constant",
        precision="32",
        seeds=1,
        blocks=1,
        images=48,
        teacher_images=48,
        pictures=SMALL_PICTURES,
    ),
    "cpu": Scale(
        backbone="hrnet_w18_small",
        weights=None,
        size=64,
        head_width=32,
        head_blocks=2,
        channels=48,
        batch=12,
        epochs=5,
        teacher_epochs=3,
        learning_rate=2e-3,
        schedule="cosine",
        precision="bf16-mixed",
        seeds=3,
        blocks=1,
        images=2400,
        teacher_images=1800,
        pictures=SMALL_PICTURES,
    ),
    "small": Scale(
        backbone="hrnet_w18_small_v2",
        weights=None,
        size=192,
        head_width=32,
        head_blocks=4,
        channels=96,
        batch=20,
        epochs=15,
        teacher_epochs=10,
        learning_rate=1e-3,
        schedule="cosine",
        precision="bf16-mixed",
        seeds=3,
        blocks=2,
        images=2000,
        teacher_images=2000,
        pictures=Settings(),
    ),
    "full": Scale(
        backbone="hrnet_w32",
        weights="imagenet",
        size=512,
        head_width=32,
        head_blocks=4,
        channels=192,
        batch=20,
        epochs=150,
        teacher_epochs=150,
        learning_rate=1e-3,
        schedule="constant",
        precision="32",
        seeds=3,
        blocks=2,
        images=10000,
        teacher_images=20000,
        pictures=Settings(),
    ),
}
