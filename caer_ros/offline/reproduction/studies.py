"""What ``caer reproduce`` can reproduce: of each study, what it is about, its scales and its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import RenderableType

    from caer_ros.offline.reproduction.grids import Grid
    from caer_ros.offline.reproduction.laboratory import Laboratory, Scores
    from caer_ros.offline.reproduction.scales import Scale

    Block = Callable[[str], tuple[RenderableType, Mapping[str, Any]]]
    """Trains the block of a table that is about a data set: to be printed, and as plain data."""

STUDIES = {
    "ka": "tables 3 to 6 of the KA paper; teachers are trained first",
    "context": "does a student that sees the whole scene know more than a model that sees each person's crop?",
    "benet": "tables 1 to 3 of BENet's paper, one training for each combination of heads; --batch counts persons",
    "dsct": "tables 5 to 9 of DSCT's paper",
}
"""Name and content of each study."""
TEACHERS = {"ka": ("fer", "vea", "od")}
"""Studies whose trainings have teachers, and their names."""
WEIGHTS = {
    "benet": "HigherHRNet-W32's COCO pose weights",
    "dsct": "Deformable DETR's of COCO",
}
"""Studies whose trainings can begin with a file of weights, and which."""
STUDENT = ("ka", "context")
"""Studies whose trainings are students, of the scales ``scales.SCALES``."""


class Tables(NamedTuple):
    """The tables of a study."""

    blocks: Mapping[int, tuple[str, ...]]
    """Data sets that each is about, by number."""
    block: Block


def scales_of(study: str) -> Mapping[str, Scale]:
    """The scales of a study, by name."""
    from caer_ros.offline.reproduction import scales

    named: dict[str, Mapping[str, Scale]] = {"benet": scales.BENET, "dsct": scales.DSCT}
    return named.get(study, scales.SCALES)


def tables_of(study: str, number: int, place: Laboratory[Any]) -> Tables:
    """The tables of a study, of which ``number`` will be asked for."""
    seeds = range(place.scale.seeds)
    if study == "ka":
        from caer_ros.offline.reproduction import ka
        from caer_ros.offline.reproduction.trainings import StudentLaboratory

        assert isinstance(place, StudentLaboratory)

        def students(data: str) -> tuple[RenderableType, Mapping[str, Any]]:
            table = ka.TABLES[number]
            runs = place.run(table, data, seeds)
            return ka.lay_out(table, data, runs, place.synthetic), ka.as_data(table, data, runs, seeds)

        return Tables({number: table.data for number, table in ka.TABLES.items()}, students)

    from caer_ros.offline.reproduction import benet, dsct

    def heads(data: str) -> tuple[RenderableType, Mapping[str, Any]]:
        grid = benet.grid(number, data)
        return _trained(place, grid, benet.START, lambda row, seed: benet.scores(place, row, data, seed))

    def queries(data: str) -> tuple[RenderableType, Mapping[str, Any]]:
        grid = dsct.grid(number, data, place.synthetic)
        return _trained(place, grid, dsct.START, lambda row, seed: dsct.scores(place, number, row, data, seed))

    return Tables(benet.TABLES, heads) if study == "benet" else Tables(dsct.TABLES, queries)


def _trained(
    place: Laboratory[Any], grid: Grid, start: str, scores: Callable[[str, int], Scores]
) -> tuple[RenderableType, Mapping[str, Any]]:
    """Every row for every seed; ``start`` is said of real data where no weights were given to begin with."""
    from dataclasses import replace

    from caer_ros.offline.reproduction import grids

    seeds = range(place.scale.seeds)
    runs: dict[str, list[Scores]] = {row: [] for row in grid.rows}
    for seed in seeds:
        for row in grid.rows:
            place.say(f"{grid.data}: {row}, seed {seed}")
            runs[row].append(scores(row, seed))
    if not place.synthetic and place.start is None:
        grid = replace(grid, notes=(*grid.notes, start))
    where = place.in_words(grid.data)
    return grids.lay_out(grid, runs, where, place.synthetic), grids.as_data(grid, runs, seeds)
