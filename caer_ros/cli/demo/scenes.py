"""A small theatre: people cut out of photographs stand behind a desk, and a camera pans and zooms over the stage.

Because everything is placed by known transforms, it is also known exactly where everybody is. Stage coordinates are
pixels, x right and y down, at the size they have in a picture taken with zoom 1. A *story* says who moves where and
what the camera looks at; a *scene* draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from caer_ros import share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float64]

WIDTH, HEIGHT = 640, 480
"""Pixels of a picture."""
RATE = 10.0
"""Pictures per second."""
STAGE_WIDTH, STAGE_HEIGHT = 1800, 760
DESK_Y = 596.0
"""Stage y of the desk's edge; what is lower is hidden by the desk."""
STANDING_Y = 612.0
"""Stage y at which a photograph's lower end is hung up."""
MIN_VISIBLE = 0.5
"""Who shows less than this fraction of themselves is not demanded of a detector ..."""
MIN_SIDE = 40.0
"""... nor whose visible box has a side shorter than this, in pixels."""
_SOLID = 127
"""A pixel of larger alpha is the person's."""
_BORDER = 8
"""Clear pixels around a cut-out."""


class SceneError(ValueError):
    """A story cannot be drawn, or the photographs are missing."""


@dataclass(frozen=True)
class Actor:
    """A person in a photograph, and what is to be expected of a perception that looks at them."""

    photo: str
    mask: str
    size: float
    """Stage pixels per photograph pixel, chosen so that the heads are of about one size."""
    status: str
    """Name of the expected ``EmotionStatus``."""
    emotion: str
    """Expected top label; "" where any, or none, will do."""


ACTORS = {
    "astronaut": Actor("astronaut.png", "astronaut_mask.png", 0.70, "OK", "Happy"),
    "grace_hopper": Actor("grace_hopper.jpg", "grace_hopper_mask.png", 0.46, "OK", ""),
    "cameraman": Actor("camera.png", "cameraman_mask.png", 0.80, "PROFILE_OR_OCCLUDED", ""),
}


@dataclass(frozen=True)
class Pose:
    """Where a person stands at ``time``: the middle of their lower end at stage ``x``, ducked by ``sink`` pixels."""

    time: float
    x: float
    sink: float = 0.0
    size: float = 1.0


@dataclass(frozen=True)
class View:
    """What the camera looks at at ``time``: the stage point in the middle of the picture."""

    time: float
    x: float
    y: float
    zoom: float


@dataclass(frozen=True)
class Part:
    """One actor's way over the stage; on it from the first pose's time to the last's."""

    actor: str
    depth: int
    """Who has the smaller depth hides the others."""
    poses: tuple[Pose, ...]


@dataclass(frozen=True)
class Story:
    """What happens. ``noise`` lists the pictures (by number) that the camera lost: nothing but noise."""

    seed: int
    seconds: float
    parts: tuple[Part, ...]
    views: tuple[View, ...]
    noise: tuple[int, ...]

    @property
    def length(self) -> int:
        """Number of pictures."""
        return round(self.seconds * RATE)


@dataclass(frozen=True)
class Placed:
    """Where one person is in one picture. Boxes are x_min, y_min, x_max, y_max in pixels of the picture."""

    actor: str
    box: tuple[float, float, float, float]
    """Around what is visible, so within the picture."""
    full_box: tuple[float, float, float, float]
    """Around the whole cut-out, whatever hides it and even outside the picture."""
    visible: float
    """Fraction of the cut-out's area that is seen, 0..1 (the desk always hides a little)."""

    @property
    def ignore(self) -> bool:
        """Too little is seen to demand that anybody finds this person."""
        x_min, y_min, x_max, y_max = self.box
        return self.visible < MIN_VISIBLE or min(x_max - x_min, y_max - y_min) < MIN_SIDE


def demo_folder() -> Path:
    """``resource/demo`` of the package.

    Raises:
        SceneError: It is not installed.

    """
    try:
        return share.find("resource/demo/photos").parent
    except FileNotFoundError as error:
        raise SceneError(str(error)) from error


# --- Stories -------------------------------------------------------------------------------------------------------


def story(seed: int, attempt: int = 0) -> Story:
    """Story number ``seed``: 0 is the demo's, written by hand; every other is drawn at random, always the same.

    ``attempt`` draws another one of the same number, for who cannot use the first.
    """
    return _demo_story() if seed == 0 else _random_story(seed, attempt)


