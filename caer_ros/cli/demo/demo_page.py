"""The one-page summary of a demo: self-contained HTML that needs no network, but the video file beside it."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from caer_ros.cli.watch.live_table import STATUS_WORDS
from caer_ros.perception.person import EmotionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from caer_ros.cli.demo.run_summary import Span, Speed, Subject
    from caer_ros.cli.demo.scoring import Result

# Okabe and Ito's, with a darker yellow, and five more.
LABEL_COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a800"),
    *("#5b4b8a", "#8c564b", "#17727c", "#a23b5a", "#6b7a1e"),
)
"""Okabe and Ito's, with a darker yellow, and five more."""
STATUS_COLOURS = {
    EmotionStatus.UNCERTAIN.name: "#c3c9d0",
    EmotionStatus.PROFILE_OR_OCCLUDED.name: "#7a8794",
    EmotionStatus.NO_FACE.name: "#98a3ae",
    EmotionStatus.TOO_SMALL.name: "#aeb7c0",
    EmotionStatus.NOT_PREDICTED.name: "#d9dde2",
}
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
    """Of whom it is."""
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
    result: Result | None
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


def html(page: Page) -> str:
    """The whole document."""
    colours = word_colours(page.people)
    parts = (
        _verdict(page),
        _top(page),
        _people(page, colours),
        _gallery(page.photos),
        _speed(page.speed),
        what_ran(page.facts),
        _files(page.files),
        "<footer><p>Emotions are <b>apparent</b> emotions: how a person looks to a viewer, judged by a statistical "
        "model. They are not what the person feels. This folder holds pictures of people; delete it when you no "
        "longer need it.</p></footer>",
    )
    return document(page.title, parts)


def document(title: str, parts: Iterable[str], style: str = "") -> str:
    """A whole self-contained page: a title in plain text, HTML below it without empty parts, and more CSS."""
    return _DOCUMENT.format(title=escape(title), style=_STYLE + style, body="\n".join(filter(None, parts)))


def word_colours(people: Iterable[Subject]) -> dict[str, str]:
    """A colour for each label and status that was said, the same for everybody."""
    people = list(people)
    words = dict.fromkeys(span.word for subject in people for span in subject.spans)
    labels = sorted({label for subject in people for label in subject.scores} | (words.keys() - STATUS_COLOURS.keys()))
    colours = {label: LABEL_COLOURS[index % len(LABEL_COLOURS)] for index, label in enumerate(labels)}
    return colours | STATUS_COLOURS


def _verdict(page: Page) -> str:
    found = [subject for subject in page.people if subject.found]
    count = f"{len(found)} {'person' if len(found) == 1 else 'people'} came out of the node"
    if not page.problems:
        expected = ", as the ground truth has it" if page.result else ""
        return f'<p class="verdict good"><b>✓</b> {count}{expected}.</p>'
    lines = "".join(f"<li>{escape(problem)}</li>" for problem in page.problems)
    return f'<div class="verdict bad"><b>✗</b> {count}. What went wrong:<ul>{lines}</ul></div>'


def _top(page: Page) -> str:
    figures = _figures(page)
    if not page.video:
        film = '<p class="film note">This OpenCV cannot write videos.</p>'
    elif page.playable:
        poster = f' poster="{escape(page.poster)}"' if page.poster else ""
        film = (
            f'<video class="film" src="{escape(page.video)}"{poster} controls autoplay muted loop playsinline></video>'
        )
    else:
        film = f'<p class="film note">Video for a player, not for browsers: <a href="{page.video}">{page.video}</a></p>'
    return f'<section class="top">{film}<div class="figures">{figures}</div></section>'


def _figures(page: Page) -> str:
    speed, result = page.speed, page.result
    figures = []
    if result:
        figures += [
            (percent(result.precision), "precision", "of the detections show a real person (IoU ≥ 0.5)"),
            (percent(result.recall), "recall", f"of {result.demanded} real persons in {result.images} images found"),
            (percent(result.idf1), "IDF1", "identity kept over the whole run"),
            (str(result.switches), "identity switches", f"{result.identities} identities, {result.tracks} tracks"),
        ]
    figures += [
        (per_second(speed.rate), "images processed", f"{speed.processed} of {speed.sent} sent"),
        (milliseconds(speed.processing.p50), "in the node", f"median; 95 %: {milliseconds(speed.processing.p95)}"),
    ]
    return "".join(
        f'<div class="figure"><strong>{value}</strong><span>{name}</span><small>{note}</small></div>'
        for value, name, note in figures
    )


