"""Unlabelled frames of a robot, labelled by a model bundle: a data set of one's own to train a student on.

The teacher's persons become boxes, its probabilities soft targets, its doubts weights; what it cannot predict stays
unknown, and where it suspected somebody without being sure, nothing is said about detection.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.perception.person import ScoreType
from caer_ros.recordings import picture_files, whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.person import Person
    from caer_ros.perception.predictors.predictor import Predictor
    from caer_ros.recordings.frames import Frame

DOUBT = 0.5
"""Detections from this part of the bundle's threshold up to the threshold are regions to ignore; our choice."""
MARK = "made_by_caer_distill.json"
"""Says that a folder of frames is ours to delete, and, beside a run, what that was distilled from."""
VAL = 0.2
"""The last part of the frames, in time, that chooses the best epoch: neighbours in time look alike."""


class DistillationError(Exception):
    """Frames or a teacher from which nothing can be learnt."""


@dataclass(slots=True)
class Labelled:
    """What the teacher found."""

    frames: int = 0
    persons: int = 0
    with_emotions: int = 0
    doubtful: int = 0
    labels_seen: dict[str, int] = field(default_factory=dict)
    """How often each label was the teacher's first."""


def claim(run: Path, made_of: dict[str, Any]) -> None:
    """Note beside a run what it is distilled from.

    Args:
        run: the run's folder; the note is ``<run>_made_by_caer_distill.json``.
        made_of: source, sampling and teacher, as plain data.

    Raises:
        DistillationError: the run was distilled from something else.
    """
    note = run.with_name(f"{run.name}_{MARK}")
    before = json.loads(note.read_text("utf8")) if note.is_file() else made_of
    changed = [
        f"{name} {before.get(name)}, now {value}" for name, value in made_of.items() if before.get(name) != value
    ]
    if changed:
        raise DistillationError(
            f"{run} is distilled from other frames ({'; '.join(changed)}): choose another --output, or delete {note}"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(made_of, indent=1), "utf8")


def is_complete(folder: Path) -> bool:
    """Were all frames labelled by an earlier call, which was broken off while training?"""
    return (folder / MARK).is_file() and json.loads((folder / MARK).read_text("utf8"))["complete"]


def label(teacher: Predictor, frames: Iterable[Frame], folder: Path) -> Labelled:
    """Write ``folder``/{train,val}.json and the frames as JPEG: a data set "own" (see ``annotations.own``).

    Args:
        teacher: a loaded bundle of any kind; its thresholds decide who is a person.
        frames: RGB images with names and stamps, in the order of time.
        folder: created, or replaced where an earlier call was broken off.

    Raises:
        DistillationError: fewer than two frames, or nobody in them; or ``folder`` is somebody else's.
    """
    _make_empty(folder)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    found = Labelled(labels_seen=dict.fromkeys(teacher.bundle.labels, 0))
    threshold = teacher.bundle.thresholds.person
    for frame in frames:
        name = picture_files.write(folder, frame)
        height, width = frame.pixels.shape[:2]
        entry = {"id": len(images) + 1, "file_name": name, "width": width, "height": height}
        images.append(entry | {"stamp": frame.stamp_ns})
        for person in teacher([frame.pixels], DOUBT * threshold)[0].persons:
            sure = person.confidence >= threshold
            annotation: dict[str, Any] = _annotation(person, teacher.bundle) if sure else {"iscrowd": 1}
            found.persons += sure
            found.doubtful += not sure
            found.with_emotions += "emotions" in annotation
            if "emotions" in annotation:
                found.labels_seen[max(annotation["emotions"], key=annotation["emotions"].__getitem__)] += 1
            x_min, y_min, x_max, y_max = (float(edge) for edge in person.box)
            box = {"bbox": [x_min, y_min, x_max - x_min, y_max - y_min]}
            annotations.append({"id": len(annotations) + 1, "image_id": entry["id"]} | box | annotation)
    found.frames = len(images)
    if found.frames < 2 or not found.persons:
        raise DistillationError(
            f"{found.frames} frames with {found.persons} persons above {threshold}: too little to learn from; give a "
            "longer recording with people in it, or a smaller --every"
        )
    first_val = max(1, found.frames - max(1, round(VAL * found.frames)))
    for split, part in (("train", images[:first_val]), ("val", images[first_val:])):
        ids = {entry["id"] for entry in part}
        content = {
            "info": _info(teacher.bundle),
            "images": part,
            "annotations": [annotation for annotation in annotations if annotation["image_id"] in ids],
        }
        (folder / f"{split}.json").write_text(json.dumps(content), "utf8")
    _mark(folder, complete=True)
    return found


def _make_empty(folder: Path) -> None:
    if folder.exists() and not (folder / MARK).is_file():
        raise DistillationError(
            f"{folder} is there already and was not made by `caer distill`: choose another --output"
        )
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    _mark(folder, complete=False)


def _mark(folder: Path, complete: bool) -> None:
    whole_file.write_text(folder / MARK, json.dumps({"complete": complete}))


def _info(bundle: Bundle) -> dict[str, Any]:
    return {
        "description": f"labelled by the bundle {bundle.name} {bundle.version} ({bundle.model_version}), not by people",
        "label_set": bundle.label_set,
        "labels": list(bundle.labels),
        "multi_label": bundle.score_type == ScoreType.SIGMOID,
        "box_kind": bundle.box_kind.name.lower(),
        "exhaustive": True,
    }


def _annotation(person: Person, bundle: Bundle) -> dict[str, Any]:
    """Soft emotions of the labels that the teacher could predict, and how much they count.

    The weight is the detection score times the highest emotion score: both are beliefs that this is right.
    """
    known = np.isfinite(person.scores)
    if not known.any():
        return {}
    emotions = {bundle.labels[index]: float(person.scores[index]) for index in np.flatnonzero(known)}
    return {"emotions": emotions, "weight": min(1.0, person.confidence * max(emotions.values()))}
