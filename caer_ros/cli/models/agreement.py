"""How far two models say the same about the same images: whom both find, and what they read in them.

Agreement is not accuracy: two models may agree on what is not there, and of two that disagree either may be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from caer_ros import taxonomy
from caer_ros.perception.boxes import iou
from caer_ros.perception.person import BoxKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.person import Person

    Floats = NDArray[np.float64]

IOU = 0.5
"""Least overlap of two boxes of one kind that show the same person."""
INSIDE = 0.5
"""Least part of a smaller box's area in the larger box, where the kinds differ."""
_LEAST_PERSONS = 3
"""Least number of persons for a correlation: two points always lie on a line."""


@dataclass(frozen=True, slots=True)
class SharedLabels:
    """The S labels that two models can both predict, in the order of the first."""

    names: tuple[tuple[str, str], ...]
    """[S] what the first and what the second calls it."""
    first: tuple[int, ...]
    """[S] where it stands in the first's scores."""
    second: tuple[int, ...]
    """[S] where it stands in the second's scores."""

    @classmethod
    def of(cls, first: Bundle, second: Bundle) -> SharedLabels:
        """Pair labels by ``taxonomy.counterparts``; where one of the label sets is unknown, labels of the same name."""
        if first.label_set in taxonomy.LABEL_SETS and second.label_set in taxonomy.LABEL_SETS:
            means = taxonomy.counterparts(first.label_set, second.label_set)
        else:
            means = {label: label for label in first.labels if label in second.labels}
        places = [(first.labels.index(label), second.labels.index(other)) for label, other in means.items()]
        places = [(a, b) for a, b in places if first.predictable[a] and second.predictable[b]]
        return cls(
            tuple((first.labels[a], second.labels[b]) for a, b in places),
            tuple(a for a, _ in places),
            tuple(b for _, b in places),
        )


def pairs(first: Sequence[Person], second: Sequence[Person]) -> list[tuple[int, int]]:
    """Indices of those persons of one image who are the same for two models, one to one.

    Boxes of one kind must overlap by an IoU of at least ``IOU``. A head or face and a body, or a face and a head,
    cannot be compared so: at least ``INSIDE`` of the smaller kind's area must lie in the larger kind's box, and in a
    body its centre in the upper half. Of all such matchings it is one with the most pairs, and among those the one that
    fits best: the largest sum of IoUs, or of closenesses to where a head is expected, see ``closeness``.

    Args:
        first, second: all of one box kind each.
    """
    if not first or not second:
        return []
    fits = closeness(_boxes(first), first[0].box_kind, _boxes(second), second[0].box_kind)
    # All that the fits can add up to is less than one more pair.
    weights = np.where(fits > 0, 1 + fits / (min(fits.shape) + 1), 0.0)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if fits[row, column] > 0]


def closeness(a: Floats, kind_a: BoxKind, b: Floats, kind_b: BoxKind) -> Floats:
    """How well each box of ``a`` [A,4] and each of ``b`` [B,4] (xyxy) may show one person: [A,B], 0 (not) to 1.

    Of one kind: the IoU. Else 1 / (1 + d), with d how far the smaller box's centre is from where it is expected, in
    widths of the larger box: the middle of a body's top edge, or the centre of a head.
    """
    if kind_a == kind_b:
        overlap = iou(a, b)
        return np.where(overlap >= IOU, overlap, 0.0)
    if kind_a > kind_b:  # BoxKind grows from body to head to face
        return closeness(b, kind_b, a, kind_a).T
    middle_x, middle_y = (a[:, 0] + a[:, 2]) / 2, (a[:, 1] + a[:, 3]) / 2
    x, y = (b[:, 0] + b[:, 2]) / 2, (b[:, 1] + b[:, 3]) / 2
    expected_y = a[:, 1] if kind_a == BoxKind.BODY else middle_y
    away = np.hypot(x - middle_x[:, None], y - expected_y[:, None])
    fit: Floats = 1 / (1 + away / np.maximum(a[:, 2] - a[:, 0], 1e-9)[:, None])
    allowed = _part_inside(b, a).T >= INSIDE
    if kind_a == BoxKind.BODY:
        allowed &= y <= middle_y[:, None]
    return np.where(allowed, fit, 0.0)


def _boxes(persons: Sequence[Person]) -> Floats:
    return np.array([person.box for person in persons], np.float64).reshape(-1, 4)


