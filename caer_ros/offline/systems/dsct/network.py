"""DSCT: Deformable DETR whose decoder fuses context queries into subject queries (Li et al., ACM MM 2024).

Backbone, encoder and attention are those of Deformable DETR (Zhu et al., ICLR 2021; the paper's appendices A and B),
from timm and transformers, and the decoder layer is ours. What the paper leaves out is from the authors' public code.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DeformableDetrConfig
from transformers.models.deformable_detr import modeling_deformable_detr as detr

from caer_ros.offline.systems.components.backbone import Backbone

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.dsct.config import DsctConfig

LEVELS = 4
"""Feature maps at 1/8, 1/16, 1/32 and 1/64 of the input: the backbone's C3 to C5, and a stride-2 convolution of C5."""
_GROUPS = 32
"""Groups of the group normalisation behind the projections."""
_TEMPERATURE = 10000
_EPSILON = 1e-6
_PRIOR = 0.01
"""Probability of each class at the start, so that the many negatives do not swamp the first steps (focal loss)."""


class DsctOutput(NamedTuple):
    """What each decoder layer answers; the last is the network's answer, the others are trained too."""

    logits: Tensor
    """[L,B,N,E+1], the last of the E+1 being "a subject"; on CAER-S that one is not trained."""
    boxes: Tensor
    """[L,B,N,4] centre x, centre y, width and height, 0..1 of the valid part of the image."""


class Memory(NamedTuple):
    """The encoded feature maps, their S cells in one row, finest level first."""

    values: Tensor
    """[B,S,C]."""
    valid: Tensor | None
    """[B,S] bool, None where all cells are."""
    ratios: Tensor
    """[B or 1,4,2] how much of each map's width and height is valid, 0..1."""
    sizes: list[tuple[int, int]]
    """Height and width of the four maps."""


class Dsct(nn.Module):
    """N subject queries, each an answer: a box, emotions, and whether it is a person at all.

    Args:
        config: what it is built of.
        labels: E, the number of emotions.
        weights: of the backbone, see ``Backbone``. The paper: "imagenet", and then ``coco_weights.load``.

    Raises:
        ValueError: the configuration is impossible.
        BackboneError: see ``Backbone``.
    """

    def __init__(self, config: DsctConfig, labels: int, weights: str | Path | None = None) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.labels = labels
        self.backbone = _frozen(Backbone(config.backbone, weights), random=weights is None)
        widths = self.backbone.widths[1:]
        self.projections = nn.ModuleList(
            [_projection(nn.Conv2d(width, config.width, 1)) for width in widths]
            + [_projection(nn.Conv2d(widths[-1], config.width, 3, stride=2, padding=1))]
        )
        base = _base(config)
        self.encoder = nn.ModuleList(detr.DeformableDetrEncoderLayer(base) for _ in range(config.layers))
        self.decoder = nn.ModuleList(
            DecoderLayer(config, base, fuses=number >= config.first_fusion) for number in range(1, config.layers + 1)
        )
        self.level_embeddings = nn.Parameter(torch.empty(LEVELS, config.width))
        self.contexts = nn.Parameter(torch.empty(config.contexts, 2 * config.width))
        """Each row: the query's position, of which its reference point is made, and its content."""
        self.subjects = nn.Parameter(torch.empty(config.subjects, 2 * config.width))
        self.reference_points = nn.Linear(config.width, 2)
        self.class_head = nn.Linear(config.width, labels + 1)
        """Shared by all layers, as is ``box_head``."""
        self.box_head = nn.Sequential(
            *(nn.Linear(config.width, config.width), nn.ReLU()),
            *(nn.Linear(config.width, config.width), nn.ReLU()),
            nn.Linear(config.width, 4),
        )
        self._initialise()

    def forward(self, images: Tensor, valid: Tensor | None = None) -> DsctOutput:
        """Finds the subjects.

        Args:
            images: [B,3,H,W] float, normalised by ImageNet's mean and standard deviation.
            valid: [B,H,W] bool, False where a smaller image of the batch is padded, at the right and the bottom. None:
                all is valid.
        """
        features = self.backbone.pyramid(images)[1:]
        return self.decode(self.encode(self.project(features), valid))

    def project(self, features: list[Tensor]) -> list[Tensor]:
        """C3 to C5 of the backbone to the four levels [B,C,h,w]."""
        return [
            projection(level) for projection, level in zip(self.projections, [*features, features[-1]], strict=True)
        ]

    def encode(self, levels: list[Tensor], valid: Tensor | None) -> Memory:
        """The four levels, encoded together; ``valid`` as in ``forward``."""
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        masks = [None if valid is None else _shrunk(valid, size) for size in sizes]
        positions = [
            position_encoding(mask, level) + embedding
            for mask, level, embedding in zip(masks, levels, self.level_embeddings, strict=True)
        ]
        memory = Memory(
            torch.cat([level.flatten(2).mT for level in levels], 1),
            None if valid is None else torch.cat([mask.flatten(1) for mask in masks if mask is not None], 1),
            torch.stack([_ratios(mask, level) for mask, level in zip(masks, levels, strict=True)], 1),
            sizes,
        )
        references, queries = _cells(memory), torch.cat(positions, 1)
        values = memory.values
        for layer in self.encoder:
            values = layer(values, memory.valid, queries, references, **_shapes(memory))
        return memory._replace(values=values)

    def decode(self, memory: Memory) -> DsctOutput:
        """The subjects after each layer."""
        contexts = len(self.contexts)
        positions, content = torch.cat([self.contexts, self.subjects])[None].chunk(2, dim=-1)
        references = self.reference_points(positions).sigmoid()
        queries = content.expand(memory.values.shape[0], -1, -1)
        answers = []
        for layer in self.decoder:
            queries = layer(queries, positions, references, memory)
            answers.append(queries[:, contexts:])
        subjects = torch.stack(answers)
        centres = F.pad(inverse_sigmoid(references[:, contexts:]), (0, 2))
        return DsctOutput(self.class_head(subjects), (self.box_head(subjects) + centres).sigmoid())

    def _initialise(self) -> None:
        """As the authors' code does, which for the rest does as Deformable DETR's."""
        for layer in (*self.encoder, *self.decoder):
            for parameter in layer.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, detr.DeformableDetrSelfAttention):
                _joined(module)
            elif isinstance(module, detr.DeformableDetrMultiscaleDeformableAttention):
                _spread(module)
        for module in self.projections.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for embeddings in (self.level_embeddings, self.subjects, *([self.contexts] if len(self.contexts) else [])):
            nn.init.normal_(embeddings)
        nn.init.xavier_uniform_(self.reference_points.weight)
        nn.init.zeros_(self.reference_points.bias)
        nn.init.constant_(self.class_head.bias, -math.log((1 - _PRIOR) / _PRIOR))
        last = self.box_head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([0.0, 0.0, -2.0, -2.0]))


