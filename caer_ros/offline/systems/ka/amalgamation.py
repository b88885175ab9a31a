"""Knowledge amalgamation (KA, VISAPP 2025, section 2.3): the student's features learn to be like its teachers'.

All features are projected into a common space, where the student's are compared with those of all teachers together,
and from where each teacher's own must be reconstructed. Only training needs any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caer_ros.offline.systems.components.blocks import residual_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence


class AmalgamationError(Exception):
    """Settings of the amalgamation that contradict each other."""


class Projection(NamedTuple):
    """What the common space gives; every value is at least 0."""

    student: Tensor
    """f̂_S [B,C,h,w]."""
    teachers: Tensor
    """f̂_T [B,C,h,w], of all teachers together."""
    reconstructions: list[Tensor]
    """F̂_T, one for each teacher, of its features' shape."""


class Amalgamation(nn.Module):
    """Align, extract, reduce and concatenate, decode (figure 2b).

    Args:
        student_channels: of F_S.
        teacher_channels: of each F_T; their number is N.
        channels: C of the common space, a multiple of N. Our choice; the paper does not give it.
        detach_target: keep eq. 7 from moving f̂_T. Off, as the paper mentions no such thing; our switch.
        decoder_width: channels of the decoders' residual blocks; None is C. Our choice: the teachers' own width would
            make the decoders the larger part of a training step.

    Raises:
        AmalgamationError: there is no teacher, or C is not a multiple of N.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: Sequence[int],
        channels: int = 192,
        detach_target: bool = False,
        decoder_width: int | None = None,
    ) -> None:
        super().__init__()
        teachers = len(teacher_channels)
        if teachers == 0:
            raise AmalgamationError("amalgamation needs at least one teacher")
        if channels % teachers:
            raise AmalgamationError(
                f"{channels} channels cannot be shared by {teachers} teachers: choose a multiple of {teachers}, "
                f"such as {channels + -channels % teachers}"
            )
        width = channels if decoder_width is None else decoder_width
        self.detach_target = detach_target
        self.align_student = nn.Conv2d(student_channels, channels, 1)
        self.align_teachers = nn.ModuleList(nn.Conv2d(inputs, channels, 1) for inputs in teacher_channels)
        self.extractor = residual_blocks(channels, channels, 3)
        """Shared by the student and the teachers; its last block ends with a ReLU."""
        self.reduce: nn.Module = nn.Identity()
        if teachers > 1:
            self.reduce = nn.Sequential(nn.Conv2d(channels, channels // teachers, 1), nn.ReLU(inplace=True))
        self.decoders = nn.ModuleList(_decoder(channels, width, outputs) for outputs in teacher_channels)

    def forward(self, student: Tensor, teachers: Sequence[Tensor]) -> Projection:
        """Project F_S [B,C_S,h,w] and the F_T [B,C_i,h_i,w_i], which are resampled to the student's h, w."""
        size = student.shape[-2:]
        aligned = [self.align_student(student)]
        for align, features in zip(self.align_teachers, teachers, strict=True):
            aligned.append(align(_resampled(features, size)))
        # One pass for all: batch normalisation then trains on the mixture that its running statistics hold.
        projected, *taught = self.extractor(torch.cat(aligned)).chunk(len(aligned))
        common = torch.cat([self.reduce(features) for features in taught], 1)
        reconstructions = [
            _resampled(decode(common), features.shape[-2:])
            for decode, features in zip(self.decoders, teachers, strict=True)
        ]
        return Projection(projected, common.detach() if self.detach_target else common, reconstructions)


def feature_loss(teachers: Tensor, student: Tensor) -> Tensor:
    """Eq. 7: L_feat = ||mask(f̂_T - f̂_S)||² / N_mask, over the strictly positive entries of f̂_T.

    Args:
        teachers, student: [B,C,h,w] of ``Projection``. The order matters: the mask is the teachers'.
    """
    return _masked_mean_square(teachers, student)


def reconstruction_loss(features: Sequence[Tensor], reconstructions: Sequence[Tensor]) -> Tensor:
    """Eq. 8: L_rec = Σ_i ||mask(F_Ti - F̂_Ti)||² / N_mask, over the strictly positive entries of F_Ti.

    Features of networks that do not end in a ReLU have negative entries too, which a mask of strictly positive ones
    leaves out: the reconstructions, being at least 0, could not reach them.

    Args:
        features: F_T of each teacher.
        reconstructions: of ``Projection``, in the same order and shapes.
    """
    pairs = zip(features, reconstructions, strict=True)
    return torch.stack([_masked_mean_square(teacher, rebuilt) for teacher, rebuilt in pairs]).sum()


def _masked_mean_square(target: Tensor, estimate: Tensor) -> Tensor:
    target, estimate = target.float(), estimate.float()
    mask = target > 0
    return (target - estimate).where(mask, 0).square().sum() / mask.sum().clamp(min=1)


def _decoder(channels: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 1),
        residual_blocks(width, width, 3),
        nn.Conv2d(width, outputs, 1),
        nn.ReLU(inplace=True),
    )


def _resampled(features: Tensor, size: Sequence[int]) -> Tensor:
    if features.shape[-2:] == tuple(size):
        return features
    return F.interpolate(features, tuple(size), mode="bilinear")
