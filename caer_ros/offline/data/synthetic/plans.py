"""The plan of a picture as plain data: who stands where, feels and shows what, and which things stand around.

The scene's objects are the only thing that tells the scene, and every person's box is clear of them: who looks at a
person's crop alone cannot see them. Everything else (background, furniture, light, number of people) tells nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.data.synthetic import cues, objects

if TYPE_CHECKING:
    from caer_ros.offline.data.synthetic.drawn_people import Atlas, Figure

Box = tuple[float, float, float, float]
"""xyxy in pixels of the picture; may reach beyond it."""

ADULT = 1.75
"""Metres: of a person of this height the settings' sizes speak."""
_BLOCK = 16
"""Pixels of a JPEG's coding block (4:2:0): within one, what stands beside a person colours the person."""
_ATTEMPTS = 60
_VAD_NOISE = 0.12


@dataclass(frozen=True, slots=True)
class Settings:
    """What pictures are like."""

    dials: cues.Dials = field(default_factory=cues.Dials)
    width: int = 320
    height: int = 240
    people: tuple[float, ...] = (0.05, 0.3, 0.24, 0.16, 0.1, 0.06, 0.04, 0.03, 0.02)
    """How often there are 0, 1, 2 … people, in any unit. Who finds no place in the picture is left out."""
    sizes: tuple[float, float] = (0.45, 1.7)
    """Height of an adult, smallest and largest, in heights of the picture; above 1 the legs are cut off."""
    object_sizes: tuple[float, float] = (0.14, 0.25)
    """Longer side of a scene's object, in heights of the picture."""


@dataclass(frozen=True, slots=True)
class Person:
    """A figure of the atlas in its place."""

    cues: cues.Cues
    identity: int
    view: str
    """A name of ``Atlas.views``."""
    mirrored: bool
    box: Box
    """Box of the whole figure."""
    brightness: float
    vad: tuple[float, float, float]
    """-1..1"""
    track_id: str


@dataclass(frozen=True, slots=True)
class Thing:
    """A drawing in its place."""

    kind: int | None
    """The scene that it shows, an index of ``cues.EMOTIONS``; None for furniture."""
    drawing: int
    """Which one of its kind."""
    mirrored: bool
    box: Box


@dataclass(frozen=True, slots=True)
class Light:
    """What the camera makes of it all: ``255 (gain · cast · colour/255) ** gamma`` + noise."""

    gain: float
    slope: float
    """How much brighter it is at the right edge than at the left one, relative."""
    cast: tuple[float, float, float]
    gamma: float
    blur: float
    """Sigma in pixels."""
    noise: float
    """Sigma in grey levels."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture."""

    width: int
    height: int
    kind: int
    """The scene, an index of ``cues.EMOTIONS``."""
    horizon: float
    """Height of the camera's eye, pixels from the top."""
    background: int
    """Seed of wall, floor, sky and whatever is painted on them."""
    grain: int
    """Seed of the camera's noise."""
    light: Light
    things: tuple[Thing, ...]
    """Things from back to front, all of them behind the people."""
    persons: tuple[Person, ...]
    """Persons from far to near."""


def plan(
    settings: Settings, atlas: Atlas, random: np.random.Generator, kind: int | None = None, margin: float = 4.0
) -> Scene:
    """Draw a picture's plan.

    Args:
        settings: what pictures are like.
        atlas: the figures.
        random: the same state gives the same plan.
        kind: the scene, an index of ``cues.EMOTIONS``; None: any.
        margin: pixels by which every person keeps clear of the scene's objects, left and right.
    """
    drawn = int(random.integers(len(cues.EMOTIONS)))
    kind = drawn if kind is None else kind
    empty = _empty(settings, kind, random)
    first = _thing(settings, kind, [], random)
    things = [first] if first else []
    persons = _persons(_Stage(settings, empty.horizon, list(things), margin), atlas, kind, random)
    keep_out = [_wider(person.box, margin) for person in persons]
    for _ in range(int(random.integers(3))):
        if another := _thing(settings, kind, [*keep_out, *(thing.box for thing in things)], random):
            things.append(another)
    furniture = [_thing(settings, None, [thing.box for thing in things], random) for _ in range(random.integers(5))]
    return replace(empty, things=(*filter(None, furniture), *things), persons=tuple(persons))