class DecoderLayer(nn.Module):
    """Self-attention of all queries, attention to the feature maps, fusion of contexts into subjects, feed-forward."""

    def __init__(self, config: DsctConfig, base: DeformableDetrConfig, fuses: bool) -> None:
        super().__init__()
        self.contexts = config.contexts
        self.self_attention = detr.DeformableDetrSelfAttention(base, config.width, config.heads, config.dropout)
        self.self_norm = nn.LayerNorm(config.width)
        self.cross_attention = detr.DeformableDetrMultiscaleDeformableAttention(base, config.heads, config.points)
        self.cross_norm = nn.LayerNorm(config.width)
        self.fusion = Fusion(config) if fuses and (config.spatial or config.semantic) else None
        self.feed_forward = detr.DeformableDetrMLP(base, config.width, config.feedforward)
        self.last_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, queries: Tensor, positions: Tensor, references: Tensor, memory: Memory) -> Tensor:
        """One step of all queries, the contexts before the subjects.

        Args:
            queries: [B,Q,C] their content.
            positions: [1,Q,C], added to what attends.
            references: [1,Q,2] their reference points (x, y), 0..1 of the valid part.
            memory: the feature maps.
        """
        attended, _ = self.self_attention(queries, position_embeddings=positions)
        queries = self.self_norm(queries + self.dropout(attended))
        points = references[:, :, None] * memory.ratios[:, None]
        attended, _ = self.cross_attention(
            queries,
            attention_mask=memory.valid,
            encoder_hidden_states=memory.values,
            position_embeddings=positions,
            reference_points=points,
            **_shapes(memory),
        )
        queries = self.cross_norm(queries + self.dropout(attended))
        if self.fusion is not None:
            contexts, subjects = queries[:, : self.contexts], queries[:, self.contexts :]
            places = points[:, :, 0]  # padding included: in a padded batch a step to the right and one down are alike
            subjects = self.fusion(subjects, contexts, places[:, self.contexts :], places[:, : self.contexts])
            queries = torch.cat([contexts, subjects], 1)
        changed: Tensor = self.last_norm(queries + self.feed_forward(queries))
        return changed


