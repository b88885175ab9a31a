"""Drawn things: what stands in a scene of each emotion, and furniture that means nothing. All are RGBA tiles."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Colour = tuple[int, int, int]
    Point = tuple[float, float]

SIDE = 160
"""Pixels of a tile's side."""
_FINE = 4
"""Tiles are drawn this many times larger, and without anti-aliasing."""
_OUTLINE: Colour = (30, 26, 30)


class _Tile:
    """A square to draw on, from (0, 0) top left to (1, 1)."""

    def __init__(self) -> None:
        self.rgba: Image = np.zeros((SIDE * _FINE, SIDE * _FINE, 4), np.uint8)

    def polygon(self, colour: Colour, *points: Point) -> None:
        cv2.fillPoly(self.rgba, [self._pixels(points)], (*colour, 255))

    def rectangle(self, colour: Colour, left: float, top: float, right: float, bottom: float) -> None:
        self.polygon(colour, (left, top), (right, top), (right, bottom), (left, bottom))

    def circle(self, colour: Colour, x: float, y: float, radius: float) -> None:
        self.ellipse(colour, x, y, radius, radius)

    def ellipse(self, colour: Colour, x: float, y: float, a: float, b: float, angle: float = 0.0) -> None:
        self._ellipse(colour, x, y, a, b, angle, 0.0, 360.0, -1)

    def arc(self, colour: Colour, width: float, x: float, y: float, radius: float, start: float, end: float) -> None:
        self._ellipse(colour, x, y, radius, radius, 0.0, start, end, self._width(width))

    def line(self, colour: Colour, width: float, *points: Point) -> None:
        cv2.polylines(self.rgba, [self._pixels(points)], False, (*colour, 255), self._width(width))

    def finished(self) -> Image:
        """Picture with an outline, so that it stands out from any background; cut to what is drawn."""
        side = self._width(0.05)
        drawn = cv2.copyMakeBorder(self.rgba, side, side, side, side, cv2.BORDER_CONSTANT)
        alpha = cv2.dilate(drawn[..., 3], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        image = np.where(drawn[..., 3:] > 0, drawn, np.array([*_OUTLINE, 0], np.uint8))
        image[..., 3] = alpha
        premultiplied = np.where(alpha[..., None] > 0, image, 0).astype(np.uint8)
        small = cv2.resize(premultiplied, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        rows, columns = np.flatnonzero(small[..., 3].any(1)), np.flatnonzero(small[..., 3].any(0))
        return np.ascontiguousarray(small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])

    def _ellipse(self, colour: Colour, x: float, y: float, a: float, b: float, *rest: Any) -> None:
        angle, start, end, width = rest
        centre, axes = (self._pixel(x), self._pixel(y)), (self._pixel(a), self._pixel(b))
        cv2.ellipse(self.rgba, centre, axes, angle, start, end, (*colour, 255), width)

    def _pixels(self, points: tuple[Point, ...]) -> NDArray[np.int32]:
        return np.array([[self._pixel(x), self._pixel(y)] for x, y in points], np.int32)

    def _pixel(self, value: float) -> int:
        return round(value * SIDE * _FINE)

    def _width(self, value: float) -> int:
        return max(1, self._pixel(value))


# --- Anger ---------------------------------------------------------------------------------------------------------


def _flames(tile: _Tile) -> None:
    tongue = [(0.5, 0.03), (0.63, 0.22), (0.66, 0.4), (0.76, 0.26), (0.88, 0.5), (0.9, 0.75), (0.78, 0.94), (0.5, 0.98)]
    tongue += [(0.22, 0.94), (0.1, 0.75), (0.12, 0.52), (0.22, 0.36), (0.3, 0.5), (0.36, 0.25)]
    for colour, scale in (((225, 40, 15), 1.0), ((255, 140, 10), 0.68), ((255, 235, 90), 0.36)):
        tile.polygon(colour, *((0.5 + (x - 0.5) * scale, 0.96 + (y - 0.96) * scale) for x, y in tongue))


def _broken_window(tile: _Tile) -> None:
    tile.rectangle((150, 20, 20), 0.05, 0.05, 0.95, 0.95)
    tile.rectangle((195, 225, 235), 0.15, 0.15, 0.85, 0.85)
    angles = np.linspace(0.3, 0.3 + 2 * np.pi, 19)[:-1]
    hole = [(0.5 + r * np.cos(a), 0.5 + r * np.sin(a)) for a, r in zip(angles, [0.3, 0.13] * 9, strict=True)]
    tile.polygon((25, 20, 25), *hole)
    for angle in angles[::2]:
        far = (0.5 + 0.37 * np.cos(angle), 0.5 + 0.37 * np.sin(angle))
        tile.line((25, 20, 25), 0.015, (0.5, 0.5), far)


def _boxing_glove(tile: _Tile) -> None:
    tile.ellipse((200, 15, 30), 0.55, 0.35, 0.36, 0.3)
    tile.ellipse((170, 5, 20), 0.24, 0.47, 0.13, 0.2, 20)
    tile.polygon((200, 15, 30), (0.32, 0.5), (0.85, 0.45), (0.76, 0.75), (0.36, 0.75))
    tile.rectangle((245, 240, 235), 0.34, 0.74, 0.78, 0.95)
    tile.line((120, 0, 10), 0.03, (0.36, 0.42), (0.6, 0.5), (0.84, 0.42))


# --- Disgust -------------------------------------------------------------------------------------------------------


def _garbage(tile: _Tile) -> None:
    tile.polygon((70, 95, 45), (0.18, 0.4), (0.82, 0.4), (0.74, 0.97), (0.26, 0.97))
    for x in (0.36, 0.5, 0.64):
        tile.line((40, 60, 25), 0.03, (x, 0.48), (0.5 + (x - 0.5) * 0.8, 0.9))
    for x, y, colour in ((0.3, 0.34, (150, 120, 50)), (0.52, 0.28, (120, 140, 60)), (0.7, 0.34, (165, 90, 50))):
        tile.circle(colour, x, y, 0.13)
    tile.rectangle((50, 70, 35), 0.12, 0.37, 0.88, 0.45)
    for x, y in ((0.15, 0.15), (0.42, 0.06), (0.72, 0.1), (0.9, 0.22)):
        tile.circle((15, 15, 15), x, y, 0.035)


def _slime(tile: _Tile) -> None:
    for x, y, a, b in ((0.5, 0.75, 0.46, 0.2), (0.3, 0.6, 0.2, 0.25), (0.6, 0.5, 0.24, 0.36), (0.8, 0.7, 0.14, 0.2)):
        tile.ellipse((125, 190, 20), x, y, a, b)
    for x, y, radius in ((0.3, 0.55, 0.07), (0.56, 0.36, 0.09), (0.68, 0.62, 0.06), (0.44, 0.76, 0.06)):
        tile.circle((195, 235, 90), x, y, radius)
    for x, y in ((0.54, 0.7), (0.78, 0.76), (0.24, 0.75)):
        tile.circle((70, 110, 0), x, y, 0.045)


def _fish_bones(tile: _Tile) -> None:
    bone = (205, 205, 150)
    tile.line(bone, 0.06, (0.25, 0.5), (0.85, 0.5))
    for x, half in ((0.4, 0.24), (0.52, 0.2), (0.64, 0.15), (0.74, 0.1)):
        tile.line(bone, 0.045, (x + 0.06, 0.5 - half), (x, 0.5), (x + 0.06, 0.5 + half))
    tile.polygon(bone, (0.98, 0.28), (0.82, 0.5), (0.98, 0.72), (0.92, 0.5))
    tile.polygon((140, 150, 70), (0.02, 0.5), (0.3, 0.26), (0.34, 0.74))
    tile.circle((20, 20, 20), 0.22, 0.47, 0.05)


# --- Excitement ----------------------------------------------------------------------------------------------------


def _balloons(tile: _Tile) -> None:
    for x, y, colour in ((0.25, 0.3, (235, 40, 60)), (0.75, 0.3, (30, 110, 240)), (0.5, 0.24, (250, 200, 20))):
        tile.line((90, 90, 90), 0.02, (x, y), (0.5, 0.97))
        tile.ellipse(colour, x, y, 0.2, 0.24)
        tile.ellipse((255, 255, 255), x - 0.07, y - 0.09, 0.035, 0.06, 20)


def _confetti(tile: _Tile) -> None:
    tile.polygon((240, 130, 20), (0.05, 0.97), (0.28, 0.5), (0.52, 0.74))
    tile.line((250, 230, 80), 0.05, (0.16, 0.76), (0.28, 0.87))
    colours = ((235, 30, 90), (30, 150, 240), (250, 210, 30), (60, 200, 80), (170, 60, 220))
    spots = ((0.42, 0.4), (0.6, 0.52), (0.62, 0.28), (0.8, 0.44), (0.78, 0.14), (0.5, 0.12), (0.92, 0.26), (0.74, 0.66))
    for index, (x, y) in enumerate((*spots, (0.93, 0.62), (0.34, 0.2))):
        tile.rectangle(colours[index % len(colours)], x - 0.055, y - 0.055, x + 0.055, y + 0.055)


def _trophy(tile: _Tile) -> None:
    gold, dark = (250, 195, 20), (190, 130, 0)
    tile.arc(dark, 0.07, 0.22, 0.27, 0.14, 0, 360)
    tile.arc(dark, 0.07, 0.78, 0.27, 0.14, 0, 360)
    tile.polygon(gold, (0.2, 0.05), (0.8, 0.05), (0.74, 0.4), (0.56, 0.6), (0.44, 0.6), (0.26, 0.4))
    tile.rectangle(gold, 0.45, 0.55, 0.55, 0.8)
    tile.rectangle((110, 60, 30), 0.26, 0.78, 0.74, 0.96)
    tile.circle((255, 245, 170), 0.5, 0.28, 0.11)


# --- Fear ----------------------------------------------------------------------------------------------------------


def _lightning(tile: _Tile) -> None:
    tile.circle((25, 20, 70), 0.5, 0.5, 0.48)
    bolt = ((0.6, 0.06), (0.24, 0.55), (0.46, 0.55), (0.36, 0.95), (0.78, 0.4), (0.54, 0.4))
    tile.polygon((255, 250, 120), *bolt)


def _spider(tile: _Tile) -> None:
    black = (20, 15, 25)
    for side in (-1, 1):
        for y, knee, foot in ((0.42, 0.18, 0.36), (0.48, 0.34, 0.55), (0.54, 0.58, 0.78), (0.6, 0.74, 0.97)):
            tile.line(black, 0.045, (0.5, y), (0.5 + side * 0.28, knee), (0.5 + side * 0.46, foot))
    tile.circle(black, 0.5, 0.62, 0.2)
    tile.circle(black, 0.5, 0.4, 0.13)
    for x in (0.44, 0.56):
        tile.circle((240, 20, 20), x, 0.38, 0.035)


def _ghost(tile: _Tile) -> None:
    white = (240, 240, 250)
    tile.circle(white, 0.5, 0.38, 0.34)
    hem = [(0.84, 0.96), (0.73, 0.84), (0.61, 0.96), (0.5, 0.84), (0.39, 0.96), (0.27, 0.84), (0.16, 0.96)]
    tile.polygon(white, (0.16, 0.38), (0.84, 0.38), *hem)
    for x in (0.38, 0.62):
        tile.ellipse((15, 10, 30), x, 0.36, 0.07, 0.1)
    tile.ellipse((15, 10, 30), 0.5, 0.6, 0.08, 0.11)


# --- Happiness -----------------------------------------------------------------------------------------------------


def _sun(tile: _Tile) -> None:
    for angle in np.arange(0, 2 * np.pi, np.pi / 5):
        direction, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        corners = (0.5 + 0.48 * direction, 0.5 + 0.3 * direction + 0.09 * across, 0.5 + 0.3 * direction - 0.09 * across)
        tile.polygon((255, 170, 0), *((float(x), float(y)) for x, y in corners))
    tile.circle((255, 225, 40), 0.5, 0.5, 0.3)
    for x in (0.4, 0.6):
        tile.circle((90, 50, 0), x, 0.44, 0.035)
    tile.arc((90, 50, 0), 0.03, 0.5, 0.5, 0.16, 20, 160)


def _cake(tile: _Tile) -> None:
    for x in (0.3, 0.5, 0.7):
        tile.rectangle((250, 250, 250), x - 0.03, 0.2, x + 0.03, 0.45)
        tile.ellipse((255, 190, 20), x, 0.12, 0.045, 0.09)
    tile.rectangle((255, 150, 190), 0.2, 0.4, 0.8, 0.66)
    tile.rectangle((250, 240, 225), 0.08, 0.62, 0.92, 0.95)
    for x in (0.2, 0.4, 0.6, 0.8):
        tile.circle((255, 105, 165), x, 0.66, 0.09)
    for x in (0.3, 0.5, 0.7):
        tile.circle((220, 20, 60), x, 0.84, 0.045)


def _rainbow(tile: _Tile) -> None:
    colours = ((230, 40, 40), (250, 150, 30), (250, 230, 60), (60, 190, 80), (50, 110, 230))
    for index, colour in enumerate(colours):
        tile.arc(colour, 0.075, 0.5, 0.72, 0.44 - 0.07 * index, 180, 360)
    for x in (0.15, 0.85):
        for dx in (-0.08, 0.08):
            tile.circle((250, 250, 255), x + dx * 0.8, 0.76, 0.09)


# --- Peace ---------------------------------------------------------------------------------------------------------


def _pond(tile: _Tile) -> None:
    tile.ellipse((80, 165, 215), 0.5, 0.84, 0.46, 0.13)
    tile.ellipse((160, 215, 240), 0.6, 0.83, 0.22, 0.04)
    tile.rectangle((115, 75, 40), 0.44, 0.45, 0.56, 0.8)
    for x, y in ((0.3, 0.38), (0.7, 0.38), (0.5, 0.22), (0.5, 0.42)):
        tile.circle((75, 160, 75), x, y, 0.2)


def _candle(tile: _Tile) -> None:
    tile.ellipse((150, 110, 150), 0.5, 0.9, 0.36, 0.08)
    tile.rectangle((245, 235, 210), 0.34, 0.42, 0.66, 0.9)
    tile.ellipse((225, 210, 180), 0.5, 0.43, 0.16, 0.05)
    tile.line((50, 40, 30), 0.025, (0.5, 0.43), (0.5, 0.33))
    tile.polygon((255, 190, 60), (0.5, 0.02), (0.6, 0.24), (0.5, 0.36), (0.4, 0.24))
    tile.ellipse((255, 245, 170), 0.5, 0.26, 0.045, 0.07)


def _lotus(tile: _Tile) -> None:
    tile.ellipse((60, 130, 80), 0.5, 0.82, 0.46, 0.12)
    for angle, colour in ((-60, (235, 170, 205)), (60, (235, 170, 205)), (-30, (245, 195, 220)), (30, (245, 195, 220))):
        turn = np.deg2rad(angle)
        tile.ellipse(colour, 0.5 + 0.27 * np.sin(turn), 0.74 - 0.27 * np.cos(turn), 0.1, 0.29, angle)
    tile.ellipse((252, 225, 238), 0.5, 0.46, 0.11, 0.3)


# --- Sadness -------------------------------------------------------------------------------------------------------


def _rain(tile: _Tile) -> None:
    for x in (0.25, 0.5, 0.75):
        for y in (0.66, 0.86):
            tile.line((50, 110, 200), 0.05, (x + 0.03, y - 0.07), (x - 0.03, y + 0.07))
    for x, y, radius in ((0.24, 0.4, 0.18), (0.46, 0.27, 0.23), (0.72, 0.38, 0.2), (0.5, 0.42, 0.16)):
        tile.circle((135, 145, 160), x, y, radius)


def _tombstone(tile: _Tile) -> None:
    grey, dark = (150, 150, 155), (80, 80, 88)
    tile.ellipse((75, 90, 60), 0.5, 0.93, 0.44, 0.06)
    tile.circle(grey, 0.5, 0.36, 0.3)
    tile.rectangle(grey, 0.2, 0.36, 0.8, 0.93)
    tile.rectangle(dark, 0.46, 0.22, 0.54, 0.72)
    tile.rectangle(dark, 0.33, 0.34, 0.67, 0.42)


def _wilted_flower(tile: _Tile) -> None:
    stem = [(0.35, 0.7), (0.36, 0.4), (0.45, 0.18), (0.62, 0.14), (0.74, 0.26), (0.76, 0.4)]
    tile.line((105, 115, 60), 0.05, *stem)
    tile.ellipse((120, 125, 65), 0.25, 0.55, 0.13, 0.05, 40)
    for dx, dy in ((-0.1, 0.0), (0.1, 0.0), (-0.06, 0.12), (0.06, 0.12)):
        tile.ellipse((125, 75, 110), 0.76 + dx, 0.48 + dy, 0.08, 0.11)
    tile.polygon((120, 85, 70), (0.14, 0.66), (0.56, 0.66), (0.5, 0.97), (0.2, 0.97))


# --- Surprise ------------------------------------------------------------------------------------------------------


def _gift(tile: _Tile) -> None:
    tile.rectangle((130, 40, 190), 0.14, 0.42, 0.86, 0.95)
    tile.rectangle((150, 60, 215), 0.08, 0.3, 0.92, 0.46)
    tile.rectangle((60, 230, 220), 0.43, 0.3, 0.57, 0.95)
    tile.ellipse((60, 230, 220), 0.33, 0.18, 0.17, 0.1, 25)
    tile.ellipse((60, 230, 220), 0.67, 0.18, 0.17, 0.1, -25)


def _fireworks(tile: _Tile) -> None:
    tile.circle((20, 15, 60), 0.5, 0.5, 0.48)
    for index, angle in enumerate(np.arange(0, 2 * np.pi, np.pi / 6)):
        colour = ((255, 80, 220), (80, 240, 255))[index % 2]
        x, y = np.cos(angle), np.sin(angle)
        tile.line(colour, 0.035, (0.5 + 0.12 * x, 0.5 + 0.12 * y), (0.5 + 0.36 * x, 0.5 + 0.36 * y))
        tile.circle(colour, 0.5 + 0.38 * x, 0.5 + 0.38 * y, 0.04)
    tile.circle((255, 255, 255), 0.5, 0.5, 0.06)


def _ufo(tile: _Tile) -> None:
    tile.polygon((190, 255, 120), (0.36, 0.5), (0.64, 0.5), (0.86, 0.97), (0.14, 0.97))
    tile.ellipse((130, 240, 230), 0.5, 0.32, 0.22, 0.24)
    tile.ellipse((165, 165, 185), 0.5, 0.44, 0.46, 0.15)
    for x in (0.2, 0.4, 0.6, 0.8):
        tile.circle((255, 60, 200), x, 0.46, 0.05)


SCENE_OBJECTS: tuple[tuple[Callable[[_Tile], None], ...], ...] = (
    (_flames, _broken_window, _boxing_glove),
    (_garbage, _slime, _fish_bones),
    (_balloons, _confetti, _trophy),
    (_lightning, _spider, _ghost),
    (_sun, _cake, _rainbow),
    (_pond, _candle, _lotus),
    (_rain, _tombstone, _wilted_flower),
    (_gift, _fireworks, _ufo),
)
"""Drawings that show each scene, in the order of ``cues.EMOTIONS``."""


# --- Furniture -----------------------------------------------------------------------------------------------------


def _chair(tile: _Tile) -> None:
    wood = (140, 110, 85)
    tile.rectangle(wood, 0.2, 0.05, 0.3, 0.97)
    tile.rectangle(wood, 0.7, 0.55, 0.8, 0.97)
    tile.rectangle((165, 135, 105), 0.2, 0.5, 0.82, 0.6)
    tile.rectangle((165, 135, 105), 0.22, 0.1, 0.36, 0.42)


def _box(tile: _Tile) -> None:
    tile.polygon((175, 145, 105), (0.05, 0.3), (0.6, 0.3), (0.6, 0.95), (0.05, 0.95))
    tile.polygon((145, 115, 80), (0.6, 0.3), (0.95, 0.15), (0.95, 0.78), (0.6, 0.95))
    tile.polygon((195, 170, 130), (0.05, 0.3), (0.4, 0.15), (0.95, 0.15), (0.6, 0.3))


def _plant(tile: _Tile) -> None:
    for angle in (-50, -25, 0, 25, 50):
        turn = np.deg2rad(angle)
        tile.ellipse((95, 115, 90), 0.5 + 0.26 * np.sin(turn), 0.62 - 0.3 * np.cos(turn), 0.07, 0.3, angle)
    tile.polygon((150, 130, 115), (0.3, 0.65), (0.7, 0.65), (0.63, 0.97), (0.37, 0.97))


def _table(tile: _Tile) -> None:
    tile.rectangle((150, 135, 120), 0.02, 0.35, 0.98, 0.45)
    for x in (0.1, 0.84):
        tile.rectangle((120, 105, 92), x, 0.45, x + 0.06, 0.95)


def _picture(tile: _Tile) -> None:
    tile.rectangle((120, 105, 85), 0.05, 0.15, 0.95, 0.85)
    tile.rectangle((200, 200, 195), 0.12, 0.22, 0.88, 0.78)
    tile.polygon((165, 170, 165), (0.12, 0.78), (0.4, 0.45), (0.6, 0.65), (0.72, 0.52), (0.88, 0.78))


def _lamp(tile: _Tile) -> None:
    tile.polygon((205, 195, 175), (0.35, 0.05), (0.65, 0.05), (0.75, 0.35), (0.25, 0.35))
    tile.rectangle((125, 120, 115), 0.47, 0.35, 0.53, 0.92)
    tile.ellipse((125, 120, 115), 0.5, 0.93, 0.2, 0.04)


FURNITURE: tuple[Callable[[_Tile], None], ...] = (_chair, _box, _plant, _table, _picture, _lamp)


@cache
def tile(drawing: Callable[[_Tile], None]) -> Image:
    """One of ``SCENE_OBJECTS`` or ``FURNITURE`` as premultiplied RGBA uint8 [H,W,4], its longer side about ``SIDE``."""
    square = _Tile()
    drawing(square)
    return square.finished()
