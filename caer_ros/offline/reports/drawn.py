"""Pictures of reports: images with what is annotated and what was found drawn on them, and cuts of persons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.perception.imaging import drawing
from caer_ros.perception.person import BoxKind, EmotionStatus, Person, TrackState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import Array, ImagePrediction

    Image = NDArray[np.uint8]

_ANNOTATED = (255, 255, 255)
_OUTLINE = (213, 94, 0)
"""Okabe and Ito's vermilion."""
_DIMMED = 0.62
_MARGIN = 0.08
"""Margin of a cut around the box, as a part of the box's longer side."""


def persons(image: ImagePrediction, chosen: Iterable[int], box_kind: BoxKind) -> list[Person]:
    """Some of the persons found, as what is drawn; of a track the label that was reported, if one was."""
    result = []
    for index in chosen:
        emotions, tracked = image.emotions[index], image.tracked
        smoothed = emotions if tracked is None else tracked.smoothed[index]
        status = EmotionStatus.NOT_PREDICTED if np.isnan(smoothed).all() else EmotionStatus.OK
        if tracked is not None and tracked.top[index] < 0 and status == EmotionStatus.OK:
            status = EmotionStatus.UNCERTAIN
        coasted = tracked is not None and bool(tracked.coasted[index])
        result.append(
            Person(
                box=image.boxes[index],
                confidence=float(image.scores[index]),
                box_kind=box_kind,
                scores=emotions,
                smoothed_scores=smoothed,
                status=status,
                # One colour for each person of an untracked image too.
                track_id=(tracked.ids[index] if tracked else "") or f"report-{index}",
                track_state=TrackState.COASTED if coasted else TrackState.UNTRACKED,
            )
        )
    return result


def jpeg(
    pixels: Image,
    annotated: Array,
    found: Sequence[Person],
    labels: Sequence[str],
    side: int,
    spotlight: Array | None = None,
) -> bytes:
    """JPEG of an image [H,W,3] with boxes on it, its longest side ``side`` at most.

    Args:
        pixels: RGB.
        annotated: [N,4] boxes in white.
        found: persons in colour, with their labels.
        labels: names of the scores.
        side: pixels.
        spotlight: [4] a box that is framed, with all around it darker; None: no such box.
    """
    scale = min(1.0, side / max(pixels.shape[:2]))
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    canvas = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    if spotlight is not None:
        x_min, y_min, x_max, y_max = _whole(spotlight * scale, height, width)
        lit = canvas[y_min:y_max, x_min:x_max].copy()
        canvas = np.asarray(canvas * _DIMMED, np.uint8)
        canvas[y_min:y_max, x_min:x_max] = lit
    for box in annotated * scale:
        x_min, y_min, x_max, y_max = (round(float(edge)) for edge in box)
        cv2.rectangle(canvas, (x_min, y_min), (x_max - 1, y_max - 1), _ANNOTATED, 1)
    scaled = [_scaled(person, scale) for person in found]
    result = drawing.draw(np.asarray(canvas, np.uint8), scaled, labels)
    if spotlight is not None:
        x_min, y_min, x_max, y_max = _whole(spotlight * scale, height, width)
        cv2.rectangle(result, (x_min, y_min), (x_max - 1, y_max - 1), _OUTLINE, 3)
    return _encoded(result, quality=80)


def cut(pixels: Image, box: Array, side: int) -> bytes:
    """JPEG of a box [4] of an image [H,W,3] with a little around it, its longest side ``side`` pixels at most."""
    margin = _MARGIN * max(box[2] - box[0], box[3] - box[1])
    wider = box + np.array([-margin, -margin, margin, margin], np.float32)
    x_min, y_min, x_max, y_max = _whole(wider, *pixels.shape[:2])
    part = pixels[y_min:y_max, x_min:x_max]
    scale = min(1.0, side / max(part.shape[:2]))
    size = [max(1, round(length * scale)) for length in part.shape[1::-1]]
    return _encoded(np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8), quality=72)


def _whole(box: Array, height: int, width: int) -> tuple[int, int, int, int]:
    """A box [4] in whole pixels of the image, one at least."""
    x_min, y_min, x_max, y_max = (round(float(edge)) for edge in box)
    x_min, y_min = min(max(x_min, 0), width - 1), min(max(y_min, 0), height - 1)
    return x_min, y_min, min(max(x_max, x_min + 1), width), min(max(y_max, y_min + 1), height)


def _scaled(person: Person, scale: float) -> Person:
    person.box = person.box * np.float32(scale)
    return person


def _encoded(pixels: Image, quality: int) -> bytes:
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
