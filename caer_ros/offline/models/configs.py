"""What BENet and DSCT are built of: plain data, which configurations, checkpoints and networks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Resnet = Literal["resnet18", "resnet50", "resnet101"]
"""What a DSCT can be built on."""


@dataclass(frozen=True)
class BenetConfig:
    """BENet (Cladière et al., ACIVS 2023, section 3.1); what the paper leaves out is from the authors' public code."""

    width: int = 32
    """C: the four streams have C, 2C, 4C and 8C channels."""
    modules: int = 2
    """Exchange modules of each of the stages 2 to 4; HRNet-W32 has 1, 4 and 3."""
    blocks: int = 3
    """Residual blocks of each stream in a module, and of each tower of a head; HRNet-W32 has 4."""
    detection: bool = True
    """With heatmap and sizes (Det); without, persons are not found."""
    person_centric: bool = True
    """With a classifier of a person's crop (PC): trains the backbone, and refines evaluation."""
    background: bool = True
    """With a classifier of the scene without its persons (BG): trains the backbone."""
    extra_labels: int = 0
    """E' of a second data set that is learnt through an adaptor on top of the E outputs (ED); HECO has 8."""


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
    """Of the encoder, and of the decoder."""
    heads: int = 8
    points: int = 4
    """Sampled by each head in each of the four levels."""
    feedforward: int = 1024
    dropout: float = 0.1
