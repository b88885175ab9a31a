"""The few blocks that the heads, the amalgamation and its decoders are made of."""

from __future__ import annotations

from timm.models.resnet import BasicBlock, Bottleneck
from torch import nn


def residual_blocks(inputs: int, outputs: int, count: int) -> nn.Sequential:
    """Basic residual blocks (3×3, BN, ReLU, 3×3, BN, sum, ReLU), of which the first brings the width to ``outputs``."""
    widths = [inputs] + [outputs] * (count - 1)
    return nn.Sequential(*(BasicBlock(width, outputs, downsample=_projection(width, outputs)) for width in widths))


def bottleneck(inputs: int, width: int) -> nn.Module:
    """HRNet's bottleneck (1×1, 3×3, 1×1) of inner ``width``, with ``4 * width`` channels at the end."""
    outputs = width * Bottleneck.expansion
    return Bottleneck(inputs, width, downsample=_projection(inputs, outputs))


def tail(width: int, outputs: int) -> nn.Sequential:
    """From features to maps: 3×3 with padding 1, BN, ReLU, 1×1 (section 2.1)."""
    return nn.Sequential(*convolution(width, width, 3), nn.Conv2d(width, outputs, 1))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _projection(inputs: int, outputs: int) -> nn.Module | None:
    if inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
