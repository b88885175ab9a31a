"""What DSCT is built of, and how it learns: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from caer_ros.offline.training.config import TrainConfig

Resnet = Literal["resnet18", "resnet50", "resnet101"]
"""What a DSCT can be built on."""


@dataclass(frozen=True)
class DsctConfig:
    """DSCT (Li et al., ACM MM 2024). Defaults are what the authors' checkpoint of EMOTIC needs.

    Where the paper and the public code differ, both are here; the code's way is the default.
    """

    backbone: Resnet = "resnet50"
    """resnet18 is in the paper, but the public code refuses it."""
    subjects: int = 4
    """N subject queries, which is the most persons that it finds: EMOTIC 4, CAER-S 9."""
    contexts: int = 300
    """Context queries, those of Deformable DETR on COCO."""
    spatial: int = 100
    """Context queries nearest to a subject by reference point that are fused into it; 0, and ``semantic`` 0: no
    fusion, as on CAER-S. Either alone is the paper's Table 6, where the public code would not fuse at all; its
    "decouple-fuse" takes all 300 here and 0 there, its "baseline" has no ``contexts`` either."""
    semantic: int = 50
    """Context queries most related to a subject by dot product that are fused into it."""
    semantic_choice: Literal["largest", "smallest"] = "largest"
    """Which dot products are most related: "largest" in the code, "smallest" in the paper."""
    subject_relation: bool = True
    """Subjects are fused with each other too: in the code, not in the paper."""
    softmax: Literal["each", "joint"] = "each"
    """Relevance weights sum to 1 in each group of context queries (code), or over both groups together (paper). The
    relation of subjects has a softmax of its own in either case."""
    weighting: Literal["semantic", "equal", "spatial", "attentive"] = "semantic"
    """What related queries are weighted by (Table 7): their dot product with the subject, nothing, their nearness, or
    a linear layer of the subject. The paper gives no formula but for the first: the softmax of the negative distance,
    and of one learnt score for each rank in a group, are our reading."""
    first_fusion: int = 1
    """The decoder layer from which on queries are fused, counted from 1 (Table 8: 1, 2, 4 and 6)."""
    width: int = 256
    """Channels of queries and features."""
    layers: int = 6
    """Layers of the encoder, and as many of the decoder."""
    heads: int = 8
    points: int = 4
    """Sampled by each head in each of the four levels."""
    feedforward: int = 1024
    dropout: float = 0.1


@dataclass(frozen=True)
class DsctRecipe:
    """DSCT (Li et al., ACM MM 2024, section 4.1 and supplement A). Defaults are those of EMOTIC.

    ``data.size``, ``data.resize`` and ``data.augmentation`` do not apply: images keep their aspect, and change as here.
    """

    weights: str | None = None
    """The file of Deformable DETR's weights of COCO to begin with, as the paper does; null begins at random."""
    short_sides: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    """Training images get one of these as their shorter side, pixels."""
    val_short: int = 800
    """Shorter side in validation, and on the robot."""
    longest: int = 1333
    """Most pixels of the longer side; where the aspect asks for more, both sides are less."""
    flip_probability: float = 0.5
    """How often left and right are swapped."""
    crop_probability: float = 0.5
    """How often a random part of the image is taken first."""
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    """The image gets one of these as its shorter side before a part is taken."""
    crop: tuple[int, int] = (384, 600)
    """Least and most pixels of each side of that part. These four are the public code's; the paper has no figures."""
    match_class: float = 2.0
    """Weight of the labels in the cost of matching (θ_cls)."""
    match_l1: float = 5.0
    """Weight of the boxes' distance in the cost of matching (θ_box)."""
    match_giou: float = 2.0
    """Weight of the boxes' generalised IoU in the cost of matching. From the public code; the paper has one θ_box."""
    class_weight: float = 5.0
    """Weight of the labels' loss (λ_cls): 5 on EMOTIC, and in the public code 9 on CAER-S."""
    l1_weight: float = 5.0
    """Weight of the boxes' distance in the loss (λ_box)."""
    giou_weight: float = 2.0
    """Weight of the boxes' generalised IoU in the loss. From the public code; the paper has one λ_box."""
    backbone_rate: float = 0.1
    """The backbone's part of the learning rate."""
    sampling_rate: float = 0.1
    """That of the projections which give reference points and sampling offsets."""


@dataclass(frozen=True)
class BackboneConfig:
    """How the ResNet begins that ``dsct.backbone`` names."""

    weights: str | None = "imagenet"
    """imagenet, null (random), or a .safetensors or .pth file. ``dsct_recipe.weights`` replaces all of them."""


@dataclass(frozen=True)
class DsctTraining(TrainConfig):
    """A training run of DSCT."""

    task: Literal["dsct"] = "dsct"
    model: BackboneConfig = field(default_factory=BackboneConfig)
    dsct: DsctConfig = field(default_factory=DsctConfig)
    """The network."""
    dsct_recipe: DsctRecipe = field(default_factory=DsctRecipe)
    """How the network learns."""
