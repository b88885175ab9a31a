"""The losses of BENet (Cladière et al., ACIVS 2023, section 3.4), each a mean over the persons of an image.

The batch's loss is the mean over its images. The paper writes the losses of one image; that the batch is averaged over
images, so that a person among many counts less, is from the authors' code, and so is ``EPSILON``. All is computed in
float32. In targets NaN says that a label is not known; it takes no part.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-6
"""Added to a probability before its logarithm."""
ALPHA = 2
"""Focal exponent of eq. 1 and eq. 5."""
BETA = 4
"""Exponent of eq. 1: how much less a pixel near a centre counts."""


class ImageMean(NamedTuple):
    """A mean over images, and how many these are; 0 over none."""

    value: Tensor
    number: Tensor


def emotion_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> ImageMean:
    """Eq. 5: the multi-label focal loss, summed over the emotions, mean over the persons of an image.

    L = -1/N Σ_n Σ_i Y (1 - Ŷ)^α log Ŷ + (1 - Y) Ŷ^α log(1 - Ŷ), with Ŷ = σ(logit). A target between 0 and 1 mixes the
    two cases.

    Args:
        logits: [B,N,E] of each person.
        targets: [B,N,E] 0..1, NaN unknown; a person of whom nothing is known, or padding, is not counted.
        weights: [B,N] scale a person's loss without changing N.
    """
    known = ~targets.isnan()
    probability, truth = logits.float().sigmoid(), targets.float().nan_to_num()
    present = truth * (1 - probability) ** ALPHA * (probability + EPSILON).log()
    absent = (1 - truth) * probability**ALPHA * (1 - probability + EPSILON).log()
    persons = -(present + absent).where(known, 0).sum(2)
    return _mean(persons * weights.float(), known.any(2))


def heatmap_loss(logits: Tensor, targets: Tensor, ignore: Tensor | None = None) -> ImageMean:
    """Eq. 1: the focal loss of the centres, divided by the centres of an image, if it has any.

    L = -1/N Σ_xy (1 - Ŷ)^α log Ŷ where Y = 1, else (1 - Y)^β Ŷ^α log(1 - Ŷ).

    Args:
        logits, targets: [B,1,h,w] (targets 0..1, exactly 1 at a centre).
        ignore: [B,1,h,w] true where it is not known whether a person is there; a centre is never ignored.
    """
    probability, targets = logits.float().sigmoid(), targets.float()
    centre = targets == 1
    positive = (1 - probability) ** ALPHA * (probability + EPSILON).log()
    negative = (1 - targets) ** BETA * probability**ALPHA * (1 - probability + EPSILON).log()
    if ignore is not None:
        negative = negative.masked_fill(ignore, 0)
    images = -positive.where(centre, negative).flatten(1).sum(1) / centre.flatten(1).sum(1).clamp(min=1)
    return ImageMean(images.sum() / max(len(images), 1), torch.tensor(len(images), device=logits.device))


def size_loss(sizes: Tensor, targets: Tensor, present: Tensor) -> ImageMean:
    """Eq. 2: L1 of height and width at the persons' centres, summed over the two, mean over the persons of an image.

    Args:
        sizes, targets: [B,N,2] in pixels of the map.
        present: [B,N] a person, not padding; an image without persons is not counted.
    """
    return _mean((sizes.float() - targets.float()).abs().sum(2).where(present, 0), present)


def _mean(persons: Tensor, counted: Tensor) -> ImageMean:
    """[B,N] losses: over the counted persons of each image, then over the images that have such."""
    number = counted.sum(1)
    images = persons.where(counted, 0).sum(1) / number.clamp(min=1)
    with_persons = (number > 0).sum()
    return ImageMean(images.sum() / with_persons.clamp(min=1), with_persons)
