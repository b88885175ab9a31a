"""How large a network is, and how much it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Part:
    """One child of a network, or the whole."""

    name: str
    parameters: int
    gflops: float
    """10⁹ floating-point operations of one pass, a multiply-add being two. Convolutions and matrix products only."""


def describe(network: nn.Module, *inputs: Tensor) -> list[Part]:
    """The network's parts in order, and last the whole, named "total".

    Nothing is computed where network and inputs are on the device "meta".
    """
    counter = FlopCounterMode(display=False)
    was_training = network.training
    with torch.no_grad(), counter:
        network.eval()(*inputs)
    network.train(was_training)
    flops = {module: sum(operations.values()) for module, operations in counter.get_flop_counts().items()}
    children = [(name, child, f"{type(network).__name__}.{name}") for name, child in network.named_children()]
    parts = [Part(name, _parameters(child), _flops(child, path, flops) / 1e9) for name, child, path in children]
    return [*parts, Part("total", _parameters(network), counter.get_total_flops() / 1e9)]


def _flops(module: nn.Module, path: str, flops: dict[str, int]) -> int:
    """Count a module's operations; its children's where it was not called itself, such as a list of modules."""
    if path in flops:
        return flops[path]
    return sum(_flops(child, f"{path}.{name}", flops) for name, child in module.named_children())


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
