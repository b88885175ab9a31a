"""Box pooling as ``codecs.pooling`` does it, in numpy: evaluating a bundle needs no PyTorch. See there for the rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

LEAST = 1e-3
"""The smallest extent of a box in pixels, so that no mean is ever over nothing."""


def coverage(boxes: Array, height: int, width: int) -> tuple[Array, Array]:
    """How much of each row [N,h] and of each column [N,w] of the map every box [N,4] covers, 0..1."""
    left, top, right, bottom = np.asarray(boxes, np.float32).reshape(-1, 4).T
    return _covered(top, bottom, height), _covered(left, right, width)


def _covered(low: Array, high: Array, length: int) -> Array:
    edges = np.arange(length, dtype=np.float32)
    low = np.clip(low, 0, np.float32(length - LEAST))
    high = np.maximum(np.minimum(high, np.float32(length)), low + np.float32(LEAST))
    covered: Array = np.clip(np.minimum(high[:, None], edges + 1) - np.maximum(low[:, None], edges), 0, 1)
    return covered


def pool(maps: Array, boxes: Array) -> Array:
    """The weighted mean of every map [E,h,w] of one image in every box [N,4]: [N,E]."""
    rows, columns = coverage(boxes, *maps.shape[-2:])
    rows /= rows.sum(-1, keepdims=True)
    columns /= columns.sum(-1, keepdims=True)
    return np.asarray(np.einsum("nh,ehw,nw->ne", rows, np.float32(maps), columns, optimize=True), np.float32)
