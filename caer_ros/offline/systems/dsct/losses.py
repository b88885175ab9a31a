"""Learning from a set of queries (DSCT, ACM MM 2024, section 3.1; DETR): match each person to a query, then compare.

L decoder layers answer with N queries for each of B images, each by E labels and one more logit, the "subject", that
says whether a person is there at all. Every layer is matched and compared by itself; the losses are summed over them.
What the paper leaves out is from the authors' code. Theirs are the sums and what they are divided by; ours is what
happens where something is not known, which their data never has:

- an unknown label (NaN) is neither raised nor lowered, and costs nothing in matching;
- a person's weight scales the loss of its labels, not that of its box and of the subject;
- a query that is nobody's and lies in a region to ignore by more than half of its area is not asked to be empty, nor
  is any where the image may show persons that nobody annotated.

Everything is computed in float32 at least, whatever precision the network ran in.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_convert, box_iou, generalized_box_iou, sigmoid_focal_loss

ALPHA, GAMMA = 0.25, 2.0
"""Focal loss, as in the authors' code: the weight of what is there, and how little the easy counts."""
MOST_IGNORED = 0.5
"""Part of a query's box within a region to ignore, beyond which the query is not judged; COCO's for crowds."""


class Truth(NamedTuple):
    """What is known about B images with up to P persons and M regions, padded."""

    boxes: Tensor
    """[B,P,4] centre, width and height as parts 0..1 of the image; padding is 0."""
    present: Tensor
    """[B,P] bool: a person, not padding."""
    emotions: Tensor
    """[B,P,E] 0..1; NaN unknown, and padding."""
    weights: Tensor
    """[B,P] 0..1 how much a person's labels count; padding is 0."""
    ignore: Tensor
    """[B,M,4] regions, as ``boxes``, where it is not known who is there; padding is 0."""
    complete: Tensor
    """[B] bool: nobody is there but those persons, except in the regions."""

    def to(self, device: torch.device) -> Truth:
        """The same on a device."""
        return Truth(*(tensor.to(device, non_blocking=True) for tensor in self))


class Weights(NamedTuple):
    """Weights of the three parts of a cost or a loss."""

    labels: float
    l1: float
    giou: float


class SetLosses(NamedTuple):
    """Each summed over layers and queries, not yet weighted, divided by the number of persons in the batch.

    That number is at least 1. It counts the persons for whom no query was left too, as the authors' code does.
    """

    labels: Tensor
    l1: Tensor
    giou: Tensor


def set_losses(logits: Tensor, boxes: Tensor, truth: Truth, multi_label: bool, costs: Weights) -> SetLosses:
    """The losses of the authors' criterion, over all layers.

    Args:
        logits: [L,B,N,E+1], the last the subject's.
        boxes: [L,B,N,4] as in ``Truth``, of positive area.
        truth: on the same device.
        multi_label: several labels a person, and the subject's logit is learnt; without, that logit is left alone.
        costs: of matching.
    """
    logits, boxes = _exact(logits), _exact(boxes)
    truth = truth._replace(boxes=truth.boxes.to(boxes), emotions=truth.emotions.to(logits))
    distances = (boxes[:, :, :, None] - truth.boxes[:, None]).abs().sum(-1)
    overlaps = _overlaps(boxes, truth.boxes)
    cost = costs.labels * label_cost(logits[..., :-1], truth.emotions, multi_label)
    pairs = match(cost + costs.l1 * distances - costs.giou * overlaps, truth.present)
    persons = truth.present.sum().clamp(min=1)
    return SetLosses(
        _label_loss(logits, boxes, truth, multi_label, pairs) / persons,
        distances[pairs].sum() / persons,
        (1 - overlaps[pairs]).sum() / persons,
    )


def label_cost(logits: Tensor, emotions: Tensor, multi_label: bool) -> Tensor:
    """[L,B,N,P] what it costs to take a query for a person: how much better it were if it had not the person's labels.

    The focal terms of its labels, there minus not there: their sum for a single label, for several divided by E, as in
    the authors' code. The subject's logit plays no part.

    Args:
        logits: [L,B,N,E].
        emotions: [B,P,E] 0..1, NaN unknown.
        multi_label: divide by E?
    """
    scores = logits.sigmoid()
    there = ALPHA * (1 - scores) ** GAMMA * -(scores + 1e-8).log()
    absent = (1 - ALPHA) * scores**GAMMA * -(1 - scores + 1e-8).log()
    cost = ((there - absent)[:, :, :, None] * emotions.nan_to_num()[:, None]).sum(-1)
    return cost / logits.shape[-1] if multi_label else cost


