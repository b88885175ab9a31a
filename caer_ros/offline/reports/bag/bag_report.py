"""The report of an evaluation of bags: one HTML file that opens from disk and needs nothing beside it.

However long the recording, it shows ``timeline.ROWS`` persons, with ``timeline.CUTS`` thumbnails together, and
``gallery.MOST`` pictures of each kind of error.
"""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING

from caer_ros.offline.evaluation.bags.as_recorded import WARNING, Fate
from caer_ros.offline.metrics.matching import IOU_THRESHOLDS
from caer_ros.offline.reports import bag_tables, drawn, page
from caer_ros.offline.reports.bag import bag_plots, gallery, headline, people, person_timeline, style
from caer_ros.offline.reports.bag.bag_pictures import Shot, take
from caer_ros.offline.reports.bag.palette import Palette
from caer_ros.offline.reports.tables import Table, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from caer_ros.offline.evaluation.bags.as_recorded import Fates
    from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation
    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.reports.bag.bag_pictures import Pictures
    from caer_ros.offline.reports.bag.people import Answers, Course

_OFFLINE = (
    "The model saw every annotated frame once, in order and without a clock, through the same pipeline as in the node. "
    "This is what it can perceive, not what the robot knew in time."
)
_AS_RECORDED = (
    "What the node published in the field. At each annotated stamp + {deadline:g} ms the newest message published by "
    "then is scored (streaming): an answer that is late, or of an older frame, counts as the robot had it. Strict: "
    "only answers to the very frame."
)
_PERSONS = (
    "Above what is true of a person, below what was said. Point at a frame, touch it, or step through the frames with "
    "the arrow keys."
)
_ERRORS = (
    "Framed: whom the error is about, in its worst frame. White: annotated persons. In colour: what was found. "
    "An error of consecutive frames is shown once."
)
_NO_PICTURE = "These frames would be shown above, but cannot be decoded. What was answered to them counts all the same."
_ANSWERS = (
    "Of each frame: an answer within {deadline:g} ms of its stamp, a later one, none because the node replaced it by a "
    "newer frame, or none that anybody tells of."
)
_LABELS = "Of persons as found at IoU 0.5: recall to the right, precision upwards; the line is the prevalence."
_LEFT_OUT = 12
"""Lines of what was left out that are open; the rest can be opened."""


def html(result: BagEvaluation, joined: Joined, pictures: Pictures | None) -> str:
    """The whole document.

    Args:
        result: all numbers.
        joined: the samples, and the answers to them that the headline judges.
        pictures: the frames of the bags; None: no pictures of people.

    Raises:
        SourceError: a bag cannot be read for its pictures.
    """
    told = people.answers(joined)
    sections = [
        *_persons(result, told, pictures),
        _fates(result),
        *_plots(result, joined),
        _tables(result),
        _notes(result),
        _origin(result),
    ]
    parts = [
        _manner(result),
        *(f'<p class="warning">{escape(note)}</p>' for note in result.notes if note.startswith(WARNING)),
        page.figures(headline.figures(result)),
        _links(sections),
        *sections,
    ]
    return page.document(result.title, parts, "caer evaluate bag", style.STYLE, style.SCRIPT)


def _manner(result: BagEvaluation) -> str:
    if result.deadline is None:
        return f'<p class="lead"><span class="manner">offline</span> {_OFFLINE}</p>'
    words = _AS_RECORDED.format(deadline=1000 * result.deadline)
    return f'<p class="lead"><span class="manner recorded">as recorded</span> {words}</p>'


def _links(sections: Sequence[str]) -> str:
    headings = [section.partition("<h2>")[2].partition("</h2>")[0] for section in sections if section]
    links = (f'<a href="#{page.anchor(heading)}">{heading}</a>' for heading in headings)
    return f"<nav>{''.join(links)}</nav>"


# --- Persons and errors, with the pictures of both taken in one pass -----------------------------------------------


def _persons(result: BagEvaluation, told: Answers, pictures: Pictures | None) -> Iterator[str]:
    courses = people.courses(told, result.bags)
    shown, errors, palette = person_timeline.chosen(courses), gallery.errors(told), Palette.of(told)
    cuts, drawings = _cuts(told, shown), gallery.shots(told, errors)
    taken = take(pictures, cuts | drawings) if pictures else {}
    if shown:
        thumbnails: list[dict[int, bytes]] = [{} for _ in shown]
        for course, frame in cuts.keys() & taken.keys():
            thumbnails[course][frame] = taken[course, frame]
        note = _PERSONS
        if len(shown) < len(courses):
            note += f" Of {len(courses):,} persons the {len(shown)} who are annotated for longest."
        timelines = person_timeline.html(
            told, shown, result.bags, palette, result.stability, _fate_of(result, told), thumbnails
        )
        yield page.section("Persons in time", timelines, note)
    worst = gallery.html(
        told, errors, result.bags, palette, {key: taken[key] for key in drawings.keys() & taken.keys()}
    )
    if worst:
        yield page.section("Worst errors", worst, _ERRORS)
    if pictures and pictures.problems:
        yield page.section("Without a picture", page.notes(pictures.problems), _NO_PICTURE)


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


