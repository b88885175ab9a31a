"""What is learnt, whatever the system: a batch in, the losses out."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn


class Loss(NamedTuple):
    """One part of eq. 9, as its value over a batch and over how many persons or entries that is the mean."""

    value: Tensor
    number: Tensor
    """0 where there was nobody; the value is then a sum, as for an empty image's heatmap."""


class Step(NamedTuple):
    """What a task makes of a batch."""

    losses: dict[str, Loss]
    """Their plain sum is eq. 9. "reconstruction.0" is the first teacher's summand of "reconstruction"."""
    logits: Tensor
    """[P,E] of the P persons of the batch; [0,E] where the task has no emotions."""
    targets: Tensor
    """[P,E] NaN unknown."""


class Task(nn.Module):
    """A network and its losses."""

    network: nn.Module
    highest: str | None = None
    """Measure of which the best epoch has most, such as "val/f1"; None: the best epoch has the lowest total loss."""

    def __init__(self, multi_label: bool) -> None:
        super().__init__()
        self.multi_label = multi_label
        self.register_buffer("_mean", torch.tensor(IMAGENET_DEFAULT_MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("_std", torch.tensor(IMAGENET_DEFAULT_STD)[:, None, None] * 255, persistent=False)

    def normalised(self, images: Tensor) -> Tensor:
        """[B,3,H,W] uint8 to float of ImageNet's mean and standard deviation."""
        assert isinstance(self._mean, Tensor)
        assert isinstance(self._std, Tensor)
        return (images.contiguous(memory_format=torch.channels_last) - self._mean).div_(self._std)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What is learnt, and for each group its part of the learning rate, "scale"."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad], "scale": 1.0}]
