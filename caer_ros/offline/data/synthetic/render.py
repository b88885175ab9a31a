"""Draws a plan: an RGB picture, and for each person in it what is true about them, measured on the drawn pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.data.synthetic import objects, plans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.offline.data.synthetic.cues import Cues
    from caer_ros.offline.data.synthetic.drawn_people import Atlas

    Image = NDArray[np.uint8]
    Canvas = NDArray[np.float32]
    Mask = NDArray[np.bool_]

MIN_VISIBLE, MIN_AREA = 0.2, 50
"""Whom others hide so much, or who has fewer pixels, is left out of the picture altogether."""
_SOLID = 0.5


@dataclass(frozen=True, slots=True)
class Truth:
    """One person of a picture. Boxes are xyxy in pixels, clipped to the picture but for ``full_box``."""

    box: plans.Box
    """The whole figure, hidden parts too, clipped: what annotators of body boxes draw."""
    visible_box: plans.Box
    """Only what is to be seen."""
    full_box: plans.Box
    """The whole figure, also beyond the picture."""
    head_box: plans.Box | None
    """None when the head is outside."""
    visible: float
    """Part of the figure's pixels in the picture that nobody hides, 0..1."""
    truncated: float
    """Part of the figure's pixels outside the picture, 0..1."""
    cues: Cues
    vad: tuple[float, float, float]
    gender: str
    age: str
    identity: int
    track_id: str


@dataclass(slots=True)
class _Layer:
    """A sprite at its place: premultiplied colours and alpha, cut to the picture."""

    colour: Canvas
    alpha: Canvas
    place: tuple[slice, slice]

    @property
    def solid(self) -> Mask:
        return self.alpha[..., 0] > _SOLID


def render(scene: plans.Scene, atlas: Atlas) -> tuple[Image, tuple[Truth, ...]]:
    """The picture, uint8 RGB [H,W,3], and the persons that can be seen, from far to near."""
    canvas = _background(scene)
    for thing in scene.things:
        drawings = objects.FURNITURE if thing.kind is None else objects.SCENE_OBJECTS[thing.kind]
        sprite = objects.tile(drawings[thing.drawing])
        _paint(canvas, _layer(scene, _unit(sprite), thing.box, thing.mirrored)[0])
    occupied = np.zeros((scene.height, scene.width), bool)
    drawn: list[tuple[_Layer, Truth]] = []
    for person in reversed(scene.persons):
        layer, full_pixels = _person_layer(scene, person, atlas)
        here = layer.solid & ~occupied[layer.place]
        inside = int(layer.solid.sum())
        if here.sum() < max(MIN_AREA, MIN_VISIBLE * inside):
            continue
        occupied[layer.place] |= layer.solid
        drawn.append((layer, _truth(scene, person, atlas, layer, here, full_pixels)))
    for layer, _ in reversed(drawn):
        _paint(canvas, layer)
    return _photograph(scene, canvas), tuple(truth for _, truth in reversed(drawn))


def _person_layer(scene: plans.Scene, person: plans.Person, atlas: Atlas) -> tuple[_Layer, int]:
    sprite = _unit(plans.figure(atlas, person).rgba)
    sprite[..., :3] *= sprite[..., 3:] * person.brightness
    return _layer(scene, sprite, person.box, person.mirrored)


def _layer(scene: plans.Scene, sprite: Canvas, box: plans.Box, mirrored: bool) -> tuple[_Layer, int]:
    """The sprite [H,W,4] in its box, and how many solid pixels it has, those outside the picture too."""
    left, top, right, bottom = _whole(box)
    area = sprite.shape[0] > bottom - top  # averages where it shrinks
    how = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(sprite, (right - left, bottom - top), interpolation=how), np.float32)
    if mirrored:
        resized = resized[:, ::-1]
    x0, x1 = (min(max(x, 0), scene.width) for x in (left, right))
    y0, y1 = (min(max(y, 0), scene.height) for y in (top, bottom))
    inside = resized[y0 - top : y1 - top, x0 - left : x1 - left]
    layer = _Layer(inside[..., :3], inside[..., 3:], (slice(y0, y1), slice(x0, x1)))
    return layer, int((resized[..., 3] > _SOLID).sum())


def _unit(image: Image) -> Canvas:
    """0..255 to 0..1."""
    return np.asarray(image, np.float32) / np.float32(255)


def _whole(box: plans.Box) -> tuple[int, int, int, int]:
    """The box in whole pixels, of at least one."""
    left, top = round(box[0]), round(box[1])
    return left, top, left + max(1, round(box[2] - box[0])), top + max(1, round(box[3] - box[1]))


def _paint(canvas: Canvas, layer: _Layer) -> None:
    canvas[layer.place] = canvas[layer.place] * (1.0 - layer.alpha) + layer.colour


def _truth(
    scene: plans.Scene, person: plans.Person, atlas: Atlas, layer: _Layer, here: Mask, full_pixels: int
) -> Truth:
    sprite = plans.figure(atlas, person)
    left, top, right, bottom = _whole(person.box)
    full = (float(left), float(top), float(right), float(bottom))
    head = plans.clip(plans.head_box(sprite, person.mirrored, full), scene.width, scene.height)
    inside = int(layer.solid.sum())
    return Truth(
        box=_extent(layer.solid, layer.place),
        visible_box=_extent(here, layer.place),
        full_box=full,
        head_box=head if plans.area(head) > 0 else None,
        visible=float(here.sum()) / inside,
        truncated=1.0 - inside / full_pixels,
        cues=person.cues,
        vad=person.vad,
        gender=sprite.gender,
        age=sprite.age,
        identity=person.identity,
        track_id=person.track_id,
    )


