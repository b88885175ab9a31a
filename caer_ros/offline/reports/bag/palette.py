"""The colours of labels in a bag's report: one label, one colour on the whole page, safe for the colour-blind."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.reports.bag.people import MISSED, NO_LABEL

if TYPE_CHECKING:
    from caer_ros.offline.reports.bag.people import Answers

# Okabe and Ito, "Color Universal Design" (2008), without black; light ones carry dark words.
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
_DARK = (5, 6)
_PATTERNS = (
    "",
    "background-image: repeating-linear-gradient(45deg, #fff9 0 2px, #fff0 2px 7px)",
    "background-image: radial-gradient(#fffb 1.4px, #fff0 1.8px); background-size: 7px 7px",
    "background-image: repeating-linear-gradient(90deg, #fff9 0 2px, #fff0 2px 7px)",
)
_MISSED = "repeating-linear-gradient(-45deg, #5d6b7a 0 1.2px, #fff 1.2px 5px)"


@dataclass(frozen=True, slots=True)
class Palette:
    """Names and CSS classes of what can be true of a person, or said."""

    labels: tuple[str, ...]
    rank: tuple[int, ...]
    """[E] of each label, 0 for what occurs most: it has the first colour, and none of the patterns."""

    @classmethod
    def of(cls, told: Answers) -> Palette:
        """Of the labels that are annotated and said."""
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
        pattern, colour = divmod(self.rank[label], len(_COLOURS))
        return f"k{colour}" + (f" p{pattern % len(_PATTERNS)}" if pattern else "")

    def stripes(self, labels: tuple[int, ...]) -> str:
        """CSS of the colours of labels, one above the other."""
        part = 100 / len(labels)
        stops = [
            f"{_COLOURS[self.rank[label] % len(_COLOURS)]} {part * number:.0f}% {part * (number + 1):.0f}%"
            for number, label in enumerate(labels)
        ]
        return f"background:linear-gradient({','.join(stops)})"

    def word(self, label: int) -> str:
        """The name of a label, ``NO_LABEL`` or ``MISSED``."""
        return self.labels[label] if label >= 0 else "missed" if label == MISSED else "no label"

    def swatch(self, label: int) -> str:
        """A field of its colour, and its name."""
        return f'<span class="label"><i class="swatch {self.css(label)}"></i>{escape(self.word(label))}</span>'


def style() -> str:
    """The CSS of the classes."""
    colours = [
        f".k{number} {{ background-color: {colour}; color: {'#fff' if number in _DARK else '#1b2430'}; }}"
        for number, colour in enumerate(_COLOURS)
    ]
    patterns = [f".p{number} {{ {pattern}; }}" for number, pattern in enumerate(_PATTERNS) if pattern]
    others = f".none {{ background: #c3c9d0; }} .missed {{ background: {_MISSED}; }}"
    return "\n".join([*colours, *patterns, others])
