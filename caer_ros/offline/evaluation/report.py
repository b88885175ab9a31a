"""The report of an evaluation: one HTML file that needs no network and nothing beside it."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from caer_ros import __version__
from caer_ros.offline.datasets import images as image_files
from caer_ros.offline.evaluation import plots, table
from caer_ros.offline.metrics.matching import match
from caer_ros.perception import drawing
from caer_ros.perception.person import EmotionStatus, Person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.metrics.summary import Evaluation
    from caer_ros.offline.predictions import ImagePrediction, PredictionHeader
    from caer_ros.offline.sample import Sample

    Image = NDArray[np.uint8]

PICTURES = 6
"""Best images, and as many of the worst."""
_SIDE = 640
"""Longest side of a picture in pixels."""
_ANNOTATED = (255, 255, 255)


def html(joined: Joined, evaluation: Evaluation, pictures: bool = True) -> str:
    """The whole document.

    Args:
        joined: the samples and what was predicted of them.
        evaluation: of these.
        pictures: embed the best and the worst images, which show people.

    Raises:
        DatasetError: an image to be shown cannot be read.
    """
    parts = [
        _figures(evaluation),
        _notes(evaluation.notes),
        *(_table(shown) for shown in table.tables(evaluation)),
        *(_plot(*plot) for plot in plots.all_plots(joined, evaluation)),
    ]
    if pictures:
        parts += _pictures(joined)
    return _DOCUMENT.format(
        title=escape(table.title(evaluation)), style=_STYLE, body="\n".join(filter(None, parts)), version=__version__
    )


# --- Best and worst images -----------------------------------------------------------------------------------------


class Judged(NamedTuple):
    """How well an image was answered."""

    number: int
    """Index of the sample."""
    quality: float
    """0..1, see ``judge``."""
    found: int
    false: int


def judge(joined: Joined) -> list[Judged]:
    """The images with persons, best first.

    An image's quality is the mean over its annotated persons of how high their labels are ranked (label ranking average
    precision of the scores of the detection that is matched at IoU 0.5, 0 for a missed person); where everybody is
    annotated, a false detection counts as one more person with 0.
    """
    matches = match(joined, joined.header.thresholds.get("person", 0.0), thresholds=[0.5])
    judged, person = [], 0
    for index, sample in enumerate(joined.samples):
        detections = matches.detection[0, person : person + len(sample)]
        person += len(sample)
        if not len(sample):
            continue
        ranks = [
            label_ranking(labels, matches.emotions[detection]) if detection >= 0 else 0.0
            for labels, detection in zip(sample.emotions, detections, strict=True)
        ]
        known = [rank for rank in ranks if not np.isnan(rank)]
        here = matches.image == index
        false = int((here & (matches.person[0] < 0) & ~matches.ignored[0]).sum()) if sample.exhaustive else 0
        if known:
            judged.append(Judged(index, sum(known) / (len(known) + false), int((detections >= 0).sum()), false))
    return sorted(judged, key=lambda image: -image.quality)


def label_ranking(labels: NDArray[np.floating], scores: NDArray[np.floating]) -> float:
    """Label ranking average precision of one person: labels [E] (1 has it; NaN unknown) and scores [E], NaN the least.

    The mean over the person's labels of the part of the labels, among those scored at least as high, that it has. NaN
    without a label.
    """
    scores = np.nan_to_num(np.asarray(scores, np.float64), nan=-1.0)[~np.isnan(labels)]
    has = labels[~np.isnan(labels)] >= 0.5
    if not has.any():
        return float("nan")
    above = scores[None] >= scores[has][:, None]  # row: a label that the person has
    return float((above[:, has].sum(axis=1) / above.sum(axis=1)).mean())


def _pictures(joined: Joined) -> list[str]:
    if not joined.header.max_persons or not joined.header.labels:
        return []
    judged = judge(joined)
    count = min(PICTURES, len(judged) // 2)
    chosen = {"Best images": judged[:count], "Worst images": judged[::-1][:count]}
    return [_gallery(heading, some, joined) for heading, some in chosen.items()] if count else []


def _gallery(heading: str, chosen: Sequence[Judged], joined: Joined) -> str:
    figures = []
    for judged in chosen:
        sample, image = joined.samples[judged.number], joined.images[judged.number]
        words = caption(sample, judged, joined.header.labels)
        figures.append(_picture(drawn(sample, image, joined.header), words))
    pictures = f'<div class="gallery">{"".join(figures)}</div>'
    return f'<section><h2>{heading}</h2><p class="note">{_ORDER}</p>{pictures}</section>'


_ORDER = (
    "White: annotated persons, whose labels stand below the picture. In colour: what the model found, from its own "
    "threshold on. Ordered by how high the annotated labels are ranked in the persons found; a missed person counts 0."
)


def drawn(sample: Sample, image: ImagePrediction, header: PredictionHeader) -> bytes:
    """JPEG of an image with the annotated boxes and the persons found."""
    scale = min(1.0, _SIDE / max(sample.size))
    height, width = (max(1, round(side * scale)) for side in sample.size)
    canvas = cv2.resize(image_files.read(sample.path), (width, height), interpolation=cv2.INTER_AREA)
    for box in sample.boxes * scale:
        x_min, y_min, x_max, y_max = (round(float(edge)) for edge in box)
        cv2.rectangle(canvas, (x_min, y_min), (x_max - 1, y_max - 1), _ANNOTATED, 1)
    shown = image.scores >= header.thresholds.get("person", 0.0)
    persons = [
        Person(
            box=box * np.float32(scale),
            confidence=float(score),
            box_kind=header.box_kind,
            scores=emotions,
            status=EmotionStatus.NOT_PREDICTED if np.isnan(emotions).all() else EmotionStatus.OK,
            track_id=f"report-{number}",
        )
        for number, (box, score, emotions) in enumerate(
            zip(image.boxes[shown], image.scores[shown], image.emotions[shown], strict=True)
        )
    ]
    result = drawing.draw(np.asarray(canvas, np.uint8), persons, header.labels)
    return cv2.imencode(".jpg", result[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def caption(sample: Sample, judged: Judged, labels: Sequence[str]) -> str:
    """What is annotated, and how the image was judged."""
    persons = (
        ", ".join(labels[index] for index in np.flatnonzero(row >= 0.5).tolist()) or "—" for row in sample.emotions
    )
    false = f", {judged.false} false" if sample.exhaustive else ""
    return (
        f"{judged.quality:.2f}, {judged.found} of {len(sample)} found{false}: {' | '.join(persons)} ({sample.image_id})"
    )


# --- HTML ----------------------------------------------------------------------------------------------------------


def _figures(evaluation: Evaluation) -> str:
    recognised, field, point = evaluation.er, evaluation.oer, evaluation.operating_point
    detects = bool(evaluation.model.max_persons)
    figures = []
    if recognised:
        chance = f"mAP in annotated boxes; chance {table.percent(recognised.chance)}"
        figures.append((table.percent(recognised.mean_average_precision), "ER", chance))
    if detects:
        detection = evaluation.pd
        figures.append((table.percent(detection.ap), "PD", f"COCO AP of persons; AP50 {table.percent(detection.ap50)}"))
    if detects and evaluation.model.labels:
        floor = f"mAP of persons as found; floor {table.percent(field.chance)}"
        figures.append((table.percent(field.mean_average_precision), "OER", floor))
    if detects and point is not None:
        missed = 1 - point.missed / point.persons if point.persons else float("nan")
        figures.append((table.percent(missed), "persons found", f"at the model's threshold, {point.threshold:g}"))
    cells = "".join(
        f'<div class="figure"><strong>{value}</strong><span>{name}</span><small>{beside}</small></div>'
        for value, name, beside in figures
    )
    return f'<section class="figures">{cells}</section>'


def _notes(notes: Sequence[str]) -> str:
    return f"<ul class='note'>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def _table(shown: table.Table) -> str:
    def cell(tag: str, index: int, text: str) -> str:
        kind = "word" if index in shown.words else "number"
        indent = " indent" if text.startswith("  ") else ""
        return f'<{tag} class="{kind}{indent}">{escape(text.strip())}</{tag}>'

    head = "".join(cell("th", index, text) for index, text in enumerate(shown.header))
    rows = "".join(f"<tr>{''.join(cell('td', i, text) for i, text in enumerate(row))}</tr>" for row in shown.rows)
    return (
        f"<section><h2>{escape(shown.title)}</h2><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )


def _plot(heading: str, note: str, svg: bytes) -> str:
    data = base64.b64encode(svg).decode("ascii")
    return (
        f'<section><h2>{escape(heading)}</h2><p class="note">{escape(note)}</p>'
        f'<img class="plot" alt="{escape(heading)}" src="data:image/svg+xml;base64,{data}"></section>'
    )


def _picture(jpeg: bytes, words: str) -> str:
    data = base64.b64encode(jpeg).decode("ascii")
    return f'<figure><img alt="" src="data:image/jpeg;base64,{data}"><figcaption>{escape(words)}</figcaption></figure>'


_STYLE = """
:root { --ink: #1b2430; --soft: #5d6b7a; --line: #dfe4ea; --back: #f5f7f9; --card: #fff; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 40px; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 18px; margin: 0 0 10px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 16px 0; }
.note, figcaption, small, footer { color: var(--soft); font-size: 13px; } p.note { margin: -4px 0 12px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; }
.figure { display: flex; flex-direction: column; } .figure span { font-weight: 600; }
.figure strong { font-size: 30px; line-height: 1.2; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
th { font-size: 13px; color: var(--soft); font-weight: 600; }
th, td { padding: 5px 14px 5px 0; vertical-align: top; text-align: left; }
tbody td { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } .indent { padding-left: 18px; }
.plot { display: block; width: 100%; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 16px; }
figure { margin: 0; } figure img { width: 100%; border-radius: 6px; display: block; }
figcaption { margin-top: 5px; overflow-wrap: anywhere; }
"""
_DOCUMENT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>
{body}
<footer><p>Written by caer evaluate dataset, caer_ros {version}. Emotions are <b>apparent</b> emotions: how a person
looks to a viewer. They are not what the person feels. If this file holds pictures of people, delete it when you no
longer need it.</p></footer></main></body></html>
"""
