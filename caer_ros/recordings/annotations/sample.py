"""One annotated image, whatever data set it comes from: what loaders give, and training and metrics take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.perception.person import BoxKind

Array = NDArray[np.float32]


FACES = ("none", "hidden", "readable")
"""No face to be seen; one that is turned away, covered or too small; one whose expression can be read."""


class DatasetError(Exception):
    """A data set, or a file of one, that cannot be used; names the file, the row or field, and the remedy."""


def _no_boxes() -> Array:
    return np.empty((0, 4), np.float32)


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with N persons and E labels; image-level sets have one "person" whose box is the region to classify.

    Every array has N rows. NaN says "not annotated" wherever a value is a number, so a mask is ``~isnan(...)``.
    """

    image_id: str
    """Unique within the data set, and stable: the path below its root, or topic and stamp."""
    path: Path
    """The image file; of a frame of a bag where it would be if it were extracted beside the bag."""
    size: tuple[int, int]
    """Height, width in pixels of the image as it is on disk."""
    boxes: Array
    """[N,4] x_min, y_min, x_max, y_max in pixels, clipped to the image, of positive area."""
    box_kind: BoxKind
    emotions: Array
    """[N,E] 1 has the label, 0 has it not, between: the part of annotators (or a teacher's belief); NaN unknown."""
    vad: Array
    """[N,3] valence, arousal, dominance, -1..1; NaN unknown."""
    votes: Array
    """[N,E] part of the annotators who chose the label, 0..1; NaN where single votes are not published."""
    weights: Array
    """[N] how much a person's labels count in training, 0..1; 1 for human annotation."""
    gender: tuple[str, ...]
    """N times "male", "female" or "" (not given)."""
    age: tuple[str, ...]
    """N times "kid", "teenager", "adult" or "" (not given)."""
    exhaustive: bool
    """Is every person of the image annotated? Only then is a detection elsewhere known to be false."""
    track_ids: tuple[str, ...]
    """N times an identity over time, or ""."""
    faces: tuple[str, ...]
    """N times what can be seen of the face, one of ``FACES``, or "" (not known)."""
    face_boxes: Array
    """[N,4] as ``boxes``; NaN where there is no face, or its place is not known."""
    ignore: Array = field(default_factory=_no_boxes)
    """[M,4] regions, such as crowds, where detections are neither right nor wrong."""
    stamp: int | None = None
    """Header stamp in nanoseconds, where the image comes from a recording."""

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(slots=True)
class Findings:
    """What a loader met on its way and did not hide. Each list holds one line a case: file, row, what was done."""

    unreadable: list[str] = field(default_factory=list)
    """Images that cannot be opened; left out."""
    skipped: list[str] = field(default_factory=list)
    """Rows that cannot be used (no label, no area after clipping, NULL); left out."""
    repaired: list[str] = field(default_factory=list)
    """Boxes that reach beyond the image; clipped to it."""
    typos: list[str] = field(default_factory=list)
    """Known misspellings; read as what is meant."""
    unknown: list[str] = field(default_factory=list)
    """Values that are none, such as a NaN valence; the person stays, the value is NaN."""
    warnings: list[str] = field(default_factory=list)
    """What concerns the set as a whole."""


Drafts = dict[str, Any] | list[dict[str, Any]] | None
"""What ``Dataset.prefilled_by`` is."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One split of a data set."""

    name: str
    """Name as ``caer data check`` has it, such as "emotic"."""
    root: Path
    split: str
    """"train", "val" or "test"."""
    label_set: str
    """Key of ``taxonomy.LABEL_SETS``, or the set's own name."""
    labels: tuple[str, ...]
    multi_label: bool
    """Can a person have several labels? Then scores are sigmoids, else a softmax."""
    samples: tuple[Sample, ...]
    findings: Findings
    prefilled_by: Drafts = None
    """The model that wrote the first draft of the annotations: "name", "version" (as in its messages), and whether it
    wrote "boxes" and "emotions". A list where several did."""

    @property
    def drafts(self) -> list[dict[str, Any]]:
        """``prefilled_by``, one entry for each model."""
        given = self.prefilled_by or []
        return given if isinstance(given, list) else [given]
