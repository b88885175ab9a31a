"""Tables of ``caer evaluate portraits``, models side by side, as text, Markdown and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caer_ros.offline.evaluation.portraits.portrait_figures import FATES, GROUP_SIZES, LARGE
from caer_ros.offline.reports.tables import Table
from caer_ros.pages import page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from caer_ros.offline.evaluation.portraits.other_pictures import OfFolder
    from caer_ros.offline.evaluation.portraits.portrait_figures import Figures, OfSize
    from caer_ros.offline.metrics.intervals import Interval
    from caer_ros.offline.metrics.proportions import Proportion

HOW = (
    "Of a part the 95 % interval of Wilson is given, and hits of cases. Where a person has several cases it is that of "
    "as many independent cases as have the same variance between persons; where all cases are alike, of as many as "
    "there are persons. AUC: bootstrap over persons.",
    "Right, wrong: a certain label (status OK), Neutral for neutral faces and Happy for smiling ones being right. "
    "No label: found, with a status that says why there is none. The five parts of a row are of all cases.",
    "Heads of portraits on bodies of street photographs, with no light blended: these persons never stood there, and "
    "the intervals say nothing about other cameras, light or ways to smile.",
)
"""What the tables must be read with."""


def tables(figures: dict[str, Figures], folders: dict[str, list[OfFolder]]) -> list[Table]:
    """All tables.

    Args:
        figures: by model.
        folders: by model, what was said in other pictures.
    """
    made = [_sizes(figures), _fates(figures), _groups(figures), _unreadable(figures), _folders(folders)]
    return [table for table in made if table.rows]


def _sizes(figures: dict[str, Figures]) -> Table:
    header = ("model", "shown as", "face px", "found", "certain", "certain and right", "AUC of smiles", "with scores")
    rows = [
        (
            model,
            of.view,
            str(of.size),
            part(of.found),
            f"{of.precision.cases} of {of.found.cases}",
            part(of.precision),
            auc(of.auc),
            f"{of.scored} of {of.found.cases}",
        )
        for model, of in _each_size(figures)
    ]
    return Table("Persons found, and how good certain labels are", header, tuple(rows), (0, 1))


def _fates(figures: dict[str, Figures]) -> Table:
    rows = [
        (model, of.view, str(of.size), expression, *(part(fates[name]) for name in FATES))
        for model, of in _each_size(figures)
        for expression, fates in of.fates.items()
    ]
    return Table("What was said", ("model", "shown as", "face px", "face", *FATES), tuple(rows), (0, 1, 3))


def _each_size(figures: dict[str, Figures]) -> list[tuple[str, OfSize]]:
    """Every view and size with every model, those of one size beside each other."""
    order = {(of.view, of.size): None for its in figures.values() for of in its.sizes}
    return [(m, of) for key in order for m, its in figures.items() for of in its.sizes if (of.view, of.size) == key]


def _groups(figures: dict[str, Figures]) -> Table:
    sizes = " and ".join(str(size) for size in GROUP_SIZES)
    header = ("group", "persons", "model", "face", "right", "wrong", "without a label")
    rows = []
    order = {(of.attribute, of.group): None for its in figures.values() for of in its.groups}
    for key in order:
        for model, its in figures.items():
            for of in its.groups:
                if (of.attribute, of.group) != key:
                    continue
                for expression, fates in of.fates.items():
                    without = sum(fates[name].hits for name in FATES[2:])
                    cells = (part(fates["right"]), part(fates["wrong"]), f"{without}/{fates['right'].cases}")
                    rows.append((f"{of.attribute}: {of.group}", str(of.persons), model, expression, *cells))
    return Table(f"Groups of persons, faces of {sizes} px on bodies", header, tuple(rows), (0, 2, 3))


def _unreadable(figures: dict[str, Figures]) -> Table:
    header = ("what", "face", "covered by", "model", "found", "a certain label nevertheless")
    order = {(of.view, of.size, of.cover): None for its in figures.values() for of in its.unreadable}
    rows = [
        (of.view, of.size, of.cover, model, part(of.found), part(of.certain))
        for key in order
        for model, its in figures.items()
        for of in its.unreadable
        if (of.view, of.size, of.cover) == key
    ]
    title = f"Faces that cannot be read: painted covers and hair; pooled from {LARGE} px"
    return Table(title, header, tuple(rows), (0, 1, 2, 3))


def _folders(folders: dict[str, list[OfFolder]]) -> Table:
    header = ("pictures", "model", "with a person found", "persons found", "with a certain label", "pictures with one")
    rows = [
        (f"{of.kind}: {of.folder}", model, part(of.pictures), str(of.found), part(of.certain), part(of.labelled))
        for at in range(max(map(len, folders.values()), default=0))
        for model, its in folders.items()
        for of in its[at : at + 1]
    ]
    return Table("Other pictures, intervals over pictures", header, tuple(rows), (0, 1))


def part(value: Proportion) -> str:
    """Such as "96 % [84–98] 48/50"; a dash without cases."""
    if not value.cases:
        return "—"
    return f"{100 * value.share:.0f} % [{100 * value.low:.0f}–{100 * value.high:.0f}] {value.hits}/{value.cases}"


def auc(value: Interval | None) -> str:
    """Such as "0.94 [0.88–0.98]"; a dash where there is none."""
    return f"{value.value:.2f} [{value.low:.2f}–{value.high:.2f}]" if value else "—"


def markdown(title: str, notes: Sequence[str], made: Sequence[Table]) -> str:
    """All tables as Markdown."""
    lines = [f"# {title}", "", *(f"- {note}" for note in notes), ""]
    for table in made:
        bars = ("---" if place in table.words else "---:" for place in range(len(table.header)))
        lines += [f"## {table.title}", "", _row(table.header), _row(bars), *map(_row, table.rows), ""]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def html(title: str, notes: Sequence[str], made: Sequence[Table], facts: dict[str, dict[str, str]]) -> str:
    """All tables as a page, without pictures of people."""
    return page.render("portraits.html.j2", title=title, notes=notes, tables=made, facts=facts)
