"""How well boxes and identities of a run agree with the ground truth.

Detection is judged image by image: boxes are matched one to one (Hungarian), so that as many pairs as possible overlap
by an IoU of at least 0.5; among such matchings one that keeps who was matched to whom, and among those the one that
overlaps most. Identity is judged over the whole run: IDF1 (Ristani et al., ECCV 2016 workshops, "Performance Measures
and a Data Set for Multi-Target, Multi-Camera Tracking", section 3) and identity switches (Bernardin and Stiefelhagen,
EURASIP JIVP 2008, "CLEAR MOT").

Only images that were processed are judged: what a busy node dropped costs neither precision nor recall. Persons marked
``ignore`` cost nothing when they are missed and gain nothing when they are found.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from caer_ros.perception import boxes
from caer_ros.recordings.definitions import TRUTH_TOPIC

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.msg import PersonEmotion

    Floats = NDArray[np.float64]
    Detections = Sequence[tuple[Hashable, "Box"]]
    Pair = tuple[str, Hashable]

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max in pixels of the source image."""
IOU = 0.5
_HIDDEN = 0.5
"""A detection of which so much lies on one ignored person is theirs (COCO's rule for crowds)."""


class GroundTruthError(ValueError):
    """A ground truth cannot be read, or a run does not belong to it."""


@dataclass(frozen=True)
class TruePerson:
    """Where a person truly is in an image."""

    person: str
    """Who: the name of the photograph's person."""
    identity: str
    """``<person>/<n>``: n grows when the person returns after longer than the track buffer."""
    box: Box
    """Around what is visible of them."""
    full_box: Box
    """Around all of them, whatever hides it and even outside the image."""
    visible: float
    """Fraction of them that is seen, 0..1."""
    ignore: bool
    """Too little is seen to demand a detection."""


@dataclass(frozen=True)
class TrueImage:
    """One image of the ground truth; ``noise`` means that it shows nothing but noise."""

    stamp_ns: int
    noise: bool
    persons: tuple[TruePerson, ...]


@dataclass(frozen=True)
class GroundTruth:
    """Everything in a bag; ``meta`` says how it was made (see ``demo_bag``)."""

    images: tuple[TrueImage, ...]
    meta: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line for the meta data, then one for each image."""
        lines = ",\n".join(json.dumps(asdict(image), separators=(",", ":")) for image in self.images)
        return f'{{"meta": {json.dumps(self.meta)},\n"images": [\n{lines}\n]}}\n'


@dataclass(frozen=True)
class Result:
    """Counts over all judged images, and what follows from them. A ratio without a denominator is NaN.

    A detection is *true* when it is matched to a demanded person, *false* when it is matched to nobody. It is left
    out of all counts when it is matched to an ignored person, or lies with half of its area on one.
    """

    images: int
    """Images that were judged."""
    unprocessed: int
    """Images of the ground truth for which the run has nothing."""
    demanded: int
    """Persons that a detector should have found."""
    true_positives: int
    false_positives: int
    switches: int
    """A person is matched to another track than when last matched."""
    fragmentations: int
    """A person is matched again after demanded images in which they were missed."""
    id_true_positives: int
    """Detections that carry the one track which the person was assigned for the whole run."""
    identities: int
    """True identities that were demanded at least once."""
    tracks: int
    """Track ids among the true and false positives."""

    @property
    def precision(self) -> float:
        """Of the detections, the part that is true."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Of the demanded persons, the part that was found."""
        return _ratio(self.true_positives, self.demanded)

    @property
    def idf1(self) -> float:
        """2 IDTP / (demanded + detections), Ristani et al. eq. 12."""
        return _ratio(2 * self.id_true_positives, self.demanded + self.true_positives + self.false_positives)

    def to_dict(self) -> dict[str, float | int | None]:
        """Counts and ratios for JSON; None for NaN."""
        ratios = {"precision": self.precision, "recall": self.recall, "idf1": self.idf1}
        return {**asdict(self), **{name: None if np.isnan(value) else value for name, value in ratios.items()}}


