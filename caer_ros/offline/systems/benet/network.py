"""BENet: HRNet with attention in every block, emotion maps and persons at two resolutions (Cladière et al., 2023).

Section 3.1 of the paper; constants, order of operations and initialisation are those of the authors' code. Its head
that fuses the others is left out: no published run uses it.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from timm.models.hrnet import HighResolutionNet
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from caer_ros.offline.systems.components import backbone
from caer_ros.offline.systems.components.backbone import BackboneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from caer_ros.offline.systems.benet.config import BenetConfig

STRIDES = (4, 2)
"""Pixels of the input between two of a map, in the order of the lists in ``BenetMaps``."""
_SPREAD = 1e-3
"""Standard deviation of new convolutions."""

_log = logging.getLogger(__name__)


class BenetMaps(NamedTuple):
    """Maps at a quarter of the input's resolution (index 0 of each list) and at half of it (index 1)."""

    emotion_maps: list[Tensor]
    """[B,E,h,w] logits, of the person whose box is centred there."""
    heatmaps: list[Tensor] | None
    """[B,1,h,w] logits of a box's centre; None without detection."""
    sizes: list[Tensor] | None
    """[B,2,h,w] height and width, in this order, of that box in pixels of the map; None without detection."""


class Attention(nn.Module):
    """Weights [0,1] for channels, then for places: [B,C,h,w] to [B,C,h,w] (after CBAM, Woo et al., ECCV 2018).

    One perceptron that halves the width serves the mean and the maximum of each channel; a 1×1 convolution without
    bias makes a place's weight of the maximum and the mean over channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels // 2), nn.ReLU(inplace=True), nn.Linear(channels // 2, channels)
        )
        self.place = nn.Conv2d(2, 1, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        weights = (self.mlp(features.mean((2, 3))) + self.mlp(features.amax((2, 3)))).sigmoid()
        weighted = features * weights[..., None, None]
        extremes = torch.cat([weighted.amax(1, keepdim=True), weighted.mean(1, keepdim=True)], 1)
        result: Tensor = weighted * self.place(extremes).sigmoid()
        return result


class NarrowBottleneck(Bottleneck):
    """1×1, 3×3, 1×1 of one width: HRNet's bottleneck with its expansion by four taken away (section 3.1)."""

    expansion = 1


