"""The timeline of a bag's report: for every annotated person what is true above, and what was said below.

Bands are placed in parts of the width, so that they fit any page. The page's script shows the frame under the pointer,
a finger or the arrow keys with a cut of the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.offline.reports.bag.people import MISSED, NO_LABEL
from caer_ros.offline.reports.bag.time_scale import Scale
from caer_ros.pages.page import uri
from caer_ros.pages.parts import Block, Swatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from caer_ros.offline.evaluation.bags.bag_summary import BagFacts
    from caer_ros.offline.metrics.joined import Floats
    from caer_ros.offline.metrics.over_time.stability import Stability, TrackStability
    from caer_ros.offline.reports.bag.palette import Palette
    from caer_ros.offline.reports.bag.people import Answers, Course
    from caer_ros.offline.reports.bag.time_scale import Run

ROWS = 40
"""Persons that are shown: those who are annotated for longest."""
CUTS = 320
"""Cuts in a report, shared by its persons; those of a person are evenly spaced in time."""
CUTS_EACH = 24
"""Cuts of one person, at most."""
CUT_SIDE = 96
"""Pixels, the longest side of a cut."""
_CHARACTERS = 125
"""That the width has room for on a screen: a word that does not fit is left out."""
_UNKNOWN = (-1,)
"""The truth of a person whose emotion is not annotated."""


@dataclass(frozen=True, slots=True)
class PersonLine:
    """The line of one person."""

    row: int
    """Index into the rows of ``Timeline.data``."""
    name: str
    portrait: bytes | None
    """JPEG; None: no picture was taken."""
    words: tuple[str, ...]
    """How well the person was perceived."""
    frames: int
    bands: dict[str, list[Block]]
    """Kind ("truth", "said", "wrong" and, where the truth changed, "delays") -> what is drawn."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A line of the whole bag."""

    kind: str
    name: str
    words: str
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class BagTimeline:
    """The lines of one bag."""

    heading: str
    """"" when there is one bag."""
    least_width: int
    """Pixels."""
    persons: list[PersonLine]
    lanes: list[Lane]
    ticks: list[tuple[float, str]]
    """Marks of the axis: place in per cent of the width, and time in words."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that is shown of persons over time."""

    legend: list[Swatch]
    bags: list[BagTimeline]
    data: dict[str, Any]
    """What the script reads, as JSON: ``labels`` (word and CSS classes) and ``rows``, one for each person."""


def chosen(courses: Sequence[Course]) -> list[Course]:
    """The courses that are shown, in their order."""
    longest = sorted(range(len(courses)), key=lambda index: -len(courses[index].answers))[:ROWS]
    return [courses[index] for index in sorted(longest)]