def _demo_story() -> Story:
    """All that a tracker meets: an empty room, arrivals, zoom, ducking, crossing, leaving for short and for long."""
    astronaut = Part("astronaut", 1, (Pose(1.2, 380), Pose(3.8, 800), Pose(12.9, 850), Pose(16.3, 1520)))
    # Ducks behind the desk at 10 s and comes up again 1.2 s later: the same identity.
    # Between 13.6 and 15.5 s the astronaut walks past in front.
    ducking = (Pose(10.0, 1090), Pose(10.3, 1090, 290), Pose(11.1, 1090, 290), Pose(11.4, 1090))
    grace_hopper = Part("grace_hopper", 2, (Pose(3.0, 1350), Pose(4.8, 1090), *ducking, Pose(16.5, 1090)))
    # Walks off to the left at 10 s and is back at 13 s: longer than a tracker remembers.
    cameraman = Part("cameraman", 3, (Pose(5.6, 240), Pose(7.9, 560), Pose(8.6, 560), Pose(10.3, 230)))
    cameraman_again = Part("cameraman", 3, (Pose(12.4, 230), Pose(14.6, 570), Pose(16.5, 575)))
    views = (
        View(0.0, 930, 395, 1.0),
        View(1.4, 890, 395, 1.0),
        View(3.8, 900, 400, 1.0),
        View(5.0, 930, 365, 1.3),
        View(5.8, 930, 365, 1.3),
        View(7.4, 850, 395, 0.76),
        View(9.8, 850, 395, 0.76),
        View(10.8, 960, 385, 1.05),
        View(11.8, 960, 385, 1.05),
        View(13.2, 850, 395, 0.78),
        View(16.5, 880, 395, 0.78),
    )
    return Story(0, 16.5, (astronaut, grace_hopper, cameraman, cameraman_again), views, noise=(122,))


def _random_story(seed: int, attempt: int) -> Story:
    """Everybody's ways, depth and size, and the camera's: enter, stand, walk, duck, leave, perhaps return."""
    random = np.random.default_rng((seed, attempt))
    seconds = 18.0
    empty = float(random.uniform(0.8, 1.6))  # at the beginning
    parts: list[Part] = []
    for actor, depth in zip(ACTORS, random.permutation(len(ACTORS)), strict=True):
        size = float(random.uniform(0.85, 1.15))
        start = empty + float(random.uniform(-1.5, 3.0))
        while start < seconds - 5.0:
            end = min(start + float(random.uniform(7.0, 14.0)), seconds + 3.0)
            parts.append(Part(actor, int(depth), _random_way(random, start, end, size)))
            start = parts[-1].poses[-1].time + float(random.uniform(0.5, 2.0))
    noise = (int(random.integers(20, round(seconds * RATE) - 20)),)
    return Story(seed, seconds, tuple(parts), _random_views(random, seconds), noise)


def _random_way(random: np.random.Generator, start: float, end: float, size: float) -> tuple[Pose, ...]:
    """From one of the stage's ends to one of its ends, with stops between, leaving the last stop at about ``end``."""

    def walk(x: float) -> None:
        seconds = max(0.5, abs(x - poses[-1].x) / float(random.uniform(120.0, 190.0)))
        poses.append(Pose(poses[-1].time + seconds, x, 0.0, size))

    def wait(seconds: float, sink: float = 0.0) -> None:
        poses.append(Pose(poses[-1].time + seconds, poses[-1].x, sink, size))

    ends = (200.0, STAGE_WIDTH - 200.0)
    poses = [Pose(start, float(random.choice(ends)), 0.0, size)]
    walk(float(random.uniform(600.0, STAGE_WIDTH - 600.0)))
    while poses[-1].time < end - 2.5:
        wait(float(random.uniform(0.8, 3.0)))
        if random.random() < 0.3:  # Duck behind the desk.
            wait(0.3, 420.0)
            wait(float(random.uniform(0.4, 0.9)), 420.0)
            wait(0.3)
        else:
            walk(float(random.uniform(600.0, STAGE_WIDTH - 600.0)))
    walk(float(random.choice(ends)))
    return tuple(poses)


def _random_views(random: np.random.Generator, seconds: float) -> tuple[View, ...]:
    """Pans and zooms with rests between, around the stage's middle."""
    views: list[View] = []
    now = 0.0
    while now < seconds:
        zoom = float(random.uniform(0.76, 1.3))
        view = View(now, float(random.uniform(780.0, 1020.0)), 400.0 - 45.0 * max(0.0, zoom - 0.9), zoom)
        rest = float(random.uniform(0.6, 2.5))
        views += [view, View(now + rest, view.x, view.y, view.zoom)]
        now += rest + float(random.uniform(1.4, 2.6))
    return tuple(views)


