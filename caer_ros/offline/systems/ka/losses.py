"""The losses of the KA paper (VISAPP 2025, section 3.2), each one function with its equation.

Persons are flattened over the batch: P persons, E emotions. In targets NaN says that a label is not known; it takes no
part. A person's weight 0..1 scales its loss without changing by how many persons is divided, so a doubtful person
teaches less. Everything is computed in float32, whatever precision the network ran in, and is 0 where nothing is known.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GAMMA = 0.1
"""Weight of the loss of sizes in eq. 6."""


def multi_label_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Eq. 1: binary cross-entropy, summed over the emotions, mean over the persons.

    L_emo = -1/N Σ_n Σ_i [ Y log σ(Ŷ) + (1 - Y) log(1 - σ(Ŷ)) ]. The sum makes it E times what a library's default mean
    gives. A target between 0 and 1 (a part of the annotators, a teacher's belief) mixes the two cases.

    Args:
        logits: [P,E] pooled in each person's box.
        targets: [P,E] 0..1, NaN unknown.
        weights: [P] 0..1; None is 1 for all.
    """
    known = ~targets.isnan()
    terms = F.binary_cross_entropy_with_logits(logits.float(), targets.float().nan_to_num(), reduction="none")
    return _mean(terms.where(known, 0).sum(1), known.any(1), weights)


def single_label_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Eq. 2: cross-entropy, mean over the persons.

    L_emo = -1/N Σ_n log( exp(Ŷ_n) / Σ_i exp(Ŷ_n,i) ), for soft targets Σ_i -Y log softmax(Ŷ). Labels that are not known
    are left out of the softmax too, so they are neither raised nor lowered. Arguments as for ``multi_label_loss``; the
    known targets of a person sum to 1.
    """
    known = ~targets.isnan()
    # A row of -inf alone would be NaN, in the gradient too; it counts for nothing below.
    competing = known | ~known.any(1, keepdim=True)
    scores = logits.float().masked_fill(~competing, -torch.inf).log_softmax(1)
    terms = -(targets.float().nan_to_num() * scores.where(known, 0)).sum(1)
    return _mean(terms, known.any(1), weights)


def variance_loss(variances: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Eq. 3: the variance of the logits inside each box, which should be 0.

    L_var = 1/N_P Σ_i (P_i - P̄)². The paper gives one person and emotion; mean over persons and emotions is our choice.

    Args:
        variances: [P,E] of ``components.pooling.variance``.
        targets: [P,E] say by NaN which emotions are not known; their maps are left alone.
        weights: [P] 0..1; None is 1 for all.
    """
    known = ~targets.isnan()
    terms = variances.float().where(known, 0).sum(1) / known.sum(1).clamp(min=1)
    return _mean(terms, known.any(1), weights)


def focal_loss(
    logits: Tensor, targets: Tensor, ignore: Tensor | None = None, alpha: float = 2, beta: float = 4
) -> Tensor:
    """Eq. 4: the focal loss of the centre heatmap.

    FL = -1/N Σ_xy (1 - Ŷ)^α log Ŷ where Y = 1, else (1 - Y)^β Ŷ^α log(1 - Ŷ), with Ŷ = σ(logit). The paper does not say
    what N centres are counted over; the whole batch is our choice. N is at least 1.

    Args:
        logits, targets: [B,1,h,w] (targets 0..1, exactly 1 at a person's centre).
        ignore: [B,1,h,w] true where it is not known whether a person is there; a centre is never ignored.
        alpha, beta: of the paper.
    """
    logits, targets = logits.float(), targets.float()
    centre = targets == 1
    positive = -((-logits).sigmoid() ** alpha) * F.logsigmoid(logits)
    negative = -((1 - targets) ** beta) * logits.sigmoid() ** alpha * F.logsigmoid(-logits)
    if ignore is not None:
        negative = negative.masked_fill(ignore, 0)
    terms = positive.where(centre, negative)
    return terms.sum() / centre.sum().clamp(min=1)


def size_loss(sizes: Tensor, targets: Tensor) -> Tensor:
    """Eq. 5: L1 of width and height at the persons' centres, summed over the two, mean over the persons.

    L_size = 1/N Σ_k |Ŝ(p_k) - s_k|. CenterNet's code also divides by two; its paper and ours do not.

    Args:
        sizes: [P,2] read at the centres (``components.centre.read``), in pixels of the map.
        targets: [P,2].
    """
    return (sizes.float() - targets.float()).abs().sum() / max(len(targets), 1)


def detection_loss(focal: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 6: L_det = FL + γ L_size, as its two summands, which are means over numbers of their own."""
    return focal, GAMMA * size


def total_loss(*terms: Tensor) -> Tensor:
    """Eq. 9: L_TOT = L_det + L_emo + L_var + L_feat + L_rec, of those that the recipe has; a plain sum."""
    return torch.stack(terms).sum()


def _mean(losses: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    """Σ weight * loss / N, N being the persons of whom something is known, at least 1."""
    if weights is not None:
        losses = losses * weights.float()
    return losses.where(counted, 0).sum() / counted.sum().clamp(min=1)
