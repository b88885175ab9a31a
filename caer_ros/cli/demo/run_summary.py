"""What a run of the node says about each person, and how fast it was; plain numbers from its messages.

With a ground truth a person is somebody real: each detection belongs to the true person it overlaps most in its image.
Without one, each track is a person. Scores are the raw ones, of each image alone; labels and statuses are those that
the node published. Coasting boxes are no sightings.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from caer_ros.perception.boxes import iou
from caer_ros.perception.person import EmotionStatus, TrackState
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from caer_ros.cli.demo.demo_truth import Box, TruePerson, Truth
    from caer_ros.msg import PerceptionStatus, PersonEmotion, PersonEmotionArray

SAME_IOU = 0.5
"""A detection shows the person whom it overlaps by at least this IoU."""
LONGEST_GAP_S = 1.0
"""Two sightings further apart are two spans."""
DEMANDED_IMAGES = 10
"""Who was to be found in fewer processed images is not expected to come out."""
READABLE = (EmotionStatus.OK, EmotionStatus.UNCERTAIN)
"""Statuses that rest on scores."""


class Sighting(NamedTuple):
    """One person in one image."""

    message: PersonEmotionArray
    person: PersonEmotion
    true: TruePerson | None

    @property
    def stamp_ns(self) -> int:
        """Stamp of the image, ns."""
        return stamp_ns(self.message)

    @property
    def status(self) -> EmotionStatus:
        """Status of the person's emotion."""
        return EmotionStatus(self.person.emotion_status)

    @property
    def word(self) -> str:
        """The label, or the name of the status when there is none."""
        return str(self.person.top_label) if self.status == EmotionStatus.OK else self.status.name


@dataclass(frozen=True)
class Span:
    """For how long the node said the same about a person: seconds since the first image."""

    start: float
    end: float
    word: str


@dataclass(frozen=True)
class Subject:
    """One person over the whole run."""

    name: str
    """Who, by the ground truth; else the track id."""
    tracks: tuple[str, ...]
    """Ids that mostly showed them, of the images in which they had to be found; in the order of appearance."""
    borrowed: tuple[str, ...]
    """Ids that showed them, too, but mostly somebody else: identity was lost there."""
    demanded: int | None
    """Processed images in which they had to be found; None without ground truth."""
    found: int
    """Images in which they were found; of the demanded ones only, where these are known."""
    statuses: dict[str, int]
    """Images by ``EmotionStatus`` name, the most frequent first."""
    labels: dict[str, int]
    """Images by top label, where the status is OK; the most frequent first."""
    scores: dict[str, float]
    """Mean raw score of each label over the images whose emotion could be read; empty when there are none."""
    spans: tuple[Span, ...]

    @property
    def status(self) -> str:
        """The most frequent status; "" when never seen."""
        return next(iter(self.statuses), "")

    @property
    def label(self) -> str:
        """The most frequent top label; "" when there is none."""
        return next(iter(self.labels), "")

    @property
    def seconds(self) -> float:
        """For how long they were in view."""
        return sum(span.end - span.start for span in self.spans)


class Spread(NamedTuple):
    """Median and 95th percentile, in seconds; NaN when there is nothing."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Speed:
    """How many images went where, and how long they took."""

    sent: int
    """By the player."""
    received: int
    """By the node."""
    processed: int
    """Messages that came back."""
    dropped: int
    """Replaced by a newer image in the node's mailbox, while it was busy."""
    rejected: int
    seconds: float
    """From the first image to the last, as played."""
    latency: Spread
    """From the image's stamp to publishing, by the simulated clock, whose ticks are its resolution."""
    processing: Spread
    """From the image's arrival in the node to publishing, by the steady clock."""
    inference: Spread
    """In the networks, by the steady clock."""

    @property
    def lost(self) -> int:
        """Sent and never received."""
        return max(0, self.sent - self.received)

    @property
    def rate(self) -> float:
        """Processed images a second."""
        return self.processed / self.seconds if self.seconds > 0 else math.nan


def stamp_ns(message: PersonEmotionArray) -> int:
    """Stamp of the image, in nanoseconds."""
    return nanoseconds(message.header.stamp)


def sightings(messages: Iterable[PersonEmotionArray], truth: Truth | None) -> list[Sighting]:
    """Everybody in every message who was detected (not coasting), and who that truly is."""
    images = {image.stamp_ns: image for image in truth.images} if truth else {}
    found = []
    for message in messages:
        persons = detected(message)
        image = images.get(stamp_ns(message))
        shown = matched_persons([box(person) for person in persons], image.persons if image else ())
        found += [Sighting(message, person, owner) for person, owner in zip(persons, shown, strict=True)]
    return found


