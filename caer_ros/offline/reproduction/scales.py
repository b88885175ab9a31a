"""How large a reproduction is: a minute or an hour of a CPU, minutes of a GPU, or the paper's own settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from caer_ros.offline.data.synthetic.plans import Settings
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.dsct.config import DsctConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Settings of every training of a table. Fields that name no source are ours."""

    size: int
    """Height and width of the input in pixels; in the tests of BENet and DSCT the shorter of them."""
    batch: int
    epochs: int
    learning_rate: float | None
    """None: that of the paper's configuration, and its schedule."""
    schedule: Literal["constant", "cosine"] = "constant"
    """KA's and BENet's is constant."""
    precision: Literal["32", "bf16-mixed"] = "32"
    seeds: int = 3
    blocks: int = 1
    """How many of a table's data sets are done on synthetic data."""
    images: int
    """Synthetic images to train on; a fifth of it more to choose the epoch, and two fifths to test."""
    pictures: Settings = field(default_factory=Settings)
    """What synthetic images are like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentScale(Scale):
    """Scale of the KA paper's students and teachers."""

    learning_rate: float
    backbone: str
    weights: str | None
    """How a baseline's and a KA student's backbone begins: "imagenet" or None (random)."""
    head_width: int
    head_blocks: int
    channels: int
    """C of the common feature space."""
    teacher_epochs: int
    teacher_images: int
    """Synthetic images that each teacher is trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenetScale(Scale):
    """Scale of BENet; the row of a table says which heads there are."""

    network: BenetConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DsctScale(Scale):
    """Scale of DSCT. All sizes of its images are the sizes for 800 pixels in proportion."""

    network: DsctConfig
    """How many subjects there are, and what differs between the data sets, their configurations say."""
    weights: str | None
    """How the backbone begins: "imagenet" or None (random)."""


SMALL_PICTURES = Settings(width=128, height=128, people=(0, 0.8, 0.2), sizes=(0.6, 1.2), object_sizes=(0.22, 0.32))
"""Few, large people and objects, for inputs of 64 pixels."""


SCALES = {
    "smoke": StudentScale(
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
        seeds=1,
        images=48,
        teacher_images=48,
        pictures=SMALL_PICTURES,
    ),
    "cpu": StudentScale(
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
        images=2400,
        teacher_images=1800,
        pictures=SMALL_PICTURES,
    ),
    "small": StudentScale(
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
        blocks=2,
        images=2000,
        teacher_images=2000,
    ),
    "full": StudentScale(
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
        blocks=2,
        images=10000,
        teacher_images=20000,
    ),
}
"""Scales of ``caer reproduce ka`` and ``context``."""

BENET = {
    "smoke": BenetScale(
        network=BenetConfig(width=8, modules=1, blocks=1),
        size=64,
        batch=8,
        epochs=2,
        learning_rate=1e-2,
        seeds=1,
        images=24,
        pictures=SMALL_PICTURES,
    ),
    "cpu": BenetScale(
        network=BenetConfig(width=16, modules=1, blocks=1),
        size=128,
        batch=16,
        epochs=8,
        learning_rate=2e-3,
        schedule="cosine",
        images=1200,
        pictures=SMALL_PICTURES,
    ),
    "small": BenetScale(
        network=BenetConfig(),
        size=256,
        batch=24,
        epochs=20,
        learning_rate=1e-3,
        schedule="cosine",
        precision="bf16-mixed",
        images=2000,
    ),
    "full": BenetScale(
        network=BenetConfig(),
        size=512,
        batch=24,
        epochs=250,
        learning_rate=None,
        images=10000,
    ),
}
"""Scales of ``caer reproduce benet``."""

TINY_DSCT = DsctConfig(
    "resnet18", contexts=12, spatial=4, semantic=2, width=64, layers=2, heads=2, points=2, feedforward=32
)
DSCT = {
    "smoke": DsctScale(
        network=TINY_DSCT,
        weights=None,
        size=64,
        batch=8,
        epochs=1,
        learning_rate=1e-3,
        seeds=1,
        images=10,
        pictures=SMALL_PICTURES,
    ),
    "cpu": DsctScale(
        network=replace(TINY_DSCT, contexts=60, spatial=20, semantic=10, layers=3, heads=4, points=4, feedforward=128),
        weights=None,
        size=128,
        batch=8,
        epochs=10,
        learning_rate=1e-3,
        schedule="cosine",
        images=1200,
        pictures=SMALL_PICTURES,
    ),
    "small": DsctScale(
        network=DsctConfig("resnet18", contexts=100, spatial=33, semantic=17, width=128, feedforward=512),
        weights=None,
        size=256,
        batch=16,
        epochs=50,
        learning_rate=2e-4,
        schedule="cosine",
        blocks=2,
        images=4000,
    ),
    "full": DsctScale(
        network=DsctConfig(),
        weights="imagenet",
        size=800,
        batch=32,
        epochs=50,
        learning_rate=None,
        blocks=2,
        images=10000,
    ),
}
"""Scales of ``caer reproduce dsct``."""