def read(path: Path) -> GroundTruth:
    """The ground truth in a JSON file.

    Raises:
        GroundTruthError: The file is missing, is no JSON, or lacks a field.

    """
    try:
        document = json.loads(path.read_text("utf8"))
        images = tuple(_image(image) for image in document["images"])
        return GroundTruth(images, document["meta"])
    except OSError as error:
        raise GroundTruthError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise GroundTruthError(f"{path}: is no ground truth: {type(error).__name__} {error}") from error


def recorded(bag: Path) -> GroundTruth | None:
    """The ground truth on a bag's own ground-truth topic; None when there is no such topic.

    Everybody is called by their true label and track id; who has no track id is somebody else in each image. Everybody
    is to be found, for it is not said who is hidden; a region to ignore (a person without a kind of box) is not.
    """
    from rclpy.serialization import deserialize_message
    from rosbags.rosbag2 import Reader

    from caer_ros.msg import PersonEmotionArray
    from caer_ros.recordings.stamps import nanoseconds

    images: list[TrueImage] = []
    with Reader(bag) as reader:
        connections = [connection for connection in reader.connections if connection.topic == TRUTH_TOPIC]
        for _, _, data in reader.messages(connections) if connections else ():
            message = deserialize_message(bytes(data), PersonEmotionArray)
            persons = tuple(_recorded(person, f"{len(images)}.{i}") for i, person in enumerate(message.persons))
            images.append(TrueImage(nanoseconds(message.header.stamp), False, persons))
    return GroundTruth(tuple(images)) if images else None


def _recorded(person: PersonEmotion, place: str) -> TruePerson:
    """``place``: unique in the bag, for those without a track id."""
    box = (person.x_min, person.y_min, person.x_max, person.y_max)
    name = "_".join(filter(None, (person.top_label.replace("/", "-"), person.track_id or place)))
    return TruePerson(name, f"{name}/1", box, box, visible=1.0, ignore=person.box_kind == person.BOX_UNKNOWN)


def _image(image: dict[str, Any]) -> TrueImage:
    persons = tuple(
        TruePerson(**{**person, "box": tuple(person["box"]), "full_box": tuple(person["full_box"])})
        for person in image["persons"]
    )
    return TrueImage(int(image["stamp_ns"]), bool(image["noise"]), persons)


def score(truth: GroundTruth, run: Iterable[tuple[int, Detections]], iou: float = IOU) -> Result:
    """Judge a run.

    Args:
        truth: of the bag that was played.
        run: for each processed image its stamp (ns), and (track id, box) of everybody reported; images in any order.
            Track ids are anything hashable; a detection without one ("") is a track of its own. Leave coasted boxes
            out: they are no detections.
        iou: least overlap of a match.

    Raises:
        GroundTruthError: A stamp is unknown to the ground truth or comes twice, or a track id twice in an image.

    """
    said = _by_stamp(truth, run)
    agreed: Counter[Pair] = Counter()
    demanded: Counter[str] = Counter()
    reported: Counter[Hashable] = Counter()
    last: dict[str, Hashable] = {}
    missed: set[str] = set()
    found = switches = fragmentations = 0
    for image in sorted(truth.images, key=lambda image: image.stamp_ns):
        if image.stamp_ns not in said:
            continue
        match = _match(image.persons, said[image.stamp_ns], last, iou)
        reported.update(match.counted)
        agreed.update(match.overlapping)
        for identity, track in match.demanded:
            demanded[identity] += 1
            if track is None:
                missed.add(identity)
                continue
            found += 1
            switches += last.get(identity, track) != track
            fragmentations += identity in last and identity in missed
            last[identity] = track
            missed.discard(identity)
    return Result(
        images=len(said),
        unprocessed=len(truth.images) - len(said),
        demanded=demanded.total(),
        true_positives=found,
        false_positives=reported.total() - found,
        switches=switches,
        fragmentations=fragmentations,
        id_true_positives=_most_agreement(agreed),
        identities=len(demanded),
        tracks=len(reported),
    )