def detected(message: PersonEmotionArray) -> list[PersonEmotion]:
    """The persons of a message, without those whose box is only the tracker's estimate."""
    return [person for person in message.persons if person.track_state != TrackState.COASTED]


def box(person: PersonEmotion) -> Box:
    """A person's box."""
    return person.x_min, person.y_min, person.x_max, person.y_max


def matched_persons(boxes: Sequence[Box], persons: Sequence[TruePerson]) -> list[TruePerson | None]:
    """For each box the person it shows: one to one, with most overlap, at least ``SAME_IOU``."""
    overlap = iou(_rows(boxes), _rows([person.box for person in persons]))
    overlap[overlap < SAME_IOU] = 0.0
    pairs = dict(zip(*linear_sum_assignment(overlap, maximize=True), strict=True))
    return [persons[pairs[i]] if i in pairs and overlap[i, pairs[i]] > 0 else None for i in range(len(boxes))]


def _rows(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


def subjects(messages: Sequence[PersonEmotionArray], truth: Truth | None, seen: Sequence[Sighting]) -> list[Subject]:
    """Everybody: by the ground truth in its order, else by track in the order of appearance.

    Args:
        messages: of the run, in order.
        truth: of the images played, or None.
        seen: what ``sightings`` says of them.

    """
    if not messages:
        return []
    clock = _Clock([stamp_ns(message) for message in messages])
    if truth is None:
        tracks = dict.fromkeys(sighting.person.track_id for sighting in seen)
        return [
            _subject(track, {track: track}, None, [s for s in seen if s.person.track_id == track], clock)
            for track in tracks
            if track
        ]
    processed = {stamp_ns(message) for message in messages}
    demanded = Counter(
        person.person
        for image in truth.images
        if image.stamp_ns in processed
        for person in image.persons
        if not person.ignore
    )
    names = dict.fromkeys(person.person for image in truth.images for person in image.persons)
    known = dict.fromkeys(name for name in truth.info.get("persons", names) if name in names)
    owners = track_owners(seen)
    return [
        _subject(
            name,
            owners,
            demanded[name],
            [sighting for sighting in seen if sighting.true and sighting.true.person == name],
            clock,
        )
        for name in known | names
    ]


def track_owners(seen: Iterable[Sighting]) -> dict[str, str]:
    """For each track that ever showed somebody real, whom it showed most often; in the order of appearance."""
    votes: dict[str, Counter[str]] = {}
    for sighting in seen:
        if sighting.person.track_id and sighting.true:
            votes.setdefault(sighting.person.track_id, Counter())[sighting.true.person] += 1
    return {track: names.most_common(1)[0][0] for track, names in votes.items()}


def unmet(people: Iterable[Subject], expected: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What was expected of whom and did not come out, one line each.

    Args:
        people: of the run.
        expected: for each person ``status`` and ``emotion``, the most frequent ones; "" is any. Those of whom the
            run saw too little (``DEMANDED_IMAGES``) are not judged.

    """
    problems = []
    for subject in people:
        if subject.name not in expected or (subject.demanded or 0) < DEMANDED_IMAGES:
            continue
        status, label = expected[subject.name].get("status", ""), expected[subject.name].get("emotion", "")
        if not subject.found:
            problems.append(f"{subject.name} was not found in any of {subject.demanded} images")
        elif status and subject.status != status:
            problems.append(f"{subject.name} was mostly {subject.status}, not {status} ({_counts(subject.statuses)})")
        elif label and subject.label != label:
            problems.append(f"{subject.name} was mostly {subject.label}, not {label} ({_counts(subject.labels)})")
    return problems


def speed(
    messages: Sequence[PersonEmotionArray], status: PerceptionStatus, sent: int, seconds: float, rate: float
) -> Speed:
    """Rates, losses and times of the run.

    Args:
        messages: what came back.
        status: the node's last.
        sent: images that were played.
        seconds: for which they were played, by the wall clock.
        rate: how much faster than the wall clock the simulated one went.

    """
    latency = [(nanoseconds(m.published) - stamp_ns(m)) * 1e-9 / rate for m in messages]
    return Speed(
        sent=sent,
        received=status.images_received,
        processed=len(messages),
        dropped=status.mailbox_drops,
        rejected=status.images_rejected,
        seconds=seconds,
        latency=_spread(latency),
        processing=_spread([m.processing_time for m in messages]),
        inference=_spread([m.inference_time for m in messages]),
    )


def strip(subject: Subject, seconds: float, width: int, letters: Mapping[str, str]) -> str:
    """A subject's time as ``width`` characters over ``seconds``: a letter for what was said most, "·" for nobody."""
    cells = []
    for index in range(width):
        start, end = index * seconds / width, (index + 1) * seconds / width
        shares = {span: min(end, span.end) - max(start, span.start) for span in subject.spans}
        longest = max(shares, key=lambda span: shares[span], default=None)
        cells.append(letters[longest.word] if longest and shares[longest] > 0 else "·")
    return "".join(cells)


STATUS_LETTERS = {
    EmotionStatus.UNCERTAIN.name: "?",
    EmotionStatus.PROFILE_OR_OCCLUDED.name: "/",
    EmotionStatus.NO_FACE.name: "x",
    EmotionStatus.TOO_SMALL.name: "-",
    EmotionStatus.NOT_PREDICTED.name: "_",
}


def letters(people: Iterable[Subject]) -> dict[str, str]:
    """One character for each word in the subjects' spans: of a label the first letter that is still free."""
    words = dict.fromkeys(span.word for subject in people for span in subject.spans)
    chosen: dict[str, str] = {}
    for word in sorted(words):
        candidates = STATUS_LETTERS.get(word, word.upper() + "123456789*")
        chosen[word] = next((letter for letter in candidates if letter not in chosen.values()), "*")
    return chosen


class _Clock:
    """Seconds since the first image, and for how long a message holds: until the next one."""

    def __init__(self, stamps: Sequence[int]) -> None:
        self.first = stamps[0]
        steps = [(b - a) * 1e-9 for a, b in itertools.pairwise(stamps)]
        usual = float(np.median(steps)) if steps else 0.0
        self._holds = dict(zip(stamps, [*steps, usual], strict=True))

    def span(self, sighting: Sighting) -> Span:
        start = (sighting.stamp_ns - self.first) * 1e-9
        end = start + min(self._holds[sighting.stamp_ns], LONGEST_GAP_S)
        return Span(round(start, 3), round(end, 3), sighting.word)


def _subject(
    name: str, owners: Mapping[str, str], demanded: int | None, seen: Sequence[Sighting], clock: _Clock
) -> Subject:
    readable = [s for s in seen if s.status in READABLE]
    counted = seen if demanded is None else [s for s in seen if s.true and not s.true.ignore]
    ids = dict.fromkeys(s.person.track_id for s in counted if s.person.track_id)
    return Subject(
        name=name,
        tracks=tuple(track for track in ids if owners[track] == name),
        borrowed=tuple(track for track in ids if owners[track] != name),
        demanded=demanded,
        found=len(counted),
        statuses=_by_frequency(s.status.name for s in seen),
        labels=_by_frequency(s.word for s in seen if s.status == EmotionStatus.OK),
        scores=_mean_scores(readable),
        spans=_spans([clock.span(sighting) for sighting in seen]),
    )


def _mean_scores(seen: Sequence[Sighting]) -> dict[str, float]:
    if not seen:
        return {}
    labels = list(seen[-1].message.labels)  # a model that was swapped in may have others
    rows = np.array([s.person.scores for s in seen if list(s.message.labels) == labels], np.float64)
    return dict(zip(labels, map(float, rows.mean(axis=0)), strict=True))


def _spans(pieces: Iterable[Span]) -> tuple[Span, ...]:
    """Pieces in the order of time, joined where the same goes on."""
    spans: list[Span] = []
    for piece in pieces:
        last = spans[-1] if spans else None
        if last and last.word == piece.word and piece.start - last.end < LONGEST_GAP_S:
            spans[-1] = Span(last.start, piece.end, last.word)
        else:
            spans.append(piece)
    return tuple(spans)


def _by_frequency(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word} {count}×" for word, count in counts.items()) or "nothing"


def _spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(math.nan, math.nan)
    p50, p95 = np.percentile(values, (50, 95))
    return Spread(float(p50), float(p95))


def as_json(value: Any) -> Any:
    """Dataclasses, tuples and numbers as JSON has them; NaN as None."""
    if hasattr(value, "_asdict"):
        return {name: as_json(item) for name, item in value._asdict().items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
