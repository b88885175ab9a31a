"""The timeline of a bag's report: for every annotated person what is true above, and what was said below.

Bands are placed in parts of the width, so that they fit any page. The script shows the frame under the pointer with a
cut of the person, and does so for the arrow keys and for a finger too.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from caer_ros.offline.reports import page
from caer_ros.offline.reports.bag.people import MISSED, NO_LABEL
from caer_ros.offline.reports.bag.time_scale import Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from caer_ros.offline.evaluation.bags.bag_summary import BagFacts
    from caer_ros.offline.metrics.joined import Floats
    from caer_ros.offline.metrics.over_time.stability import Stability, TrackStability
    from caer_ros.offline.reports.bag.palette import Palette
    from caer_ros.offline.reports.bag.people import Answers, Course

ROWS = 40
"""Persons that are shown: those who are annotated for longest."""
CUTS = 320
"""Cuts in a report, shared by its persons; those of a person are evenly spaced in time."""
CUTS_EACH = 24
"""Of one person, at most."""
CUT_SIDE = 96
"""Pixels, the longest side of a cut."""
_CHARACTERS = 125
"""That the width has room for on a screen: a word that does not fit is left out."""
_UNKNOWN = (-1,)
"""The truth of a person whose emotion is not annotated."""


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


def html(
    told: Answers,
    courses: Sequence[Course],
    bags: Sequence[BagFacts],
    palette: Palette,
    stability: Stability | None = None,
    fates: Mapping[int, str] | None = None,
    thumbnails: Sequence[Mapping[int, bytes]] = (),
) -> str:
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
    parts = [_legend(told, courses, palette, stability)]
    rows: list[dict[str, Any]] = []
    for number, bag in enumerate(bags):
        here = [index for index, course in enumerate(courses) if course.bag == number]
        if not here:
            continue
        scale = Scale.of(told, bags, number)
        lines = []
        for index in here:
            steady = _steady(stability, courses[index])
            lines.append(_person(len(rows), told, courses[index], scale, palette, steady, thumbnails[index]))
            rows.append(_data(told, courses[index], scale, fates, thumbnails[index]))
        lines += [_false_boxes(told, scale), _fates(fates, scale), scale.axis()]
        heading = f"<h3>{escape(bag.name)}</h3>" if len(bags) > 1 else ""
        parts.append(
            f'{heading}<div class="sideways"><div class="time" style="min-width:{scale.least_width}px">'
            f"{''.join(lines)}</div></div>"
        )
    labels = [[palette.word(label), palette.css(label)] for label in (*range(len(palette.labels)), MISSED, NO_LABEL)]
    return "".join(parts) + _CARD + page.data("timeline", {"labels": labels, "rows": rows})


# --- One person ----------------------------------------------------------------------------------------------------


class _Look(NamedTuple):
    """Of a run."""

    css: str = ""
    word: str = ""
    style: str = ""


def _person(
    number: int,
    told: Answers,
    course: Course,
    scale: Scale,
    palette: Palette,
    steady: TrackStability | None,
    thumbnails: Mapping[int, bytes],
) -> str:
    truth = [told.truth[person] if told.known[person] else _UNKNOWN for person in course.answers]
    said = told.said[course.answers].tolist()
    wrong = [is_wrong or None for is_wrong in told.wrong[course.answers].tolist()]
    bands = (
        f'<div class="band truth">{_band(scale, course, truth, lambda state: _true(state, palette))}</div>'
        f'<div class="band said">{_band(scale, course, said, lambda state: _said(state, palette))}'
        f'</div><div class="band wrong">{_band(scale, course, wrong, lambda _: _Look())}</div>'
    )
    middle = thumbnails[sorted(thumbnails)[len(thumbnails) // 2]] if thumbnails else None
    portrait = page.image(middle, "jpeg", "") if middle else ""
    name = escape(course.track.removeprefix(f"{scale.bag}/"))
    return (
        f'<div class="line"><div class="who">{portrait}<div><b>{name}</b><small>{_words(told, course, steady)}</small>'
        f'</div></div><div class="lanes frames" tabindex="0" role="slider" data-row="{number}" '
        f'aria-label="{name}" aria-valuemin="0" aria-valuemax="{len(course.answers) - 1}" aria-valuenow="0">'
        f"{bands}{_changes(scale, steady, course)}</div></div>"
    )


def _band(scale: Scale, course: Course, states: Sequence[Any], shown: Callable[[Any], _Look]) -> str:
    """The runs of a state, each as it is ``shown``."""
    parts = []
    for run in scale.runs(course.seconds, states):
        look = shown(run.state)
        fits = look.word and (run.end - run.start) / scale.end * _CHARACTERS > len(look.word) + 2
        wide = f"<b>{escape(look.word)}</b>" if fits else ""
        parts.append(f'<i class="{look.css}" style="{scale.place(run.start, run.end)}{look.style}">{wide}</i>')
    return "".join(parts)


def _true(truth: tuple[int, ...], palette: Palette) -> _Look:
    """Several true labels are stripes one above the other."""
    if not truth or truth == _UNKNOWN:
        return _Look("neither", "not annotated" if truth else "none of the labels")
    words = ", ".join(map(palette.word, truth))
    return _Look(palette.css(truth[0]), words, f";{palette.stripes(truth)}" if len(truth) > 1 else "")


def _said(said: int, palette: Palette) -> _Look:
    return _Look(palette.css(said), palette.word(said))


def _changes(scale: Scale, steady: TrackStability | None, course: Course) -> str:
    """A mark where the truth changed, and a line until what was said followed."""
    if steady is None or not steady.changes:
        return ""
    parts = []
    for change in steady.changes:
        at = (change.stamp - course.first_stamp) / 1e9
        late = "" if np.isnan(change.delay) else f"{change.delay:.1f} s"
        end = at if not late else at + change.delay
        side = " before" if at / scale.end > 0.85 else ""
        parts.append(
            f'<i class="{"delay" if late else "never"}{side}" style="{scale.place(at, end)}">'
            f"<b>{late or 'never followed'}</b></i>"
        )
    return f'<div class="band delays">{"".join(parts)}</div>'


def _words(told: Answers, course: Course, steady: TrackStability | None) -> str:
    """How well the person was perceived."""
    said, known = told.said[course.answers], told.known[course.answers]
    words = [f"found {_part(said != MISSED)}"]
    if known.any():
        right = (said >= 0) & ~told.wrong[course.answers]
        words.append(f"right {_part(right[known])}")
    if steady is not None and steady.flickers:
        words.append(f"{len(steady.flickers)} flicker{'s' if len(steady.flickers) > 1 else ''}")
    return " · ".join(words[:2]) + "".join(f"<br>{word}" for word in words[2:])


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
        "cuts": [page.uri(thumbnails[index]) for index in sorted(thumbnails)],
    }


# --- Of the whole bag ----------------------------------------------------------------------------------------------


def _false_boxes(told: Answers, scale: Scale) -> str:
    """When somebody was found who is not there."""
    count = dict.fromkeys(scale.images, 0)
    for image, _ in told.false:
        if image in count:
            count[image] += 1
    if not any(count.values()):
        return ""
    states = [bool(count[image]) or None for image in scale.images]
    places = [scale.place(run.start, run.end) for run in scale.runs(scale.seconds, states)]
    runs = "".join(f'<i style="{place}"></i>' for place in places)
    frames = sum(number > 0 for number in count.values())
    return _lane("false", "false boxes", f"in {frames} of {len(count)} frames", runs)


def _fates(fates: Mapping[int, str], scale: Scale) -> str:
    """What became of the frames."""
    if not fates:
        return ""
    states = [fates.get(image) for image in scale.images]
    runs = "".join(
        f'<i class="{fate_class(run.state)}" style="{scale.place(run.start, run.end)}"></i>'
        for run in scale.runs(scale.seconds, states)
    )
    return _lane("fates", "answers", "what became of each frame", runs)


def fate_class(fate: str) -> str:
    """CSS of a fate's colour, such as "fate in-time"."""
    return f"fate {fate.replace(' ', '-')}"


def _lane(css: str, name: str, words: str, runs: str) -> str:
    who = f'<div class="who"><div><b>{name}</b><small>{words}</small></div></div>'
    return f'<div class="line thin">{who}<div class="lanes"><div class="band {css}">{runs}</div></div></div>'


def _legend(told: Answers, courses: Sequence[Course], palette: Palette, stability: Stability | None) -> str:
    persons = [person for course in courses for person in course.answers.tolist()]
    used = {label for person in persons for label in (*told.truth[person], int(told.said[person]))}
    labels = sorted((label for label in used if label >= 0), key=lambda label: palette.rank[label])
    shown = [palette.swatch(label) for label in labels]
    shown += [palette.swatch(label) for label in (NO_LABEL, MISSED) if label in used]
    if told.wrong.any():
        shown.append('<span class="label"><i class="swatch line-wrong"></i>a wrong label was said</span>')
    if stability is not None and stability.changes:
        shown.append('<span class="label"><i class="swatch line-delay"></i>true change, until it was said</span>')
    return f'<p class="legend">{"".join(shown)}</p>'


_CARD = (
    '<div id="card" class="card" hidden><img alt=""><div><p class="when"></p><p class="true"></p><p class="told"></p>'
    '<p class="more"></p></div></div>'
)
