"""How late a node's messages are, what they cost, and what was dropped between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import ImagePrediction
    from caer_ros.offline.metrics.joined import Floats

_ANOTHER_CLOCK = 60.0
"""s. An image that is older than this when its message is published was stamped by another clock."""
_TWO_CLOCKS = (
    "two clocks, and deadlines mean nothing for them; play bags with /clock and use_sim_time, or synchronise the "
    "clocks of camera and node."
)


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Distribution of times in seconds, one a message; the numbers are NaN without any."""

    values: Floats
    """[n] in the order of the messages."""
    left_out: int
    """Messages that do not tell: a stamp or a time of zero, or none."""
    median: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, eq=False)
class TimingSummary:
    """Timing of M messages."""

    messages: int
    latency: Distribution
    """Time from the image's stamp to publishing, on the ROS clock."""
    age: Distribution
    """Time from the image's stamp until the image reached the node, on the ROS clock."""
    processing: Distribution
    """Time from arrival to publishing, on the steady clock."""
    inference: Distribution
    """Time inside the networks, on the steady clock."""
    drops_before: NDArray[np.int64]
    """[M] images that the node's mailbox dropped before each message, since the one before it."""
    drops: int
    """Images that the node's mailbox dropped between the messages; what DDS lost is not known."""
    most_drops: int
    """Largest number of drops before one message."""
    notes: tuple[str, ...]
    """What makes these numbers doubtful."""


def timing(images: Sequence[ImagePrediction]) -> TimingSummary | None:
    """The times of messages, each given once; None where no message tells any."""
    told = [(image.stamp or 0, image.timing) for image in images if image.timing is not None]
    if not told:
        return None
    stamp = np.array([stamp for stamp, _ in told], np.int64)
    published = np.array([times.published for _, times in told], np.int64)
    received = np.array([times.received for _, times in told], np.int64)
    drops = np.array([times.drops for _, times in told], np.int64)
    latency = distribution(_between(stamp, published))
    age = distribution(_between(stamp, received))
    return TimingSummary(
        messages=len(told),
        latency=latency,
        age=age,
        processing=distribution(_positive([times.processing for _, times in told])),
        inference=distribution(_positive([times.inference for _, times in told])),
        drops_before=drops,
        drops=int(drops.sum()),
        most_drops=int(drops.max()),
        notes=tuple(_notes(latency, age)),
    )


def _between(start: NDArray[np.int64], end: NDArray[np.int64]) -> Floats:
    """[M] s; NaN where one of the two is zero."""
    return np.where((start > 0) & (end > 0), (end - start) / 1e9, np.nan)


def _positive(seconds: list[float]) -> Floats:
    values = np.array(seconds, np.float64)
    return np.where(values > 0, values, np.nan)


def distribution(values: Floats) -> Distribution:
    """Distribution of seconds; NaN where a message does not tell."""
    known = values[np.isfinite(values)]
    median, p95, p99, most = np.percentile(known, [50, 95, 99, 100]).tolist() if len(known) else [float("nan")] * 4
    return Distribution(known, len(values) - len(known), median, p95, p99, most)


def _notes(latency: Distribution, age: Distribution) -> list[str]:
    notes = []
    for what, end, times in (("latency", "published", latency), ("age", "received", age)):
        total = len(times.values)
        if early := int((times.values < 0).sum()):
            notes.append(
                f"{what}: {early} of {total} messages were {end} before the stamp of their image: {_TWO_CLOCKS}"
            )
        if late := int((times.values > _ANOTHER_CLOCK).sum()):
            notes.append(
                f"{what}: {late} of {total} messages were {end} more than {_ANOTHER_CLOCK:g} s after the stamp of "
                f"their image: {_TWO_CLOCKS}"
            )
    return notes
