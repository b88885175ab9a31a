"""``truth.jsonl`` beside a written data set: how it was drawn, and everything about everybody in it.

The first line is a header (format, seed, settings), then there is a line for each image: ``image`` (path below the
folder), ``split``, ``scene`` and ``persons``, in the order of the annotations. With it the best average precision that
perfect perception could reach is known for this very set, and errors can be held against what was there to be seen.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.offline.data.synthetic import cues, plans
from caer_ros.recordings import whole_file
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from caer_ros.offline.data.synthetic.pictures import Picture
    from caer_ros.offline.data.synthetic.render import Truth

FILE = "truth.jsonl"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class TrueImage:
    """One line: an image and what is true about it."""

    image: str
    """Path below the data set's folder, with slashes."""
    split: str
    """"" where the data set itself is not split."""
    scene: int
    persons: tuple[cues.Cues, ...]
    details: tuple[dict[str, Any], ...]
    """The fields of ``render.Truth`` for each person, with names for indices."""


@dataclass(frozen=True, slots=True)
class TrueSet:
    """A written data set."""

    dials: cues.Dials
    seed: int
    images: tuple[TrueImage, ...]


def write(folder: Path, pictures: Iterable[Picture], settings: plans.Settings, seed: int) -> None:
    """Write ``truth.jsonl`` into the data set's folder, whole or not at all: it is the sign that the set is."""
    with whole_file.opened(folder / FILE) as file:
        header = {"format": _FORMAT, "generator": "caer_ros synthetic", "seed": seed, "settings": asdict(settings)}
        file.write(json.dumps(header).encode() + b"\n")
        for picture in pictures:
            line = {
                "image": picture.path.relative_to(folder).as_posix(),
                "split": picture.split,
                "scene": cues.EMOTIONS[picture.scene],
                "persons": [_details(person) for person in picture.persons],
            }
            file.write(json.dumps(line).encode() + b"\n")


def read(folder: Path) -> TrueSet:
    """Read ``truth.jsonl`` of a data set's folder.

    Raises:
        DatasetError: it is missing or of another format.
    """
    path = folder / FILE
    try:
        header, *lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        if header["format"] != _FORMAT:
            raise ValueError(f"format {header['format']}, this version reads {_FORMAT}")
        dials = cues.Dials(**header["settings"]["dials"])
        images = [
            TrueImage(
                line["image"],
                line["split"],
                cues.EMOTIONS.index(line["scene"]),
                tuple(_cues(person, line["scene"]) for person in line["persons"]),
                tuple(line["persons"]),
            )
            for line in lines
        ]
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}; only data sets of `caer data synthetic` have it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: not a truth file of `caer data synthetic`: {error}") from error
    return TrueSet(dials, header["seed"], tuple(images))


def best_scores(true: TrueSet, images: Sequence[str], sees: Sequence[str] = cues.CUES) -> list[cues.Floats]:
    """Scores [N,8] of perfect perception of ``sees``, for each image, given by its path below the folder."""
    by_path = {image.image: image.persons for image in true.images}
    # All at once: what breaks ties between equal persons must not begin anew with each image.
    scores = cues.best_scores(true.dials, [person for image in images for person in by_path[image]], sees)
    return np.split(scores, np.cumsum([len(by_path[image]) for image in images])[:-1])


def _details(person: Truth) -> dict[str, Any]:
    shown = person.cues
    details = {key: value for key, value in asdict(person).items() if key != "cues"}
    names = {
        "emotion": cues.EXPRESSIONS[shown.emotion],
        "face": None if shown.face == cues.HIDDEN else cues.EXPRESSIONS[shown.face],
        "posture": cues.EMOTIONS[shown.posture],
    }
    return names | {key: _rounded(value) for key, value in details.items()}


def _cues(details: dict[str, Any], scene: str) -> cues.Cues:
    face = cues.HIDDEN if details["face"] is None else cues.EXPRESSIONS.index(details["face"])
    return cues.Cues(
        cues.EXPRESSIONS.index(details["emotion"]),
        face,
        cues.EMOTIONS.index(details["posture"]),
        cues.EMOTIONS.index(scene),
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return np.round(value, 4).tolist() if isinstance(value, tuple) else value
