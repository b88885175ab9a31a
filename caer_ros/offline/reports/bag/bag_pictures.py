"""The pictures of a bag's report: what is to be cut from which frame, taken in one pass over each bag."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from caer_ros.offline.reports.bag.people import bag_of
from caer_ros.recordings import frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from caer_ros.offline.evaluation.bags.bag_summary import BagFacts
    from caer_ros.recordings.annotations.sample import Sample

Image = NDArray[np.uint8]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Pictures:
    """The frames of the evaluated bags."""

    fetch: Callable[[Collection[str]], Iterable[tuple[str, Image]]]
    """For image ids, id and RGB pixels [H,W,3] of each that can be decoded, in any order, no frame twice."""
    problems: list[str] = field(default_factory=list)
    """Gets a line for each frame that was fetched and cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture that a report shows."""

    image_id: str
    make: Callable[[Image], bytes]
    """From the frame's pixels to a JPEG."""


def of_bags(bags: Sequence[BagFacts], samples: Sequence[Sample]) -> Pictures:
    """The frames of bags; only those that are shown are decoded.

    Args:
        bags: with several, the ids of the samples begin with the bag's name.
        samples: what was evaluated.
    """
    problems: list[str] = []

    def fetch(image_ids: Collection[str]) -> Iterator[tuple[str, Image]]:
        for number, bag in enumerate(bags):
            wanted = {
                sample.stamp: sample.image_id
                for sample in samples
                if sample.image_id in image_ids and sample.stamp is not None and bag_of(sample.image_id, bags) == number
            }
            for frame in frames.at(bag.path, bag.image_topic, wanted.keys(), problems):
                yield wanted[frame.stamp_ns], frame.pixels

    return Pictures(fetch, problems)


def take(pictures: Pictures, shots: Mapping[Key, Shot]) -> dict[Key, bytes]:
    """The JPEG of each shot whose frame can be decoded; no frame is held longer than it takes to cut from it."""
    waiting: dict[str, list[Key]] = defaultdict(list)
    for key, shot in shots.items():
        waiting[shot.image_id].append(key)
    taken = {}
    for image_id, pixels in pictures.fetch(waiting.keys()):
        for key in waiting.pop(image_id, ()):
            taken[key] = shots[key].make(pixels)
    return taken
