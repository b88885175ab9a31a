"""The ground truth of a bag that is played: samples for the metrics, and who is where for what is told of people.

A json of the format "own" may say more of the demo's people than that format knows: of an annotation ``visible`` (which
part of the person is seen, 0..1), and of a region to ignore the ``track_id`` of the person in it; of an image ``noise``
(it shows nothing else); and in ``info`` what perception is expected to report of whom (see ``demo_bag``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.recordings.annotations import files, own
from caer_ros.recordings.annotations import truth as annotated
from caer_ros.recordings.bags import own_messages
from caer_ros.recordings.definitions import PERSONS, TRUTH_TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from caer_ros.recordings.annotations.sample import Dataset, Sample

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max in pixels of the source image."""


@dataclass(frozen=True)
class TruePerson:
    """Where a person truly is in an image."""

    person: str
    """Who, by name."""
    identity: str
    """The track id, such as ``<person>/<n>``: n grows when the person returns after longer than the track buffer."""
    box: Box
    """Around what is visible of the person."""
    visible: float = 1.0
    """Part of the person that is seen, 0..1."""
    ignore: bool = False
    """Too little is seen to demand a detection."""


@dataclass(frozen=True)
class TrueImage:
    """One image of the ground truth; ``noise`` means that it shows nothing but noise."""

    stamp_ns: int
    noise: bool
    persons: tuple[TruePerson, ...]


@dataclass(frozen=True)
class Truth:
    """Everything that is known of a bag."""

    images: tuple[TrueImage, ...]
    """Who is where; in the order of the stamps."""
    samples: tuple[Sample, ...] = ()
    """The same images, for the metrics."""
    info: dict[str, Any] = field(default_factory=dict)
    """How the bag was made, see ``demo_bag``; empty where no file says it."""


def read(bag: Path, image_topic: str) -> Truth | None:
    """What is known of a camera in a bag: from ``ground_truth.json`` beside it, else from its topic; None without both.

    Raises:
        DatasetError, SourceError: as ``recordings.annotations.truth.of_bag``.
    """
    file = annotated.beside(bag)
    if file is None and TRUTH_TOPIC not in own_messages.topics(bag, PERSONS):
        return None
    dataset = annotated.of_bag(bag, image_topic, file)
    info, told = ({}, {}) if file is None else _told(file)
    images = tuple(_image(dataset, sample, told.get(sample.stamp or 0, _Told())) for sample in dataset.samples)
    return Truth(images, dataset.samples, info)


@dataclass
class _Told:
    """What a file says of an image beyond the format "own"."""

    noise: bool = False
    visible: dict[str, float] = field(default_factory=dict)
    """By track id."""
    ignored: list[TruePerson] = field(default_factory=list)
    """Those in a region to ignore who have a track id."""


def _told(file: Path) -> tuple[dict[str, Any], dict[int, _Told]]:
    """What a file says of the whole, and of its images by their stamps."""
    images, entries, whole = files.read_coco(file)
    told = {key: _Told(noise=bool(image.get("noise"))) for key, image in images.items()}
    for entry in entries:
        here, track, visible = told[entry["image_id"]], str(entry.get("track_id") or ""), float(entry.get("visible", 1))
        here.visible[track] = visible
        if track and entry.get("iscrowd"):
            here.ignored.append(TruePerson(_name("", track), track, files.coco_box(entry), visible, ignore=True))
    return whole.get("info") or {}, {own.stamp(image) or 0: told[key] for key, image in images.items()}


def _image(dataset: Dataset, sample: Sample, told: _Told) -> TrueImage:
    return TrueImage(sample.stamp or 0, told.noise, (*_persons(dataset, sample, told), *told.ignored))


def _persons(dataset: Dataset, sample: Sample, told: _Told) -> Iterator[TruePerson]:
    """Everybody who is to be found; one without a track id is somebody else in each image."""
    for row, (box, track) in enumerate(zip(sample.boxes.tolist(), sample.track_ids, strict=True)):
        known = np.nan_to_num(sample.emotions[row])
        label = dataset.labels[int(known.argmax())] if known.any() else ""
        place = track or f"{sample.stamp}.{row}"
        yield TruePerson(_name(label, place), place, tuple(box), told.visible.get(track, 1.0))


def _name(label: str, track: str) -> str:
    """By the true label, where one is known, and by the track, whatever number it has."""
    return "_".join(filter(None, (label.replace("/", "-"), track.partition("/")[0])))
