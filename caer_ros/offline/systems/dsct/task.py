"""What DSCT learns: emotions and boxes of a set of queries (Li et al., ACM MM 2024, section 3.1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from caer_ros.offline.systems.dsct.losses import Weights, best_query, set_losses
from caer_ros.offline.training.checkpoint import CheckpointError
from caer_ros.offline.training.config import ConfigError
from caer_ros.offline.training.task import Loss, Step, Task

if TYPE_CHECKING:
    from torch import nn

    from caer_ros.offline.systems.dsct.config import DsctRecipe, DsctTraining
    from caer_ros.offline.systems.dsct.examples import DsctBatch
    from caer_ros.offline.systems.dsct.network import Dsct

SAMPLING = ("reference_points", "sampling_offsets")
"""In the names of the projections that say where features are sampled, which learn slower."""


class DsctTask(Task):
    """Persons, each by one query, and their emotions."""

    def __init__(self, network: Dsct, multi_label: bool, recipe: DsctRecipe) -> None:
        super().__init__(multi_label)
        self.network = network
        self.recipe = recipe

    def forward(self, batch: DsctBatch) -> Step:
        """The losses, and each person's emotions as the paper's test reads them: from the query of the best IoU."""
        recipe, truth = self.recipe, batch.truth
        # Padding is 0 after normalisation, as in the authors' code, and not black.
        images = self.normalised(batch.images).masked_fill(~batch.valid[:, None], 0)
        output = self.network(images, batch.valid)
        costs = Weights(recipe.match_class, recipe.match_l1, recipe.match_giou)
        losses = set_losses(output.logits, output.boxes, truth, self.multi_label, costs)
        persons = truth.present.sum()
        queries = best_query(output.boxes[-1], truth)
        logits = output.logits[-1, ..., :-1].take_along_dim(queries[..., None], 1)
        return Step(
            {
                "emotion": Loss(recipe.class_weight * losses.labels, persons),
                "l1": Loss(recipe.l1_weight * losses.l1, persons),
                "giou": Loss(recipe.giou_weight * losses.giou, persons),
            },
            logits[truth.present],
            truth.emotions[truth.present],
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What learns at the full rate, the backbone, and the projections that say where features are sampled."""
        rest: list[nn.Parameter] = []
        backbone: list[nn.Parameter] = []
        sampling: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                slow = sampling if any(part in name for part in SAMPLING) else backbone
                (slow if slow is sampling or "backbone" in name else rest).append(parameter)
        recipe = self.recipe
        return [
            {"params": rest, "scale": 1.0},
            {"params": backbone, "scale": recipe.backbone_rate},
            {"params": sampling, "scale": recipe.sampling_rate},
        ]


def build(config: DsctTraining, labels: int, multi_label: bool, initialise: bool = True) -> DsctTask:
    """The task of a configuration, as ``System.task``; also raises ConfigError for a network that cannot be."""
    from caer_ros.offline.importers.refused import ImporterError
    from caer_ros.offline.systems.dsct import coco_weights
    from caer_ros.offline.systems.dsct import network as dsct

    network, recipe = config.dsct, config.dsct_recipe
    try:
        built = dsct.Dsct(network, labels, config.model.weights if initialise else None)
        if initialise and recipe.weights is not None:
            coco_weights.load(built, Path(recipe.weights))
    except ValueError as error:
        raise ConfigError(f"dsct.{error}") from error
    except ImporterError as error:
        raise CheckpointError(f"dsct_recipe.weights: {error}") from error
    return DsctTask(built, multi_label, recipe).to(memory_format=torch.channels_last)
