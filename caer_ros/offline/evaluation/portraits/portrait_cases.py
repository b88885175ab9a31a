"""Every picture that is made of the portraits, and what each model says about the person in it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.evaluation.portraits import canvas, covers, heads, known_faces, portrait_set
from caer_ros.perception.boxes import iou
from caer_ros.perception.person import BoxKind, EmotionStatus
from caer_ros.perception.pipeline import Pipeline, PipelineSettings
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.offline.evaluation.portraits.bodies import Body
    from caer_ros.offline.evaluation.portraits.canvas import Picture
    from caer_ros.offline.evaluation.portraits.heads import Head
    from caer_ros.offline.evaluation.portraits.portrait_set import KnownPerson
    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.person import Person
    from caer_ros.perception.predictors.composed.composed import Composed
    from caer_ros.perception.predictors.predictor import Predictor

    Image = NDArray[np.uint8]

BODY, PORTRAIT, MOUTH, EYES, BEHIND = "body", "portrait", "mouth covered", "eyes covered", "from behind"
VIEWS = (BODY, PORTRAIT, MOUTH, EYES, BEHIND)
"""On a body in a street; head and shoulders as photographed; the first with something covered."""
PORTRAIT_SIZE = 80
"""Width of the face in pixels at which portraits are shown as they are, too."""
EXPECTED = {"neutral": "Neutral", "smiling": "Happy"}
"""The label that is right for each expression."""
MATCH_IOU = 0.3
"""From which a detection may be the person of the case."""
_CONTAINED = 0.9
"""Part of the face that a detection must hold to be the person's without that overlap."""