class Fusion(nn.Module):
    """Adds to each subject query a mean of its related context queries (section 3.2, equations 6 to 8)."""

    def __init__(self, config: DsctConfig) -> None:
        super().__init__()
        self.config = config
        ranks = config.spatial + config.semantic
        self.attentive = nn.Linear(config.width, ranks) if config.weighting == "attentive" else None

    def forward(self, subjects: Tensor, contexts: Tensor, places: Tensor, context_places: Tensor) -> Tensor:
        """The subjects with their contexts.

        Args:
            subjects: [B,N,C].
            contexts: [B,M,C].
            places: [B or 1,N,2] the subjects' reference points.
            context_places: [B or 1,M,2].

        Returns:
            [B,N,C].
        """
        distances = torch.linalg.vector_norm(places[:, :, None] - context_places[:, None], dim=-1)
        products = subjects @ contexts.mT
        groups = self.related(distances, products)
        scores = self._scores(groups, subjects, distances, products)
        if self.config.softmax == "joint":
            groups, scores = [torch.cat(groups, -1)], [torch.cat(scores, -1)]
        fused = subjects
        each = contexts[:, None].expand(-1, subjects.shape[1], -1, -1)
        for indices, score in zip(groups, scores, strict=True):
            chosen = each.gather(2, indices[..., None].expand(-1, -1, -1, contexts.shape[-1]))
            fused = fused + (score.softmax(-1)[:, :, None] @ chosen)[:, :, 0]
        if self.config.subject_relation:
            fused = fused + (subjects @ subjects.mT).softmax(-1) @ subjects
        return fused

    def related(self, distances: Tensor, products: Tensor) -> list[Tensor]:
        """Which contexts are related to each subject: [B,N,K] indices of the nearest, and of the most alike.

        A group that the configuration leaves out is not in the list. Ties are in any order, as in the authors' code.

        Args:
            distances: [B or 1,N,M] of reference points.
            products: [B,N,M] of queries.
        """
        groups = []
        if self.config.spatial:
            nearest = distances.topk(self.config.spatial, largest=False).indices
            groups.append(nearest.expand(products.shape[0], -1, -1))
        if self.config.semantic:
            groups.append(products.topk(self.config.semantic, largest=self.config.semantic_choice == "largest").indices)
        return groups

    def _scores(self, groups: list[Tensor], subjects: Tensor, distances: Tensor, products: Tensor) -> list[Tensor]:
        """Score the contexts of each group, [B,N,K]; a softmax makes weights of the scores."""
        if self.attentive is not None:
            return list(self.attentive(subjects).split([indices.shape[-1] for indices in groups], -1))
        if self.config.weighting == "equal":
            return [torch.zeros_like(indices, dtype=subjects.dtype) for indices in groups]
        among = products if self.config.weighting == "semantic" else -distances.expand_as(products)
        return [among.gather(-1, indices) for indices in groups]


def position_encoding(mask: Tensor | None, level: Tensor) -> Tensor:
    """Sines and cosines of each cell's place, 0..2π over the valid part, first of y and then of x.

    Args:
        mask: [B,h,w] bool, which cells are valid; None: all.
        level: [B,C,h,w], for its shape and type.

    Returns:
        [B or 1,h·w,C].
    """
    _, channels, height, width = level.shape
    half = channels // 2
    frequencies = _TEMPERATURE ** (-torch.arange(0, half, 2, dtype=level.dtype, device=level.device) / half)
    axes = []
    for axis, length in ((1, height), (2, width)):
        if mask is None:
            steps = torch.arange(1, length + 1, dtype=level.dtype, device=level.device)
            counts = steps.reshape((1, -1, 1) if axis == 1 else (1, 1, -1)).expand(1, height, width)
        else:
            counts = mask.to(level.dtype).cumsum(axis)
        places = (counts - 0.5) / (counts.narrow(axis, length - 1, 1) + _EPSILON) * (2 * math.pi)
        angles = places[..., None] * frequencies
        axes.append(torch.stack([angles.sin(), angles.cos()], -1).flatten(-2))
    return torch.cat(axes, -1).flatten(1, 2)