def cuts(courses: Sequence[Course]) -> list[list[int]]:
    """For each course the indices of its frames that are cut, evenly spaced in time."""
    each = min(CUTS_EACH, max(1, CUTS // max(len(courses), 1)))
    return [_evenly(course.seconds, each) for course in courses]


def _evenly(seconds: Floats, count: int) -> list[int]:
    wanted = np.linspace(seconds[0], seconds[-1], 2 * min(count, len(seconds)) + 1)[1::2]
    return sorted({int(np.abs(seconds - at).argmin()) for at in wanted})


def timeline(
    told: Answers,
    courses: Sequence[Course],
    bags: Sequence[BagFacts],
    palette: Palette,
    stability: Stability | None = None,
    fates: Mapping[int, str] | None = None,
    thumbnails: Sequence[Mapping[int, bytes]] = (),
) -> Timeline:
    """The timelines of all bags, and what the script needs.

    Args:
        told: what was true and said.
        courses: the persons, see ``chosen``.
        bags: of the evaluation.
        palette: of the labels.
        stability: of the same persons, for changes and their delay.
        fates: what became of the frames, by index of the sample.
        thumbnails: for each course the JPEG of some frames, by index; () for none at all.
    """
    fates, thumbnails = fates or {}, thumbnails or [{}] * len(courses)
    rows: list[dict[str, Any]] = []
    shown = []
    for number, bag in enumerate(bags):
        here = [index for index, course in enumerate(courses) if course.bag == number]
        if not here:
            continue
        scale = Scale.of(told, bags, number)
        persons = []
        for index in here:
            steady = _steady(stability, courses[index])
            persons.append(_person(len(rows), told, courses[index], scale, palette, steady, thumbnails[index]))
            rows.append(_data(told, courses[index], scale, fates, thumbnails[index]))
        heading = bag.name if len(bags) > 1 else ""
        lanes = [*_false_boxes(told, scale), *_fates(fates, scale)]
        shown.append(BagTimeline(heading, scale.least_width, persons, lanes, scale.ticks()))
    labels = [[palette.word(label), palette.css(label)] for label in (*range(len(palette.labels)), MISSED, NO_LABEL)]
    return Timeline(_legend(told, courses, palette, stability), shown, {"labels": labels, "rows": rows})


# --- One person ----------------------------------------------------------------------------------------------------


def _person(
    row: int,
    told: Answers,
    course: Course,
    scale: Scale,
    palette: Palette,
    steady: TrackStability | None,
    thumbnails: Mapping[int, bytes],
) -> PersonLine:
    truth = [told.truth[person] if told.known[person] else _UNKNOWN for person in course.answers]
    said = told.said[course.answers].tolist()
    wrong = [is_wrong or None for is_wrong in told.wrong[course.answers].tolist()]
    bands = {
        "truth": [_true(scale, run, palette) for run in scale.runs(course.seconds, truth)],
        "said": [
            _block(scale, run, palette.css(run.state), palette.word(run.state))
            for run in scale.runs(course.seconds, said)
        ],
        "wrong": [_block(scale, run) for run in scale.runs(course.seconds, wrong)],
    }
    if steady is not None and steady.changes:
        bands["delays"] = _changes(scale, steady, course)
    middle = thumbnails[sorted(thumbnails)[len(thumbnails) // 2]] if thumbnails else None
    name = course.track.removeprefix(f"{scale.bag}/")
    return PersonLine(row, name, middle, _words(told, course, steady), len(course.answers), bands)


def _block(scale: Scale, run: Run[Any], css: str = "", word: str = "", stripes: tuple[int, ...] = ()) -> Block:
    """A run; its word where there is room for it."""
    fits = (run.end - run.start) / scale.end * _CHARACTERS > len(word) + 2
    return scale.block(run.start, run.end, css, word if fits else "", stripes)


def _true(scale: Scale, run: Run[tuple[int, ...]], palette: Palette) -> Block:
    """Several true labels are stripes one above the other."""
    truth = run.state
    if not truth or truth == _UNKNOWN:
        return _block(scale, run, "neither", "not annotated" if truth else "none of the labels")
    words = ", ".join(map(palette.word, truth))
    return _block(scale, run, palette.css(truth[0]), words, palette.colours(truth) if len(truth) > 1 else ())


def _changes(scale: Scale, steady: TrackStability, course: Course) -> list[Block]:
    """A mark where the truth changed, and a line until what was said followed."""
    blocks = []
    for change in steady.changes:
        at = (change.stamp - course.first_stamp) / 1e9
        late = "" if np.isnan(change.delay) else f"{change.delay:.1f} s"
        side = " before" if at / scale.end > 0.85 else ""
        css = ("delay" if late else "never") + side
        blocks.append(scale.block(at, at + change.delay if late else at, css, late or "never followed"))
    return blocks


def _words(told: Answers, course: Course, steady: TrackStability | None) -> tuple[str, ...]:
    """How well the person was perceived."""
    said, known = told.said[course.answers], told.known[course.answers]
    words = [f"found {_part(said != MISSED)}"]
    if known.any():
        right = (said >= 0) & ~told.wrong[course.answers]
        words.append(f"right {_part(right[known])}")
    if steady is not None and steady.flickers:
        words.append(f"{len(steady.flickers)} flicker{'s' if len(steady.flickers) > 1 else ''}")
    return tuple(words)


def _part(which: np.typing.NDArray[np.bool_]) -> str:
    return f"{100 * which.mean():.0f} %"


def _steady(stability: Stability | None, course: Course) -> TrackStability | None:
    for track in stability.tracks if stability else ():
        if (track.sequence, track.track_id) == (course.sequence, course.track):
            return track
    return None


def _data(
    told: Answers, course: Course, scale: Scale, fates: Mapping[int, str], thumbnails: Mapping[int, bytes]
) -> dict[str, Any]:
    """What the script shows of each frame: times (ms), labels, scores and overlaps (per cent), pictures."""

    def percent(values: Floats) -> list[int]:
        return [-1 if np.isnan(value) else round(100 * value) for value in values[course.answers].tolist()]

    return {
        "span": round(1000 * scale.end),
        "t": [round(1000 * at) for at in course.seconds.tolist()],
        "truth": [list(told.truth[person]) if told.known[person] else None for person in course.answers],
        "said": told.said[course.answers].tolist(),
        "score": percent(told.score),
        "iou": percent(told.overlap),
        "fate": [fates.get(int(told.image[person]), "") for person in course.answers],
        "at": sorted(thumbnails),
        "cuts": [uri(thumbnails[index]) for index in sorted(thumbnails)],
    }


# --- Of the whole bag ----------------------------------------------------------------------------------------------


def _false_boxes(told: Answers, scale: Scale) -> Iterator[Lane]:
    """When somebody was found who is not there."""
    count = dict.fromkeys(scale.images, 0)
    for image, _ in told.false:
        if image in count:
            count[image] += 1
    if any(count.values()):
        states = [bool(count[image]) or None for image in scale.images]
        blocks = [scale.block(run.start, run.end) for run in scale.runs(scale.seconds, states)]
        frames = sum(number > 0 for number in count.values())
        yield Lane("false", "false boxes", f"in {frames} of {len(count)} frames", blocks)


def _fates(fates: Mapping[int, str], scale: Scale) -> Iterator[Lane]:
    """What became of the frames."""
    if fates:
        runs = scale.runs(scale.seconds, [fates.get(image) for image in scale.images])
        blocks = [scale.block(run.start, run.end, fate_css(run.state)) for run in runs]
        yield Lane("fates", "answers", "what became of each frame", blocks)


def fate_css(fate: str) -> str:
    """Classes of a fate's colour, such as "fate in-time"."""
    return f"fate {fate.replace(' ', '-')}"


def _legend(told: Answers, courses: Sequence[Course], palette: Palette, stability: Stability | None) -> list[Swatch]:
    persons = [person for course in courses for person in course.answers.tolist()]
    used = {label for person in persons for label in (*told.truth[person], int(told.said[person]))}
    labels = sorted((label for label in used if label >= 0), key=lambda label: palette.rank[label])
    shown = [palette.swatch(label) for label in labels]
    shown += [palette.swatch(label) for label in (NO_LABEL, MISSED) if label in used]
    if told.wrong.any():
        shown.append(Swatch("line-wrong", "a wrong label was said"))
    if stability is not None and stability.changes:
        shown.append(Swatch("line-delay", "true change, until it was said"))
    return shown
