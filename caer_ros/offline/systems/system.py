"""What each task of a training is made of: its examples, how they become batches, and its input's rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from caer_ros.offline.systems.ka import examples as student_data
from caer_ros.perception.imaging.resizing import Resize

if TYPE_CHECKING:
    from collections.abc import Callable

    from caer_ros.offline.training.config import TrainConfig
    from caer_ros.recordings.annotations.sample import Dataset

LONGEST = 4
"""Most times that BENet's longer side is the shorter; it has no limit of its own, and memory has."""


class System(NamedTuple):
    """The parts of one task."""

    examples: Callable[[Dataset, int | None], Any]
    """A torch Dataset of a split, indexed by epoch and index, by the seed of all randomness (None: no augmentation)."""
    collate: Callable[[Any], Any]
    """Examples to a batch, which has a method ``to(device)``."""
    rule: Resize
    """How the robot shall bring images to the network's input."""


def system(config: TrainConfig) -> System:
    """The parts of the configured task; its losses are those of ``tasks.build``."""
    if config.task == "benet":
        from caer_ros.offline.systems.benet import examples as benet_data

        short = config.data.size[0]
        rule = Resize("short_side", short=short, longest=LONGEST * short, multiple=64)
        return System(lambda split, seed: benet_data.examples(split, config, seed), benet_data.collate, rule)
    if config.task == "dsct":
        from caer_ros.offline.systems.dsct import examples as dsct_data

        assert config.dsct_recipe is not None
        return System(
            lambda split, seed: dsct_data.DsctExamples(split, config, seed),
            dsct_data.collate,
            dsct_data.resize_rule(config.dsct_recipe),
        )
    crops = config.task == "classifier"
    return System(
        lambda split, seed: student_data.Examples(split, config.data, seed, crops),
        student_data.collate,
        student_data.resize_rule(config.data),
    )