def _by_stamp(truth: GroundTruth, run: Iterable[tuple[int, Detections]]) -> dict[int, Detections]:
    """The run by stamp, every track id unique within its image."""
    known = {image.stamp_ns for image in truth.images}
    said: dict[int, Detections] = {}
    for stamp_ns, detections in run:
        if stamp_ns not in known:
            raise GroundTruthError(f"stamp {stamp_ns} is not in the ground truth: another bag, or played re-stamped?")
        if stamp_ns in said:
            raise GroundTruthError(f"stamp {stamp_ns} comes twice: was the bag played in a loop?")
        named = [((stamp_ns, index) if track == "" else track, box) for index, (track, box) in enumerate(detections)]
        if len({track for track, _ in named}) < len(named):
            raise GroundTruthError(f"stamp {stamp_ns} has a track id twice: {[track for track, _ in named]}")
        said[stamp_ns] = named
    return said


@dataclass(frozen=True)
class _Match:
    """What one image says."""

    demanded: list[tuple[str, Hashable | None]]
    """Each demanded identity, and the track matched to it."""
    counted: list[Hashable]
    """Tracks of the detections that count: all but those of ignored persons."""
    overlapping: list[Pair]
    """Demanded identities and counted tracks that overlap enough, whether matched or not."""


def _match(persons: Sequence[TruePerson], detections: Detections, last: dict[str, Hashable], least: float) -> _Match:
    demanded = [person for person in persons if not person.ignore]
    ignored = [person.box for person in persons if person.ignore]
    boxes = [box for _, box in detections]
    overlap = overlaps([person.box for person in demanded], boxes)
    kept = [[last.get(person.identity) == track for track, _ in detections] for person in demanded]
    matched = dict(_assign(overlap, np.array(kept, np.float64).reshape(overlap.shape), least))
    # The demanded come first: a detection that could be theirs is never lost to an ignored person.
    left = [index for index in range(len(boxes)) if index not in matched.values()]
    theirs = overlaps(ignored, [boxes[index] for index in left])
    spare = {left[column] for _, column in _assign(theirs, np.zeros_like(theirs), least)}
    spare |= {index for index in left if any(_covered(boxes[index], box) >= _HIDDEN for box in ignored)}
    counted = [index for index in range(len(boxes)) if index not in spare]
    return _Match(
        [(p.identity, detections[matched[i]][0] if i in matched else None) for i, p in enumerate(demanded)],
        [detections[index][0] for index in counted],
        [(p.identity, detections[j][0]) for i, p in enumerate(demanded) for j in counted if overlap[i, j] >= least],
    )


def _assign(overlap: Floats, kept: Floats, least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of overlap at least ``least``: the most pairs, of those the most kept, then most overlap."""
    # Weights such that all gains of a lower rank together never outweigh one of a higher rank.
    step = 1.0 / (min(overlap.shape) + 1.0)
    worth = np.where(overlap >= least, 1.0 + step * (kept + step * overlap), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if worth[r, c] > 0.0]


def _most_agreement(agreed: Counter[Pair]) -> int:
    """IDTP: agreements when each identity is given at most one track and each track at most one identity.

    Ristani et al. minimise the misses plus the false alarms of such an assignment; as their sum is
    demanded + detections - 2 IDTP, that is the largest IDTP.
    """
    identities = {identity: row for row, identity in enumerate(dict.fromkeys(identity for identity, _ in agreed))}
    tracks = {track: column for column, track in enumerate(dict.fromkeys(track for _, track in agreed))}
    table = np.zeros((len(identities), len(tracks)))
    for (identity, track), count in agreed.items():
        table[identities[identity], tracks[track]] = count
    rows, columns = linear_sum_assignment(table, maximize=True)
    return int(table[rows, columns].sum())


def overlaps(a: Sequence[Box], b: Sequence[Box]) -> Floats:
    """Intersection over union of each box of ``a`` with each of ``b``, [len(a), len(b)]."""
    overlap: Floats = boxes.iou(np.array(a, np.float64).reshape(-1, 4), np.array(b, np.float64).reshape(-1, 4))
    return overlap


def _covered(box: Box, by: Box) -> float:
    """The part of a box's area that another covers."""
    width, height = min(box[2], by[2]) - max(box[0], by[0]), min(box[3], by[3]) - max(box[1], by[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(width, 0.0) * max(height, 0.0) / area if area > 0 else 0.0


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
