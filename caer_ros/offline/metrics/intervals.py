"""Confidence intervals that resample what is independent: tracks, recordings or images, never frames of a recording.

Percentile bootstrap (Efron, 1979) over groups of images. A metric becomes a *statistic* of how often each image is
drawn, so that two models are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from caer_ros.offline.metrics import average_precision as ap
from caer_ros.offline.metrics.detection import COCO_TOP, interpolated_precision
from caer_ros.offline.metrics.joined import Floats, MetricsError
from caer_ros.offline.metrics.matching import match
from caer_ros.offline.metrics.on_the_field import THRESHOLD, TOP, rankings

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.recordings.annotations.sample import Sample

FEW = 10
"""Independent groups below which a percentile bootstrap is known to be too narrow; our choice."""
Statistic = Callable[[Floats], float]
"""How often each image counts [I] -> the metric."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value, or a difference, and where it lies with the given confidence."""

    value: float
    low: float
    high: float
    confidence: float
    groups: int
    """Independent groups that were resampled."""
    replicates: int

    @property
    def conclusive(self) -> bool:
        """True for a difference whose interval excludes 0."""
        return self.low > 0 or self.high < 0


def bootstrap(
    statistic: Statistic,
    groups: Sequence[Hashable],
    replicates: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of a statistic when groups of images are drawn with replacement.

    Args:
        statistic: such as ``er_statistic`` gives.
        groups: [I] the group of each image.

    Raises:
        MetricsError: fewer than two groups.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    members = np.array([numbers[group] for group in groups], np.intp)
    number = len(numbers)
    if number < 2:
        raise MetricsError(f"{number} independent group(s) of images; an interval needs at least two")
    generator = np.random.default_rng(seed)
    draws = (np.bincount(generator.integers(number, size=number), minlength=number) for _ in range(replicates))
    values = np.array([statistic(draw[members].astype(np.float64)) for draw in draws])
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail]).tolist()
    return Interval(statistic(np.ones(len(members))), low, high, confidence, number, replicates)


def paired_difference(
    first: Statistic,
    second: Statistic,
    groups: Sequence[Hashable],
    replicates: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of ``first - second``, both on the same draws of the same images. Raises MetricsError."""
    return bootstrap(lambda counts: first(counts) - second(counts), groups, replicates, confidence, seed)


def er_statistic(joined: Joined) -> Statistic:
    """ER's mean average precision. Raises MetricsError."""
    ranking = ap.Ranking(joined.targets, joined.pooled())
    return lambda counts: ap.mean(ranking.average_precision(counts[joined.image_index]))


def oer_statistic(joined: Joined, threshold: float = THRESHOLD, top: int = TOP) -> Statistic:
    """OER's mean average precision."""
    ranked = list(rankings(joined.targets, match(joined, threshold, top)))

    def statistic(counts: Floats) -> float:
        weights = counts[joined.image_index]
        return float(np.mean([ap.mean(ranking.average_precision(weights)) for ranking in ranked]))

    return statistic


def pd_statistic(joined: Joined, top: int = COCO_TOP) -> Statistic:
    """PD's average precision."""
    matches = match(joined, most=top)
    persons = np.array([len(sample) for sample in joined.samples], np.float64)
    return lambda counts: interpolated_precision(matches, persons, counts)


def reservation(samples: Sequence[Sample], groups: Sequence[Hashable]) -> tuple[bool, str]:
    """Is there enough to draw from for intervals, and what a reader must know about it.

    Groups of images in which nobody is annotated tell of no person and do not count.

    Args:
        samples, groups: [I] images and the group of each.

    Returns:
        False and why there can be no interval; or True, and a warning where the groups are few.
    """
    inhabited = len({group for sample, group in zip(samples, groups, strict=True) if len(sample)})
    if inhabited < 2:
        return False, "No intervals: all persons are of one track or recording, so there is nothing to draw from."
    if inhabited < FEW:
        return True, (
            f"The intervals rest on {inhabited} independent groups of persons (tracks that are seen together, or "
            "recordings): so few make them too narrow."
        )
    return True, ""


def image_groups(samples: Sequence[Sample]) -> list[int]:
    """[I] the group of each image, by number.

    Images that share a track are one group, and so are those they share another with. Images of a recording (they have
    a stamp) without tracks are one, for each folder of their ids. Others stand alone.
    """
    things: dict[tuple[str, str], int] = {}
    edges: list[tuple[int, int]] = []
    for index, sample in enumerate(samples):
        shared = [("track", track) for track in sample.track_ids if track]
        if not shared and sample.stamp is not None:
            shared = [("recording", str(PurePosixPath(sample.image_id).parent))]
        edges += [(index, len(samples) + things.setdefault(thing, len(things))) for thing in shared]
    nodes = len(samples) + len(things)
    graph = coo_array((np.ones(len(edges)), np.array(edges, np.intp).reshape(-1, 2).T), (nodes, nodes))
    groups: list[int] = connected_components(graph, directed=False)[1][: len(samples)].tolist()
    return groups
