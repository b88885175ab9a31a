"""Tables whose rows are trainings and whose columns are what is measured of them: how our numbers stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caer_ros.offline.reproduction.seeds import cell, estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Group

    from caer_ros.offline.reproduction.laboratory import Scores

    Runs = Mapping[str, Sequence[Scores]]
    """Scores of each row, seed by seed in one order."""

CHANCE = "chance"
"""The measure of what scores that say nothing would get."""


@dataclass(frozen=True, slots=True)
class Column:
    """One measure."""

    measure: str
    title: str
    brief: bool = False
    """True: without a difference to the reference."""


@dataclass(frozen=True, slots=True)
class Grid:
    """One table of a paper on one data set."""

    number: int
    title: str
    data: str
    rows: Mapping[str, str]
    """What is trained, by name, in words."""
    reference: str
    """The row that all others are compared with."""
    columns: tuple[Column, ...]
    published: Mapping[str, Scores]
    """The paper's numbers in percent, by row and measure; not all have one."""
    notes: tuple[str, ...] = ()
    """Protocols by which ours and the published numbers came about."""
    chance: bool = True
    """Is what is measured at ``CHANCE`` where nothing was learnt?"""


def lay_out(grid: Grid, runs: Runs, where: str, synthetic: bool) -> Group:
    """Our numbers in the paper's layout.

    Each cell has mean and standard deviation over the seeds, and the difference to the reference with its paired 95 %
    interval. Beside real data stands the published number; beside synthetic data only the sign of the published
    difference.

    Args:
        grid: the table.
        runs: of each of its rows. A measure that a training does not have is left out.
        where: the data in words.
        synthetic: drawn, not photographed.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD)
    table.add_column("", min_width=max(map(len, grid.rows.values())))  # whole, however narrow the screen
    for column in grid.columns:
        table.add_column(column.title)
    for row, title in grid.rows.items():
        table.add_row(title, *(_cell(grid, runs, row, column, synthetic) for column in grid.columns))
    notes = [f"Differences are to {grid.rows[grid.reference]}.", *grid.notes]
    if grid.chance:
        notes.insert(0, f"Chance: {estimate(_values(runs[grid.reference], CHANCE)).mean:.2f}.")
    # Beside the table, which may be narrow, and not as its title and caption.
    heading = Text(f"Table {grid.number}: {grid.title}. {where}; percent", "italic")
    return Group(heading, table, Text("\n".join(notes)))


def as_data(grid: Grid, runs: Runs, seeds: Sequence[int]) -> dict[str, Any]:
    """The same as plain data, for JSON: every score of every seed beside the published one."""
    measures = [CHANCE, *(column.measure for column in grid.columns)]
    return {
        "table": grid.number,
        "data": grid.data,
        "seeds": list(seeds),
        "notes": list(grid.notes),
        "rows": [
            {
                "row": row,
                "scores": {name: _values(runs[row], name) for name in measures if _values(runs[row], name)},
                "published": grid.published.get(row, {}),
            }
            for row in grid.rows
        ],
    }


def _cell(grid: Grid, runs: Runs, row: str, column: Column, synthetic: bool) -> str:
    measure, reference = column.measure, grid.reference
    ours = _values(runs[row], measure)
    if not ours:
        return "—"
    paper, paper_reference = (grid.published.get(name, {}).get(measure) for name in (row, reference))
    others = None if row == reference or column.brief else _values(runs[reference], measure) or None
    return cell(ours, others, paper, paper_reference, synthetic)


def _values(scores: Sequence[Scores], measure: str) -> list[float]:
    return [score[measure] for score in scores if measure in score]
