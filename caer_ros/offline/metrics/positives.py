"""Who is a positive of a class: soft labels as the 1, 0 and NaN that every metric takes.

Average precision, ER, OER and F1 are defined on hard labels, and the papers report them so: EMOTIC's labels of val and
test are the union of the annotators. Soft labels are the part of the annotators who chose one, or a teacher's
beliefs (distillation). Training learns from soft labels as they are; whoever scores, binarises them here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = 0.5
"""A label counts from this part of the annotators, or this belief of a teacher, on."""
ANY = float(np.finfo(np.float32).tiny)
"""One vote is enough."""


def positives(beliefs: NDArray[np.floating], least: float = HALF) -> NDArray[np.float64]:
    """Binarise soft labels [..., E], 0..1: 1 from ``least`` on, else 0; NaN (unknown) stays NaN."""
    return np.where(np.isnan(beliefs), np.nan, beliefs >= least).astype(np.float64)


def positives_of_labels(emotions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Binarise ``Sample.emotions`` [N,E] at a half.

    A person whose beliefs sum to 1, as those of single labels do, and none of which reaches a half, is unknown (NaN):
    no label was decided on.
    """
    result = positives(emotions)
    undecided = np.isclose(np.nansum(emotions, axis=1), 1, atol=1e-3) & ~(result == 1).any(axis=1)
    result[undecided] = np.nan
    return result