# --- Drawing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sprite:
    """A cut-out: premultiplied RGBA at full, half, quarter, ... size, and the outline's corners in its pixels."""

    levels: tuple[Image, ...]
    outline: Floats
    anchor: tuple[float, float]
    area: float


@cache
def _sprite(actor: str, folder: Path) -> _Sprite:
    photo, alpha = _read(folder / ACTORS[actor].photo), _read(folder / ACTORS[actor].mask)[..., 0]
    premultiplied = (photo.astype(np.uint16) * alpha[..., None] // 255).astype(np.uint8)
    rgba = np.dstack([premultiplied, alpha])
    # A clear border, and sides that halve evenly, so that every level shows exactly the same area.
    height, width = alpha.shape
    below, right = (-(side + _BORDER) % 8 + _BORDER for side in (height, width))
    rgba = cv2.copyMakeBorder(rgba, _BORDER, below, _BORDER, right, cv2.BORDER_CONSTANT)
    levels: list[Any] = [rgba]
    for _ in range(3):
        rows, columns = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (columns // 2, rows // 2), interpolation=cv2.INTER_AREA))
    rows, columns = np.nonzero(rgba[..., 3] > _SOLID)
    hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32)).reshape(-1, 2)
    corners = [hull + np.array(offset) for offset in ((0, 0), (1, 0), (0, 1), (1, 1))]
    anchor = (float(columns.min() + columns.max() + 1) / 2, float(rows.max() + 1))
    return _Sprite(tuple(levels), np.concatenate(corners).astype(np.float64), anchor, float(len(rows)))


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SceneError(f"{path} is missing or is no picture")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


