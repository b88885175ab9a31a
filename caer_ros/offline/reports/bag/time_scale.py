"""The time of a bag as parts of the width of a page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from caer_ros.offline.reports.bag.people import bag_of
from caer_ros.pages.parts import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.evaluation.bags.bag_summary import BagFacts
    from caer_ros.offline.metrics.joined import Floats
    from caer_ros.offline.reports.bag.people import Answers

S = TypeVar("S")

FINEST = 1 / 2000
"""Part of the width that a run has at least: less cannot be seen."""
_TICKS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
"""s, between two marks of the axis."""
_MOST_TICKS = 12
_SECOND = 8
"""Pixels of a second at least: a longer recording can be pushed sideways."""
_WIDEST = 8000
"""Pixels."""
_SAME = 1e-6
"""s"""


@dataclass(frozen=True, slots=True)
class Run(Generic[S]):
    """A state of consecutive frames."""

    state: S
    start: float
    """s"""
    end: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Time scale of one bag: when each annotated frame is."""

    bag: str
    """Its name."""
    images: tuple[int, ...]
    """Indices of the bag's samples in the order of time."""
    seconds: Floats
    """Times of these samples, in s since the bag's first."""
    step: float
    """s between two annotated frames, the median. A frame lasts until the next, but only half as long again."""

    @classmethod
    def of(cls, told: Answers, bags: Sequence[BagFacts], number: int) -> Scale:
        """Make the scale of the bag of that number, which has a frame at least."""
        samples, first = told.joined.samples, bags[number].first_stamp
        of_bag = (index for index, sample in enumerate(samples) if bag_of(sample.image_id, bags) == number)
        images = sorted(of_bag, key=lambda index: samples[index].stamp or 0)
        seconds = np.array([(samples[index].stamp or 0) - first for index in images], np.int64) / 1e9
        step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
        return cls(bags[number].name, tuple(images), seconds, step or 1.0)

    @property
    def end(self) -> float:
        """s, of the last frame."""
        return float(self.seconds[-1]) + self.step

    @property
    def least_width(self) -> int:
        """Pixels."""
        return min(_WIDEST, round(_SECOND * self.end))

    def block(self, start: float, end: float, css: str = "", word: str = "", stripes: tuple[int, ...] = ()) -> Block:
        """The stretch of a band from one time (s) to another."""
        return Block(100 * start / self.end, 100 * (end - start) / self.end, css, word, stripes=stripes)

    def runs(self, seconds: Floats, states: Sequence[S | None]) -> list[Run[S]]:
        """The runs of equal states of frames [F] at ``seconds``; None is no state.

        A run is as wide as can be seen: it begins earlier than it ends by ``FINEST`` at least, at the cost of the runs
        that follow, so that their number has a limit however long the recording is.
        """
        finest = FINEST * self.end
        drawn: list[Run[S | None]] = []
        for run in self._exact(seconds, states):
            if not drawn or drawn[-1].end < run.start - _SAME or drawn[-1].state is None:
                drawn.append(run)
                continue
            last = drawn[-1]
            least = last.start + finest
            if run.state == last.state or run.end <= least:
                drawn[-1] = replace(last, end=run.end)
            elif run.start < least:
                drawn[-1:] = [replace(last, end=least), replace(run, start=least)]
            else:
                drawn.append(run)
        return [Run(run.state, run.start, run.end) for run in drawn if run.state is not None]

    def _exact(self, seconds: Floats, states: Sequence[S | None]) -> list[Run[S | None]]:
        starts = np.asarray(seconds, np.float64)
        ends = np.minimum(np.append(starts[1:], np.inf), starts + 1.5 * self.step)
        ends[-1:] = starts[-1:] + self.step
        part = np.cumsum(np.append(False, starts[1:] > ends[:-1] + _SAME)).tolist()  # a gap begins another part
        runs = []
        for (state, _), members in groupby(range(len(starts)), key=lambda index: (states[index], part[index])):
            first, *others = members
            runs.append(Run(state, float(starts[first]), float(ends[others[-1] if others else first])))
        return runs

    def ticks(self) -> list[tuple[float, str]]:
        """The marks of the axis: place in per cent of the width, and time in words."""
        step = next((step for step in _TICKS if self.end / step <= _MOST_TICKS), _TICKS[-1])
        return [(100 * at / self.end, clock(at, step < 1)) for at in np.arange(0, self.end, step).tolist()]


def clock(seconds: float, tenths: bool = True) -> str:
    """Minutes and seconds, such as 1:05.2."""
    units = round(seconds * (10 if tenths else 1))
    minutes, rest = divmod(units, 600 if tenths else 60)
    return f"{minutes}:{rest / 10:04.1f}" if tenths else f"{minutes}:{rest:02d}"