def _fates(result: BagEvaluation) -> str:
    """What became of the annotated frames, and of all: as bars."""
    account = result.account
    if account is None:
        return ""
    if account.annotated == account.frames:
        bars = _bar(f"All {account.frames.total:,} frames", account.frames)
    else:
        bars = _bar(f"{account.annotated.total:,} annotated frames", account.annotated)
        bars += _bar(f"All {account.frames.total:,} frames of the recording", account.frames)
    return page.section("Answers", bars, _ANSWERS.format(deadline=1000 * account.deadline))


def _bar(heading: str, fates: Fates) -> str:
    counts = {
        Fate.IN_TIME: fates.in_time,
        Fate.LATE: fates.late,
        Fate.DROPPED: fates.dropped,
        Fate.LOST: fates.lost,
    }
    total = max(fates.total, 1)
    parts = "".join(
        f'<i class="{person_timeline.fate_class(fate.value)}" style="flex-grow:{count}"></i>'
        for fate, count in counts.items()
        if count
    )
    words = "".join(
        f'<span class="label"><i class="swatch {person_timeline.fate_class(fate.value)}"></i>{fate.value} {count:,} '
        f"({100 * count / total:.1f} %)</span>"
        for fate, count in counts.items()
    )
    return f'<h3>{heading}</h3><div class="parts">{parts}</div><p class="legend">{words}</p>'


# --- Numbers -------------------------------------------------------------------------------------------------------


def _plots(result: BagEvaluation, joined: Joined) -> Iterator[str]:
    """All plots in one section, and those of the labels in one; they stand beside each other as the page allows."""
    cells = "".join(
        f'<div><h3>{escape(heading)}</h3><p class="note">{escape(note)}</p>'
        f"{page.image(svg, 'svg+xml', heading, 'plot')}</div>"
        for heading, note, svg in bag_plots.all_plots(result, joined)
    )
    if cells:
        yield page.section("Curves", f'<div class="plots">{cells}</div>')
    labels = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>{page.image(svg, 'svg+xml', name, 'plot')}</figure>"
        for name, svg in bag_plots.label_plots(result, joined)
    )
    if labels:
        yield page.section("Labels: precision and recall", f'<div class="small">{labels}</div>', _LABELS)


def _tables(result: BagEvaluation) -> str:
    """What the terminal shows too, and more of the overlaps."""
    first, *others = bag_tables.tables(result)
    if result.model.labels and result.evaluation.persons:
        others.append(_overlaps(result))
    cells = "".join(f"<div><h3>{escape(shown.title)}</h3>{page.rows(shown)}</div>" for shown in others)
    body = f'{page.rows(first)}<div class="tables">{cells}</div>'
    return page.section("All numbers", body, first.title.removeprefix(f"{result.title}: "))


def _overlaps(result: BagEvaluation) -> Table:
    """OER at each IoU that it is the mean over."""
    field = result.evaluation.oer
    rows = tuple(
        (f"{iou:.2f}", percent(value), percent(found))
        for iou, value, found in zip(IOU_THRESHOLDS.tolist(), field.by_threshold, field.found, strict=True)
    )
    return Table("Overlap that a box needs", ("IoU", "OER", "persons found"), rows, ())


def _notes(result: BagEvaluation) -> str:
    notes = page.notes([note for note in result.notes if not note.startswith(WARNING)])
    left_out = ""
    if result.left_out:
        left_out = f"<h3>Left out</h3>{page.notes(result.left_out[:_LEFT_OUT])}"
    if more := result.left_out[_LEFT_OUT:]:
        left_out += f"<details><summary>{len(more):,} more</summary>{page.notes(more)}</details>"
    return page.section("Notes", notes + left_out) if notes or left_out else ""


def _origin(result: BagEvaluation) -> str:
    """Command, content and software: what a second run needs to give the same numbers."""
    identity = result.identity
    runs = [identity.provider, f"device {identity.device}", f"{identity.threads} threads"] if identity.provider else []
    facts = [
        *((f"bag {bag.name}", _bag(result, index)) for index, bag in enumerate(result.bags)),
        ("annotations", f"sha256 {identity.truth}"),
        ("model", f"{identity.bundle}, sha256 {identity.bundle_sha256}"),
        ("run by", ", ".join(runs)),
        ("software", ", ".join(f"{name} {version}" for name, version in identity.versions.items())),
        ("machine", identity.cpu if identity.provider else ""),
        ("settings", ", ".join(f"{name}: {value}" for name, value in identity.settings.items())),
        ("run", f"sha256 {identity.run_hash}"),
    ]
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
    note = "Equal inputs, settings and software give an equal sha256 of the run, and with it equal numbers."
    return page.section("Origin", f"<pre><code>{escape(identity.command)}</code></pre><dl>{cells}</dl>", note)


def _bag(result: BagEvaluation, index: int) -> str:
    bag = result.bags[index]
    topics = bag.image_topic + (f", answers on {bag.emotion_topic}" if bag.emotion_topic else "")
    topics += f" of {bag.recorded.name}" if bag.recorded else ""
    return (
        f"{topics}: {bag.annotated:,} of {bag.images:,} frames annotated over {bag.seconds:.1f} s; sha256 {bag.sha256}"
    )
