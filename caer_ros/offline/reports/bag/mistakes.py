"""The worst errors of an evaluation: who was missed, who is not there, and who was given a wrong label.

An error of consecutive frames is one error, shown once: at 10 frames per second the same gallery would else show one
second of one person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from caer_ros.offline.metrics.over_time.sequences import sequences
from caer_ros.offline.reports.bag.people import MISSED
from caer_ros.perception.boxes import paired_iou

if TYPE_CHECKING:
    from collections.abc import Iterator

    from caer_ros.offline.data.predictions import Array
    from caer_ros.offline.reports.bag.people import Answers

    _Single = tuple[tuple[str, int], float, "Mistake"]

Kind = Literal["missed", "false", "wrong"]

TOGETHER = 1.0
"""s. Errors further apart are two."""
_SAME_PLACE = 0.3
"""IoU from which on two boxes without a track are taken for one person's."""


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """One error, over one frame or several."""

    kind: Kind
    image: int
    """Index of the sample that shows it best: a missed person at the largest, the others at the highest score."""
    box: Array
    """[4] of the person in it: as annotated, or of somebody who is not there as found."""
    person: int
    """Index into ``Answers``; -1 of somebody who is not there."""
    found: int
    """Index among the published persons of the image; -1 of a missed person."""
    score: float
    """Highest score that a label had; the detection's where nobody is there; NaN of a missed person."""
    frames: int
    seconds: float
    """From the first frame to the last; 0 where frames have no stamps."""


@dataclass(slots=True)
class _Case:
    """An error that may go on."""

    who: tuple[str, int]
    """What is the same in each of its frames: the track, "" where only the place tells, and the label that was said."""
    size: float
    """What the best frame is chosen by."""
    best: Mistake
    first: int
    last: int
    """Stamps."""
    last_box: Array
    frames: int = 1


def worst(told: Answers, kind: Kind, most: int) -> list[Mistake]:
    """The worst errors of a kind, the worst first.

    Who was missed, or is not there, for longest; a wrong label by its highest score.
    """
    singles: dict[int, list[_Single]] = {}
    for single in _singles(told, kind):
        singles.setdefault(single[2].image, []).append(single)
    recordings = sequences(told.joined.samples).values()
    mistakes = [_mistake(case) for images in recordings for case in _cases(told, singles, images.tolist())]
    if kind == "wrong":
        return sorted(mistakes, key=lambda mistake: (-mistake.score, -mistake.seconds))[:most]
    return sorted(mistakes, key=lambda mistake: (-mistake.seconds, -mistake.frames, -_area(mistake.box)))[:most]


def _mistake(case: _Case) -> Mistake:
    best = case.best
    return Mistake(
        best.kind,
        best.image,
        best.box,
        best.person,
        best.found,
        best.score,
        case.frames,
        (case.last - case.first) / 1e9,
    )


def _cases(told: Answers, singles: dict[int, list[_Single]], images: list[int]) -> list[_Case]:
    """The errors of one sequence, each frame of them added to the one that it continues."""
    cases: list[_Case] = []
    going_on: list[_Case] = []
    for image in images:
        stamp = told.joined.samples[image].stamp or 0
        going_on = [case for case in going_on if stamp - case.last <= TOGETHER * 1e9]
        for who, size, mistake in singles.get(image, ()):
            case = next((case for case in going_on if _continues(case, who, mistake.box, stamp)), None)
            if case is None:
                case = _Case(who, size, mistake, stamp, stamp, mistake.box)
                going_on.append(case)
                cases.append(case)
                continue
            if size > case.size:
                case.size, case.best = size, mistake
            case.last, case.last_box, case.frames = stamp, mistake.box, case.frames + 1
    return cases


def _continues(case: _Case, who: tuple[str, int], box: Array, stamp: int) -> bool:
    if case.who != who or stamp <= case.last:
        return False
    return bool(who[0]) or bool(paired_iou(case.last_box, box) >= _SAME_PLACE)


def _singles(told: Answers, kind: Kind) -> Iterator[_Single]:
    """Who, how bad, and the error of one frame, for each."""
    samples, images = told.joined.samples, told.joined.images
    if kind == "false":
        for image, found in told.false:
            tracked, box, score = images[image].tracked, images[image].boxes[found], float(images[image].scores[found])
            yield (
                (tracked.ids[found] if tracked else "", MISSED),
                score,
                Mistake(kind, image, box, -1, found, score, 1, 0.0),
            )
        return
    for person in np.flatnonzero(told.said == MISSED if kind == "missed" else told.wrong).tolist():
        image, row = int(told.image[person]), int(told.row[person])
        track, box = samples[image].track_ids[row], samples[image].boxes[row]
        score, said = float(told.score[person]), int(told.said[person])
        size = _area(box) if kind == "missed" else score
        yield (track, said), size, Mistake(kind, image, box, person, int(told.found[person]), score, 1, 0.0)


def _area(box: Array) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
