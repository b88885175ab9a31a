"""The table of predictions: what a model said about every image of a set, one JSON line an image below a header line.

Data sets, bags and recordings all end in this table, and every metric is a function of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import caer_ros
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.recordings import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from caer_ros.perception.bundle.bundle import Bundle

Array = NDArray[np.float32]

FORMAT = "caer_predictions"
FORMAT_VERSION = 1
_STEADY = ("processing", "inference")


class PredictionsError(Exception):
    """A file of predictions that cannot be read; names the file, the line and what is expected."""


@dataclass(frozen=True, slots=True)
class PredictionHeader:
    """What holds for the whole table."""

    model: str
    """Name of the bundle or of the checkpoint's file."""
    model_version: str
    """Version of a bundle, as in its messages; hash of a checkpoint."""
    label_set: str
    labels: tuple[str, ...]
    score_type: ScoreType
    box_kind: BoxKind
    source: str
    """What was predicted, such as "emotic test" or a bag's path, and in which manner."""
    max_persons: int
    """The longest list of persons that the model can give."""
    thresholds: dict[str, float]
    """"person": the model's own detection threshold; "uncertain" where it has one; "kept": the lowest detection score
    that this table holds (0 where it is not given)."""
    caer_ros: str = caer_ros.__version__
    """Version of the package that wrote the table."""
    pooling: tuple[str, ...] = ()
    """How emotions were read in the ground-truth boxes: ``Bundle.pooling``, and then "flip" where it is the mean with
    the mirrored image, "person_centric" where it is the mean with that head. Empty: not known."""


def header_of(
    bundle: Bundle, source: str, thresholds: dict[str, float], manner: tuple[str, ...] = ()
) -> PredictionHeader:
    """Header of a bundle's table; ``source`` and ``thresholds`` as in the header, ``manner`` the end of its pooling."""
    return PredictionHeader(
        model=bundle.name,
        model_version=bundle.model_version,
        label_set=bundle.label_set,
        labels=bundle.labels,
        score_type=bundle.score_type,
        box_kind=bundle.box_kind,
        source=source,
        max_persons=bundle.max_persons,
        thresholds=thresholds,
        pooling=(bundle.pooling, *manner) if bundle.pooling else (),
    )