def match(cost: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The cheapest one-to-one matching of queries and persons in each layer and image (eq. 1).

    With more persons than queries, the persons that fit worst stay without one.

    Args:
        cost: [L,B,N,P].
        present: [B,P] bool, the persons that there are.

    Returns:
        The K pairs as [K] indices of layer, image, query and person.
    """
    # What is no number stays so in the loss, where the training sees it; here it would only raise.
    values, persons = cost.detach().nan_to_num().cpu().numpy(), [row.nonzero()[0] for row in present.cpu().numpy()]
    pairs = [
        (layer, image, int(query), int(persons[image][column]))
        for layer in range(len(values))
        for image in range(len(persons))
        for query, column in zip(*linear_sum_assignment(values[layer, image][:, persons[image]]), strict=True)
    ]
    layer, image, query, person = torch.tensor(pairs, dtype=torch.long, device=cost.device).reshape(-1, 4).unbind(1)
    return layer, image, query, person


def best_query(boxes: Tensor, truth: Truth) -> Tensor:
    """[B,P] the query whose box overlaps each person's most, however little.

    By plain IoU, enough to watch a training; the exact rule of the published test is ``pooling_numpy.best_queries``.

    Args:
        boxes: [B,N,4] of one layer.
        truth: says where the persons are.
    """
    corners, persons = _corners(_exact(boxes)), _corners(_exact(truth.boxes))
    return torch.stack([box_iou(*pair).argmax(0) for pair in zip(corners, persons, strict=True)])


def _label_loss(
    logits: Tensor, boxes: Tensor, truth: Truth, multi_label: bool, pairs: tuple[Tensor, Tensor, Tensor, Tensor]
) -> Tensor:
    """The focal loss of all queries' labels, summed; a query that is nobody's has none, and is no subject."""
    layer, image, query, person = pairs
    targets = torch.zeros_like(logits)
    counts = _judged(boxes, truth).to(logits)[..., None].expand_as(logits).clone()
    emotions = truth.emotions[image, person]
    targets[layer, image, query] = torch.cat([emotions.nan_to_num(), emotions.new_ones(len(emotions), 1)], 1)
    known = ~emotions.isnan() * truth.weights[image, person, None].to(logits)
    counts[layer, image, query] = torch.cat([known, known.new_ones(len(known), 1)], 1)
    terms = sigmoid_focal_loss(logits, targets, ALPHA, GAMMA) * counts
    total: Tensor = (terms if multi_label else terms[..., :-1]).sum()
    return total


def _judged(boxes: Tensor, truth: Truth) -> Tensor:
    """[L,B,N] is it known that the query is empty, if it is nobody's?"""
    complete = truth.complete[:, None]
    queries, regions = _corners(boxes.detach())[:, :, :, None], _corners(truth.ignore.to(boxes))[:, None]
    sides = torch.minimum(queries, regions)[..., 2:] - torch.maximum(queries, regions)[..., :2]
    covered = sides.clamp(min=0).prod(-1) / boxes.detach()[..., 2:].prod(-1)[..., None]
    return complete & ~(covered > MOST_IGNORED).any(-1)


def _overlaps(boxes: Tensor, persons: Tensor) -> Tensor:
    """[L,B,N,P] generalised IoU of boxes [L,B,N,4] and persons' [B,P,4]."""
    layers = len(boxes)
    every = [
        generalized_box_iou(corners, others).unflatten(0, (layers, -1))
        for corners, others in zip(_corners(boxes).transpose(0, 1).flatten(1, 2), _corners(persons), strict=True)
    ]
    return torch.stack(every, 1)


def _corners(boxes: Tensor) -> Tensor:
    corners: Tensor = box_convert(boxes, "cxcywh", "xyxy")
    return corners


def _exact(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
