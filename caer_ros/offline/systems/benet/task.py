"""What BENet learns of a batch (ACIVS 2023, sections 3.3 and 3.4): each image teaches one head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caer_ros.offline.systems.benet import losses
from caer_ros.offline.systems.benet.augmentation import Head, probabilities
from caer_ros.offline.systems.benet.network import Benet, load_pose
from caer_ros.offline.systems.components import centre
from caer_ros.offline.training.config import ConfigError
from caer_ros.offline.training.task import Loss, Step, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.systems.benet.config import BenetRecipe, BenetTraining
    from caer_ros.offline.systems.benet.examples import BenetBatch, Scale
    from caer_ros.offline.systems.benet.losses import ImageMean

_NAMES = {
    Head.DETECTION: ("heatmap.0", "heatmap.1", "size.0", "size.1"),
    Head.BOTTOM_UP: ("bottom_up.0", "bottom_up.1"),
    Head.PERSON_CENTRIC: ("person_centric",),
    Head.BACKGROUND: ("background",),
}
"""Losses of each head; .0 is at a quarter of the resolution, .1 at half of it."""


class BenetTask(Task):
    """The four heads, each on its part of the batch.

    A head without an image in the batch has a loss of 0 that its parameters take part in, so that several training
    processes agree on which gradients there are. Sets of single labels are learnt by the same loss; the paper has no
    other.

    Args:
        network: with the heads that the recipe's pre-transforms are for.
        multi_label: can a person have several labels? Only measures depend on it.
        recipe: weights of the losses, and which heads are taught.

    Raises:
        ConfigError: a head that is never taught, or a pre-transform without a head.
    """

    network: Benet

    def __init__(self, network: Benet, multi_label: bool, recipe: BenetRecipe) -> None:
        super().__init__(multi_label)
        self.network, self.recipe = network, recipe
        self.heads = tuple(probabilities(recipe))
        config = network.config
        heads = {"raw": "detection", "extract": "person_centric", "mask_all": "background"}
        for field, head in heads.items():
            chance, there = getattr(recipe, field), getattr(config, head)
            if there != (chance > 0):
                raise ConfigError(f"benet_recipe.{field}: {chance}, but benet.{head} is {str(there).lower()}")

    def forward(self, batch: BenetBatch) -> Step:
        features = self.network.features(self.normalised(batch.images))
        parts: dict[str, Loss] = {}
        logits = targets = batch.emotions.new_empty(0, batch.emotions.shape[-1])
        untaught = False
        for head in self.heads:
            rows = torch.nonzero(batch.heads == head).squeeze(1).to(batch.images.device)
            if not len(rows):
                parts |= self._nothing(head, batch)
                untaught = True
                continue
            own = [stream[rows] for stream in features]
            if head == Head.DETECTION:
                parts |= self._detection(own, batch, rows)
            elif head == Head.BOTTOM_UP:
                maps = self.network.emotion_maps(own)
                parts |= self._bottom_up(maps, batch, rows)
                logits, targets = _outcomes(maps, batch, rows)
            else:
                parts |= self._whole(head, own, batch, rows)
        if untaught:
            name = next(iter(parts))
            nothing = torch.stack([parameter.sum() for parameter in self.network.parameters()]).sum()
            parts[name] = Loss(parts[name].value + 0 * nothing, parts[name].number)
        return Step(parts, logits, targets)

    def _detection(self, features: Sequence[Tensor], batch: BenetBatch, rows: Tensor) -> dict[str, Loss]:
        """Eq. 3 at both resolutions, eq. 4 being their sum."""
        heatmaps, sizes = self.network.detection(features)
        present = batch.present[rows]
        parts = {}
        for index, scale in enumerate((batch.coarse, batch.fine)):
            centres = losses.heatmap_loss(heatmaps[index], scale.heatmap, scale.ignore)
            read = centre.read(sizes[index], scale.centres[rows])
            extent = losses.size_loss(read, scale.sizes[rows], present)
            parts[f"heatmap.{index}"] = _weighted(centres, self.recipe.heatmap_weight)
            parts[f"size.{index}"] = _weighted(extent, self.recipe.size_weight)
        return parts

    def _bottom_up(self, maps: Sequence[Tensor], batch: BenetBatch, rows: Tensor) -> dict[str, Loss]:
        """Eq. 5 of the maps' pixels at the persons' centres, at both resolutions."""
        scales = (batch.coarse, batch.fine)
        parts = self._emotions("bottom_up", _at(maps, scales, rows), batch.emotions, batch, rows)
        if self.network.config.extra_labels:
            extra = _at(self.network.extra_maps(maps), scales, rows)
            parts |= self._emotions("extra_bottom_up", extra, batch.extra_emotions, batch, rows)
        return parts

    def _whole(self, head: Head, features: Sequence[Tensor], batch: BenetBatch, rows: Tensor) -> dict[str, Loss]:
        """Eq. 5 of the heads that see one person, or the scene: N = 1."""
        network = self.network
        cropped = head == Head.PERSON_CENTRIC
        logits = (network.person_centric if cropped else network.background)(features)
        (name,) = _NAMES[head]
        parts = self._emotions(name, [logits[:, None]], batch.emotions[:, :1], batch, rows)
        if network.config.extra_labels:
            extra = (network.extra_person_centric if cropped else network.extra_background)(logits)
            parts |= self._emotions(f"extra_{name}", [extra[:, None]], batch.extra_emotions[:, :1], batch, rows)
        return parts

    def _emotions(
        self, name: str, logits: Sequence[Tensor], targets: Tensor, batch: BenetBatch, rows: Tensor
    ) -> dict[str, Loss]:
        """Eq. 5 of logits [R,N,E] at one resolution or two, for the rows [R] of targets [B,N,E]."""
        weights = batch.weights[rows, : targets.shape[1]]
        means = [losses.emotion_loss(value, targets[rows], weights) for value in logits]
        names = [name] if len(means) == 1 else [f"{name}.{index}" for index in range(len(means))]
        weight = self.recipe.emotion_weight
        return {name: _weighted(mean, weight) for name, mean in zip(names, means, strict=True)}

    def _nothing(self, head: Head, batch: BenetBatch) -> dict[str, Loss]:
        """The losses of a head without an image."""
        names = list(_NAMES[head])
        if self.network.config.extra_labels and head != Head.DETECTION:
            names += [f"extra_{name}" for name in names]
        zero = torch.zeros((), device=batch.images.device)
        return {name: Loss(zero, torch.zeros((), dtype=torch.long, device=zero.device)) for name in names}


def build(config: BenetTraining, labels: int, multi_label: bool, initialise: bool = True) -> BenetTask:
    """The task of a configuration, on the CPU; arguments as for ``System.task``.

    Raises:
        BackboneError: ``benet_recipe.weights`` cannot be read or do not fit.
        ConfigError: as ``BenetTask``.
    """
    recipe = config.benet_recipe
    task = BenetTask(Benet(config.benet, labels), multi_label, recipe)
    if recipe.weights and initialise:
        load_pose(task.network, Path(recipe.weights))
    return task.to(memory_format=torch.channels_last)


def _weighted(mean: ImageMean, weight: float) -> Loss:
    return Loss(weight * mean.value, mean.number)


def _at(maps: Sequence[Tensor], scales: Sequence[Scale], rows: Tensor) -> list[Tensor]:
    """Maps [R,E,h,w] at the persons' centres: [R,N,E], at both resolutions."""
    return [centre.read(value, scale.centres[rows]) for value, scale in zip(maps, scales, strict=True)]


def _outcomes(maps: Sequence[Tensor], batch: BenetBatch, rows: Tensor) -> tuple[Tensor, Tensor]:
    """[P,E] logits of the mean probability of both resolutions, and targets, of persons with labels of the main set."""
    targets = batch.emotions[rows]
    known = (~targets.isnan()).any(2)
    coarse, fine = _at(maps, (batch.coarse, batch.fine), rows)
    mean = (coarse.float().sigmoid() + fine.float().sigmoid()) / 2
    return mean[known].logit(eps=1e-6), targets[known]
