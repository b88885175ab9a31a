"""Images of recordings in the order of time: what metrics over tracks share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.data.predictions import only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import ImagePrediction
    from caer_ros.offline.metrics.joined import Floats, Joined
    from caer_ros.recordings.annotations.sample import Sample

LONGEST_STEP = 2.0
"""s. A longer time between two annotated images counts as this much: nobody looked meanwhile."""


def sequences(samples: Sequence[Sample]) -> dict[str, NDArray[np.intp]]:
    """For each folder of the image ids, a camera of a recording, the indices of its images in the order of stamps.

    Folders in which an image has no stamp keep the order of the samples.
    """
    folders: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        folders.setdefault(sample.image_id.rpartition("/")[0], []).append(index)
    result = {}
    for folder, members in folders.items():
        order = stamps(samples, members)
        result[folder] = np.array(members, np.intp)[slice(None) if order is None else np.argsort(order, kind="stable")]
    return result


def stamps(samples: Sequence[Sample], images: Sequence[int] | NDArray[np.intp]) -> NDArray[np.int64] | None:
    """Nanoseconds of some of the images; None unless all have a stamp, which 0 is not."""
    found = [samples[index].stamp for index in images]
    return np.array(found, np.int64) if all(found) else None


def steps(order: NDArray[np.int64], longest: float) -> Floats:
    """[n-1] seconds from each of n stamps to the next, at most ``longest``."""
    return np.minimum(np.diff(order) / 1e9, longest)


def longest_step(order: NDArray[np.int64]) -> float:
    """S. ``LONGEST_STEP``, or twice the median time between two images where they are annotated more rarely."""
    return max(LONGEST_STEP, 2 * float(np.median(np.diff(order))) / 1e9) if len(order) > 1 else LONGEST_STEP


def published(joined: Joined) -> Joined:
    """Only the persons that a listener is told of.

    Those of a track, whatever their score (the node publishes faint detections that keep a track, and those who
    coast), and untracked ones from the model's person threshold on.
    """
    least = np.float32(joined.header.thresholds.get("person", 0.0))
    return replace(joined, images=tuple(_published(image, least) for image in joined.images))


def ids(image: ImagePrediction) -> tuple[str, ...]:
    """[P] track ids; "" for who is not tracked."""
    return ("",) * len(image.boxes) if image.tracked is None else image.tracked.ids


def _published(image: ImagePrediction, least: np.float32) -> ImagePrediction:
    told = image.scores >= least
    if image.tracked is not None:
        told |= np.array(image.tracked.ids, np.str_).astype(bool)
    return image if told.all() else only(image, told)