def _people(page: Page, colours: Mapping[str, str]) -> str:
    portraits = {photo.subject: photo for photo in page.photos if photo.subject}
    rows = "".join(_row(subject, portraits.get(subject.name), page.seconds, colours) for subject in page.people)
    said = {span.word for subject in page.people for span in subject.spans}
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape(_word(word))}</span>'
        for word, colour in colours.items()
        if word in said
    )
    wrong = f"Detections that show nobody real: {page.result.false_positives}. " if page.result else ""
    return f"""<section><h2>Who was seen</h2>
<table class="people"><thead><tr><th colspan="2">person</th><th>found</th><th>what the emotion rests on</th>
<th>apparent emotion, mean score</th></tr></thead>
<tbody>{rows}</tbody></table>
<p class="legend">{legend}</p>
<p class="note">The bands show what the node said over {page.seconds:.1f} s. {wrong}Scores are raw, of each image alone,
averaged over the images in which the emotion could be read.</p></section>"""


def _row(subject: Subject, portrait: Photo | None, seconds: float, colours: Mapping[str, str]) -> str:
    picture = f'<img src="{data_uri(portrait.portrait)}" alt="{escape(portrait.caption)}">' if portrait else ""
    ids = identities(subject)
    images = f"{subject.found}" if subject.demanded is None else f"{subject.found} of {subject.demanded}"
    total = sum(subject.statuses.values()) or 1
    statuses = "<br>".join(
        f"{percent(count / total)} {escape(_status(name))}" for name, count in subject.statuses.items()
    )
    top = sorted(subject.scores.items(), key=lambda item: -(0.0 if math.isnan(item[1]) else item[1]))[:BARS]
    bars = "".join(_bar(label, score, colours[label]) for label, score in top) or '<span class="note">not read</span>'
    return f"""<tr><td class="portrait" rowspan="2">{picture}</td>
<td><b>{escape(subject.name.replace("_", " "))}</b><br><small>{escape(ids)}</small></td>
<td>{images} images<br><small>{subject.seconds:.1f} s in view</small></td>
<td>{statuses or "never seen"}</td><td class="bars">{bars}</td></tr>
<tr class="band"><td colspan="4">{_band(subject.spans, seconds, colours)}</td></tr>"""


def identities(subject: Subject) -> str:
    """The numbers of a person's tracks, as in the pictures."""
    own, others = ([f"#{track.rpartition('-')[2]}" for track in ids] for ids in (subject.tracks, subject.borrowed))
    return ", ".join(own) + (f" (also {', '.join(others)})" if others else "") or "—"


def _bar(label: str, score: float, colour: str) -> str:
    share = 0.0 if math.isnan(score) else min(max(score, 0.0), 1.0)
    return (
        f'<div class="bar"><span>{escape(label)}</span>'
        f'<i><b style="width:{100 * share:.0f}%;background:{colour}"></b></i><em>{share:.2f}</em></div>'
    )


def _band(spans: Iterable[Span], seconds: float, colours: Mapping[str, str]) -> str:
    """What was said over time, as a coloured band."""
    pieces = "".join(
        f'<rect x="{span.start:.3f}" width="{max(span.end - span.start, 0.01):.3f}" height="1" '
        f'fill="{colours[span.word]}"><title>{escape(_word(span.word))}, {span.start:.1f} to {span.end:.1f} s'
        "</title></rect>"
        for span in spans
    )
    return (
        f'<svg viewBox="0 0 {max(seconds, 0.1):.3f} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="what the node said over time">{pieces}</svg>'
    )


def _gallery(photos: Sequence[Photo]) -> str:
    figures = "".join(
        f'<figure><a href="{escape(photo.file)}"><img src="{data_uri(photo.jpeg)}" alt="{escape(photo.caption)}"></a>'
        f"<figcaption>{escape(photo.caption)}</figcaption></figure>"
        for photo in photos
    )
    return f'<section><h2>What the node saw</h2><div class="gallery">{figures}</div></section>' if photos else ""


def _speed(speed: Speed) -> str:
    times = {
        "inference: inside the networks": speed.inference,
        "processing: from arrival in the node to publishing": speed.processing,
        "latency: from the image's stamp to publishing, by the bag's clock": speed.latency,
    }
    rows = "".join(
        f"<tr><td>{name}</td><td>{milliseconds(value.p50)}</td><td>{milliseconds(value.p95)}</td></tr>"
        for name, value in times.items()
    )
    return f"""<section><h2>How fast</h2>
<table><thead><tr><th>time</th><th>median</th><th>95 %</th></tr></thead><tbody>{rows}</tbody></table>
<p>{escape(accounting(speed))}</p></section>"""


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