def stacked(rows: Sequence[Array], width: int) -> Array:
    """One row [width] for each person as an array [P,width]; of nobody, too."""
    return np.stack(rows).astype(np.float32) if rows else np.empty((0, width), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """What the pipeline adds to the P persons of an image."""

    ids: tuple[str, ...]
    """"" while untracked."""
    coasted: NDArray[np.bool_]
    """[P] not detected in this image: the box is the tracker's estimate."""
    smoothed: Array
    """[P,E] probabilities over the track; NaN where not known."""
    top: NDArray[np.intp]
    """[P] index of the label that is reported; -1: none, as it is uncertain or not predicted."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of a node's message, see msg/PersonEmotionArray."""

    received: int
    """Nanoseconds on the ROS clock, when the image reached the node."""
    published: int
    """Nanoseconds on the ROS clock."""
    processing: float
    """Seconds on the steady clock, from arrival to publishing; NaN not known."""
    inference: float
    """Seconds on the steady clock, inside the networks; NaN not known."""
    drops: int
    """Images that the node's mailbox dropped since its last message."""


@dataclass(frozen=True, slots=True, eq=False)
class ImagePrediction:
    """The P persons that were found in one image, with E emotion scores each."""

    image_id: str
    """Id as in ``Sample.image_id``."""
    size: tuple[int, int]
    """Height, width of the source image."""
    boxes: Array
    """[P,4] x_min, y_min, x_max, y_max in source pixels."""
    scores: Array
    """[P] detection scores, 0..1."""
    emotions: Array
    """[P,E] probabilities of this image alone, after the bundle's calibration; NaN where not predicted."""
    pooled: Array | None = None
    """[N,E] probabilities read in the ground-truth boxes, in the order of ``Sample.boxes``; None: not computed."""
    vad: Array | None = None
    """[P,3] valence, arousal, dominance, -1..1; None: the model has none."""
    stamp: int | None = None
    """Nanoseconds."""
    saturated: bool = False
    """The model's list of persons was full."""
    tracked: Tracked | None = None
    """None: predicted image by image, without the pipeline."""
    timing: Timing | None = None
    """None: not recorded from a node."""


def only(image: ImagePrediction, rows: NDArray[np.bool_]) -> ImagePrediction:
    """The same image with some of its persons: those where ``rows`` [P] is true. What is ``pooled`` stays."""
    tracked = image.tracked and Tracked(
        ids=tuple(name for name, chosen in zip(image.tracked.ids, rows.tolist(), strict=True) if chosen),
        coasted=image.tracked.coasted[rows],
        smoothed=image.tracked.smoothed[rows],
        top=image.tracked.top[rows],
    )
    return replace(
        image,
        boxes=image.boxes[rows],
        scores=image.scores[rows],
        emotions=image.emotions[rows],
        vad=None if image.vad is None else image.vad[rows],
        tracked=tracked,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A header and one entry for each image."""

    header: PredictionHeader
    images: Sequence[ImagePrediction]


def write(path: Path, predictions: Predictions) -> None:
    """Writes the table; the file appears complete or not at all."""
    write_images(path, predictions.header, predictions.images)


def write_images(path: Path, header: PredictionHeader, images: Iterable[ImagePrediction]) -> None:
    """As ``write``, one image at a time, so that a long run never holds its whole table."""
    with whole_file.opened(path) as file:
        file.write(json.dumps(_header_fields(header)).encode() + b"\n")
        for image in images:
            line = json.dumps(_image_fields(image), allow_nan=False, separators=(",", ":"))
            file.write(line.encode() + b"\n")


def read(path: Path) -> Predictions:
    """Reads a whole table. Raises PredictionsError."""
    return Predictions(read_header(path), tuple(iterate(path)))


def read_header(path: Path) -> PredictionHeader:
    """Reads the first line. Raises PredictionsError."""
    return _header(*next(_lines(path), (f"{path}:1", {})))


def iterate(path: Path) -> Iterator[ImagePrediction]:
    """The images of a table, one at a time. Raises PredictionsError."""
    lines = _lines(path)
    labels = len(_header(*next(lines, (f"{path}:1", {}))).labels)
    for where, fields in lines:
        yield _image(where, fields, labels)


def _header_fields(header: PredictionHeader) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "caer_ros": header.caer_ros,
        "model": header.model,
        "model_version": header.model_version,
        "label_set": header.label_set,
        "labels": header.labels,
        "score_type": header.score_type.name.lower(),
        "box_kind": header.box_kind.name.lower(),
        "source": header.source,
        "max_persons": header.max_persons,
        "thresholds": header.thresholds,
        "pooling": header.pooling,
    }


def _image_fields(image: ImagePrediction) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "stamp": image.stamp,
        "size": image.size,
        "boxes": _plain(image.boxes),
        "scores": _plain(image.scores),
        "emotions": _plain(image.emotions),
        "saturated": image.saturated,
        "pooled": None if image.pooled is None else _plain(image.pooled),
        "vad": None if image.vad is None else _plain(image.vad),
        "tracked": None if image.tracked is None else _tracked_fields(image.tracked),
        "timing": None if image.timing is None else _timing_fields(image.timing),
    }


def _tracked_fields(tracked: Tracked) -> dict[str, Any]:
    return {
        "ids": tracked.ids,
        "coasted": tracked.coasted.tolist(),
        "smoothed": _plain(tracked.smoothed),
        "top": tracked.top.tolist(),
    }


def _timing_fields(timing: Timing) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in asdict(timing).items()}


def _plain(array: Array) -> list[Any]:
    """Nested lists, NaN as None; nine digits bring every float32 back exactly."""
    if array.ndim > 1:
        return [_plain(row) for row in array]
    return [float(f"{value:.9g}") if value == value else None for value in array.tolist()]


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's place ("file:number") and content."""
    where = f"{path}:1"
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                where = f"{path}:{number}"
                fields = json.loads(line)
                if not isinstance(fields, dict):
                    raise PredictionsError(f"{where}: {type(fields).__name__} where a JSON object is expected")
                yield where, fields
    except OSError as error:
        raise PredictionsError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # of JSON or of UTF-8
        raise PredictionsError(
            f"{where}: not JSON ({error}); the file was cut off or is no prediction table"
        ) from error


def _header(where: str, fields: dict[str, Any]) -> PredictionHeader:
    if (fields.get("format"), fields.get("format_version")) != (FORMAT, FORMAT_VERSION):
        raise PredictionsError(
            f'{where}: no header of format "{FORMAT}", version {FORMAT_VERSION}; '
            "is this a prediction table, written by this version of caer_ros?"
        )
    try:
        return PredictionHeader(
            model=str(fields["model"]),
            model_version=str(fields["model_version"]),
            label_set=str(fields["label_set"]),
            labels=tuple(map(str, fields["labels"])),
            score_type=ScoreType[fields["score_type"].upper()],
            box_kind=BoxKind[fields["box_kind"].upper()],
            source=str(fields["source"]),
            max_persons=int(fields["max_persons"]),
            thresholds={str(name): float(value) for name, value in fields["thresholds"].items()},
            caer_ros=str(fields["caer_ros"]),
            pooling=tuple(map(str, fields.get("pooling", ()))),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PredictionsError(f"{where}: header field missing or of the wrong kind: {error!r}") from error


def _image(where: str, fields: dict[str, Any], labels: int) -> ImagePrediction:
    try:
        boxes = _array(fields, "boxes", (None, 4))
        persons = len(boxes)
        image = ImagePrediction(
            image_id=str(fields["image_id"]),
            size=(int(fields["size"][0]), int(fields["size"][1])),
            boxes=boxes,
            scores=_array(fields, "scores", (persons,)),
            emotions=_array(fields, "emotions", (persons, labels)),
            pooled=None if fields["pooled"] is None else _array(fields, "pooled", (None, labels)),
            vad=None if fields["vad"] is None else _array(fields, "vad", (persons, 3)),
            stamp=None if fields["stamp"] is None else int(fields["stamp"]),
            saturated=bool(fields["saturated"]),
            tracked=_tracked(fields["tracked"], persons, labels) if fields.get("tracked") else None,
            timing=_timing(fields["timing"]) if fields.get("timing") else None,
        )
    except KeyError as error:
        raise PredictionsError(f"{where}: no field {error}") from error
    except (TypeError, ValueError, IndexError) as error:
        raise PredictionsError(f"{where}: {error}") from error
    if not (np.isfinite(image.boxes).all() and np.isfinite(image.scores).all()):
        raise PredictionsError(f"{where}: a box or a detection score that is no finite number")
    return image


def _tracked(fields: dict[str, Any], persons: int, labels: int) -> Tracked:
    ids, coasted, top = (tuple(fields[name]) for name in ("ids", "coasted", "top"))
    if not len(ids) == len(coasted) == len(top) == persons:
        raise ValueError(f'field "tracked" is not of {persons} persons')
    return Tracked(
        ids=tuple(map(str, ids)),
        coasted=np.array(coasted, bool),
        smoothed=_array(fields, "smoothed", (persons, labels)),
        top=np.array(top, np.intp),
    )


def _timing(fields: dict[str, Any]) -> Timing:
    processing, inference = (math.nan if fields[name] is None else float(fields[name]) for name in _STEADY)
    return Timing(int(fields["received"]), int(fields["published"]), processing, inference, int(fields["drops"]))


def _array(fields: dict[str, Any], name: str, shape: tuple[int | None, ...]) -> Array:
    """A field as float32, None as NaN, no rows as zero rows of that width. Raises ValueError unless of that shape."""
    values = fields[name]
    if not values:
        array = np.empty((0, *(length or 0 for length in shape[1:])), np.float32)
    else:
        try:
            array = np.array(values, np.float32)  # numpy reads None as NaN
        except (TypeError, ValueError):
            raise ValueError(f'field "{name}" is no array of numbers of shape {_named(shape)}') from None
    if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        raise ValueError(f'field "{name}" has shape {list(array.shape)}, expected {_named(shape)}')
    return array


def _named(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if length is None else str(length) for length in shape) + "]"
