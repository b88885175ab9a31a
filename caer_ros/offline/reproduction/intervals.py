"""Mean, spread and paired differences over the seeds of repeated trainings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over n seeds with its standard deviation (n - 1) and the two-sided 95 % interval of Student's t.

    With one seed there is a mean alone: ``sd``, ``low`` and ``high`` are NaN.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int

    @property
    def verdict(self) -> str:
        """Of a difference: "+" or "-" where the interval excludes 0, else "no conclusion"."""
        if self.low > 0:
            return "+"
        return "-" if self.high < 0 else "no conclusion"


def estimate(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The estimate of ``values``, one a seed. Raises ValueError when there is none."""
    if not values:
        raise ValueError("no values: at least one seed is needed")
    array = np.asarray(values, np.float64)
    mean, n = float(array.mean()), len(array)
    if n == 1:
        return Estimate(mean, math.nan, math.nan, math.nan, 1)
    sd = float(array.std(ddof=1))
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(mean, sd, mean - half, mean + half, n)


def paired(ours: Sequence[float], others: Sequence[float]) -> Estimate:
    """The estimate of ``ours - others``, both in the order of the same seeds."""
    return estimate([a - b for a, b in zip(ours, others, strict=True)])
