"""The colours of labels in a bag's report: one label, one colour on the whole page, safe for the colour-blind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.reports.bag.people import MISSED, NO_LABEL
from caer_ros.pages.parts import LABEL_COLOURS, Swatch, label_css

if TYPE_CHECKING:
    from caer_ros.offline.reports.bag.people import Answers


@dataclass(frozen=True, slots=True)
class Palette:
    """Names and CSS classes of what can be true of a person, or said."""

    labels: tuple[str, ...]
    rank: tuple[int, ...]
    """[E] of each label, 0 for what occurs most: it has the first colour, and none of the patterns."""

    @classmethod
    def of(cls, told: Answers) -> Palette:
        """Rank the labels by how often they are annotated or said."""
        labels = told.joined.header.labels
        counts = np.zeros(len(labels))
        for truth, said in zip(told.truth, told.said.tolist(), strict=True):
            counts[list({*truth, said} - {NO_LABEL, MISSED})] += 1
        rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        return cls(labels, tuple(rank.tolist()))

    def css(self, label: int) -> str:
        """The class of a label, ``NO_LABEL`` or ``MISSED``."""
        if label < 0:
            return "none" if label == NO_LABEL else "missed"
        return label_css(self.rank[label])

    def colours(self, labels: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers of the colours of labels."""
        return tuple(self.rank[label] % LABEL_COLOURS for label in labels)

    def word(self, label: int) -> str:
        """The name of a label, ``NO_LABEL`` or ``MISSED``."""
        return self.labels[label] if label >= 0 else "missed" if label == MISSED else "no label"

    def swatch(self, label: int) -> Swatch:
        """Its colour and its name."""
        return Swatch(self.css(label), self.word(label))