def _extent(mask: Mask, place: tuple[slice, slice]) -> plans.Box:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = place[0].start, place[1].start
    return float(left + columns[0]), float(top + rows[0]), float(left + columns[-1] + 1), float(top + rows[-1] + 1)


# --- Where it is, and what the camera makes of it ------------------------------------------------------------------


def _background(scene: plans.Scene) -> Canvas:
    """A room or a landscape, float RGB [H,W,3] 0..1, of random colours and patterns."""
    random = np.random.default_rng(scene.background)
    height, width = scene.height, scene.width
    # The floor begins below the eye's height, the nearer the wall the lower.
    edge = round(min(scene.horizon + height * random.uniform(0.1, 0.3), 0.85 * height))
    outdoors = random.random() < 0.4
    canvas = np.empty((height, width, 3), np.float32)
    base = random.uniform(0.35, 0.78)
    for rows, lightness in ((slice(0, edge), base), (slice(edge, height), base * random.uniform(0.55, 1.1))):
        colour = lightness + random.uniform(-0.14, 0.14, 3)
        first, last = random.uniform(0.85, 1.15, 2).tolist()
        across = np.linspace(first, last, rows.stop - rows.start)
        canvas[rows] = colour * across[:, None, None]
    if outdoors:
        _hills(canvas, edge, random)
    else:
        _wall(canvas[:edge], random)
    _floor(canvas[edge:], random)
    blotches = random.normal(0.0, random.uniform(0.01, 0.05), (9, 12, 1)).astype(np.float32)
    canvas += cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(canvas, 0.02, 1.0)


def _wall(wall: Canvas, random: np.random.Generator) -> None:
    """Paint stripes, bricks or nothing, then doors and windows."""
    height, width = wall.shape[:2]
    pattern, period = random.integers(3), int(random.integers(width // 24, width // 8))
    shade = random.uniform(0.88, 0.97)
    if pattern == 0:
        for x in range(0, width, 2 * period):
            wall[:, x : x + period] *= shade
    elif pattern == 1:
        thick = max(1, width // 200)
        for row, y in enumerate(range(0, height, max(4, period // 2))):
            wall[y : y + thick] *= shade
            for x in range((row % 2) * period // 2, width, period):
                wall[y : y + period // 2, x : x + thick] *= shade
    for _ in range(random.integers(4)):
        w, h = width * random.uniform(0.1, 0.25), height * random.uniform(0.3, 0.9)
        x, y = random.uniform(-w / 2, width - w / 2), random.uniform(0.05, 0.5) * height
        corner, opposite = (round(x), round(y)), (round(x + w), round(y + h))
        colour = random.uniform(0.35, 0.85) + random.uniform(-0.12, 0.12, 3)
        frame = colour * random.choice([0.75, 1.2])
        cv2.rectangle(wall, corner, opposite, colour.tolist(), -1)
        cv2.rectangle(wall, corner, opposite, frame.tolist(), max(1, width // 110), cv2.LINE_AA)


def _hills(canvas: Canvas, edge: int, random: np.random.Generator) -> None:
    """Ridges of hills or a skyline behind the ground."""
    width = canvas.shape[1]
    for depth in range(int(random.integers(1, 4))):
        knots = random.uniform(0.1, 0.5, int(random.integers(4, 14))) * edge / (depth + 1)
        positions = np.linspace(0, width - 1, len(knots))
        if random.random() < 0.4:  # houses
            ridge = knots[np.minimum(np.arange(width) * len(knots) // width, len(knots) - 1)]
        else:
            ridge = np.interp(np.arange(width), positions, knots)
        colour = random.uniform(0.3, 0.7) + random.uniform(-0.12, 0.12, 3)
        outline = [(x, edge - y) for x, y in enumerate(ridge)]
        points = np.array([(0, edge), *outline, (width - 1, edge)], np.float64).round().astype(np.int32)
        cv2.fillPoly(canvas[:edge], [points], colour.tolist(), cv2.LINE_AA)


def _floor(floor: Canvas, random: np.random.Generator) -> None:
    """Paint boards that run to a vanishing point, tiles' seams, or nothing."""
    height, width = floor.shape[:2]
    pattern, shade = random.integers(3), random.uniform(0.8, 0.95)
    colour = (floor[height // 2, width // 2] * shade).tolist()
    if pattern == 0:
        vanishing = random.uniform(0.2, 0.8) * width
        for x in np.linspace(-2 * width, 3 * width, int(random.integers(20, 50))):
            top = vanishing + (x - vanishing) * 0.25
            cv2.line(floor, (round(top), 0), (round(x), height), colour, 1, cv2.LINE_AA)
    elif pattern == 1:
        for y in np.geomspace(2, height, int(random.integers(4, 9))):
            cv2.line(floor, (0, round(y)), (width, round(y)), colour, 1, cv2.LINE_AA)


def _photograph(scene: plans.Scene, canvas: Canvas) -> Image:
    light = scene.light
    slope = 1.0 + light.slope * np.linspace(-0.5, 0.5, scene.width, dtype=np.float32)
    canvas = canvas * (light.gain * np.asarray(light.cast, np.float32)) * slope[:, None]
    canvas = np.clip(canvas, 0.0, 1.0) ** np.float32(light.gamma)
    if light.blur > 0.2:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), light.blur), np.float32)
    noise = np.random.default_rng(scene.grain).standard_normal(canvas.shape, np.float32) * light.noise
    return np.clip(canvas * 255.0 + noise + 0.5, 0, 255).astype(np.uint8)
