"""Cuts the people out of the three photographs: hand-drawn outlines, refined by GrabCut, written as alpha masks.

The masks are committed, so this runs only when an outline is changed: ``python make_masks.py`` in any folder.
GrabCut: Rother, Kolmogorov, Blake, SIGGRAPH 2004.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Polygon = list[tuple[int, int]]
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Outline:
    """Polygons in pixels of the photograph: the person lies within ``outer``, covers ``inner``, spares ``gaps``."""

    photo: str
    outer: Polygon
    inner: Polygon
    gaps: tuple[Polygon, ...] = ()


OUTLINES = {
    "astronaut": Outline(
        "astronaut.png",
        outer=[
            (150, 60), (180, 22), (230, 8), (285, 30), (306, 80), (300, 125), (268, 150), (265, 170), (312, 225),
            (312, 240), (350, 265), (368, 345), (410, 338), (470, 365), (498, 420), (509, 460), (509, 511), (10, 511),
            (14, 390), (35, 260), (108, 205), (108, 170), (180, 143), (165, 118), (148, 95),
        ],
        inner=[
            (170, 35), (230, 22), (285, 50), (290, 110), (262, 130), (250, 185), (295, 230), (285, 280), (330, 280),
            (352, 340), (400, 352), (460, 375), (490, 440), (500, 508), (30, 508), (30, 460), (50, 330), (60, 270),
            (120, 225), (125, 190), (185, 165), (170, 110),
        ],
    ),
    "grace_hopper": Outline(
        "grace_hopper.jpg",
        outer=[
            (142, 130), (145, 100), (172, 90), (172, 65), (225, 18), (300, 18), (355, 75), (376, 90), (376, 180),
            (382, 200), (364, 300), (345, 320), (400, 345), (488, 385), (502, 420), (508, 460), (509, 599), (8, 599),
            (14, 480), (30, 395), (60, 370), (192, 316), (150, 260), (148, 185),
        ],
        inner=[
            (185, 70), (235, 30), (290, 32), (345, 75), (365, 110), (365, 170), (370, 200), (345, 290), (335, 325),
            (380, 355), (470, 390), (495, 420), (506, 480), (506, 596), (20, 596), (22, 520), (38, 420), (60, 385),
            (190, 335), (190, 290), (165, 250), (160, 200), (155, 150), (152, 115),
        ],
        gaps=(
            [(190, 290), (199, 297), (203, 312), (197, 322), (186, 320)],
            [(16, 425), (36, 394), (34, 410), (27, 442), (16, 445)],
        ),
    ),
    # Without the tripod's legs: from the hands down only what hides the sleeve.
    "cameraman": Outline(
        "camera.png",
        outer=[
            (155, 108), (160, 80), (200, 58), (245, 70), (276, 115), (272, 136), (328, 136), (330, 165), (336, 185),
            (325, 235), (308, 248), (306, 284), (290, 294), (255, 318), (215, 308), (165, 375), (150, 400), (156, 511),
            (9, 511), (4, 420), (5, 330), (1, 250), (50, 160), (110, 118),
        ],
        inner=[
            (165, 85), (200, 68), (240, 80), (265, 115), (258, 145), (320, 145), (320, 165), (328, 185), (320, 220),
            (302, 245), (298, 280), (280, 290), (240, 300), (215, 300), (160, 370), (145, 400), (148, 508), (12, 508),
            (9, 420), (10, 330), (6, 255), (60, 165), (120, 125), (158, 110),
        ],
        gaps=(
            [
                (243, 172), (252, 160), (258, 160), (260, 178), (268, 181), (273, 188), (272, 204), (243, 208),
                (240, 186),
            ],
            [(243, 212), (272, 207), (262, 225), (255, 245), (246, 247), (242, 235)],
        ),
    ),
}  # fmt: skip


def mask(photo: NDArray[np.uint8], outline: Outline) -> NDArray[np.uint8]:
    """Alpha of the person, uint8 [H,W] 0..255, feathered over two pixels and drawn in a little against halos."""
    labels = np.full(photo.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.fillPoly(labels, [np.array(outline.outer, np.int32)], cv2.GC_PR_FGD)
    sure = cv2.fillPoly(np.zeros_like(labels), [np.array(outline.inner, np.int32)], 1)
    labels[cv2.erode(sure, np.ones((15, 15), np.uint8), borderValue=1) > 0] = cv2.GC_FGD
    for gap in outline.gaps:
        cv2.fillPoly(labels, [np.array(gap, np.int32)], cv2.GC_BGD)
    cv2.setRNGSeed(0)
    cv2.grabCut(photo, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 8, cv2.GC_INIT_WITH_MASK)
    person = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(person)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    person = np.where(parts == largest, 255, 0).astype(np.uint8)
    person = cv2.erode(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)), borderValue=255)
    return cv2.GaussianBlur(person, (0, 0), 0.9)


def main() -> None:
    """Write a mask beside each photograph."""
    for name, outline in OUTLINES.items():
        photo = cv2.imread(str(HERE / outline.photo))
        cv2.imwrite(str(HERE / f"{name}_mask.png"), mask(photo, outline), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
