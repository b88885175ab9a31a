"""Pictures of a bag, sampled uniformly in time, and a json of the format "own" that waits for annotations.

The folder gets ``TOPIC/STAMP.jpg`` (or .png), named by image topic and header stamp, so that cameras with equal stamps
never meet; and, last of all and in one piece, ``annotations.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.recordings import frames, whole_file
from caer_ros.recordings import picture_files as pictures
from caer_ros.recordings.annotations import own
from caer_ros.recordings.annotations.assembly import clip, has_area
from caer_ros.recordings.annotations.sample import Array, Dataset, DatasetError, Findings, Sample
from caer_ros.recordings.sources import SourceError
from caer_ros.taxonomy import LABEL_SETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from caer_ros.perception.predictors.predictor import Predictor
    from caer_ros.recordings.frames import Frame

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Watch = Callable[[Iterable[Frame], int], Iterable[Frame]]

SPLITS = {"train": 0.7, "val": 0.1, "test": 0.2}
"""Blocks of time, in this order, and their parts."""
_ATTEMPTS = 3
"""Passes over the bag, of which the later ones look for pictures in the place of those that cannot be decoded."""
_NO_EMOTIONS = 2.0
"""A confidence that nobody reaches."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which pictures to take: one of the two, or neither for all of them."""

    every: float | None = None
    """Seconds between two points of the grid that starts at the first picture."""
    count: int | None = None
    """So many points, evenly spaced from the first picture to the last; a single one lies in the middle."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the json says before anybody has annotated."""

    dataset: Dataset
    """Labels, and who pre-filled; its samples are not looked at."""
    sample: Callable[[Frame, str, Path], Sample]
    """What is said of a frame, given the name and path of its file. May raise DatasetError: it is then left out."""
    stamps: frozenset[int] | None = None
    """The only frames that are to be taken, in nanoseconds; None for all."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was written."""

    pictures: int
    persons: int
    """Boxes in the json."""
    left_out: tuple[str, ...]
    """What is not there, one line each."""


def extract(
    bag: Path,
    output: Path,
    draft: Draft,
    sampling: Sampling,
    topics: Sequence[str] = (),
    *,
    png: bool = False,
    splits: bool = False,
    watch: Watch = lambda found, count: found,
) -> Extracted:
    """Write pictures and json into a folder. One picture is in memory at a time.

    Args:
        bag: a rosbag2.
        output: a new or empty folder.
        draft: what the json says; see ``blank``, ``prefilled`` and ``true``.
        sampling: of each topic.
        topics: image topics; none where the bag has only one.
        png: without loss, and five times the size.
        splits: put a field "split" into the json, in contiguous blocks of time: see ``SPLITS``.
        watch: wraps the frames, given about how many they are, to show progress.

    Raises:
        SourceError: the bag cannot be read, lacks a topic, has several and none is named, or no picture can be had.
        DatasetError: the folder is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DatasetError(f"{output} exists already and is not empty: remove it, or choose another folder")
    left_out: list[str] = []
    samples = [
        sample
        for topic in topics or (None,)
        for sample in _of_topic(bag, topic, output, draft, sampling, ".png" if png else ".jpg", left_out, watch)
    ]
    if not samples:
        raise SourceError(f"{bag}: no picture to extract; {'; '.join(left_out[:3]) or 'none has a stamp'}")
    content = own_content(replace(draft.dataset, samples=tuple(samples)))
    if splits:
        for image, split in zip(content["images"], blocks([sample.stamp or 0 for sample in samples]), strict=True):
            image["split"] = split
    write_json(output / own.WHOLE, content)
    return Extracted(len(samples), sum(map(len, samples)), tuple(left_out))


def own_content(dataset: Dataset) -> dict[str, Any]:
    """Content as from ``own.content``; where all images agree, ``exhaustive`` stands once in ``info``, to be edited."""
    content = own.content(dataset)
    said = {bool(image["exhaustive"]) for image in content["images"]}
    if len(said) == 1:
        content["info"]["exhaustive"] = said.pop()
        for image in content["images"]:
            del image["exhaustive"]
    return content


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Complete or not at all; each entry of a list on a line of its own."""
    fields = ",\n".join(f"{json.dumps(name)}: {_lines(value)}" for name, value in content.items())
    whole_file.write_text(file, f"{{\n{fields}\n}}\n")


def _lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value, allow_nan=False)
    return "[\n" + ",\n".join(json.dumps(item, allow_nan=False) for item in value) + "\n]"


# --- What the json says --------------------------------------------------------------------------------------------


def blank(label_set: str, labels: tuple[str, ...], multi_label: bool, box_kind: BoxKind) -> Draft:
    """Pictures without annotations, and the labels that are to be given."""

    def sample(frame: Frame, name: str, path: Path) -> Sample:
        return _sample(frame, name, path, np.empty((0, 4)), np.empty((0, len(labels))), box_kind)

    return Draft(_no_samples(label_set, labels, multi_label), sample)


