"""What is annotated in a bag that is about to be played, as samples, from whichever form it is in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.cli.demo import scoring
from caer_ros.cli.demo.performance import TRUTH
from caer_ros.perception.person import BoxKind
from caer_ros.recordings import frames
from caer_ros.recordings.annotations import truth as annotated
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish
from caer_ros.recordings.annotations.sample import DatasetError, Findings

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.cli.demo.scoring import GroundTruth, TrueImage
    from caer_ros.recordings.annotations.sample import Dataset, Sample


def read(bag: Path, image_topic: str, file: Path | None = None) -> Dataset:
    """The ground truth of one camera in a bag.

    Args:
        bag: a rosbag2.
        image_topic: of the camera.
        file: a json of the format "own", or one such as the demo's ground_truth.json. None takes ground_truth.json
            beside the bag, else the bag's own topic.

    Raises:
        DatasetError: there is none, or it is not of this bag.
        GroundTruthError: a ground_truth.json lacks a field.
        SourceError: the bag cannot be read, or has neither file nor topic.
    """
    beside = bag.resolve().parent / TRUTH
    file = beside if file is None and beside.exists() else file
    if file is None:
        return annotated.from_topic(bag, image_topic)
    if is_demo(file):
        return as_dataset(scoring.read(file), file, bag, image_topic)
    return annotated.from_json(file, bag, image_topic)


def is_demo(file: Path) -> bool:
    """Is this json in the form of the demo's ground truth? One that cannot be read is not: others say what is wrong."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"meta", "images"} <= content.keys() and "annotations" not in content


def as_dataset(truth: GroundTruth, file: Path, bag: Path, image_topic: str) -> Dataset:
    """A ground truth of the demo's form as samples with boxes and identities, and without a single label.

    A person's box is around what is visible of them. Who is to be ignored becomes a region to ignore.

    Raises:
        DatasetError: none of its images is in the bag.
    """
    there = set(frames.stamps(bag, image_topic)[1])
    known = [image for image in truth.images if image.stamp_ns in there]
    if not known:
        raise DatasetError(f"{file}: none of its {len(truth.images)} images is one of {image_topic} in {bag}")
    findings = Findings()
    if len(known) < len(truth.images):
        findings.warnings.append(f"{file}: {len(truth.images) - len(known)} images are not in {bag}; left out")
    # The file says nothing of single images' sizes, and a camera has one.
    size = next(iter(frames.read(bag, image_topic))).pixels.shape[:2]
    samples = (_sample(image, file, bag, image_topic, (size[0], size[1]), findings) for image in known)
    return finish("bag", bag, "test", "", (), False, samples, findings)


def _sample(
    image: TrueImage, file: Path, bag: Path, image_topic: str, size: tuple[int, int], findings: Findings
) -> Sample | None:
    name = frames.frame_name(image_topic, image.stamp_ns)
    no_labels = np.empty(0, np.float32)
    rows = [
        Annotation(f"{file}: {person.identity} at {image.stamp_ns}", person.box, no_labels, track_id=person.identity)
        for person in image.persons
        if not person.ignore
    ]
    return assemble(
        name,
        bag.parent / f"{name}.jpg",
        rows,
        0,
        BoxKind.BODY,
        findings,
        exhaustive=True,
        crowds=[person.box for person in image.persons if person.ignore],
        stamp=image.stamp_ns,
        size=size,
    )