def _part_inside(inner: Floats, outer: Floats) -> Floats:
    """The part of each inner box [N,4] that lies in each outer one [M,4]: [N,M]."""
    low = np.maximum(inner[:, None, :2], outer[None, :, :2])
    high = np.minimum(inner[:, None, 2:], outer[None, :, 2:])
    area = (inner[:, 2:] - inner[:, :2]).prod(axis=1)
    part: Floats = np.clip(high - low, 0, None).prod(axis=2) / np.maximum(area, 1e-9)[:, None]
    return part


@dataclass(frozen=True, slots=True, eq=False)
class FrameAgreement:
    """Two models about one image."""

    matched: tuple[tuple[int, int], ...]
    """[P] indices of the persons whom both found."""
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    scores: Floats
    """[2,Q,S] the shared labels' scores of both models for those Q of the matched persons whom both read."""

    @classmethod
    def of(cls, first: Sequence[Person], second: Sequence[Person], shared: SharedLabels) -> FrameAgreement:
        """Compare the persons that two models found in an image; each person has the scores of its model's labels."""
        matched = pairs(first, second)
        found = {row for row, _ in matched}, {column for _, column in matched}
        scores = np.array(
            [
                [[first[row].scores[i] for i in shared.first] for row, _ in matched],
                [[second[column].scores[i] for i in shared.second] for _, column in matched],
            ],
            np.float64,
        ).reshape(2, len(matched), len(shared.names))
        read = np.isfinite(scores).all(axis=(0, 2))
        return cls(
            tuple(matched),
            tuple(index for index in range(len(first)) if index not in found[0]),
            tuple(index for index in range(len(second)) if index not in found[1]),
            scores[:, read],
        )

    @property
    def same_top(self) -> NDArray[np.bool_]:
        """[Q] whether the largest of the shared labels' scores is the same one's; [0] for less than two labels."""
        if self.scores.shape[2] < 2:
            return np.empty(0, bool)
        top = self.scores.argmax(axis=2)
        return np.asarray(top[0] == top[1], bool)

    @property
    def disagreements(self) -> int:
        """Persons whom only one of them sees, and persons to whom they give another top label."""
        return len(self.only_first) + len(self.only_second) + int((~self.same_top).sum())

    @property
    def difference(self) -> float:
        """Mean absolute difference of the shared labels' scores, 0..1; 0 where nobody was read by both."""
        return float(np.abs(self.scores[0] - self.scores[1]).mean()) if self.scores.size else 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two models about all images. Shares are 0..1, and NaN where there is nothing to count."""

    pairs: int
    """Persons whom both found."""
    only_first: int
    only_second: int
    read: int
    """Pairs to whom both models gave scores."""
    same_top: int
    """Read pairs in which both models give the largest score to the same shared label."""
    only_one_share: float
    """Persons that only one model found, as a share of all that either found."""
    same_top_share: float
    """Share of the read pairs with the same top label; NaN for less than two shared labels."""
    correlation: float
    """Pearson's, of each shared label over the persons read, and the mean of these; labels that either model gives all
    persons the same score are left out."""
    difference: float
    """Mean absolute difference of the shared labels' scores of the persons read."""

    @classmethod
    def of(cls, frames: Sequence[FrameAgreement]) -> Agreement:
        """Sum up one image or more."""
        matched = sum(len(frame.matched) for frame in frames)
        only = sum(len(frame.only_first) for frame in frames), sum(len(frame.only_second) for frame in frames)
        scores = np.concatenate([frame.scores for frame in frames], axis=1)
        judged = np.concatenate([frame.same_top for frame in frames])
        return cls(
            pairs=matched,
            only_first=only[0],
            only_second=only[1],
            read=scores.shape[1],
            same_top=int(judged.sum()),
            only_one_share=_share(sum(only), matched + sum(only)),
            same_top_share=_share(int(judged.sum()), len(judged)),
            correlation=_correlation(scores),
            difference=float(np.abs(scores[0] - scores[1]).mean()) if scores.size else float("nan"),
        )


def _correlation(scores: Floats) -> float:
    """Mean over the labels of [2,Q,S]; NaN where there is none to compute."""
    if scores.shape[1] < _LEAST_PERSONS:
        return float("nan")
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=1))
    varies = (spread > 1e-6).all(axis=0)
    each = (centred[0] * centred[1]).sum(axis=0)[varies] / spread.prod(axis=0)[varies]
    return float(each.mean()) if each.size else float("nan")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