def prefilled(model: Predictor, wanted: Draft | None, emotions: bool) -> Draft:
    """Boxes by a model, at its bundle's threshold, without tracker and smoothing; emotions blank unless asked for.

    Args:
        model: loaded.
        wanted: the labels to be given, of ``blank``; None for the model's.
        emotions: fill in the model's scores as beliefs.

    Raises:
        DatasetError: emotions are asked for, and the model has other labels.
    """
    bundle = model.bundle
    multi_label = bundle.score_type == ScoreType.SIGMOID
    dataset = wanted.dataset if wanted else _no_samples(bundle.label_set, bundle.labels, multi_label)
    if emotions and (dataset.labels, dataset.multi_label) != (bundle.labels, multi_label):
        several = {True: "several labels a person", False: "one label a person"}
        raise DatasetError(
            f"{bundle.name} predicts {', '.join(bundle.labels)} ({several[multi_label]}), but to be annotated are "
            f"{', '.join(dataset.labels)} ({several[dataset.multi_label]}): leave the emotions blank"
        )

    def sample(frame: Frame, name: str, path: Path) -> Sample:
        (prediction,) = model([frame.pixels], None, None if emotions else _NO_EMOTIONS)
        height, width = frame.pixels.shape[:2]
        boxes = [_clipped(person.box, height, width) for person in prediction.persons]
        kept = [index for index, box in enumerate(boxes) if has_area(box)]
        scores = [np.clip(prediction.persons[index].scores, 0, 1) for index in kept] if emotions else []
        unknown = np.full((len(kept), len(dataset.labels)), np.nan)
        return _sample(
            frame,
            name,
            path,
            np.reshape([boxes[index] for index in kept], (-1, 4)),
            np.reshape(scores, unknown.shape) if scores else unknown,
            bundle.box_kind,
        )

    model_said = {"name": bundle.name, "version": bundle.model_version, "boxes": True, "emotions": emotions}
    return Draft(replace(dataset, prefilled_by=model_said), sample)


def _clipped(box: Array, height: int, width: int) -> Array:
    left, upper, right, lower = map(float, box)
    return clip((left, upper, right, lower), height, width)


def true(truth: Dataset) -> Draft:
    """The ground truth of the bag, and only the frames that have one."""
    samples = {sample.stamp: sample for sample in truth.samples if sample.stamp}

    def sample(frame: Frame, name: str, path: Path) -> Sample:
        known = samples[frame.stamp_ns]
        if known.size != frame.pixels.shape[:2]:
            height, width = frame.pixels.shape[:2]
            raise DatasetError(f"{name}: {width}x{height} pixels, but annotated as {known.size[1]}x{known.size[0]}")
        return replace(known, image_id=name, path=path)

    return Draft(replace(truth, samples=()), sample, frozenset(stamp for stamp in samples if stamp))


def _no_samples(label_set: str, labels: tuple[str, ...], multi_label: bool) -> Dataset:
    if label_set in LABEL_SETS and labels != LABEL_SETS[label_set]:
        label_set = "own"
    return Dataset("own", Path(), "test", label_set, labels, multi_label, (), Findings())


def _sample(frame: Frame, name: str, path: Path, boxes: Floats, emotions: Floats, box_kind: BoxKind) -> Sample:
    """A sample whose people are not known to be all."""
    count = len(boxes)
    height, width = frame.pixels.shape[:2]
    return Sample(
        image_id=name,
        path=path,
        size=(height, width),
        boxes=boxes.astype(np.float32),
        box_kind=box_kind,
        emotions=emotions.astype(np.float32),
        vad=np.full((count, 3), np.nan, np.float32),
        votes=np.full(emotions.shape, np.nan, np.float32),
        weights=np.ones(count, np.float32),
        gender=("",) * count,
        age=("",) * count,
        exhaustive=False,
        track_ids=("",) * count,
        faces=("",) * count,
        face_boxes=np.full((count, 4), np.nan, np.float32),
        stamp=frame.stamp_ns,
    )


# --- Which pictures ------------------------------------------------------------------------------------------------


def _of_topic(
    bag: Path,
    topic: str | None,
    output: Path,
    draft: Draft,
    sampling: Sampling,
    suffix: str,
    left_out: list[str],
    watch: Watch,
) -> list[Sample]:
    """Write the pictures of one topic; what the json says of them, in the order of their stamps."""
    topic, recorded = frames.stamps(bag, topic)
    if ".." in topic.split("/"):
        raise SourceError(f"{bag}: a topic that is no name of a folder: {topic}")
    stamps = _usable(bag, topic, recorded, draft, left_out)
    chosen = choose(stamps, sampling)
    if sampling.count and len(chosen) < min(sampling.count, len(stamps)):
        left_out.append(
            f"{bag}: {len(chosen)} pictures of {topic} where {sampling.count} were asked for: the recording has gaps"
        )
    samples = []
    for frame in watch(_decoded(bag, topic, stamps, chosen, sampling, left_out), len(chosen)):
        name = frame.name + suffix
        try:
            sample = draft.sample(frame, name, output / name)
        except DatasetError as error:
            left_out.append(f"{bag}: {error}")
            continue
        pictures.write(output, frame, suffix)
        samples.append(sample)
    return sorted(samples, key=lambda sample: sample.stamp or 0)


