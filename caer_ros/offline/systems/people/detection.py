"""The detector's cells to persons, in fixed shapes, so that it can be part of an exported graph."""

from __future__ import annotations

import torch
from torch import Tensor

from caer_ros.offline.systems.components.centre import NO_PEAK
from caer_ros.offline.systems.people.nanodet import BINS, Detections
from caer_ros.perception.predictors.composed.nanodet import STRIDES

CANDIDATES = 300
"""The best cells, among which doubles are looked for. A near person fills some thirty of them."""
OVERLAP = 0.55
"""Of two boxes whose IoU is larger, only the better stays; as ``faces.person_nms`` of the bundle bootstrap."""
_ROUNDS = 12
"""Of the suppression. Longer chains of overlaps are far below any threshold."""


def decode(detections: Detections, height: int, width: int, persons: int) -> tuple[Tensor, Tensor]:
    """The K best persons.

    Args:
        detections: of an image of ``height`` and ``width``, multiples of 32.
        height, width: pixels of what the detector sees.
        persons: K, at most ``CANDIDATES``.

    Returns:
        Boxes [B,K,4] xyxy in pixels of what the detector sees, and logits [B,K], best first. Slots for which there is
        nobody have the logit ``NO_PEAK``.
    """
    logits, index = detections.logits.topk(min(CANDIDATES, detections.logits.shape[1]), dim=1)
    places, strides = cells(height, width, logits.device)
    bins = detections.sides.gather(1, index[..., None].expand(-1, -1, 4 * BINS)).reshape(*index.shape, 4, BINS)
    distances = bins.softmax(-1) @ torch.arange(BINS, dtype=bins.dtype, device=bins.device) * strides[index]
    centres = places[index]
    boxes = torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], -1)
    logits = torch.where(_kept(boxes), logits, NO_PEAK)
    logits, best = logits.topk(persons, dim=1)
    return boxes.gather(1, best[..., None].expand(-1, -1, 4)), logits


def cells(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres [N,2] (x, y) and strides [N,1] of the cells, in pixels of the image."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        centres.append(torch.stack([x, y], -1).reshape(-1, 2) * stride + stride / 2)
        strides.append(torch.full((len(centres[-1]), 1), float(stride)))
    return torch.cat(centres).to(device), torch.cat(strides).to(device)


def _kept(boxes: Tensor) -> Tensor:
    """Which of the boxes [B,N,4], best first, are nobody's double: [B,N] bool.

    A box goes if it overlaps a better one that stays. All at once and again (Cluster-NMS, Zheng et al. 2020): after n
    rounds it is settled for every box with at most n better ones in a chain of overlaps.
    """
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    doubles = both > OVERLAP * (areas[:, :, None] + areas[:, None] - both)
    doubles = doubles.float().tril(-1)  # a row's box, the column's is better
    kept = torch.ones_like(doubles[..., :1])
    for _ in range(_ROUNDS):
        kept = (doubles @ kept == 0).float()
    return kept[..., 0] > 0
