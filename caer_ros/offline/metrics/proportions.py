"""Proportions with Wilson's interval, where the same person may be seen several times.

Cases of one person are not independent, so the interval is that of as many independent cases as would have the same
variance: the *effective* number, from the variance between persons (Kish, Survey Sampling, 1965, section 8.2; used so
with Wilson's interval by Korn and Graubard, 1998). With one case for each person it is Wilson's own interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

Z95 = 1.959964
"""Half of the width of a standard normal's middle 95 %."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """How many of a number of cases, and the 95 % interval of the part."""

    hits: int
    cases: int
    persons: int
    share: float
    """0..1; NaN without cases, as the bounds."""
    low: float
    high: float


def wilson(share: float, number: float) -> tuple[float, float]:
    """The 95 % interval (Wilson, 1927) of a share 0..1 of ``number`` independent cases; NaN without any."""
    if number <= 0:
        return math.nan, math.nan
    squared = Z95**2 / number
    middle = (share + squared / 2) / (1 + squared)
    half = Z95 / (1 + squared) * math.sqrt(share * (1 - share) / number + squared / (4 * number))
    return max(0.0, middle - half), min(1.0, middle + half)


def proportion(judged: Iterable[tuple[Hashable, bool]]) -> Proportion:
    """The proportion of cases that are hits.

    Args:
        judged: for each case whose it is, and whether it is a hit.
    """
    counts: dict[Hashable, tuple[int, int]] = {}
    for person, hit in judged:
        cases, hits = counts.get(person, (0, 0))
        counts[person] = cases + 1, hits + hit
    cases = sum(number for number, _ in counts.values())
    hits = sum(number for _, number in counts.values())
    if not cases:
        return Proportion(0, 0, 0, math.nan, math.nan, math.nan)
    share = hits / cases
    return Proportion(hits, cases, len(counts), share, *wilson(share, _effective(share, counts)))


def _effective(share: float, counts: dict[Hashable, tuple[int, int]]) -> float:
    """How many independent cases tell as much, from 1 to the number of cases."""
    cases, persons = sum(number for number, _ in counts.values()), len(counts)
    if persons == cases:
        return cases
    between = sum((hits - share * number) ** 2 for number, hits in counts.values())
    if persons < 2 or share in (0, 1) or not between:
        # All alike (or one person alone) tells nothing of the variance between persons: a person counts once.
        return persons
    variance = between / cases**2 * persons / (persons - 1)
    return min(max(share * (1 - share) / variance, 1.0), cases)
