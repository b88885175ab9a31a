"""The worst errors of a bag as pictures: who was missed, who is not there, who was given a wrong label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from caer_ros.offline.reports import drawn
from caer_ros.offline.reports.bag import mistakes
from caer_ros.offline.reports.bag.bag_pictures import Shot
from caer_ros.offline.reports.bag.people import MISSED, bag_of
from caer_ros.offline.reports.bag.time_scale import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from caer_ros.offline.evaluation.bags.bag_summary import BagFacts
    from caer_ros.offline.reports.bag.bag_pictures import Image
    from caer_ros.offline.reports.bag.mistakes import Kind, Mistake
    from caer_ros.offline.reports.bag.palette import Palette
    from caer_ros.offline.reports.bag.people import Answers
    from caer_ros.pages.parts import Swatch

    Errors = Mapping[Kind, Sequence[Mistake]]

MOST = 6
"""Pictures of each kind of error."""
SIDE = 560
"""Pixels, the longest side of a picture."""
_COLUMNS = 3
"""On a wide page; kinds with few errors stand beside each other."""
_KINDS: dict[Kind, tuple[str, str]] = {
    "missed": ("Missed persons", "Annotated, and not found at IoU 0.5; first who was missed for longest."),
    "false": ("False boxes", "Around nobody who is annotated, at IoU 0.5; first those that stayed for longest."),
    "wrong": ("Wrong labels", "Said of persons who were found; first those with the highest scores."),
}


@dataclass(frozen=True, slots=True)
class ShownError:
    """One error as the page shows it."""

    jpeg: bytes | None
    """None: no picture was taken."""
    true: tuple[Swatch, ...]
    """The labels that are true."""
    not_true: str
    """In words, what is true where no label is."""
    said: Swatch | None
    """The label that was said of somebody who was found and is there."""
    score: float
    """Score of that label, 0..1."""
    answer: str
    """In words, what came out where no label was said."""
    where: tuple[str, ...]
    """Person, bag, time and length."""


@dataclass(frozen=True, slots=True)
class ShownKind:
    """The errors of one kind as the page shows them."""

    heading: str
    note: str
    columns: int
    errors: tuple[ShownError, ...]


def errors(told: Answers) -> Errors:
    """The worst of each kind."""
    return {kind: mistakes.worst(told, kind, MOST) for kind in _KINDS}


def shots(told: Answers, shown: Errors) -> dict[tuple[Kind, int], Shot]:
    """The picture of each error, by its kind and number."""
    samples = told.joined.samples
    return {
        (kind, number): Shot(samples[mistake.image].image_id, partial(_drawn, told=told, mistake=mistake))
        for kind, mistakes in shown.items()
        for number, mistake in enumerate(mistakes)
    }


def kinds(
    told: Answers,
    shown: Errors,
    bags: Sequence[BagFacts],
    palette: Palette,
    taken: Mapping[tuple[Kind, int], bytes],
) -> list[ShownKind]:
    """The kinds of which there are errors, with the pictures that were taken; without any, in words alone."""
    return [
        ShownKind(
            heading,
            note,
            min(len(shown[kind]), _COLUMNS),
            tuple(
                _shown(told, mistake, bags, palette, taken.get((kind, number)))
                for number, mistake in enumerate(shown[kind])
            ),
        )
        for kind, (heading, note) in _KINDS.items()
        if shown[kind]
    ]


def _drawn(pixels: Image, told: Answers, mistake: Mistake) -> bytes:
    """Around a missed person everybody who was found is of interest; else only whom the error is about."""
    image, header = told.joined.images[mistake.image], told.joined.header
    found = range(len(image.boxes)) if mistake.kind == "missed" else [mistake.found]
    persons = drawn.persons(image, found, header.box_kind)
    return drawn.jpeg(pixels, told.joined.samples[mistake.image].boxes, persons, header.labels, SIDE, mistake.box)


def _shown(
    told: Answers, mistake: Mistake, bags: Sequence[BagFacts], palette: Palette, jpeg: bytes | None
) -> ShownError:
    """What is true, what was said, when and for how long."""
    sample, bag = told.joined.samples[mistake.image], bags[bag_of(told.joined.samples[mistake.image].image_id, bags)]
    true: tuple[Swatch, ...] = ()
    said, not_true, answer, who = None, "nobody", "not found", ""
    if mistake.person >= 0:
        true = tuple(palette.swatch(label) for label in told.truth[mistake.person])
        not_true = "none of the labels" if told.known[mistake.person] else "not annotated"
        label = int(told.said[mistake.person])
        said = None if label == MISSED else palette.swatch(label)
        who = sample.track_ids[told.row[mistake.person]].removeprefix(f"{bag.name}/")
    else:
        tracked = told.joined.images[mistake.image].tracked
        coasted = ", the tracker's estimate" if tracked and tracked.coasted[mistake.found] else ""
        answer = f"found with a score of {100 * mistake.score:.0f} %{coasted}"
    lasted = f"{mistake.frames:,} frame{'s' if mistake.frames > 1 else ''}"
    lasted += f" over {mistake.seconds:.1f} s" if mistake.seconds else ""
    at = f"at {clock(((sample.stamp or 0) - bag.first_stamp) / 1e9)}" if sample.stamp else sample.image_id
    where = tuple(filter(None, (who, bag.name if len(bags) > 1 else "", at, lasted)))
    return ShownError(jpeg, true, not_true, said, mistake.score, answer, where)
