"""What is annotated in a bag, as samples named by image topic and header stamp: from a topic of it, or from a json.

On the topic a message is everybody in its image, or not everybody where it says "saturated"; a person without a box
kind is a region to ignore; emotions are the scores, NaN where not annotated; the score type tells single labels
(softmax) from several (sigmoid).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import taxonomy
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.recordings import frames
from caer_ros.recordings.annotations import own, truth_message
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings
from caer_ros.recordings.bags import own_messages
from caer_ros.recordings.bags.own_messages import box_of, vad_of, value
from caer_ros.recordings.definitions import PERSONS, TRUTH_TOPIC
from caer_ros.recordings.sources import SourceError
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from caer_ros.recordings.annotations.sample import Array, Sample


FILE = "ground_truth.json"
"""Beside a bag: its annotations in the format "own"."""


def of_bag(bag: Path, image_topic: str, file: Path | None = None) -> Dataset:
    """The ground truth of one camera: ``file``, else ``FILE`` beside the bag, else the bag's own topic.

    Raises:
        SourceError, DatasetError: as ``from_json`` and ``from_topic``.
    """
    file = file or beside(bag)
    return from_topic(bag, image_topic) if file is None else from_json(file, bag, image_topic)


def beside(bag: Path) -> Path | None:
    """``FILE`` beside the bag, where there is one."""
    file = bag.resolve().parent / FILE
    return file if file.exists() else None


def from_topic(bag: Path, image_topic: str | None = None, topic: str = TRUTH_TOPIC) -> Dataset:
    """The ground truth on a topic of the bag.

    Args:
        bag: a rosbag2.
        image_topic: of the images that are annotated; None where the bag has only one.
        topic: of type PersonEmotionArray.

    Raises:
        SourceError: the bag cannot be read, or lacks a topic; or the messages lack a field that is needed.
        DatasetError: nothing on the topic belongs to an image, or its messages contradict each other.
    """
    if topic not in own_messages.topics(bag, PERSONS):
        raise SourceError(
            f"{bag}: no ground truth: no topic {topic} of {PERSONS}; annotate the bag (see caer bag extract) "
            "and name the json"
        )
    image_topic, stamps = frames.stamps(bag, image_topic)
    findings, samples = Findings(), []
    kinds: set[BoxKind] = set()
    labels: tuple[str, ...] | None = None
    score_type, model_id = ScoreType.UNKNOWN, ""
    unusable: list[own_messages.LeftOut] = []
    for message in own_messages.persons(bag, topic, unusable):
        content = message.content
        said = tuple(map(str, content.labels))
        if labels is not None and said != labels:
            raise DatasetError(f"{bag}: {topic} changes its labels in mid-bag, from {labels} to {said}")
        model_id = str(value(content, "model_id", ""))
        labels, score_type = said, ScoreType(int(value(content, "score_type", ScoreType.UNKNOWN)))
        kinds |= {_kind(person) for person in content.persons} - {BoxKind.UNKNOWN}
        samples.append(_sample(bag, image_topic, content, labels, findings))
    findings.skipped += [one.why for one in unusable]
    if labels is None:
        raise DatasetError("; ".join((f"{bag}: nothing on {topic}", *findings.skipped[:3])))
    if len(kinds) > 1:
        raise DatasetError(f"{bag}: {topic} has boxes of several kinds: {', '.join(sorted(k.name for k in kinds))}")
    known = taxonomy.name_of(labels) or "own"
    multi_label = score_type == ScoreType.SIGMOID
    kind = kinds.pop() if kinds else BoxKind.BODY  # of images with nobody too
    alike = (replace(sample, box_kind=kind) for sample in samples if sample is not None)
    kept = _of_images(bag, image_topic, stamps, alike, findings)
    made = finish("bag", bag, "test", known, labels, multi_label, kept, findings)
    return replace(made, prefilled_by=truth_message.prefilled_by(model_id))


def from_json(file: Path, bag: Path, image_topic: str | None = None) -> Dataset:
    """The annotations in a json of the format "own", whose images are named by topic and header stamp.

    Images of other topics are left to their own evaluation; those of a stamp that the bag does not have are left out.

    Args:
        file: as ``caer bag extract`` writes it.
        bag, image_topic: as of ``from_topic``.

    Raises:
        SourceError: the bag cannot be read, or has no such topic.
        DatasetError: the file is not as it should be, or nothing in it belongs to an image of the bag.
    """
    dataset = own.read(file)
    image_topic, stamps = frames.stamps(bag, image_topic)
    mine, others, findings = [], 0, dataset.findings
    for sample in dataset.samples:
        if not sample.stamp:
            findings.skipped.append(f"{file}: {sample.image_id}: has no stamp by which to find it; left out")
        elif not _is_of(sample, image_topic):
            others += 1
        else:
            mine.append(replace(sample, image_id=frames.frame_name(image_topic, sample.stamp)))
    if others:
        findings.warnings.append(f"{file}: {others} images of other topics than {image_topic}; left out")
    kept = _of_images(bag, image_topic, stamps, mine, findings)
    if not kept:
        first = f", such as {dataset.samples[0].image_id}" if dataset.samples else ""
        raise DatasetError(
            f"{file}: none of its {len(dataset.samples)} images{first}, is one of {image_topic} in {bag}: file names "
            f"should be {frames.frame_name(image_topic, stamps[0] if stamps else 0)}.jpg and the like"
        )
    return replace(dataset, name="bag", root=bag, samples=tuple(kept))


def _is_of(sample: Sample, image_topic: str) -> bool:
    """Is the image of this topic? One without a folder is of any: the json is of one camera."""
    folder = str(PurePosixPath(sample.image_id).parent)
    return folder in (".", image_topic.lstrip("/"))


def _of_images(
    bag: Path, image_topic: str, stamps: Iterable[int], samples: Iterable[Sample], findings: Findings
) -> list[Sample]:
    """The samples whose image is in the bag, in the order of their stamps, each stamp once; the others are named."""
    there = set(stamps)
    kept: dict[int, Sample] = {}
    for sample in samples:
        stamp = sample.stamp or 0
        if not stamp:
            findings.skipped.append(f"{bag}: an annotation of {image_topic} with stamp 0 belongs to no image; left out")
        elif stamp not in there:
            findings.skipped.append(f"{bag}: annotated, but not in the bag: {image_topic} at {stamp}; left out")
        elif stamp in kept:
            findings.skipped.append(f"{bag}: annotated twice: {image_topic} at {stamp}; the first is taken")
        else:
            kept[stamp] = sample
    return [kept[stamp] for stamp in sorted(kept)]


def _sample(bag: Path, image_topic: str, content: Any, labels: tuple[str, ...], findings: Findings) -> Sample | None:
    stamp = nanoseconds(content.header.stamp)
    name = frames.frame_name(image_topic, stamp)
    where = f"{bag}: ground truth at {stamp}"
    persons = [person for person in content.persons if _kind(person) != BoxKind.UNKNOWN]
    return assemble(
        name,
        bag.parent / f"{name}.jpg",
        [
            Annotation(
                where,
                box_of(person),
                _emotions(person, len(labels)),
                np.array(vad_of(person), np.float32),
                track_id=str(value(person, "track_id", "")),
            )
            for person in persons
        ],
        len(labels),
        BoxKind.BODY,
        findings,
        exhaustive=not value(content, "saturated", False),
        crowds=[box_of(person) for person in content.persons if _kind(person) == BoxKind.UNKNOWN],
        stamp=stamp,
        size=(int(content.image_height), int(content.image_width)),
    )


def _kind(person: Any) -> BoxKind:
    return BoxKind(int(value(person, "box_kind", BoxKind.BODY)))


def _emotions(person: Any, labels: int) -> Array:
    scores = np.asarray(person.scores, np.float32)
    return scores if len(scores) == labels else np.full(labels, np.nan, np.float32)
