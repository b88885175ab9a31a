"""Annotated tracks and published ones for the tests of metrics over time, from one line a frame."""

from __future__ import annotations

import numpy as np
from offline.metrics.tables import array, joined, prediction, sample

from caer_ros.offline.data.predictions import Tracked

SECOND = 10**9


def box(place, shift=0):
    """A box of 40 x 40 pixels; those of different places are far apart, and a shift of 10 leaves an IoU of 0.6."""
    return [50 * place + shift, 0, 50 * place + shift + 40, 40]


def annotated(image_id, stamp=None, boxes=(), tracks=(), truth=None, labels=3, **changes):
    """``truth``: of each person the index of the label, several or none, or None where it is not known."""
    emotions = np.zeros((len(tracks), labels), np.float32)
    for row, those in enumerate(truth or [0] * len(tracks)):
        if those is None:
            emotions[row] = np.nan
        else:
            emotions[row, np.array(those, int)] = 1
    ids = {"track_ids": tuple(tracks), "stamp": stamp}
    return sample(image_id, boxes, emotions, labels, **(ids | changes))


def found(image_id, boxes=(), ids=(), tops=None, scores=None, labels=3, coasted=None, **changes):
    count = len(ids)
    tracked = Tracked(
        ids=tuple(ids),
        coasted=np.zeros(count, bool) if coasted is None else np.array(coasted),
        smoothed=np.full((count, labels), np.nan, np.float32),
        top=np.array([-1] * count if tops is None else tops, np.intp),
    )
    scores = np.full(count, 0.9) if scores is None else scores
    emotions = array(np.full((count, labels), np.nan), labels)
    return prediction(image_id, boxes, scores, emotions, labels, **({"tracked": tracked} | changes))


def together(frames, **header):
    """``frames``: pairs of a sample and its prediction."""
    return joined(*map(list, zip(*frames, strict=True)), **header)