def portrait(settings: Settings, atlas: Atlas, expression: str, random: np.random.Generator) -> Scene:
    """A face from near, nobody and nothing else; posture and scene have nothing to do with it.

    Args:
        settings: only the size of the picture counts.
        atlas: the figures.
        expression: of ``cues.EXPRESSIONS``; also the person's emotion.
        random: the same state gives the same plan.
    """
    face = cues.EXPRESSIONS.index(expression)
    posture, kind = (int(index) for index in random.integers(len(cues.EMOTIONS), size=2))
    empty = _empty(settings, kind, random)
    shown = cues.Cues(face, face, posture, kind)
    identity = int(random.integers(len(atlas.identities)))
    view = _view(shown, atlas, random)
    sprite = _figure(atlas, shown, identity, view)
    mirrored, brightness = bool(random.integers(2)), random.uniform(0.85, 1.15)
    left, top, right, bottom = sprite.head
    height, width = sprite.rgba.shape[:2]
    if mirrored:
        left, right = width - right, width - left
    scale = min(settings.width, settings.height) * random.uniform(0.5, 0.8) / max(right - left, bottom - top)
    # Where the head's centre comes to lie, and the sprite with it.
    x, y = settings.width * random.uniform(0.42, 0.58), settings.height * random.uniform(0.42, 0.56)
    x0, y0 = x - scale * (left + right) / 2, y - scale * (top + bottom) / 2
    box = (x0, y0, x0 + scale * width, y0 + scale * height)
    person = Person(shown, identity, view, mirrored, box, brightness, _vad(face, random), "1")
    return replace(empty, persons=(person,))


def figure(atlas: Atlas, person: Person) -> Figure:
    """The sprite of a person, not yet mirrored."""
    return _figure(atlas, person.cues, person.identity, person.view)


def head_box(sprite: Figure, mirrored: bool, box: Box) -> Box:
    """The head of a figure that fills ``box``, in the same pixels."""
    height, width = sprite.rgba.shape[:2]
    left, top, right, bottom = sprite.head
    if mirrored:
        left, right = width - right, width - left
    x, y = (box[2] - box[0]) / width, (box[3] - box[1]) / height
    return box[0] + left * x, box[1] + top * y, box[0] + right * x, box[1] + bottom * y


def clip(box: Box, width: float, height: float) -> Box:
    """The part of a box within the picture; of no area when it is outside."""
    left, top, right, bottom = box
    left, right = (min(max(x, 0.0), width) for x in (left, right))
    top, bottom = (min(max(y, 0.0), height) for y in (top, bottom))
    return left, top, right, bottom


