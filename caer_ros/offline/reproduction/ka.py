"""Tables 3 to 6 of the KA paper: which trainings each is made of, and how our numbers stand in its layout.

Source: Cladière et al., "Knowledge Amalgamation for Single-Shot Context-Aware Emotion Recognition", VISAPP 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from caer_ros.offline.reproduction.laboratory import published_numbers
from caer_ros.offline.reproduction.seeds import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table as RichTable

    from caer_ros.offline.reproduction.laboratory import Scores

TEACHERS = ("fer", "vea", "od")
"""Facial emotion recognition, visual emotion analysis, object (here: person) detection; section 3.1 of the paper."""
PAIRS = (("fer", "vea"), ("fer", "od"), ("vea", "od"))
Recipe = Literal["baseline", "ft", "ka"]
MEASURES = {"er": "ER", "pd": "PD", "oer": "OER"}


@dataclass(frozen=True, slots=True)
class Training:
    """One student of a table: the recipe, the teachers it learns from, and whether it detects persons too."""

    recipe: Recipe
    """"baseline", "ft" (a teacher's weights, fine-tuned) or "ka" (amalgamated)."""
    teachers: tuple[str, ...] = ()
    multi_task: bool = False

    @property
    def name(self) -> str:
        """Such as "ka-fer-od-multi"; names its folder."""
        return "-".join((self.recipe, *self.teachers, *(("multi",) if self.multi_task else ())))


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the paper: rows are combinations of teachers, columns are recipes."""

    number: int
    title: str
    data: tuple[str, ...]
    """Data sets that the paper's table is about, each a block."""
    measures: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    recipes: tuple[Recipe, ...]
    multi_task: bool = False

    @property
    def trainings(self) -> tuple[Training, ...]:
        """The baseline first, then row by row."""
        baseline = Training("baseline", (), self.multi_task)
        return (baseline, *(Training(recipe, row, self.multi_task) for row in self.rows for recipe in self.recipes))


_SINGLE = tuple((teacher,) for teacher in TEACHERS)
TABLES = {
    3: Table(3, "mAP for emotion recognition alone", ("heco", "emotic"), ("er",), _SINGLE, ("ft", "ka")),
    4: Table(4, "ER, PD and OER on HECO, both tasks", ("heco",), tuple(MEASURES), _SINGLE, ("ft", "ka"), True),
    5: Table(5, "ER, PD and OER on EMOTIC, both tasks", ("emotic",), tuple(MEASURES), _SINGLE, ("ft", "ka"), True),
    6: Table(
        6,
        "mAP for emotion recognition alone, with up to 3 teachers",
        ("heco", "emotic"),
        ("er",),
        (*_SINGLE, *PAIRS, TEACHERS),
        ("ka",),
    ),
}

SHARED_IMAGES = "OD: trained on COCO, whose images EMOTIC's mscoco images are; it may have seen some of the test split."

Runs = dict[Training, "list[Scores]"]
"""Scores of each student, seed by seed in one order."""


def published(table: Table, data: str) -> dict[Training, Scores]:
    """The paper's numbers in percent for one block of a table, from resource/published_numbers.yaml."""
    numbers = published_numbers("ka")
    found: dict[Training, Scores] = {}
    for training in table.trainings:
        for measure in table.measures:
            if table.multi_task:
                block = numbers["multi_task"][data][measure]
            elif len(training.teachers) > 1:
                block = {"ka": numbers["teacher_combinations_er"][data]}
            else:
                block = numbers["single_task_er"][data]
            value = block[training.recipe]
            if training.teachers:
                value = value["+".join(training.teachers)]
            found.setdefault(training, {})[measure] = float(value)
    return found


def lay_out(table: Table, data: str, runs: Runs, synthetic: bool) -> RichTable:
    """Our numbers in the paper's layout, for one block.

    Each cell has mean and standard deviation over the seeds, and the difference to the baseline with its paired 95 %
    interval. Beside real data stands the published number; beside synthetic data only the sign of the published
    difference, since nothing else of it could carry over.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable

    paper = published(table, data)
    baseline = table.trainings[0]
    where = "synthetic, in the format of " * synthetic + data.upper()
    grid = RichTable(
        box=SIMPLE_HEAD, title=f"Table {table.number}: {table.title}. {where}; percent", title_justify="left"
    )
    if not synthetic and data == "emotic" and any("od" in row for row in table.rows):
        grid.caption, grid.caption_justify = SHARED_IMAGES, "left"
    grid.add_column("")
    grid.add_column("teacher(s)")
    for recipe in table.recipes:
        grid.add_column({"ft": "F-T", "ka": "KA"}[recipe])
    grid.add_column("baseline")
    for measure in table.measures:
        for row in table.rows:
            cells = [MEASURES[measure] if row == table.rows[0] else "", " + ".join(row).upper()]
            for recipe in table.recipes:
                training = Training(recipe, row, table.multi_task)
                numbers = paper[training][measure], paper[baseline][measure]
                scores = _values(runs[training], measure), _values(runs[baseline], measure)
                cells.append(cell(*scores, *numbers, synthetic))
            if row == table.rows[0]:
                cells.append(cell(_values(runs[baseline], measure), None, paper[baseline][measure], None, synthetic))
            grid.add_row(*cells)
    return grid


def as_data(table: Table, data: str, runs: Runs, seeds: Sequence[int]) -> Mapping[str, Any]:
    """The same as plain data, for JSON: every score of every seed beside the published one."""
    paper = published(table, data)
    return {
        "table": table.number,
        "data": data,
        "seeds": list(seeds),
        "rows": [
            {
                "recipe": training.recipe,
                "teachers": list(training.teachers),
                "multi_task": training.multi_task,
                "scores": {measure: _values(runs[training], measure) for measure in table.measures},
                "published": paper[training],
            }
            for training in table.trainings
        ],
    }


def _values(scores: Sequence[Scores], measure: str) -> list[float]:
    return [score[measure] for score in scores]