class Scene:
    """A story that can be looked at, picture by picture. Every picture depends on the story and its number alone."""

    def __init__(self, story: Story) -> None:
        """Read the photographs and paint the room.

        Raises:
            SceneError: A photograph is missing, or the story names an unknown actor.

        """
        unknown = {part.actor for part in story.parts} - ACTORS.keys()
        if unknown:
            raise SceneError(f"story {story.seed} names {sorted(unknown)}; the actors are {sorted(ACTORS)}")
        self.story = story
        self._photos = demo_folder() / "photos"
        self._room = _room(self._photos, story.seed)

    def view(self, index: int) -> View:
        """What the camera looks at in picture ``index``, moved where needed so that it sees the stage alone."""
        x, y, zoom = _at(self.story.views, ("x", "y", "zoom"), index / RATE)
        half_width, half_height = WIDTH / 2 / zoom, HEIGHT / 2 / zoom
        x = min(max(x, half_width), STAGE_WIDTH - half_width)
        y = min(max(y, half_height), STAGE_HEIGHT - half_height)
        return View(index / RATE, x, y, zoom)

    def persons(self, index: int) -> list[Placed]:
        """Everybody of whom at least a pixel is seen in picture ``index``, the nearest first."""
        if index in self.story.noise:
            return []
        placed = []
        free = np.ones((HEIGHT, WIDTH), bool)
        for part, matrix, layer in self._layers(index):
            solid = layer[..., 3] > _SOLID
            seen = solid & free
            free &= ~solid
            if seen.any():
                sprite = _sprite(part.actor, self._photos)
                whole = sprite.area * float(np.linalg.det(matrix[:, :2]))
                placed.append(
                    Placed(part.actor, _box(seen), _hull_box(sprite, matrix), min(1.0, float(seen.sum()) / whole))
                )
        return placed

    def image(self, index: int) -> Image:
        """Picture ``index``, RGB uint8 [480,640,3]."""
        random = np.random.default_rng((self.story.seed, 2, index))
        if index in self.story.noise:
            snow = random.integers(0, 256, (HEIGHT, WIDTH, 1), np.uint8)
            return np.repeat(snow, 3, axis=2)
        picture = cv2.warpAffine(
            self._room, _pixel_centres(self._camera(index)), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        for _, _, layer in reversed(self._layers(index)):
            picture *= 1.0 - layer[..., 3:].astype(np.float32) / 255.0
            picture += layer[..., :3]
        # A lens's softness, and a sensor's grain: one value for all channels.
        picture = _blur(picture, 0.6)
        picture += random.standard_normal((HEIGHT, WIDTH, 1), np.float32) * 0.9
        return np.clip(picture, 0.0, 255.0).astype(np.uint8)

    def _camera(self, index: int) -> Floats:
        """[2,3] from the stage to picture ``index``."""
        view = self.view(index)
        return np.array(
            [
                [view.zoom, 0.0, WIDTH / 2 - view.zoom * view.x],
                [0.0, view.zoom, HEIGHT / 2 - view.zoom * view.y],
            ]
        )

    def _layers(self, index: int) -> list[tuple[Part, Floats, Image]]:
        """Part, [2,3] from the cut-out to the picture, and the premultiplied RGBA picture of it, the nearest first."""
        time = index / RATE
        camera = self._camera(index)
        layers = []
        for part in sorted(self.story.parts, key=lambda part: part.depth):
            if part.poses[0].time <= time <= part.poses[-1].time:
                matrix = _chain(camera, self._stand(part, time))
                layer = _warp(_sprite(part.actor, self._photos), matrix)
                layers.append((part, matrix, _behind_desk(layer, camera)))
        return layers

    def _stand(self, part: Part, time: float) -> Floats:
        """[2,3] from a cut-out's pixels to the stage: where the story puts it, swaying and bobbing as people do."""
        x, sink, size = _at(part.poses, ("x", "sink", "size"), time)
        speed = abs(_at(part.poses, ("x",), time + 0.05)[0] - _at(part.poses, ("x",), time - 0.05)[0]) / 0.1
        phase = 2.0 * len(part.actor)
        x += 3.0 * np.sin(2 * np.pi * 0.31 * time + phase)
        bob = 4.0 * min(1.0, speed / 120.0) * np.sin(2 * np.pi * 1.7 * time + phase)
        angle = np.deg2rad(1.3) * np.sin(2 * np.pi * 0.23 * time + phase)
        scale = ACTORS[part.actor].size * size
        anchor = _sprite(part.actor, self._photos).anchor
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = np.array([x, STANDING_Y + sink + bob]) - linear @ np.array(anchor)
        return np.column_stack([linear, offset])


def _at(keys: Sequence[Pose] | Sequence[View], fields: tuple[str, ...], time: float) -> list[float]:
    """Fields of the keys at ``time``, eased in and out between keys, at rest before the first and after the last."""
    times = [key.time for key in keys]
    right = min(max(int(np.searchsorted(times, time)), 1), len(keys) - 1)
    before, after = keys[right - 1], keys[right]
    part = min(max((time - before.time) / max(after.time - before.time, 1e-9), 0.0), 1.0)
    eased = part * part * (3.0 - 2.0 * part)
    return [getattr(before, name) + (getattr(after, name) - getattr(before, name)) * eased for name in fields]


def _chain(outer: Floats, inner: Floats) -> Floats:
    """[2,3] that applies ``inner``, then ``outer``."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _pixel_centres(matrix: Floats) -> Floats:
    """The same map for OpenCV, which counts from the centre of the first pixel; we count from its corner."""
    offset = matrix[:, :2] @ np.array([0.5, 0.5]) + matrix[:, 2] - 0.5
    return np.column_stack([matrix[:, :2], offset])


def _warp(sprite: _Sprite, matrix: Floats) -> Image:
    """The cut-out as it appears in the picture, from the smallest level that has pixels enough (no aliasing)."""
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    level = min(max(int(np.floor(-np.log2(scale))), 0), len(sprite.levels) - 1)
    shrunk = np.column_stack([matrix[:, :2] * 2.0**level, matrix[:, 2]])
    return cv2.warpAffine(sprite.levels[level], _pixel_centres(shrunk), (WIDTH, HEIGHT))  # type: ignore[return-value]


def _behind_desk(layer: Image, camera: Floats) -> Image:
    """Clear everything below the desk's edge, in place."""
    edge = min(max(camera[1, 1] * DESK_Y + camera[1, 2], 0.0), HEIGHT - 1.0)
    row = int(edge)
    layer[row] = layer[row] * (edge - row)
    layer[row + 1 :] = 0
    return layer


def _blur(image: NDArray[np.float32], sigma_x: float, sigma_y: float = 0.0) -> NDArray[np.float32]:
    """Gaussian; ``sigma_y`` 0 means the same."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y), np.float32)


def _resize(image: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _hull_box(sprite: _Sprite, matrix: Floats) -> tuple[float, float, float, float]:
    points = sprite.outline @ matrix[:, :2].T + matrix[:, 2]
    x_min, y_min = points.min(axis=0)
    x_max, y_max = points.max(axis=0)
    return float(x_min), float(y_min), float(x_max), float(y_max)


# --- The room ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _room(photos: Path, seed: int) -> Image:
    """The stage without people, RGB uint8 [760,1800,3]: a wall, windows, a poster, and the desk in front."""
    random = np.random.default_rng((seed, 1))
    hue = random.uniform(-6.0, 6.0, 3)
    x = np.linspace(-1.0, 1.0, STAGE_WIDTH)[None, :, None]
    y = np.linspace(0.0, 1.0, STAGE_HEIGHT)[:, None, None]
    light = 1.04 - 0.16 * (x - random.uniform(-0.4, 0.4)) ** 2 - 0.14 * y
    wall = (np.array([201.0, 195.0, 184.0]) + hue) * light
    wall += _clouds(random, 60.0, 2.5)
    _wainscot(wall)
    for left in (300, 1180):
        _hang(wall, _window(photos), left, 92)
    _hang(wall, _poster(photos), 835, 120)
    desk = int(DESK_Y)
    wall[desk:] = _desk(random, STAGE_HEIGHT - desk, light[desk:])
    return np.clip(wall, 0.0, 255.0).astype(np.uint8)


def _clouds(random: np.random.Generator, width: float, strength: float) -> Floats:
    """Soft unevenness, [760,1800,1], standard deviation ``strength``."""
    coarse = random.standard_normal((STAGE_HEIGHT // 20, STAGE_WIDTH // 20)).astype(np.float32)
    soft = _resize(_blur(coarse, width / 20), STAGE_WIDTH, STAGE_HEIGHT)
    return np.asarray(soft / soft.std() * strength, np.float64)[..., None]


def _wainscot(wall: Floats) -> None:
    """A rail at hip height, and the wall a little darker below it."""
    wall[470:] *= np.array([0.86, 0.87, 0.88])
    wall[462:470] = wall[462:470] * 0.5 + np.array([226.0, 221.0, 211.0]) * 0.5
    wall[470:475] *= 0.86


def _hang(wall: Floats, picture: Floats, left: int, top: int) -> None:
    """Put a picture on the wall, with a soft shadow."""
    height, width = picture.shape[:2]
    shadow = np.zeros(wall.shape[:2], np.float32)
    shadow[top + 6 : top + height + 8, left + 4 : left + width + 8] = 0.28
    wall *= 1.0 - _blur(shadow, 7.0)[..., None]
    wall[top : top + height, left : left + width] = picture


def _window(photos: Path) -> Floats:
    """The skyline behind the cameraman, out of focus and with the colours of a clear day, in a white frame."""
    grey = _read(photos / ACTORS["cameraman"].photo)[70:300, 342:512, 0].astype(np.float32)
    grey = _blur(_resize(grey, 330, 300), 3.0)[..., None]
    sky = np.clip((grey - 150.0) / 60.0, 0.0, 1.0) * np.linspace(1.0, 0.2, 300)[:, None, None]
    colours = (1.0 - sky) * np.array([0.98, 1.03, 0.93]) + sky * np.array([0.90, 1.0, 1.13])
    return _framed(grey * colours * 1.08, 14, np.array([232.0, 230.0, 224.0]), bars=True)


def _poster(photos: Path) -> Floats:
    """The shuttle model beside the astronaut, as a picture on the wall."""
    shuttle = _read(photos / ACTORS["astronaut"].photo)[0:268, 352:478].astype(np.float32)
    shuttle = _blur(_resize(shuttle, 118, 250), 1.4)
    return _framed(shuttle * 0.93, 7, np.array([72.0, 58.0, 46.0]), bars=False)


def _framed(picture: NDArray[np.float32], border: int, colour: Floats, bars: bool) -> Floats:
    height, width = picture.shape[:2]
    framed = np.empty((height + 2 * border, width + 2 * border, 3))
    framed[:] = colour
    framed[border:-border, border:-border] = picture
    if bars:
        middle = (framed.shape[0] // 2, framed.shape[1] // 2)
        framed[middle[0] - 4 : middle[0] + 4] = colour
        framed[:, middle[1] - 4 : middle[1] + 4] = colour
    framed[border - 2 : border, border - 2 : 2 - border] *= 0.85
    return framed


def _desk(random: np.random.Generator, height: int, light: Floats) -> Floats:
    """Wood seen from in front: a lit edge, a shadow below it, and panels with grain."""
    grain = random.standard_normal((height, STAGE_WIDTH), np.float32)
    grain = _blur(grain, 60.0, 1.2)
    wood = np.array([133.0, 96.0, 66.0]) * (light + 0.05) + (grain / grain.std() * 4.0)[..., None]
    wood[:14] *= 1.32
    wood[14:18] *= 0.62
    wood[18:40] *= np.linspace(0.78, 1.0, 22)[:, None, None]
    for seam in range(150, STAGE_WIDTH, 300):
        wood[18:, seam : seam + 3] *= 0.75
    return np.asarray(wood, np.float64)