def what_ran(facts: Mapping[str, Mapping[str, str]]) -> str:
    """A section of blocks: heading -> name -> value."""
    blocks = "".join(
        f"<div><h3>{escape(heading)}</h3><dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in entries.items())
        + "</dl></div>"
        for heading, entries in facts.items()
    )
    return f'<section><h2>What ran</h2><div class="facts">{blocks}</div></section>'


def _files(files: Mapping[str, str]) -> str:
    items = "".join(
        f'<li><a href="{escape(path)}">{escape(path)}</a>: {escape(what)}</li>' for path, what in files.items()
    )
    return f"<section><h2>In this folder</h2><ul>{items}</ul></section>"


def _word(word: str) -> str:
    return _status(word) if word in STATUS_COLOURS else word


def _status(name: str) -> str:
    return "read" if name == EmotionStatus.OK.name else STATUS_WORDS[EmotionStatus[name]]


def percent(share: float) -> str:
    """A share 0..1; a dash for NaN."""
    return "—" if math.isnan(share) else f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.1f} %"


def milliseconds(seconds: float) -> str:
    """Seconds in ms; a dash for NaN."""
    return "—" if math.isnan(seconds) else f"{seconds * 1e3:.0f} ms"


def per_second(rate: float) -> str:
    """A rate; a dash for NaN."""
    return "—" if math.isnan(rate) else f"{rate:.1f}/s"


def data_uri(jpeg: bytes) -> str:
    """A picture as the address of itself."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


_STYLE = """
:root { --ink: #1b2430; --soft: #5d6b7a; --line: #dfe4ea; --back: #f5f7f9; --card: #fff; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 40px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 0 0 6px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 16px 0; }
small, .note, figcaption, dt { color: var(--soft); } small, .note, figcaption, .legend { font-size: 13px; }
.verdict { margin: 10px 0 0; padding: 10px 14px; border-radius: 8px; border: 1px solid; }
.verdict ul { margin: 6px 0 0; padding-left: 22px; }
.good { background: #e9f6f0; border-color: #a5d8c2; } .good b { color: #00734f; }
.bad { background: #fdeeea; border-color: #f0b7a5; } .bad b { color: #a83207; }
.top { display: flex; gap: 20px; flex-wrap: wrap; }
.film { flex: 1 1 480px; min-width: 0; max-width: 640px; border-radius: 6px; background: #000; }
p.film { background: none; margin: 0; }
.figures { flex: 1 1 300px; display: grid; grid-template-columns: 1fr 1fr; gap: 10px; align-content: stretch; }
.figure { border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px;
  display: flex; flex-direction: column; }
.figure strong { font-size: 25px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.figure span { font-weight: 600; }
.figure small { line-height: 1.35; margin-top: 2px; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: 13px; color: var(--soft); font-weight: 600; }
th, td { padding: 7px 12px 7px 0; vertical-align: top; } tbody td { border-top: 1px solid var(--line); }
tr.band td { border: 0; padding: 0 0 12px; } td.portrait { width: 108px; padding-bottom: 12px; }
td.portrait img { width: 92px; height: 92px; object-fit: cover; border-radius: 6px; display: block; }
svg { display: block; width: 100%; height: 16px; background: #eef1f4; border-radius: 3px; }
.bars { width: 38%; } .bar { display: grid; grid-template-columns: 82px 1fr 40px; gap: 8px; align-items: center; }
.bar i { background: #eef1f4; height: 10px; border-radius: 3px; overflow: hidden; }
.bar i b { display: block; height: 100%; }
.bar em { font-style: normal; font-variant-numeric: tabular-nums; color: var(--soft); text-align: right; }
.legend span { margin-right: 16px; white-space: nowrap; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px; }
figure { margin: 0; } figure img { width: 100%; border-radius: 6px; display: block; } figcaption { margin-top: 5px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 18px 32px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; margin: 0; font-size: 13.5px; }
dd { margin: 0; overflow-wrap: anywhere; } ul { margin: 0; padding-left: 20px; } a { color: #00598a; }
footer { color: var(--soft); font-size: 13px; padding: 0 4px; }
"""

_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