@dataclass(frozen=True, slots=True)
class Case:
    """One picture of one person."""

    person: str
    expression: str
    """"neutral" or "smiling"; what the portrait showed before something was covered."""
    view: str
    """One of ``VIEWS``."""
    size: int
    """Width of the face in pixels."""
    cover: str
    """One of ``covers.KINDS``; "" where nothing is covered."""
    scene: str
    """Name of the picture that body and street are from."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said about the person of a case."""

    found: bool
    status: str = ""
    """Name of the ``EmotionStatus``; "" for a person who was not found, as all below."""
    label: str = ""
    """The certain label: the status is OK."""
    confidence: float = float("nan")
    """Score of the detection."""
    scores: dict[str, float] | None = None
    """By label, calibrated as the bundle says, NaN where not predictable."""
    box: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A person with the heads that were cut out of their portraits, by expression, and the body they get."""

    person: KnownPerson
    heads: dict[str, Head]
    body: Body


def prepare(
    persons: Sequence[KnownPerson],
    bodies: Iterator[Body],
    finder: Composed,
    sizes: Sequence[int],
    notes: dict[str, list[str]],
) -> Iterator[Shown]:
    """Everybody who can be shown, with a body of their own; bodies are used again when there are too few.

    Args:
        persons, bodies: who, and on what.
        finder: the bundle ``bootstrap``.
        sizes: of the faces in pixels: a portrait whose face is narrower than the largest would have to be enlarged.
        notes: gets the names of the portraits that are left out, by the reason.

    Raises:
        DatasetError: no portrait, or no body, is left.
    """
    used: list[Body] = []
    shown = 0
    for person in persons:
        cut = {}
        for expression, path in person.pictures.items():
            head = _head(finder, path, max(sizes), notes)
            if head is not None:
                cut[expression] = head
        if not cut:
            continue
        body = next(bodies, None)
        if body is not None:
            used.append(body)
        elif not used:
            raise DatasetError(f"no scene suits ({said(notes)}); give pictures of one standing person each")
        yield Shown(person, cut, body or used[shown % len(used)])
        shown += 1
    if not shown:
        raise DatasetError(f"no portrait can be used ({said(notes)})")


def said(notes: dict[str, list[str]]) -> str:
    """What was noted, in words."""
    return "; ".join(f"{reason}: {len(names)}" for reason, names in notes.items()) or "nothing was noted"


def _head(finder: Composed, path: Path, largest: int, notes: dict[str, list[str]]) -> Head | None:
    try:
        pixels = portrait_set.upright(path, notes)
    except DatasetError:
        notes.setdefault("portrait unreadable", []).append(path.name)
        return None
    face = known_faces.face_in(finder.engines["face"], pixels)
    if face is None:
        notes.setdefault("portrait without a clear face", []).append(path.name)
        return None
    if known_faces.width_of(face) < largest:
        notes.setdefault(f"portrait whose face is narrower than {largest} px", []).append(path.name)
        return None
    return heads.cut(pixels, face)


def pictures(shown: Iterable[Shown], sizes: Sequence[int], seed: int) -> Iterator[tuple[Case, Picture]]:
    """All pictures of everybody, each made when it is asked for."""
    for one in shown:
        for size in sizes:
            chance = random.Random(f"{seed} {one.person.name} {size}")
            jitter = (chance.uniform(-1, 1), chance.uniform(-1, 1))  # the same for both expressions
            for expression, head in one.heads.items():
                yield from _of_head(one, expression, head, size, jitter, seed)


def _of_head(
    one: Shown, expression: str, head: Head, size: int, jitter: tuple[float, float], seed: int
) -> Iterator[tuple[Case, Picture]]:
    def case(view: str, cover: str = "") -> Case:
        return Case(one.person.name, expression, view, size, cover, one.body.name)

    yield case(BODY), canvas.with_body(head, one.body, size, jitter)
    if size == PORTRAIT_SIZE:
        yield case(PORTRAIT), canvas.alone(head, one.body, size, jitter)
    for view, part in ((MOUTH, "mouth"), (EYES, "eyes")):
        chance = random.Random(f"{seed} {one.person.name} {size} {expression} {part}")
        kind = chance.choice(covers.KINDS)
        changed = covers.covered(head, part, kind, chance)
        yield case(view, kind), canvas.with_body(changed, one.body, size, jitter)
    if expression == next(iter(one.heads)):  # the face is not seen: once is enough
        chance = random.Random(f"{seed} {one.person.name} {size} behind")
        yield case(BEHIND), canvas.with_body(covers.from_behind(head, chance), one.body, size, jitter)


def look(predictor: Predictor, pixels: Image) -> list[Person]:
    """The persons of one picture, as the node publishes those of a camera without stamps."""
    return Pipeline(predictor, PipelineSettings(), "portraits")(pixels, 0).persons


def answer(predictor: Predictor, picture: Picture) -> Answer:
    """What a model says about the person of a picture."""
    person = find(look(predictor, picture.pixels), picture, predictor.bundle.box_kind)
    return Answer(False) if person is None else described(person, predictor.bundle)


def find(persons: Sequence[Person], picture: Picture, kind: BoxKind) -> Person | None:
    """The detection that overlaps the person of a picture best; None where none has the overlap, or holds the face.

    Args:
        persons: all that were found.
        picture: where the person is.
        kind: what the model's boxes are around.
    """
    if not persons:
        return None
    truth = {BoxKind.FACE: picture.face, BoxKind.HEAD: picture.head}.get(kind, picture.person)
    boxes = np.stack([person.box for person in persons]).astype(np.float64)
    overlap = iou(boxes, truth[None])[:, 0]
    shared = np.minimum(boxes[:, 2:], picture.face[2:]) - np.maximum(boxes[:, :2], picture.face[:2])
    area = float((picture.face[2:] - picture.face[:2]).prod())
    holds = shared.clip(0).prod(axis=1) >= _CONTAINED * area
    may = (overlap >= MATCH_IOU) | holds
    return persons[int(np.where(may, overlap, -1).argmax())] if may.any() else None


def described(person: Person, bundle: Bundle) -> Answer:
    """A detection as plain data."""
    label = bundle.labels[person.top_index] if person.top_index >= 0 else ""
    scores = dict(zip(bundle.labels, map(float, person.smoothed_scores), strict=True))
    return Answer(
        True,
        EmotionStatus(person.status).name,
        label,
        float(person.confidence),
        scores,
        tuple(round(float(value), 1) for value in person.box),
    )