def area(box: Box) -> float:
    """Square pixels."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def intersection(a: Box, b: Box) -> float:
    """Square pixels that two boxes share."""
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def _figure(atlas: Atlas, shown: cues.Cues, identity: int, view: str) -> Figure:
    expression = None if shown.face == cues.HIDDEN else cues.EXPRESSIONS[shown.face]
    return atlas.figure(identity, expression, cues.EMOTIONS[shown.posture], view)


def _view(shown: cues.Cues, atlas: Atlas, random: np.random.Generator) -> str:
    views = [name for name in atlas.views if (name == "back") == (shown.face == cues.HIDDEN)]
    return views[random.integers(len(views))]


def _vad(emotion: int, random: np.random.Generator) -> tuple[float, float, float]:
    valence, arousal, dominance = np.clip(cues.VAD[emotion] + random.normal(0.0, _VAD_NOISE, 3), -1.0, 1.0).tolist()
    return valence, arousal, dominance


def _empty(settings: Settings, kind: int, random: np.random.Generator) -> Scene:
    """A place and its light, without people and things."""
    light = Light(
        gain=random.uniform(0.75, 1.1),
        slope=random.uniform(-0.25, 0.25),
        cast=tuple(random.uniform(0.93, 1.07, 3).tolist()),
        gamma=random.uniform(0.85, 1.2),
        blur=random.uniform(0.0, 0.6),
        noise=random.uniform(0.0, 6.0),
    )
    background, grain = (int(seed) for seed in random.integers(2**32, size=2))
    horizon = settings.height * random.uniform(0.3, 0.5)
    return Scene(settings.width, settings.height, kind, horizon, background, grain, light, (), ())


def _wider(box: Box, margin: float) -> Box:
    """Widen a box to the edges of the JPEG blocks that it touches with its margin, and a pixel for rounding."""
    low = [math.floor((edge - margin) / _BLOCK) * _BLOCK - 1.0 for edge in box[:2]]
    high = [math.ceil((edge + margin) / _BLOCK) * _BLOCK + 1.0 for edge in box[2:]]
    return low[0], low[1], high[0], high[1]


def _thing(settings: Settings, kind: int | None, avoid: list[Box], random: np.random.Generator) -> Thing | None:
    """Something within the picture and clear of ``avoid``; None when no place is found."""
    drawings = objects.FURNITURE if kind is None else objects.SCENE_OBJECTS[kind]
    drawing = int(random.integers(len(drawings)))
    height, width = objects.tile(drawings[drawing]).shape[:2]
    for _ in range(_ATTEMPTS):
        low, high = (0.2, 0.5) if kind is None else settings.object_sizes
        scale = settings.height * random.uniform(low, high) / max(height, width)
        w, h = width * scale, height * scale
        left = random.uniform(1.0, settings.width - w - 1.0)
        top = random.uniform(1.0, settings.height - h - 1.0)
        box = (left, top, left + w, top + h)
        if not any(intersection(box, other) for other in avoid):
            return Thing(kind, drawing, bool(random.integers(2)), box)
    return None


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where people are to find a place."""

    settings: Settings
    horizon: float
    things: list[Thing]
    margin: float
    taken: list[tuple[Box, Box]] = field(default_factory=list)
    """Whole figure and head of everybody so far."""

    def fits(self, box: Box, head: Box) -> bool:
        """Clear of the objects, head and enough else in the picture, nobody quite behind anybody."""
        width, height = self.settings.width, self.settings.height
        seen = clip(box, width, height)
        if area(clip(head, width, height)) < 0.85 * area(head) or area(seen) < 0.4 * area(box):
            return False
        if seen[2] - seen[0] < 0.08 * height or seen[3] - seen[1] < 0.08 * height:
            return False
        if any(intersection(_wider(seen, self.margin), thing.box) for thing in self.things):
            return False
        for other, other_head in self.taken:
            far_head, near = (other_head, box) if box[3] > other[3] else (head, other)
            if intersection(far_head, near) > 0.5 * area(far_head):
                return False
            other_seen = clip(other, width, height)
            if intersection(seen, other_seen) > 0.5 * min(area(seen), area(other_seen)):
                return False
        return True


def _persons(stage: _Stage, atlas: Atlas, scene: int, random: np.random.Generator) -> list[Person]:
    chances = np.asarray(stage.settings.people, float)
    count = int(random.choice(len(chances), p=chances / chances.sum()))
    identities = random.permutation(len(atlas.identities))
    persons: list[Person] = []
    for number in range(count):
        shown = cues.draw(stage.settings.dials, scene, random)
        identity = int(identities[number % len(identities)])
        view = _view(shown, atlas, random)
        sprite = _figure(atlas, shown, identity, view)
        mirrored, brightness = bool(random.integers(2)), random.uniform(0.85, 1.15)
        vad = _vad(shown.emotion, random)
        box = _place(stage, sprite, mirrored, atlas.pixels_per_metre, count, random)
        if box is not None:
            stage.taken.append((box, head_box(sprite, mirrored, box)))
            persons.append(Person(shown, identity, view, mirrored, box, brightness, vad, str(number + 1)))
    return sorted(persons, key=lambda person: person.box[3])


def _place(
    stage: _Stage, sprite: Figure, mirrored: bool, pixels_per_metre: float, count: int, random: np.random.Generator
) -> Box | None:
    """A box for a figure on the floor, where it fits; None when no place is found."""
    width, height = stage.settings.width, stage.settings.height
    smallest, largest = stage.settings.sizes
    largest = max(smallest, largest * (1.0 - 0.08 * (count - 1)))
    for attempt in range(_ATTEMPTS):
        # Those who find no place become smaller.
        limit = smallest + (largest - smallest) * (1.0 - attempt / _ATTEMPTS)
        adult = height * random.uniform(smallest, limit)
        scale = adult / (ADULT * pixels_per_metre)
        w, h = sprite.rgba.shape[1] * scale, sprite.rgba.shape[0] * scale
        # The camera's eye is at about the height of an adult's: feet are lower the nearer they are.
        bottom = stage.horizon + adult * random.uniform(0.74, 0.94)
        left = random.uniform(-0.3 * w, width - 0.7 * w)
        box = (left, bottom - h, left + w, bottom)
        if stage.fits(box, head_box(sprite, mirrored, box)):
            return box
    return None
