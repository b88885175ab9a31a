"""Plain data that the macros of the templates show."""

from __future__ import annotations

from dataclasses import dataclass

LABEL_COLOURS = 7
"""Colours of labels in the stylesheet: ``--label-0`` to ``--label-6``."""
LABEL_PATTERNS = 4
"""Patterns over a colour that tell its labels apart; the first is none."""


@dataclass(frozen=True, slots=True)
class Headline:
    """A headline number, and what it must be read with."""

    value: str
    name: str
    beside: str
    unit: str = ""
    """Behind the value, and smaller."""


@dataclass(frozen=True, slots=True)
class Swatch:
    """An entry of a legend."""

    css: str
    """Classes that give its field a colour."""
    words: str


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a band, in per cent of the band's width."""

    left: float
    width: float
    css: str = ""
    """Classes that give the stretch a colour."""
    word: str = ""
    """Shown in the stretch; "": nothing."""
    title: str = ""
    """Shown when the stretch is pointed at; "": nothing."""
    stripes: tuple[int, ...] = ()
    """Numbers of the colours one above the other, instead of the one of ``css``."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with words below it."""

    jpeg: bytes
    words: str
    link: str = ""
    """Relative path of the large one; "": there is none."""


def label_css(rank: int) -> str:
    """Classes of the label with that rank, such as "k0" or "k0 p1"; the first ranks have no pattern."""
    pattern, colour = divmod(rank, LABEL_COLOURS)
    return f"k{colour}" + (f" p{pattern % LABEL_PATTERNS}" if pattern else "")
