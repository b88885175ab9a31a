"""Mean, spread and paired differences over the seeds of repeated trainings, and how tables say them."""

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
        """Verdict on a difference: "+" or "-" where the interval excludes 0, else "no conclusion"."""
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


def in_words(value: Estimate) -> str:
    """Such as "26.62 ± 0.31"; without a spread where there was one seed."""
    return f"{value.mean:.2f}" + (f" ± {value.sd:.2f}" if value.n > 1 else "")


def difference_in_words(value: Estimate) -> str:
    """Such as "+1.32 [+0.41, +2.23]", or with "no conclusion" where the interval holds 0 or there is none."""
    if value.n == 1:
        return f"{value.mean:+.2f} (one seed: no conclusion)"
    verdict = "" if value.verdict in "+-" else "\nno conclusion"
    return f"{value.mean:+.2f} [{value.low:+.2f}, {value.high:+.2f}]{verdict}"


def cell(
    ours: Sequence[float],
    reference: Sequence[float] | None,
    paper: float | None,
    paper_reference: float | None,
    synthetic: bool,
) -> str:
    """One cell of a table: our scores, their difference to a reference's, and what the paper has.

    Args:
        ours: one score a seed.
        reference: those of the training that all are compared with, in the order of the same seeds; None: it is this
            one.
        paper, paper_reference: the published numbers of both; None: there is none.
        synthetic: beside synthetic data stands only the sign of the published difference, since nothing else of it
            could carry over.
    """
    lines = [in_words(estimate(ours))]
    if reference is not None:
        lines.append(difference_in_words(paired(ours, reference)))
    effect = None
    if reference is not None and paper is not None and paper_reference is not None:
        effect = paper - paper_reference
    if synthetic:
        lines += [] if effect is None else [f"paper: {_sign(effect)}"]
    elif paper is not None:
        lines.append(f"paper: {paper:.2f}" + ("" if effect is None else f" ({effect:+.2f})"))
    return "\n".join(lines)


def _sign(effect: float) -> str:
    return "+" if effect > 0 else "-" if effect < 0 else "0"
