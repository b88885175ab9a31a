"""The report of an evaluation of bags: one HTML file that opens from disk and needs nothing beside it.

However long the recording, it shows ``person_timeline.ROWS`` persons, with ``CUTS`` thumbnails together, and
``gallery.MOST`` pictures of each kind of error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from caer_ros.offline.evaluation.bags.as_recorded import WARNING, Fate
from caer_ros.offline.metrics.matching import IOU_THRESHOLDS
from caer_ros.offline.reports import bag_tables, drawn
from caer_ros.offline.reports.bag import bag_plots, gallery, headline, people, person_timeline
from caer_ros.offline.reports.bag.bag_pictures import Shot, take
from caer_ros.offline.reports.bag.palette import Palette
from caer_ros.offline.reports.tables import Table, percent
from caer_ros.pages import page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from caer_ros.offline.evaluation.bags.as_recorded import Account
    from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation
    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.reports.bag.bag_pictures import Pictures
    from caer_ros.offline.reports.bag.people import Answers, Course


@dataclass(frozen=True, slots=True)
class FatePart:
    """A part of a bar, and its entry in the legend."""

    css: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class FateBar:
    """What became of frames."""

    heading: str
    parts: tuple[FatePart, ...]


def html(result: BagEvaluation, joined: Joined, pictures: Pictures | None) -> str:
    """The whole document.

    Args:
        result: all numbers.
        joined: the samples, and the answers to them that the headline judges.
        pictures: the frames of the bags; None: no pictures of people.

    Raises:
        SourceError: a bag cannot be read for its pictures.
    """
    first, *others = bag_tables.tables(result)
    if result.model.labels and result.evaluation.persons:
        others.append(_overlaps(result))
    return page.render(
        "bag.html.j2",
        title=result.title,
        deadline_ms=None if result.deadline is None else f"{1000 * result.deadline:g}",
        warnings=[note for note in result.notes if note.startswith(WARNING)],
        headline=headline.numbers(result),
        **_persons(result, people.answers(joined), pictures),
        fates=_fates(result),
        fates_deadline_ms=f"{1000 * result.account.deadline:g}" if result.account else "",
        plots=list(bag_plots.all_plots(result, joined)),
        label_plots=list(bag_plots.label_plots(result, joined)),
        size=first.title.removeprefix(f"{result.title}: "),
        tables=[first, *others],
        notes=[note for note in result.notes if not note.startswith(WARNING)],
        left_out=result.left_out,
        command=result.identity.command,
        origin=_origin(result),
    )


# --- Persons and errors, with the pictures of both taken in one pass -----------------------------------------------


def _persons(result: BagEvaluation, told: Answers, pictures: Pictures | None) -> dict[str, Any]:
    """What the template needs of them; None or nothing for a section without content."""
    courses = people.courses(told, result.bags)
    shown, errors, palette = person_timeline.chosen(courses), gallery.errors(told), Palette.of(told)
    cuts, drawings = _cuts(told, shown), gallery.shots(told, errors)
    taken = take(pictures, cuts | drawings) if pictures else {}
    timeline, note = None, ""
    if shown:
        thumbnails: list[dict[int, bytes]] = [{} for _ in shown]
        for course, frame in cuts.keys() & taken.keys():
            thumbnails[course][frame] = taken[course, frame]
        fates = _fate_of(result, told)
        timeline = person_timeline.timeline(told, shown, result.bags, palette, result.stability, fates, thumbnails)
        if len(shown) < len(courses):
            note = f" Of {len(courses):,} persons the {len(shown)} who are annotated for longest."
    drawn_errors = {key: taken[key] for key in drawings.keys() & taken.keys()}
    return {
        "timeline": timeline,
        "timeline_note": note,
        "errors": gallery.kinds(told, errors, result.bags, palette, drawn_errors),
        "no_picture": pictures.problems if pictures else [],
    }


def _cuts(told: Answers, courses: Sequence[Course]) -> dict[tuple[int, int], Shot]:
    """The cuts of persons, by the number of the course and of the frame in it."""
    samples, shots = told.joined.samples, {}
    for number, (course, frames) in enumerate(zip(courses, person_timeline.cuts(courses), strict=True)):
        for frame in frames:
            person = course.answers[frame]
            sample = samples[told.image[person]]
            make = partial(drawn.cut, box=sample.boxes[told.row[person]], side=person_timeline.CUT_SIDE)
            shots[number, frame] = Shot(sample.image_id, make)
    return shots


# --- Answers -------------------------------------------------------------------------------------------------------


def _fate_of(result: BagEvaluation, told: Answers) -> dict[int, str]:
    """What became of each sample."""
    fates = result.account.fates if result.account else ()
    return {} if len(fates) != len(told.joined.samples) else {index: fate.value for index, fate in enumerate(fates)}


def _fates(result: BagEvaluation) -> list[FateBar]:
    """What became of the annotated frames, and of all."""
    account = result.account
    if account is None:
        return []
    if account.annotated == account.frames:
        return [_bar(f"All {account.frames.total:,} frames", _explained(account))]
    annotated = account.annotated
    some = {
        Fate.IN_TIME.value: annotated.in_time,
        Fate.LATE.value: annotated.late,
        Fate.UNANSWERED.value: annotated.unanswered,
    }
    return [
        _bar(f"{annotated.total:,} annotated frames", some),
        _bar(f"All {account.frames.total:,} frames of the recording", _explained(account)),
    ]


def _explained(account: Account) -> dict[str, int]:
    """How many frames there are of each fate; those without an answer as far as the node counts them, and the rest."""
    dropped = min(account.drops, account.frames.unanswered)
    rejected = account.frames.unanswered - dropped - account.unexplained
    return {
        Fate.IN_TIME.value: account.frames.in_time,
        Fate.LATE.value: account.frames.late,
        "dropped": dropped,
        **({"rejected": rejected} if rejected else {}),
        "unknown why": account.unexplained,
    }


def _bar(heading: str, counts: Mapping[str, int]) -> FateBar:
    total = max(sum(counts.values()), 1)
    return FateBar(
        heading,
        tuple(
            FatePart(person_timeline.fate_css(fate), f"{fate} {count:,} ({100 * count / total:.1f} %)", count)
            for fate, count in counts.items()
        ),
    )


# --- Numbers -------------------------------------------------------------------------------------------------------


def _overlaps(result: BagEvaluation) -> Table:
    """OER at each IoU that it is the mean over."""
    field = result.evaluation.oer
    rows = tuple(
        (f"{iou:.2f}", percent(value), percent(found))
        for iou, value, found in zip(IOU_THRESHOLDS.tolist(), field.by_threshold, field.found, strict=True)
    )
    return Table("Overlap that a box needs", ("IoU", "OER", "persons found"), rows, ())


def _origin(result: BagEvaluation) -> dict[str, str]:
    """Content and software: what a second run needs to give the same numbers."""
    identity = result.identity
    runs = [identity.provider, f"device {identity.device}", f"{identity.threads} threads"] if identity.provider else []
    facts = {
        **{f"bag {bag.name}": _bag(result, index) for index, bag in enumerate(result.bags)},
        "annotations": f"sha256 {identity.truth}",
        "model": f"{identity.bundle}, sha256 {identity.bundle_sha256}",
        "run by": ", ".join(runs),
        "software": ", ".join(f"{name} {version}" for name, version in identity.versions.items()),
        "machine": identity.cpu if identity.provider else "",
        "settings": ", ".join(f"{name}: {value}" for name, value in identity.settings.items()),
        "run": f"sha256 {identity.run_hash}",
    }
    return {name: value for name, value in facts.items() if value}


def _bag(result: BagEvaluation, index: int) -> str:
    bag = result.bags[index]
    topics = bag.image_topic + (f", answers on {bag.emotion_topic}" if bag.emotion_topic else "")
    topics += f" of {bag.recorded.name}" if bag.recorded else ""
    return (
        f"{topics}: {bag.annotated:,} of {bag.images:,} frames annotated over {bag.seconds:.1f} s; sha256 {bag.sha256}"
    )