def inverse_sigmoid(values: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Logits of values 0..1, kept finite by ``epsilon``."""
    return torch.log(values.clamp(min=epsilon) / (1 - values).clamp(min=epsilon))


def _check(config: DsctConfig) -> None:
    for name in ("subjects", "width", "layers", "heads", "points", "feedforward"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} {getattr(config, name)}: expected 1 or more")
    for name in ("spatial", "semantic"):
        if not 0 <= getattr(config, name) <= config.contexts:
            raise ValueError(
                f"{name} {getattr(config, name)}: expected 0 to {config.contexts}, the number of context queries"
            )
    if config.width % _GROUPS or config.width % config.heads:
        raise ValueError(f"width {config.width}: expected a multiple of {_GROUPS} and of the {config.heads} heads")
    if not 1 <= config.first_fusion <= config.layers:
        raise ValueError(f"first_fusion {config.first_fusion}: expected 1 to {config.layers}, a decoder layer")


def _base(config: DsctConfig) -> DeformableDetrConfig:
    """What transformers' parts read of a configuration; attention in plain operations, which ONNX has."""
    base = DeformableDetrConfig(
        d_model=config.width,
        encoder_attention_heads=config.heads,
        encoder_ffn_dim=config.feedforward,
        encoder_n_points=config.points,
        num_feature_levels=LEVELS,
        dropout=config.dropout,
        activation_dropout=config.dropout,
        disable_custom_kernels=True,
    )
    base._attn_implementation = "eager"
    return base


def _frozen(backbone: Backbone, random: bool) -> Backbone:
    """With normalisation that training does not change, and the stem and the first stage fixed too."""
    detr.replace_batch_norm(backbone)  # type: ignore[no-untyped-call]
    for module in backbone.modules():
        if random and isinstance(module, detr.DeformableDetrFrozenBatchNorm2d):
            module.weight.fill_(1)  # timm starts some at 0, which would stay so
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(any(stage in name for stage in ("layer2", "layer3", "layer4")))
    return backbone


def _projection(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.GroupNorm(_GROUPS, convolution.out_channels))


def _joined(attention: detr.DeformableDetrSelfAttention) -> None:
    """As torch's attention, which keeps three of its matrices in one of 3C × C: their range is that of its sides."""
    for part in (attention.q_proj, attention.k_proj, attention.v_proj):
        nn.init.xavier_uniform_(part.weight, gain=math.sqrt(0.5))
    for part in (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj):
        nn.init.zeros_(part.bias)


def _spread(attention: detr.DeformableDetrMultiscaleDeformableAttention) -> None:
    """At the start each head looks into a direction of its own, one, two, ... cells far, at all points alike."""
    angles = torch.arange(attention.n_heads) * (2 * math.pi / attention.n_heads)
    directions = torch.stack([angles.cos(), angles.sin()], -1)
    directions = directions / directions.abs().amax(-1, keepdim=True)
    steps = torch.arange(1, attention.n_points + 1)
    offsets = directions[:, None, None] * steps[:, None]  # [heads,1,points,2]
    with torch.no_grad():
        attention.sampling_offsets.bias.copy_(offsets.expand(-1, attention.n_levels, -1, -1).flatten())
    nn.init.zeros_(attention.sampling_offsets.weight)
    nn.init.zeros_(attention.attention_weights.weight)
    for part in (attention.attention_weights, attention.value_proj, attention.output_proj):
        nn.init.zeros_(part.bias)


def _shrunk(valid: Tensor, size: tuple[int, int]) -> Tensor:
    """[B,H,W] bool at a level's size, of the nearest pixels."""
    return F.interpolate(valid[None].float(), size)[0].bool()


def _ratios(mask: Tensor | None, level: Tensor) -> Tensor:
    """[B or 1,2] how much of a level's width and height is valid."""
    if mask is None:
        return level.new_ones(1, 2)
    return torch.stack([mask[:, 0].to(level.dtype).mean(1), mask[:, :, 0].to(level.dtype).mean(1)], -1)


def _cells(memory: Memory) -> Tensor:
    """[B or 1,S,4,2] the centre (x, y) of each cell in each of the levels, 0..1 of the padded image."""
    centres = []
    for (height, width), ratios in zip(memory.sizes, memory.ratios.unbind(1), strict=True):
        y = (torch.arange(height, dtype=ratios.dtype, device=ratios.device) + 0.5) / (ratios[:, 1:] * height)
        x = (torch.arange(width, dtype=ratios.dtype, device=ratios.device) + 0.5) / (ratios[:, :1] * width)
        grid = (x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width))
        centres.append(torch.stack(grid, -1).flatten(1, 2))
    return torch.cat(centres, 1)[:, :, None] * memory.ratios[:, None]


def _shapes(memory: Memory) -> dict[str, object]:
    """The maps' sizes as transformers' attention wants them, as a tensor [4,2] and as numbers."""
    # One tensor made of all numbers at once would fix them in an exported graph.
    sides = [memory.values.new_full((), side) for size in memory.sizes for side in size]
    shapes = torch.stack(sides).reshape(-1, 2)
    return {"spatial_shapes": shapes, "spatial_shapes_list": memory.sizes}
