"""The report of an evaluation: one HTML file that needs no network and nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.evaluation.judged import judge
from caer_ros.offline.metrics.positives import positives_of_labels
from caer_ros.offline.reports import drawn, plots, tables
from caer_ros.pages import page
from caer_ros.pages.parts import Headline, Picture
from caer_ros.recordings.annotations import image_files as image_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader
    from caer_ros.offline.evaluation.judged import Judged
    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.metrics.summary import Evaluation
    from caer_ros.recordings.annotations.sample import Sample

PICTURES = 6
"""Best images, and as many of the worst."""
_SIDE = 640
"""Longest side of a picture in pixels."""


def html(joined: Joined, evaluation: Evaluation, pictures: bool = True) -> str:
    """The whole document.

    Args:
        joined: the samples and what was predicted of them.
        evaluation: of these.
        pictures: embed the best and the worst images, which show people.

    Raises:
        DatasetError: an image to be shown cannot be read.
    """
    return page.render(
        "dataset.html.j2",
        title=tables.title(evaluation),
        headline=_headline(evaluation),
        notes=evaluation.notes,
        tables=tables.tables(evaluation),
        plots=list(plots.all_plots(joined, evaluation)),
        galleries=_galleries(joined) if pictures else {},
    )


# --- Best and worst images -----------------------------------------------------------------------------------------


def _galleries(joined: Joined) -> dict[str, list[Picture]]:
    if not joined.header.max_persons or not joined.header.labels:
        return {}
    labelled = (one for one in judge(joined) if np.isfinite(joined.samples[one.number].emotions).any())
    judged = sorted(labelled, key=lambda one: -one.quality)
    count = min(PICTURES, len(judged) // 2)
    chosen = {"Best images": judged[:count], "Worst images": judged[::-1][:count]}
    return {heading: [_picture(one, joined) for one in some] for heading, some in chosen.items()} if count else {}


def _picture(judged: Judged, joined: Joined) -> Picture:
    sample, image = joined.samples[judged.number], joined.images[judged.number]
    return Picture(drawing(sample, image, joined.header), caption(sample, judged, joined.header.labels))


def drawing(sample: Sample, image: ImagePrediction, header: PredictionHeader) -> bytes:
    """JPEG of an image with the annotated boxes and the persons found."""
    shown = np.flatnonzero(image.scores >= header.thresholds.get("person", 0.0)).tolist()
    found = drawn.persons(image, shown, header.box_kind)
    return drawn.jpeg(image_files.read(sample.path), sample.boxes, found, header.labels, _SIDE)


def caption(sample: Sample, judged: Judged, labels: Sequence[str]) -> str:
    """What is annotated, and how the image was judged."""
    persons = (
        ", ".join(labels[index] for index in np.flatnonzero(row == 1).tolist()) or "—"
        for row in positives_of_labels(sample.emotions)
    )
    false = f", {judged.false} false" if sample.exhaustive else ""
    return (
        f"{judged.quality:.2f}, {judged.found} of {len(sample)} found{false}: {' | '.join(persons)} ({sample.image_id})"
    )


def _headline(evaluation: Evaluation) -> list[Headline]:
    recognised, field, point = evaluation.er, evaluation.oer, evaluation.operating_point
    detects = bool(evaluation.model.max_persons)
    numbers = []
    if recognised:
        chance = f"mAP in annotated boxes; chance {tables.percent(recognised.chance)}"
        numbers.append(Headline(tables.percent(recognised.mean_average_precision), "ER", chance))
    if detects:
        detection = evaluation.pd
        ap50 = f"COCO AP of persons; AP50 {tables.percent(detection.ap50)}"
        numbers.append(Headline(tables.percent(detection.ap), "PD", ap50))
    if detects and evaluation.model.labels:
        floor = f"mAP of persons as found; floor {tables.percent(field.chance)}"
        numbers.append(Headline(tables.percent(field.mean_average_precision), "OER", floor))
    if detects and point is not None:
        found = 1 - point.missed / point.persons if point.persons else float("nan")
        at = f"at the model's threshold, {point.threshold:g}"
        numbers.append(Headline(tables.percent(found), "persons found", at))
    return numbers
