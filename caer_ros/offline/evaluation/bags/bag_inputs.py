"""The bags that are evaluated together: where their truth is, which images it is of, and what could not be used."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caer_ros.offline.evaluation import identity
from caer_ros.offline.evaluation.bags import bag_sets
from caer_ros.offline.evaluation.bags.bag_summary import BagFacts
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.recordings.annotations import own, truth
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.definitions import TRUTH_TOPIC
from caer_ros.recordings.sources import CAMERA_INFO, open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.recordings.annotations.sample import Dataset, Findings
    from caer_ros.recordings.sources import Stream


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """A bag, and what is annotated in it."""

    bag: Path
    name: str
    """Unique among the bags that are evaluated together."""
    topic: str
    """Topic of the annotated images."""
    images: int
    """Images on that topic."""
    dataset: Dataset
    left_out: tuple[str, ...]
    """Annotations that belong to no image or cannot be used, one line each."""
    notes: tuple[str, ...]


def read(bags: Sequence[Path], truths: Sequence[str], topic: str | None) -> tuple[Annotated, ...]:
    """The bags with their truth.

    Args:
        bags: one or more rosbag2.
        truths: a json for each bag, in their order; or one topic for all. None of them: ``TRUTH_TOPIC``.
        topic: of the images; None where each bag has only one.

    Raises:
        EvaluationError: another number of json files than of bags, something that is neither file nor topic, or a bag
            twice.
        SourceError, DatasetError: a bag or its truth cannot be read; nothing annotated is in the bag.
    """
    given = list(truths) or [TRUTH_TOPIC]
    if len(given) == 1 and (len(bags) == 1 or not _is_file(given[0])):
        given *= len(bags)
    if len(given) != len(bags):
        raise EvaluationError(
            f"{len(bags)} bags and {len(given)} times --truth: give one json for each bag, in their order, or one "
            "topic for all"
        )
    names = bag_sets.names(bags)
    annotated = tuple(_annotated(*which, topic) for which in zip(bags, names, given, strict=True))
    for one, other in itertools.combinations(bags, 2):
        if _same(one, other):
            raise EvaluationError(
                f"{other} is the same recording as {one}: give each once, as persons who count twice narrow the "
                "intervals"
            )
    return annotated


def truth_sha256(dataset: Dataset) -> str:
    """Hash of the content of the annotation file: what ``sha256sum annotations.json`` says."""
    return hashlib.sha256(own.dumps(dataset).encode()).hexdigest()


def facts(
    annotated: Annotated, judged: Dataset, sha256: str, emotion_topic: str = "", recorded: Path | None = None
) -> BagFacts:
    """What a result says of the bag, of which ``judged`` was evaluated."""
    stamps = [sample.stamp or 0 for sample in judged.samples]
    return BagFacts(
        path=annotated.bag,
        name=annotated.name,
        image_topic=annotated.topic,
        emotion_topic=emotion_topic,
        sha256=sha256,
        images=annotated.images,
        annotated=len(judged.samples),
        seconds=(max(stamps) - min(stamps)) / 1e9,
        first_stamp=min(stamps),
        recorded=recorded,
    )


def of(bag: Path, name: str, dataset: Dataset, given: str) -> Annotated:
    """A bag with a truth that is read already; ``given`` says where from. Raises DatasetError where it is empty."""
    left_out, notes = _said(given, dataset.findings)
    if not dataset.samples:
        raise DatasetError(
            f"{bag}: nothing that is annotated in {given} belongs to an image of this bag: "
            f"{'; '.join(left_out[:3]) or 'there are no annotations'}"
        )
    stream = _stream(bag, dataset)
    return Annotated(bag, name, stream.topic, stream.count, dataset, left_out, notes)


def _annotated(bag: Path, name: str, given: str, topic: str | None) -> Annotated:
    dataset = truth.from_json(Path(given), bag, topic) if _is_file(given) else truth.from_topic(bag, topic, given)
    return of(bag, name, dataset, given)


def _same(one: Path, other: Path) -> bool:
    """Do two bags hold the same bytes? They are read only where their sizes agree."""
    if one.resolve() == other.resolve():
        return True
    sizes = [[file.stat().st_size for file in identity.recordings(bag)] for bag in (one, other)]
    return sizes[0] == sizes[1] and identity.bag_sha256(one) == identity.bag_sha256(other)


def _is_file(given: str) -> bool:
    """Is it the name of a json, rather than a topic? Raises EvaluationError where it can be neither."""
    if Path(given).is_file():
        return True
    if given.startswith("/") and Path(given).suffix != ".json":
        return False
    raise EvaluationError(f"--truth {given}: no such file, and no topic, which would begin with /")


def _stream(bag: Path, dataset: Dataset) -> Stream:
    """The topic that the samples are of: its name without the first slash is the folder of their ids."""
    folder = dataset.samples[0].image_id.rpartition("/")[0]
    streams = (stream for stream in open_source(bag).streams if stream.msgtype != CAMERA_INFO)
    return next(stream for stream in streams if stream.topic.lstrip("/") == folder)


def _said(given: str, findings: Findings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was left out, and what else a reader must know."""
    notes = list(findings.warnings)
    for lines, what in (
        (findings.repaired, "boxes that reach beyond the image were clipped"),
        (findings.typos, "misspelt values were read as what is meant"),
        (findings.unknown, "values that are none were taken as not annotated"),
    ):
        if lines:
            notes.append(f"{given}: {len(lines):,} {what}, such as {lines[0]}.")
    return (*findings.skipped, *findings.unreadable), tuple(notes)
