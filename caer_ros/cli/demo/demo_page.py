"""The one-page summary of a demo: HTML that needs no network, but the video and the large pictures beside it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caer_ros.cli.watch.live_table import STATUS_WORDS
from caer_ros.pages import page as pages
from caer_ros.pages.parts import Block, Headline, Picture, Swatch, label_css
from caer_ros.pages.words import milliseconds, per_second, percent
from caer_ros.perception.person import EmotionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from caer_ros.cli.demo.accuracy import Accuracy
    from caer_ros.cli.demo.run_summary import Span, Speed, Subject

STATUSES = ("UNCERTAIN", "PROFILE_OR_OCCLUDED", "NO_FACE", "TOO_SMALL", "NOT_PREDICTED")
"""What is said of a person without a label, in the order of the legend."""
BARS = 3
"""Emotions shown of each person."""


@dataclass(frozen=True)
class Photo:
    """A picture to embed."""

    caption: str
    jpeg: bytes
    file: str
    """Relative path of the large one."""
    subject: str = ""
    """Name of the person it shows."""
    portrait: bytes = b""
    """JPEG of that person alone."""


@dataclass(frozen=True)
class Page:
    """Everything that the page says."""

    title: str
    problems: Sequence[str]
    """Why the run counts as failed; empty when all is well."""
    people: Sequence[Subject]
    seconds: float
    """Length of the time axis."""
    result: Accuracy | None
    speed: Speed
    photos: Sequence[Photo]
    video: str
    """Relative path; "" when there is none."""
    poster: str
    """Relative path of the picture that stands for it until it plays; "" when there is none."""
    playable: bool
    """Can every browser show the video?"""
    facts: Mapping[str, Mapping[str, str]]
    """Heading -> name -> value: the model, the machine, the versions, the command."""
    files: Mapping[str, str]
    """Relative path -> what it is."""


@dataclass(frozen=True)
class Row:
    """A person as the page shows them."""

    name: str
    ids: str
    portrait: Picture | None
    images: str
    seconds: float
    """In view."""
    statuses: Sequence[str]
    """What the emotion rests on, with its share."""
    bars: Sequence[Bar]
    blocks: Sequence[Block]
    """What was said over time."""


@dataclass(frozen=True)
class Bar:
    """An emotion, and its mean score."""

    label: str
    css: str
    share: float


def html(page: Page) -> str:
    """The whole document."""
    colours = word_colours(page.people)
    said = {span.word for subject in page.people for span in subject.spans}
    found = sum(1 for subject in page.people if subject.found)
    portraits = {photo.subject: photo for photo in page.photos if photo.subject}
    return pages.render(
        "demo.html.j2",
        title=page.title,
        problems=page.problems,
        count=f"{found} {'person' if found == 1 else 'people'} came out of the node",
        headline=_headline(page),
        video=page.video,
        poster=page.poster,
        playable=page.playable,
        people=[_row(subject, portraits.get(subject.name), page.seconds, colours) for subject in page.people],
        legend=[Swatch(css, _word(word)) for word, css in colours.items() if word in said],
        seconds=page.seconds,
        result=page.result,
        photos=[Picture(photo.jpeg, photo.caption, photo.file) for photo in page.photos],
        times=_times(page.speed),
        accounting=accounting(page.speed),
        facts=page.facts,
        files=page.files,
    )


def word_colours(people: Iterable[Subject]) -> dict[str, str]:
    """CSS classes of a colour for each label and status that was said, the same for everybody.

    The label that was said for longest has the first colour.
    """
    seconds: dict[str, float] = defaultdict(float)
    for subject in people:
        for label in subject.scores:
            seconds[label] += 0.0
        for span in subject.spans:
            seconds[span.word] += span.end - span.start
    labels = sorted(seconds.keys() - set(STATUSES), key=lambda label: (-seconds[label], label))
    colours = {label: label_css(rank) for rank, label in enumerate(labels)}
    return colours | {status: status.lower().replace("_", "-") for status in STATUSES}


def _headline(page: Page) -> list[Headline]:
    speed, result = page.speed, page.result
    numbers = []
    if result:
        numbers += [
            Headline(percent(result.precision), "precision", "of the detections show a real person (IoU ≥ 0.5)"),
            Headline(
                percent(result.recall), "recall", f"of {result.demanded} real persons in {result.images} images found"
            ),
            Headline(percent(result.idf1), "IDF1", "identity kept over the whole run"),
            Headline(
                str(result.switches), "identity switches", f"{result.identities} identities, {result.tracks} tracks"
            ),
        ]
    numbers += [
        Headline(per_second(speed.rate), "images processed", f"{speed.processed} of {speed.sent} sent"),
        Headline(
            milliseconds(speed.processing.p50), "in the node", f"median; 95 %: {milliseconds(speed.processing.p95)}"
        ),
    ]
    return numbers


def _row(subject: Subject, portrait: Photo | None, seconds: float, colours: Mapping[str, str]) -> Row:
    total = sum(subject.statuses.values()) or 1
    top = sorted(subject.scores.items(), key=lambda item: -(0.0 if math.isnan(item[1]) else item[1]))[:BARS]
    return Row(
        name=subject.name.replace("_", " "),
        ids=identities(subject),
        portrait=Picture(portrait.portrait, portrait.caption) if portrait else None,
        images=f"{subject.found}" if subject.demanded is None else f"{subject.found} of {subject.demanded}",
        seconds=subject.seconds,
        statuses=[f"{percent(count / total)} {_status(name)}" for name, count in subject.statuses.items()],
        bars=[Bar(label, colours[label], 0.0 if math.isnan(s) else min(max(s, 0.0), 1.0)) for label, s in top],
        blocks=[_block(span, max(seconds, 0.1), colours[span.word]) for span in subject.spans],
    )


def _block(span: Span, seconds: float, css: str) -> Block:
    width = max(span.end - span.start, 0.01)
    title = f"{_word(span.word)}, {span.start:.1f} to {span.end:.1f} s"
    return Block(100 * span.start / seconds, 100 * width / seconds, css, title=title)


def identities(subject: Subject) -> str:
    """The numbers of a person's tracks, as in the pictures."""
    own, others = ([f"#{track.rpartition('-')[2]}" for track in ids] for ids in (subject.tracks, subject.borrowed))
    return ", ".join(own) + (f" (also {', '.join(others)})" if others else "") or "—"


def _times(speed: Speed) -> list[tuple[str, str, str]]:
    times = {
        "inference: inside the networks": speed.inference,
        "processing: from arrival in the node to publishing": speed.processing,
        "latency: from the image's stamp to publishing, by the bag's clock": speed.latency,
    }
    return [(name, milliseconds(value.p50), milliseconds(value.p95)) for name, value in times.items()]


def accounting(speed: Speed) -> str:
    """Where the images went, in a sentence or two."""
    waiting = speed.received - speed.processed - speed.dropped - speed.rejected
    parts = [f"{speed.processed} processed"]
    if speed.dropped:
        parts.append(f"{speed.dropped} dropped by design (the node was busy, and a newer one came)")
    if speed.rejected:
        parts.append(f"{speed.rejected} rejected")
    if speed.lost:
        parts.append(f"{speed.lost} lost on the way to the node")
    if waiting > 0:
        parts.append(f"{waiting} not accounted for")
    return f"{speed.sent} images sent in {speed.seconds:.1f} s: {'; '.join(parts)}."


def _word(word: str) -> str:
    return _status(word) if word in STATUSES else word


def _status(name: str) -> str:
    return "read" if name == EmotionStatus.OK.name else STATUS_WORDS[EmotionStatus[name]]
