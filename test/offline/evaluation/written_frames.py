"""Frames of a bag, each in one line: who is there, and what was said."""

from __future__ import annotations

from pathlib import Path

from offline.metrics.tracks import SECOND, annotated, box, found

from caer_ros.offline.evaluation.bags.bag_summary import BagFacts

START = 1_000 * SECOND


def bag(name="bag", first=START):
    return BagFacts(Path(name), name, "/camera", "", "", 0, 0, 0.0, first)


def frame(second, people, said, prefix="camera", **changes):
    """``people``: place, track and true label; ``said``: place, id and label."""
    image_id = f"{prefix}/{START + round(second * SECOND)}"
    places, tracks, truth = zip(*people, strict=True) if people else ((), (), ())
    where, ids, tops = zip(*said, strict=True) if said else ((), (), ())
    return (
        annotated(
            image_id,
            START + round(second * SECOND),
            [box(place) for place in places],
            tracks,
            [None if label is None else [label] for label in truth],
            **changes,
        ),
        found(image_id, [box(place) for place in where], ids, tops),
    )
