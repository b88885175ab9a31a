"""How emotions are read in given boxes, for each ``pooling`` of a bundle, in numpy: evaluating needs no PyTorch.

box_mean: as ``components.pooling`` does it; see there for the rule. box_attention: as ``people.attention`` does it.
centre: as ``benet.codec`` does it. query: the choice among the persons of a network without maps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Array = NDArray[np.float32]

HEIGHT = 1.2
"""Attention: of a box that is taller than so many of its widths, only this part is searched for a face."""
DOWN, SPREAD, ASIDE = 0.25, 0.25, 0.25
"""Attention: where a face is expected, below the top edge, and how far from there it may be (a standard deviation), in
heights of that part; and how far from the middle, in widths of the box."""
MOST = 8.0
"""Attention: logits of a face beyond count as this much, so that 16 bits hold their exponentials."""
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


def pool_attention(maps: Array, boxes: Array, face: Array) -> Array:
    """The mean of every map [E,h,w] of one image in every box [N,4], weighted by where a face may be: [N,E].

    ``face`` [h,w] are logits of a face; see ``people.attention`` for the rule.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    rows, columns = coverage(boxes, *maps.shape[-2:])
    left, top, right, bottom = boxes.T
    wide: Array = np.asarray(np.maximum(right - left, 1), np.float32)
    tall: Array = np.asarray(np.minimum(np.maximum(bottom - top, 1), HEIGHT * wide), np.float32)
    rows *= _gaussian(np.asarray(top + DOWN * tall, np.float32), np.asarray(SPREAD * tall, np.float32), rows.shape[1])
    columns *= _gaussian(
        np.asarray((left + right) / 2, np.float32), np.asarray(ASIDE * wide, np.float32), columns.shape[1]
    )
    weights = rows[:, :, None] * columns[:, None] * np.exp(np.clip(np.float32(face), -MOST, MOST))
    weights /= weights.sum((1, 2), keepdims=True)
    return np.asarray(np.einsum("nhw,ehw->ne", weights, np.float32(maps), optimize=True), np.float32)


def _gaussian(centres: Array, deviations: Array, length: int) -> Array:
    distances = (np.arange(length, dtype=np.float32) + 0.5 - centres[:, None]) / deviations[:, None]
    return np.asarray(np.exp(np.maximum(-0.5 * distances**2, -30)), np.float32)


def centre_pixels(boxes: Array, scale: Array, height: int, width: int) -> NDArray[np.intp]:
    """The pixels of the input [N,2] (column, row) at which emotions of boxes in the source image are read.

    As BENet's evaluation does it (authors' code): the centre is cut to a whole pixel of the source, brought to the
    input, and cut again. Centres beyond the image give pixels at its edge.

    Args:
        boxes: [N,4] in pixels of the source image.
        scale: [2] pixels of the input for one of the source, x and y.
        height, width: of the input.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    centres = np.floor((corners[:, :2] + corners[:, 2:]) / 2)
    places = np.floor(centres * np.asarray(scale, np.float64))
    return np.asarray(np.clip(places, 0, (width - 1, height - 1)), np.intp)


def read_enlarged(maps: Array, pixels: NDArray[np.intp], height: int, width: int) -> Array:
    """Maps [E,h,w] as they would be when brought bilinearly to ``height`` and ``width``, read at pixels [N,2]: [N,E].

    The same as enlarging and reading, without computing what is not read; corners are not aligned, as in PyTorch.
    """
    scale = np.divide(maps.shape[:0:-1], (width, height))
    columns, rows = ((pixels + 0.5) * scale - 0.5).T
    places = np.stack(np.broadcast_arrays(np.arange(len(maps)), rows[:, None], columns[:, None]))
    return np.asarray(map_coordinates(maps, places, order=1, mode="nearest"), np.float32)


def best_queries(queries: Array, boxes: Array) -> NDArray[np.intp]:
    """For each box [N,4] the index of the query [K,4] that overlaps it most, both in pixels of the source: [N].

    As DSCT's evaluation does it (authors' code): all K take part, whatever their scores, two boxes may have the same
    query, and there is no least IoU. Corners count as pixels that belong to the box, so 1 is added to each extent.
    Where several overlap equally, such as not at all, the last is taken. A query that is no finite box comes last.
    """
    given, found = (np.asarray(b, np.float64).reshape(-1, 4) for b in (boxes, queries))
    low = np.maximum(given[:, None, :2], found[None, :, :2])
    high = np.minimum(given[:, None, 2:], found[None, :, 2:])
    both = np.prod(np.maximum(high - low + 1, 0), axis=2)
    areas = [np.prod(b[:, 2:] - b[:, :2] + 1, axis=1) for b in (given, found)]
    overlaps = np.nan_to_num(both / (areas[0][:, None] + areas[1][None] - both), nan=-1.0)
    last_first = overlaps[:, ::-1]
    return np.asarray(len(found) - 1 - last_first.argmax(axis=1), np.intp)