class MapHead(nn.Module):
    """A tower that gives maps of one kind at both resolutions: [B,C,h,w] to [B,outputs,h,w] and [B,outputs,2h,2w].

    The coarse maps come of residual blocks on the features; the fine ones of the features and the coarse maps side by
    side, through a deconvolution and residual blocks of their own.
    """

    def __init__(self, width: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.coarse_blocks = nn.Sequential(*(_attentive(BasicBlock(width, width)) for _ in range(blocks)))
        self.coarse_tail = _tail(width, outputs)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(width + outputs, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.fine_blocks = nn.Sequential(*(_attentive(BasicBlock(width, width)) for _ in range(blocks)))
        self.fine_tail = _tail(width, outputs)

    def forward(self, features: Tensor) -> list[Tensor]:
        coarse = self.coarse_tail(self.coarse_blocks(features))
        fine = self.fine_tail(self.fine_blocks(self.up(torch.cat([features, coarse], 1))))
        return [coarse, fine]


class ClassifierHead(nn.Module):
    """HRNet's classifier, narrow: four streams [B,C·2ⁱ,h/2ⁱ,w/2ⁱ] to [B,E] logits of the whole image."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        widths = _widths(width)
        self.blocks = nn.ModuleList(_attentive(NarrowBottleneck(stream, stream)) for stream in widths)
        self.down = nn.ModuleList(_biased(before, after, 3, 2) for before, after in pairwise(widths))
        self.last = _biased(widths[-1], 4 * width, 1)
        self.classifier = nn.Sequential(
            nn.Linear(4 * width, 2 * width), nn.ReLU(inplace=True), nn.Linear(2 * width, labels)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        streams = [block(stream) for block, stream in zip(self.blocks, features, strict=True)]
        result = streams[0]
        for down, stream in zip(self.down, streams[1:], strict=True):
            result = stream + down(result)
        logits: Tensor = self.classifier(self.last(result).mean((2, 3)))
        return logits


class Benet(nn.Module):
    """Emotion maps and persons in one pass, whose cost does not depend on how many persons there are.

    Args:
        config: what it is built of; defaults are the published network.
        labels: E, the number of emotions.
    """

    body: Any
    """timm's HighResolutionNet, which has no types."""

    def __init__(self, config: BenetConfig, labels: int) -> None:
        super().__init__()
        self.config, self.labels = config, labels
        width, extra = config.width, config.extra_labels
        self.body = HighResolutionNet(_layout(config), head="")
        for block in self.body.modules():
            if isinstance(block, BasicBlock | Bottleneck):
                _attentive(block)
        self.emotion_head = MapHead(width, labels, config.blocks)
        self.heatmap_head = MapHead(width, 1, config.blocks) if config.detection else None
        self.sizes_head = MapHead(width, 2, config.blocks) if config.detection else None
        self.person_head = ClassifierHead(width, labels) if config.person_centric else None
        self.background_head = ClassifierHead(width, labels) if config.background else None
        self.map_adaptors = nn.ModuleList(nn.Conv2d(labels, extra, 1) for _ in STRIDES) if extra else None
        self.person_adaptor = nn.Linear(labels, extra) if extra and config.person_centric else None
        self.background_adaptor = nn.Linear(labels, extra) if extra and config.background else None
        self.apply(_initialise)

    def features(self, images: Tensor) -> list[Tensor]:
        """The four streams [B,C·2ⁱ,H/2ⁱ⁺²,W/2ⁱ⁺²] of images [B,3,H,W], normalised by ImageNet's mean and deviation."""
        streams: list[Tensor] = self.body.forward_features(images)
        return streams

    def maps(self, features: Sequence[Tensor]) -> BenetMaps:
        """Bottom-up and detection heads, which read the finest stream alone."""
        heatmaps, sizes = (None if head is None else head(features[0]) for head in (self.heatmap_head, self.sizes_head))
        return BenetMaps(self.emotion_head(features[0]), heatmaps, sizes)

    def emotion_maps(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The bottom-up head alone: [B,E,h,w] logits at both resolutions."""
        maps: list[Tensor] = self.emotion_head(features[0])
        return maps

    def detection(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The detection head alone: heatmaps and sizes as in ``BenetMaps``."""
        heatmaps, sizes = _there(self.heatmap_head, "detection"), _there(self.sizes_head, "detection")
        return heatmaps(features[0]), sizes(features[0])

    def person_centric(self, features: Sequence[Tensor]) -> Tensor:
        """[B,E] logits of the one person whom each image was cut around."""
        logits: Tensor = _there(self.person_head, "person_centric")(features)
        return logits

    def background(self, features: Sequence[Tensor]) -> Tensor:
        """[B,E] logits of all persons together, from images in which they are masked."""
        logits: Tensor = _there(self.background_head, "background")(features)
        return logits

    def extra_maps(self, emotion_maps: Sequence[Tensor]) -> list[Tensor]:
        """Emotion maps [B,E,h,w] at both resolutions to the second data set's labels [B,E',h,w]."""
        adaptors = _there(self.map_adaptors, "extra_labels")
        return [adaptor(maps) for adaptor, maps in zip(adaptors, emotion_maps, strict=True)]

    def extra_person_centric(self, logits: Tensor) -> Tensor:
        """[B,E] to [B,E'], of ``person_centric``.

        The authors' code has this layer and ``extra_background``'s, but never calls them: there, the first E' of the E
        outputs learn the second data set's labels. In their checkpoints both layers are as they were drawn.
        """
        extra: Tensor = _there(self.person_adaptor, "extra_labels")(logits)
        return extra

    def extra_background(self, logits: Tensor) -> Tensor:
        """[B,E] to [B,E'], of ``background``."""
        extra: Tensor = _there(self.background_adaptor, "extra_labels")(logits)
        return extra

    def forward(self, images: Tensor) -> BenetMaps:
        """[B,3,H,W], normalised by ImageNet's mean and standard deviation; H and W multiples of 32."""
        return self.maps(self.features(images))


class Loaded(NamedTuple):
    """What a file of pose or ImageNet weights gave; names are those of the network's and of the file's entries."""

    loaded: list[str]
    """Entries of the backbone that the file gave."""
    missing: list[str]
    """Entries of the backbone that are not in the file: all attention, and modules beyond the file's."""
    left: list[str]
    """Entries of the file that are not in the backbone: heads, further modules and blocks."""


def load_pose(network: Benet, path: Path) -> Loaded:
    """Initialises the backbone from a file of HigherHRNet (COCO pose, as published) or HRNet (ImageNet), in part.

    What has the same name is taken: the stem, the first stage, and of each later one the modules and blocks that both
    have. Counters of batches do not count as missing.

    Raises:
        BackboneError: the file cannot be read, is of another architecture, or of another width.
    """
    entries = backbone.read(path)
    body = network.body.state_dict()
    prefix = backbone.prefix_of(entries, body)
    found = {name: entries.pop(prefix + name) for name in body if prefix + name in entries}
    absent = [name for name in body if name not in found and not name.endswith("num_batches_tracked")]
    foreign = [name for name in absent if name.startswith(("conv", "bn", "layer1.")) and ".se." not in name]
    if foreign:
        raise BackboneError(
            f"{path} lacks {foreign[0]!r}: expected the weights of HigherHRNet-W32 (pose) or HRNet-W32 (ImageNet)"
        )
    for name, value in found.items():
        if value.shape != body[name].shape:
            raise BackboneError(
                f"{path}: entry {prefix + name!r} is {list(value.shape)} where this backbone has "
                f"{list(body[name].shape)}: it is of another width"
            )
    network.body.load_state_dict(found, strict=False)
    result = Loaded(sorted(found), absent, sorted(entries))
    attention = sum(".se." in name for name in absent)
    _log.info(
        "%s: %d entries of the backbone loaded; %d not in the file (%d of attention); %d of the file left over",
        *(path, len(found), len(absent), attention, len(entries)),
    )
    return result


def _widths(width: int) -> list[int]:
    return [width << level for level in range(4)]


def _layout(config: BenetConfig) -> dict[str, Any]:
    """As timm describes an HRNet. The stem and the first stage are HRNet's own, whatever the width."""
    streams = (1, 2, 3, 4)
    layout: dict[str, Any] = {"stem_width": 64}
    for stage in streams:
        first = stage == 1
        layout[f"stage{stage}"] = {
            "num_modules": 1 if first else config.modules,
            "num_branches": stage,
            "block_type": "BOTTLENECK" if first else "BASIC",
            "num_blocks": (4,) if first else (config.blocks,) * stage,
            "num_channels": (64,) if first else tuple(_widths(config.width)[:stage]),
            "fuse_method": "SUM",
        }
    return layout


def _attentive(block: Any) -> nn.Module:
    """A BasicBlock or Bottleneck of timm, with attention after its last normalisation, before the sum."""
    norm: Any = block.bn3 if isinstance(block, Bottleneck) else block.bn2
    block.se = Attention(norm.num_features)
    result: nn.Module = block
    return result


def _tail(width: int, outputs: int) -> nn.Sequential:
    middle = (width + outputs) // 2
    return nn.Sequential(*_biased(width, middle, 3), nn.Conv2d(middle, outputs, 1))


def _biased(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; the convolution's bias is idle, but the checkpoints have it."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=_SPREAD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _there(head: nn.Module | None, field: str) -> Any:
    if head is None:
        raise ValueError(f"this BENet was built without {field}")
    return head
