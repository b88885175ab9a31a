"""What the answers of a model come to: by size, by group, with covered faces, from behind, and in other pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.evaluation.portraits.portrait_cases import BEHIND, BODY, EXPECTED, EYES, MOUTH, PORTRAIT
from caer_ros.offline.metrics.intervals import Interval, bootstrap
from caer_ros.offline.metrics.proportions import Proportion, proportion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.evaluation.portraits.portrait_cases import Answer, Case
    from caer_ros.offline.evaluation.portraits.portrait_set import KnownPerson

    Answered = tuple[Case, Answer]

FATES = ("right", "wrong", "uncertain", "no label", "missed")
"""What became of a case: a certain label, right or wrong; UNCERTAIN; another status without a label; not found."""
GROUP_SIZES = (32, 80)
"""Widths of faces over which groups of persons are pooled."""
LARGE = 32
"""Width in pixels from which covered faces are pooled: smaller ones have no label often for another reason."""
AGES = ((25, "under 25"), (35, "25 to 34"), (float("inf"), "35 and older"))
"""Upper bounds of the groups of age in years."""
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class OfSize:
    """Cases with one view and one size of face; shares are over all of them, also those of persons not found."""

    view: str
    size: int
    found: Proportion
    fates: dict[str, dict[str, Proportion]]
    """By expression, then by one of ``FATES``."""
    precision: Proportion
    """Of certain labels, those that are right."""
    labels: dict[str, dict[str, int]]
    """By expression: how often each certain label was given."""
    statuses: dict[str, dict[str, int]]
    """By expression: how often each status was given."""
    auc: Interval | None
    """Part of all pairs of a smiling and a neutral face in which the smiling one has the higher Happy less Neutral
    score; bootstrap over persons. None with fewer than two persons, or one expression alone, with scores."""
    scored: int
    """Cases with both scores."""


@dataclass(frozen=True, slots=True)
class OfGroup:
    """Persons of one group, pooled over ``GROUP_SIZES`` on bodies."""

    attribute: str
    group: str
    persons: int
    fates: dict[str, dict[str, Proportion]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Faces that cannot be read: how often a certain label is given nevertheless, over all cases."""

    view: str
    size: str
    """In pixels, or ``LARGE`` and more."""
    cover: str
    """What covers; "any"."""
    found: Proportion
    certain: Proportion


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one model."""

    sizes: tuple[OfSize, ...]
    groups: tuple[OfGroup, ...]
    unreadable: tuple[Unreadable, ...]


def figures(answered: Sequence[Answered], persons: Sequence[KnownPerson]) -> Figures:
    """What the answers of one model come to.

    Args:
        answered: each case with the model's answer.
        persons: those of the cases, for their groups.
    """
    by_size = []
    for view in (BODY, PORTRAIT):
        for size in sorted({case.size for case, _ in answered if case.view == view}):
            by_size.append(
                _of_size(view, size, [one for one in answered if (one[0].view, one[0].size) == (view, size)])
            )
    return Figures(tuple(by_size), tuple(_groups(answered, persons)), tuple(_unreadable(answered)))


def fate(case: Case, answer: Answer) -> str:
    """One of ``FATES``."""
    if not answer.found:
        return "missed"
    if answer.label:
        return "right" if answer.label == EXPECTED[case.expression] else "wrong"
    return "uncertain" if answer.status == "UNCERTAIN" else "no label"


def _of_size(view: str, size: int, answered: Sequence[Answered]) -> OfSize:
    certain = [one for one in answered if one[1].label]
    expressions = [(name, [one for one in answered if one[0].expression == name]) for name in EXPECTED]
    return OfSize(
        view,
        size,
        proportion((case.person, answer.found) for case, answer in answered),
        _fates(answered),
        proportion((case.person, fate(case, answer) == "right") for case, answer in certain),
        {name: _counts(answer.label for _, answer in some) for name, some in expressions},
        {name: _counts(answer.status for _, answer in some) for name, some in expressions},
        _auc(answered),
        len(_scored(answered)),
    )


def _fates(answered: Iterable[Answered]) -> dict[str, dict[str, Proportion]]:
    judged = [(case.expression, case.person, fate(case, answer)) for case, answer in answered]
    return {
        expression: {
            name: proportion((person, what == name) for own, person, what in judged if own == expression)
            for name in FATES
        }
        for expression in EXPECTED
    }


def _counts(names: Iterable[str]) -> dict[str, int]:
    given = [name for name in names if name]
    return {name: given.count(name) for name in sorted(set(given))}


# --- AUC -----------------------------------------------------------------------------------------------------------


def _scored(answered: Iterable[Answered]) -> list[tuple[str, bool, float]]:
    """Person, whether smiling, and Happy less Neutral, of each case with both scores."""
    scored = []
    for case, answer in answered:
        scores = answer.scores or {}
        value = scores.get(EXPECTED["smiling"], np.nan) - scores.get(EXPECTED["neutral"], np.nan)
        if np.isfinite(value):
            scored.append((case.person, case.expression == "smiling", value))
    return scored


def _auc(answered: Iterable[Answered]) -> Interval | None:
    scored = _scored(answered)
    smiling = np.array([one[1] for one in scored], bool)
    persons = [one[0] for one in scored]
    if smiling.all() or not smiling.any() or len(set(persons)) < 2:
        return None
    values = np.array([one[2] for one in scored])
    return bootstrap(lambda weights: auc(values, smiling, weights), persons, DRAWS)


def auc(values: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    """Part of the weighted pairs of a positive and a negative in which the positive is higher; a tie is a half.

    Args:
        values: [N].
        positive: [N].
        weights: [N] how often each counts; NaN comes back where one side has no weight.
    """
    higher = values[positive][:, None] - values[~positive][None]
    pairs = weights[positive][:, None] * weights[~positive][None]
    total = float(pairs.sum())
    return float((pairs * ((higher > 0) + 0.5 * (higher == 0))).sum()) / total if total else float("nan")


# --- Groups --------------------------------------------------------------------------------------------------------


def _groups(answered: Sequence[Answered], persons: Sequence[KnownPerson]) -> Iterable[OfGroup]:
    pooled = [one for one in answered if one[0].view == BODY and one[0].size in GROUP_SIZES]
    seen = {case.person for case, _ in pooled}
    for attribute in ("gender", "ethnicity", "age"):
        group_of = {person.name: group(person, attribute) for person in persons if person.name in seen}
        order = [name for _, name in AGES] + ["not said"] if attribute == "age" else sorted(set(group_of.values()))
        for name in order:
            own = {person for person, its in group_of.items() if its == name}
            if own:
                yield OfGroup(attribute, name, len(own), _fates(one for one in pooled if one[0].person in own))


def group(person: KnownPerson, attribute: str) -> str:
    """The group that a person belongs to by "gender", "ethnicity" or "age"."""
    if attribute != "age":
        return str(getattr(person, attribute))
    if person.age is None:
        return "not said"
    return next(name for below, name in AGES if person.age < below)


# --- Faces that cannot be read -------------------------------------------------------------------------------------


def _unreadable(answered: Sequence[Answered]) -> Iterable[Unreadable]:
    for view in (MOUTH, EYES, BEHIND):
        of_view = [one for one in answered if one[0].view == view]
        for size in sorted({case.size for case, _ in of_view}):
            yield _certain(view, f"{size} px", "any", [one for one in of_view if one[0].size == size])
        large = [one for one in of_view if one[0].size >= LARGE]
        if large:
            yield _certain(view, f"{LARGE} px and more", "any", large)
        for cover in sorted({case.cover for case, _ in large if case.cover}):
            yield _certain(view, f"{LARGE} px and more", cover, [one for one in large if one[0].cover == cover])


def _certain(view: str, size: str, cover: str, answered: Sequence[Answered]) -> Unreadable:
    return Unreadable(
        view,
        size,
        cover,
        proportion((case.person, answer.found) for case, answer in answered),
        proportion((case.person, bool(answer.label)) for case, answer in answered),
    )
