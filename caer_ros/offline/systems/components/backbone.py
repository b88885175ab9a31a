"""A timm backbone whose four pyramid levels become one feature map at 1/4 of the input, and its weights by file."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

STRIDES = (4, 8, 16, 32)
IMAGENET = "imagenet"
_PREFIXES = (
    "",
    "backbone.",
    "model.",
    "module.",
    "module.backbone.",
    "body.",
    "backbone.body.",
    "network.backbone.body.",
)
"""What stands before a backbone's entries: in timm's files, mmdetection's, those of wrapped models, and our own."""

_log = logging.getLogger(__name__)


class BackboneError(Exception):
    """A backbone that cannot be used, or weights that do not fit it; says what is expected, and the remedy."""


class Backbone(nn.Module):
    """Features at a quarter of the input's resolution.

    The levels at 1/4, 1/8, 1/16 and 1/32 are upsampled bilinearly to 1/4 and concatenated, as HRNetV2 does; the paper
    does not say which features it uses, so this is our choice. HRNet gives its four raw streams (480 channels for
    ``hrnet_w32``), any other network of timm its pyramid levels. Images are normalised by ImageNet's mean and standard
    deviation, whatever the network was trained with: fine-tuning makes up for it.

    Args:
        name: of timm, such as "hrnet_w32" or "mobilenetv4_conv_small".
        weights: None for random ones, "imagenet" for timm's, or a file (see ``load_weights``).

    Raises:
        BackboneError: no such network, one without the four levels, or weights that cannot be had or do not fit.
    """

    stride = STRIDES[0]

    def __init__(self, name: str, weights: str | Path | None = None) -> None:
        super().__init__()
        self.body = _create(name, pretrained=weights == IMAGENET)
        strides = self.body.feature_info.reduction()
        if not set(STRIDES) <= set(strides):
            raise BackboneError(
                f'backbone "{name}" has features at strides {sorted(set(strides))}; 4, 8, 16 and 32 are needed: choose '
                "a convolutional network, such as hrnet_w32, resnet18 or mobilenetv4_conv_small"
            )
        channels = self.body.feature_info.channels()
        self._levels = [strides.index(stride) for stride in STRIDES]
        self.widths = tuple(int(channels[level]) for level in self._levels)
        """Channels of the four levels."""
        self.channels = sum(self.widths)
        if weights is not None and weights != IMAGENET:
            load_weights(self.body, Path(weights))

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """[B,3,H,W] to the four levels, finest first, of ``widths`` channels."""
        features = self.body(images)
        return [features[level] for level in self._levels]

    def forward(self, images: Tensor) -> Tensor:
        """[B,3,H,W] to [B,C,H/4,W/4]; H and W are multiples of 32 (HRNet cannot take others)."""
        finest, *coarser = self.pyramid(images)
        size = finest.shape[-2:]
        return torch.cat([finest, *(F.interpolate(level, size, mode="bilinear") for level in coarser)], 1)


def _create(name: str, pretrained: bool) -> Any:
    if not timm.is_model(name):
        raise BackboneError(f'timm {timm.__version__} has no backbone "{name}": see timm.list_models()')
    # Without this timm gives HRNet's classification features, which widen the streams.
    raw: dict[str, Any] = {"feature_location": "", "out_indices": (1, 2, 3, 4)} if name.startswith("hrnet") else {}
    try:
        return timm.create_model(name, pretrained=pretrained, features_only=True, **raw)
    except Exception as error:  # of the hub's client, its HTTP library, or timm: there is no common kind
        if not pretrained:
            raise BackboneError(f'backbone "{name}" has no pyramid of features: {error}') from error
        raise BackboneError(
            f'cannot get the ImageNet weights of "{name}" ({type(error).__name__}): connect to the Internet, or name a '
            "file of timm's weights (.safetensors or .pth) instead of imagenet, or train from random weights"
        ) from error


def load_weights(module: nn.Module, path: Path) -> list[str]:
    """Load a backbone's entries from a file of a whole network, and log what is left over.

    Files are .safetensors, or .pth, .pt, .bin and .ckpt that hold tensors only, with timm's names, those of HRNet and
    mmdetection ("backbone.stage4..."), or our own checkpoints.

    Returns:
        The entries of the file that the backbone does not have, such as those of a head.

    Raises:
        BackboneError: the file cannot be read, or lacks entries of the backbone, or has them in another shape.
    """
    entries = read(path)
    expected = module.state_dict()
    prefix = prefix_of(entries, expected)
    found = {name: entries.pop(prefix + name) for name in expected if prefix + name in entries}
    # Files of before 2018 have no such counters; nothing reads them where momentum is given.
    missing = [name for name in expected if name not in found and not name.endswith("num_batches_tracked")]
    if missing:
        raise BackboneError(
            f"{path} lacks {len(missing)} of the {len(expected)} entries of this backbone, such as {missing[0]!r}: "
            "is it of the same architecture?"
        )
    for name, value in found.items():
        if value.shape != expected[name].shape:
            raise BackboneError(
                f"{path}: entry {prefix + name!r} is {list(value.shape)} where this backbone has "
                f"{list(expected[name].shape)}: it is of another width"
            )
    module.load_state_dict(found, strict=False)
    left = sorted(entries)
    if left:
        parts = Counter(name.removeprefix(prefix).split(".")[0] for name in left)
        _log.info("%s: %d entries left over: %s", path, len(left), ", ".join(f"{k} {n}" for k, n in parts.items()))
    return left


def prefix_of(entries: Iterable[str], expected: Iterable[str]) -> str:
    """What stands before the expected names in a file's entries."""
    names, wanted = set(entries), list(expected)
    return max(_PREFIXES, key=lambda prefix: sum(prefix + name in names for name in wanted))


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights by name; code in it is not run.

    Raises:
        BackboneError: there is no such file, or it holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BackboneError(f"{path}: no such file of weights") from None
    except Exception as error:  # pickle's, zip's and safetensors' own kinds
        raise BackboneError(
            f"{path}: cannot be read as weights alone ({str(error).splitlines()[0]}); save the state_dict again, "
            "best as .safetensors"
        ) from error
    for key in ("state_dict", "model"):
        content = content.get(key, content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise BackboneError(f"{path}: expected a state_dict, got {type(content).__name__}")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}
