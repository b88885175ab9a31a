"""What a network said of the frames of a bag, kept on disk, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import processor
from caer_ros.offline.evaluation import identity
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.perception.person import BoxKind, EmotionStatus, Person
from caer_ros.perception.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from caer_ros.offline.data.predictions import Array, PredictionHeader
    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.recordings.annotations.sample import Sample

FORMAT = "caer_bag_run"
FORMAT_VERSION = 1


def origin_of(
    bundle: Bundle,
    topic: str,
    settings: EngineSettings,
    header: PredictionHeader,
    provider: str,
    samples: Sequence[Sample],
    images: str,
) -> dict[str, Any]:
    """All that determines what the network says of the samples."""
    annotations = [(sample.stamp, list(sample.size), sample.boxes.tolist()) for sample in samples]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "images": images,
        "topic": topic,
        "annotations": identity.json_sha256(annotations),
        "model": bundle.name,
        "model_version": bundle.sha256,
        "provider": provider,
        "threads": settings.threads or f"one for each core, of {os.cpu_count()}",
        "thresholds": {name: header.thresholds[name] for name in ("person", "kept")},
        "versions": identity.versions(),
        "cpu": processor.name(),
    }


class Store:
    """Predictions as the network gave them, one json line an image below a line that says of which run.

    Args:
        path: the file; None keeps nothing.
        origin: the first line.

    Raises:
        EvaluationError: the file is of another origin, or damaged.
    """

    def __init__(self, path: Path | None, origin: dict[str, Any]) -> None:
        self._lines: dict[int, bytes] = {}
        if path is None:
            self._file = None
            return
        # A line that was not finished, which is the last one, is as if it had never been begun.
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
        if whole:
            _require(path, whole[0], origin)
        for number, line in enumerate(whole[1:], start=2):
            self._lines[int(_parsed(path, number, line)["stamp"])] = line
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if whole else "wb")
        self._file.truncate(sum(map(len, whole)))
        self._file.seek(0, os.SEEK_END)
        if not whole:
            self._write(origin)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        """Images that it held from the start."""
        return len(self._lines)

    def __contains__(self, stamp: int) -> bool:
        return stamp in self._lines

    @property
    def stamps(self) -> set[int]:
        """Stamps of the images that are in the store."""
        return set(self._lines)

    def add(self, stamp: int, prediction: Prediction, pooled: Array | None) -> None:
        """Appends an image; what is written is on disk if this process is killed."""
        if self._file is not None:
            # Floats of 64 bits are written with all their digits, and so those of 32 bits come back exactly.
            self._write(
                {
                    "stamp": stamp,
                    "persons": [_person_fields(person) for person in prediction.persons],
                    "saturated": prediction.saturated,
                    "seconds": prediction.seconds,
                    "pooled": None if pooled is None else pooled.tolist(),
                }
            )

    def answer(self, stamp: int, labels: int) -> tuple[Prediction, Array | None]:
        """What ``add`` was given, as far as the pipeline and the table look at it."""
        fields = json.loads(self._lines[stamp])
        persons = [_person(one) for one in fields["persons"]]
        pooled = fields["pooled"]
        return (
            Prediction(persons, fields["saturated"], fields["seconds"]),
            None if pooled is None else np.array(pooled, np.float32).reshape(-1, labels),
        )

    def _write(self, fields: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        self._file.flush()


def _require(path: Path, line: bytes, origin: dict[str, Any]) -> None:
    there = _parsed(path, 1, line)
    others = [
        f"{name} {there.get(name)} instead of {value}"
        for name, value in json.loads(json.dumps(origin)).items()
        if there.get(name) != value
    ]
    if others:
        raise EvaluationError(
            f"{path}: holds what was said in another run: {'; '.join(others)}; remove it, or name another file"
        )


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError as error:  # of JSON or of UTF-8
        raise EvaluationError(f"{path}:{number}: not JSON ({error}); remove the file to start anew") from error
    if not isinstance(fields, dict) or (number > 1 and "stamp" not in fields):
        raise EvaluationError(f"{path}:{number}: not written by this program; remove the file, or name another one")
    return fields


def _person_fields(person: Person) -> dict[str, Any]:
    return {
        "box": person.box.tolist(),
        "confidence": person.confidence,
        "kind": int(person.box_kind),
        "scores": person.scores.tolist(),
        "status": int(person.status),
        "vad": None if person.vad is None else person.vad.tolist(),
    }


def _person(fields: dict[str, Any]) -> Person:
    vad = fields["vad"]
    return Person(
        box=np.array(fields["box"], np.float32),
        confidence=fields["confidence"],
        box_kind=BoxKind(fields["kind"]),
        scores=np.array(fields["scores"], np.float32),
        status=EmotionStatus(fields["status"]),
        vad=None if vad is None else np.array(vad, np.float32),
    )
