"""The peer: a person's crop and the scene in two branches, as EMOTIC's authors do (Kosti et al., PAMI 2019).

Its body branch runs once for each person, which is what the single-shot student does away with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

CROP = 224
"""Height and width of a person's crop, and of the scene."""
_FEATURES = 512
_FUSED = 256


class TwoBranch(nn.Module):
    """Two ResNet-18, for the scene and for the body; their features fused to one logit a label.

    Args:
        labels: E, the number of emotions.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.scene = _branch()
        self.body = _branch()
        self.fusion = nn.Sequential(
            nn.Linear(2 * _FEATURES, _FUSED), nn.BatchNorm1d(_FUSED), nn.ReLU(inplace=True), nn.Dropout(0.5)
        )
        self.emotions = nn.Linear(_FUSED, labels)

    def forward(self, scenes: Tensor, bodies: Tensor, images: Tensor) -> Tensor:
        """The logits of P persons in B images; each image's scene runs once, however many persons are in it.

        Args:
            scenes: [B,3,224,224], normalised by ImageNet's mean and standard deviation.
            bodies: [P,3,224,224], likewise.
            images: [P] which of the B images each person is in.

        Returns:
            [P,E].
        """
        features = torch.cat([self.body(bodies), self.scene(scenes)[images]], 1)
        logits: Tensor = self.emotions(self.fusion(features))
        return logits


def _branch() -> nn.Module:
    network: nn.Module = resnet18()
    network.fc = nn.Identity()  # [B,512] after global average pooling
    return network