def _usable(bag: Path, topic: str, recorded: Sequence[int], draft: Draft, left_out: list[str]) -> Integers:
    """The stamps that a picture can be named by, each once, sorted."""
    zero = sum(stamp == 0 for stamp in recorded)
    stamps = np.unique([stamp for stamp in recorded if stamp])
    if zero:
        left_out.append(f"{bag}: {zero} of {len(recorded)} images of {topic} have a stamp of zero and cannot be named")
    if twice := len(recorded) - zero - len(stamps):
        left_out.append(f"{bag}: {twice} images of {topic} have the stamp of another one; the first is taken")
    if draft.stamps is not None:
        return stamps[np.isin(stamps, list(draft.stamps))]
    return stamps


def choose(stamps: Integers, sampling: Sampling) -> dict[int, int]:
    """The stamp nearest to each point in time, the earlier one of two, and that point; each stamp once.

    Args:
        stamps: nanoseconds, sorted, each once.
        sampling: where the points are.
    """
    if not len(stamps) or (sampling.every is None and sampling.count is None):
        return {int(stamp): int(stamp) for stamp in stamps}
    offsets = stamps - stamps[0]
    points = _points(offsets, sampling)
    right = np.clip(np.searchsorted(offsets, points), 1, max(1, len(offsets) - 1))
    right = np.minimum(right, len(offsets) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(points - offsets[left] <= offsets[right] - points, left, right)
    chosen: dict[int, int] = {}
    for index, point in zip(nearest.tolist(), points.tolist(), strict=True):
        stamp = int(stamps[index])
        if stamp not in chosen or abs(point - offsets[index]) < abs(chosen[stamp] - stamp):
            chosen[stamp] = int(stamps[0]) + round(point)
    return chosen


def _points(offsets: Integers, sampling: Sampling) -> Floats:
    """Points in time, in nanoseconds from the first stamp on."""
    last = float(offsets[-1])
    if sampling.count is not None:
        return np.linspace(0, last, sampling.count) if sampling.count > 1 else np.array([last / 2])
    assert sampling.every is not None
    step = sampling.every * 1e9
    # Of the whole grid only the points beside a frame can be the nearest to any: a fine grid costs no memory.
    numbers = np.unique(np.concatenate([np.floor(offsets / step), np.ceil(offsets / step)]))
    return np.asarray(numbers[numbers * step <= last + 1e-6 * step] * step)


def _decoded(
    bag: Path, topic: str, stamps: Integers, chosen: dict[int, int], sampling: Sampling, left_out: list[str]
) -> Iterator[Frame]:
    """The chosen frames; in the place of one that cannot be decoded the next nearest to its point in time."""
    reach = _reach(stamps, sampling)
    waiting, tried = dict(chosen), set(chosen)
    for _ in range(_ATTEMPTS):
        found = set()
        for frame in frames.at(bag, topic, waiting, left_out):
            found.add(frame.stamp_ns)
            yield frame
        missing = [point for stamp, point in waiting.items() if stamp not in found]
        waiting = {}
        for point in missing:
            near = stamps[np.searchsorted(stamps, point - reach) : np.searchsorted(stamps, point + reach, "right")]
            untried = sorted(set(near.tolist()) - tried, key=lambda stamp: abs(stamp - point))
            if untried:
                waiting[untried[0]] = point
                tried.add(untried[0])
        if not waiting:
            return


def _reach(stamps: Integers, sampling: Sampling) -> int:
    """Nanoseconds from a point in time within which a frame can stand in for another; 0 for nowhere."""
    if sampling.every is not None:
        return int(sampling.every * 1e9 / 2)
    if sampling.count is not None and len(stamps):
        return int(stamps[-1] - stamps[0]) // (2 * max(1, sampling.count - 1))
    return 0


def blocks(stamps: Sequence[int]) -> list[str]:
    """The split of each stamp: contiguous blocks of time, none of them empty from three different stamps on."""
    times = sorted(set(stamps))
    least = 1 if len(times) >= len(SPLITS) else 0
    test, val = (max(least, round(len(times) * SPLITS[split])) for split in ("test", "val"))
    names = ["train"] * (len(times) - val - test) + ["val"] * val + ["test"] * test
    split_of = dict(zip(times, names, strict=True))
    return [split_of[stamp] for stamp in stamps]
