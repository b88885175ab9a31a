"""How well annotators agree: the ceiling that models are measured under.

Computed from the part of annotators who chose each label, which is what data sets leave us with. Average precision
looks at one class at a time, and annotators have no identity across persons, so the count of votes is all it needs: an
annotator who is left out chose the label with probability votes / annotators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.metrics import average_precision as ap
from caer_ros.offline.metrics.joined import MetricsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.metrics.joined import Floats
    from caer_ros.recordings.annotations.sample import Sample

_MOST_ANNOTATORS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Agreement of K annotators about N persons and E labels."""

    annotators: int
    """K."""
    persons: int
    one_against_union: float
    """Mean average precision of one annotator's labels as scores, against the union of the K - 1 others."""
    one_against_union_chance: float
    """Prevalence of that union."""
    others_against_one: float
    """Mean average precision of the part of K - 1 annotators as score, against the label of the one left out."""
    others_against_one_chance: float
    """Prevalence of a single annotator's labels."""
    kappa: Floats
    """[E] Fleiss' kappa: 1 full agreement, 0 that of chance; NaN where all votes are the same."""
    mean_kappa: float


def agreement(samples: Sequence[Sample], annotators: int | None = None, draws: int = 20, seed: int = 0) -> Agreement:
    """Leaves one annotator out at random, ``draws`` times, over all persons that have votes.

    Args:
        annotators: votes for each person; None: the smallest number that explains every part in ``Sample.votes``.

    Raises:
        MetricsError: no votes; fewer than two annotators; parts that are no multiples of 1 / annotators.
    """
    votes = np.concatenate([sample.votes for sample in samples]).astype(np.float64)
    votes = votes[~np.isnan(votes).any(axis=1)]
    if not len(votes):
        raise MetricsError("the samples hold no single votes of annotators")
    number = annotators or next((k for k in range(1, _MOST_ANNOTATORS + 1) if _explains(votes, k)), 0)
    if number < 2 or not _explains(votes, number):
        raise MetricsError(
            f"the votes are not those of {annotators or f'2 to {_MOST_ANNOTATORS}'} annotators for each person; "
            "give how many there are, and only samples that have as many"
        )
    chosen = np.round(votes * number)
    generator = np.random.default_rng(seed)
    union, one = [], []
    for _ in range(draws):
        left_out = (generator.random(chosen.shape) * number < chosen).astype(np.float64)
        others = chosen - left_out
        union.append(_precision_and_chance((others > 0).astype(np.float64), left_out))
        one.append(_precision_and_chance(left_out, others / (number - 1)))
    kappa = fleiss_kappa(chosen, number)
    # A draw in which nobody chose any label has no precision.
    union_precision, union_chance, one_precision, one_chance = map(ap.mean, np.hstack([union, one]).T)
    return Agreement(
        annotators=number,
        persons=len(chosen),
        one_against_union=union_precision,
        one_against_union_chance=union_chance,
        others_against_one=one_precision,
        others_against_one_chance=one_chance,
        kappa=kappa,
        mean_kappa=ap.mean(kappa),
    )


def fleiss_kappa(chosen: Floats, annotators: int) -> Floats:
    """[E] Fleiss' kappa (1971) of two categories, chosen or not, from how many of K chose each label [N,E]."""
    pairs = chosen * (chosen - 1) + (annotators - chosen) * (annotators - chosen - 1)
    observed = pairs.mean(axis=0) / (annotators * (annotators - 1))
    part = chosen.mean(axis=0) / annotators
    expected = part**2 + (1 - part) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Floats = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
    return result


def _explains(votes: Floats, annotators: int) -> bool:
    """Is every part a whole number of so many votes? To a thousandth, as parts may be rounded."""
    return bool(np.abs(votes * annotators - np.round(votes * annotators)).max() < 1e-3 * annotators)


def _precision_and_chance(truth: Floats, scores: Floats) -> tuple[float, float]:
    precision = ap.average_precision(truth, scores)
    return ap.mean(precision), ap.chance(precision, ap.prevalence(truth))
