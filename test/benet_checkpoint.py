"""The entries of the authors' checkpoint of BENet, by names and shapes, with made-up values: full size, or smaller."""

from __future__ import annotations

import zlib

import numpy as np
import torch


def shapes(width=32, modules=2, blocks=3, labels=26, extra=0):
    """Name and shape of every entry, in no particular order. The published networks: the defaults, or ``extra=8``."""
    found = {}

    def conv(name, outputs, inputs, kernel, bias=False):
        found[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        if bias:
            found[f"{name}.bias"] = (outputs,)

    def norm(name, channels):
        found.update({f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})
        found[f"{name}.num_batches_tracked"] = ()

    def linear(name, outputs, inputs):
        found[f"{name}.weight"], found[f"{name}.bias"] = (outputs, inputs), (outputs,)

    def attention(name, channels):
        linear(f"{name}.attention_block.mlp.0", channels // 2, channels)
        linear(f"{name}.attention_block.mlp.2", channels, channels // 2)
        found[f"{name}.attention_block.conv2d.weight"] = (1, 2, 1, 1)

    def basic(name, channels):
        for index in (1, 2):
            conv(f"{name}.conv{index}", channels, channels, 3)
            norm(f"{name}.bn{index}", channels)
        attention(name, channels)

    def bottleneck(name, inputs, middle, outputs):
        for index, (before, after, kernel) in enumerate(
            ((inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1))
        ):
            conv(f"{name}.conv{index + 1}", after, before, kernel)
            norm(f"{name}.bn{index + 1}", after)
        if inputs != outputs:
            conv(f"{name}.downsample.0", outputs, inputs, 1)
            norm(f"{name}.downsample.1", outputs)
        attention(name, outputs)

    def tail(name, inputs, outputs):
        conv(f"{name}.0", (inputs + outputs) // 2, inputs, 3, bias=True)
        norm(f"{name}.1", (inputs + outputs) // 2)
        conv(f"{name}.3", outputs, (inputs + outputs) // 2, 1, bias=True)

    for index, inputs in ((1, 3), (2, 64)):
        conv(f"conv{index}", 64, inputs, 3)
        norm(f"bn{index}", 64)
    for index in range(4):
        bottleneck(f"layer1.{index}", 256 if index else 64, 64, 256)
    widths = [width, 2 * width, 4 * width, 8 * width]
    conv("transition1.0.0", widths[0], 256, 3)
    norm("transition1.0.1", widths[0])
    for stage in (2, 3, 4):
        last = stage - 1
        conv(f"transition{last}.{last}.0.0", widths[last], 256 if stage == 2 else widths[last - 1], 3)
        norm(f"transition{last}.{last}.0.1", widths[last])
        for module in range(modules):
            for stream in range(stage):
                for block in range(blocks):
                    basic(f"stage{stage}.{module}.branches.{stream}.{block}", widths[stream])
            for to in range(stage):
                for of in range(stage):
                    path = f"stage{stage}.{module}.fuse_layers.{to}.{of}"
                    if of > to:
                        conv(f"{path}.0", widths[to], widths[of], 1)
                        norm(f"{path}.1", widths[to])
                    for step in range(to - of):
                        outputs = widths[to] if step == to - of - 1 else widths[of]
                        conv(f"{path}.{step}.0", outputs, widths[of], 3)
                        norm(f"{path}.{step}.1", outputs)
    for head, outputs in (("bu", labels), ("hm", 1), ("hw", 2)):
        for block in range(blocks):
            basic(f"{head}_final_layers.0.{block}.0", width)
            basic(f"{head}_deconv_layers.0.{block + 1}.0", width)
        tail(f"{head}_final_layers.0.{blocks}", width, outputs)
        tail(f"{head}_final_layers.1", width, outputs)
        found[f"{head}_deconv_layers.0.0.0.weight"] = (width + outputs, width, 4, 4)
        norm(f"{head}_deconv_layers.0.0.1", width)
    for head in ("pc_", ""):
        for level, channels in enumerate(widths):
            bottleneck(f"{head}incre_modules.{level}.0", channels, channels, channels)
            if level:
                conv(f"{head}downsamp_modules.{level - 1}.0", channels, widths[level - 1], 3, bias=True)
                norm(f"{head}downsamp_modules.{level - 1}.1", channels)
        conv(f"{head}final_layer.0", 4 * width, widths[-1], 1, bias=True)
        norm(f"{head}final_layer.1", 4 * width)
        linear(f"{head}classifier.0", 2 * width, 4 * width)
        linear(f"{head}classifier.2", labels, 2 * width)
    linear("fusion.mlp.0", int(1.5 * labels), 3 * labels)
    linear("fusion.mlp.2", labels, int(1.5 * labels))
    if extra:
        for index in range(2):
            conv(f"bu_mixed.{index}", extra, labels, 1, bias=True)
        for head in ("pc", "context", "fusion"):
            linear(f"{head}_mixed", extra, labels)
    return found


def entries(dtype=torch.float32, **size):
    """Every entry with values by its name alone, the same on every machine and version: numpy's PCG64."""
    return {
        name: torch.from_numpy(np.asarray(_value(name, shape))).to(_type(name, dtype))
        for name, shape in shapes(**size).items()
    }


def _type(name, dtype):
    return torch.int64 if name.endswith("num_batches_tracked") else dtype


def _value(name, shape):
    random = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if name.endswith("num_batches_tracked"):
        return np.int64(7)
    if name.endswith("running_var"):
        return 0.5 + random.random(shape)
    normal = random.standard_normal(shape)
    if len(shape) == 1:
        # Sizes about the middle of a map, and heatmaps mostly low, as in a trained network.
        start = 1 if name.endswith("weight") else _START.get(name, 0)
        return start + 0.2 * normal
    return normal * np.sqrt(2 / np.prod(shape[1:]))


_START = {
    "hm_final_layers.0.2.3.bias": -1,
    "hm_final_layers.1.3.bias": -1,
    "hw_final_layers.0.2.3.bias": 6,
    "hw_final_layers.1.3.bias": 12,
}
