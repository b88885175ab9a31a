"""Checkpoints with the names and shapes of DSCT's authors' entries, and made-up values."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import numpy as np
import torch
import torchvision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from caer_ros.offline.systems.dsct.config import DsctConfig

_CHANNELS = {"resnet18": (128, 256, 512), "resnet50": (512, 1024, 2048), "resnet101": (512, 1024, 2048)}


def shapes(config: DsctConfig, labels: int) -> dict[str, tuple[int, ...]]:
    """Of each entry, by the authors' names, in their order but for the backbone's."""
    width, layers = config.width, config.layers
    sampled = config.heads * 4 * config.points
    found: dict[str, tuple[int, ...]] = {"transformer.level_embed": (4, width)}

    def linear(name: str, inputs: int, outputs: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (outputs, inputs), (outputs,)

    def norm(name: str, *, size: int = width) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (size,), (size,)

    def deformable(name: str) -> None:
        linear(f"{name}.sampling_offsets", width, 2 * sampled)
        linear(f"{name}.attention_weights", width, sampled)
        linear(f"{name}.value_proj", width, width)
        linear(f"{name}.output_proj", width, width)

    def feed_forward(name: str) -> None:
        linear(f"{name}.linear1", width, config.feedforward)
        linear(f"{name}.linear2", config.feedforward, width)

    for number in range(layers):
        name = f"transformer.encoder.layers.{number}"
        deformable(f"{name}.self_attn")
        norm(f"{name}.norm1")
        feed_forward(name)
        norm(f"{name}.norm2")
    for number in range(layers):
        name = f"transformer.decoder.layers.{number}"
        deformable(f"{name}.cross_attn")
        norm(f"{name}.norm1")
        found[f"{name}.self_attn.in_proj_weight"] = (3 * width, width)
        found[f"{name}.self_attn.in_proj_bias"] = (3 * width,)
        linear(f"{name}.self_attn.out_proj", width, width)
        norm(f"{name}.norm2")
        feed_forward(name)
        norm(f"{name}.norm3")
    linear("transformer.reference_points", width, 2)
    for number in range(layers):
        linear(f"class_embed_dsct.{number}", width, labels + 1)
    for number in range(layers):
        for part, outputs in enumerate((width, width, 4)):
            linear(f"bbox_embed_dsct.{number}.layers.{part}", width, outputs)
    found["query_embed.weight"] = (config.contexts, 2 * width)
    found["query_embed_dsct.weight"] = (config.subjects, 2 * width)
    channels = _CHANNELS[config.backbone]
    for number, inputs in enumerate((*channels, channels[-1])):
        side = 3 if number == 3 else 1
        found[f"input_proj.{number}.0.weight"] = (width, inputs, side, side)
        found[f"input_proj.{number}.0.bias"] = (width,)
        norm(f"input_proj.{number}.1")
    with torch.device("meta"):
        body = getattr(torchvision.models, config.backbone)().state_dict()
    for name, value in body.items():
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked"):
            found[f"backbone.0.body.{name}"] = tuple(value.shape)
    return found


def coco_shapes(config: DsctConfig) -> dict[str, tuple[int, ...]]:
    """Those of the Deformable DETR that was trained on COCO: other heads, and no subject queries."""
    found = shapes(config, 90)
    del found["query_embed_dsct.weight"]
    return {name.replace("_embed_dsct.", "_embed."): shape for name, shape in found.items()}


def hollow(found: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Zeros that take no memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in found.items()}


def made(found: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Values float64 that depend on the entry's name alone; sampled points differ, and no softmax saturates."""
    return {name: torch.from_numpy(_values(name, shape)) for name, shape in found.items()}


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    shared = re.sub(r"(_embed_dsct)\.\d+", r"\1", name)  # all layers have the same heads
    values = np.random.Generator(np.random.PCG64(zlib.crc32(shared.encode()))).standard_normal(shape)
    if "sampling_offsets.bias" in name:
        return 2 * values
    if name.endswith("bias"):
        return 0.2 * values
    if re.search(r"norm\d\.weight|input_proj\.\d\.1\.weight", name):
        return (0.5 if "decoder" in name and "norm1" in name else 1.0) * (1 + 0.2 * values)
    if "embed.weight" in name or "query_embed" in name or "level_embed" in name:
        return values
    return values / np.sqrt(np.prod(shape[1:]))


def features(sizes: tuple[tuple[int, int], ...], channels: tuple[int, ...], images: int) -> list[Tensor]:
    """C3 to C5 [B,C,h,w] float64."""
    generator = np.random.Generator(np.random.PCG64(0))
    return [
        torch.from_numpy(generator.standard_normal((images, number, *size)))
        for number, size in zip(channels, sizes, strict=True)
    ]
