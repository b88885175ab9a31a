"""Seeded variations of the demo photographs, and the table of models/bootstrap/README.md that was made with them.

Each variation scales the photograph, cuts a little off its edges, mirrors half of them, puts it anywhere on a grey
640 x 480 scene, changes the brightness by up to 20 % and compresses it as JPEG of quality 60..95.
The table: ``python test/perception/variations.py 200``.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from caer_ros.perception.predictors.predictor import Predictor

PHOTOS = {
    "astronaut": "astronaut.png",
    "cameraman": "camera.png",
    "grace_hopper": "grace_hopper.jpg",
}
_FOLDER = Path(__file__).resolve().parents[2] / "resource" / "demo" / "photos"


def photo(name: str) -> np.ndarray:
    """RGB uint8 [H,W,3]."""
    return cv2.cvtColor(cv2.imread(str(_FOLDER / PHOTOS[name]), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def variation(
    image: np.ndarray, rng: np.random.Generator, heights: tuple[int, int] = (150, 480)
) -> tuple[np.ndarray, np.ndarray]:
    """One variation, RGB uint8 [480,640,3], and the photograph's box [4] xyxy in it; height within ``heights``."""
    rows, columns = image.shape[:2]
    top, bottom, left, right = rng.uniform(0, 1, 4) * (0.02, 0.08, 0.06, 0.06)  # nobody's face is cut
    image = image[int(top * rows) : rows - int(bottom * rows), int(left * columns) : columns - int(right * columns)]
    if rng.random() < 0.5:
        image = image[:, ::-1]
    height = int(rng.integers(heights[0], heights[1] + 1))
    width = round(image.shape[1] * height / image.shape[0])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    scene = np.full((480, 640, 3), rng.integers(60, 200), np.uint8)
    y, x = int(rng.integers(0, 481 - height)), int(rng.integers(0, 641 - width))
    scene[y : y + height, x : x + width] = small
    scene = np.clip(scene * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", scene[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))])
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1].copy(), np.array([x, y, x + width, y + height], np.float32)


def _table(count: int) -> None:
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.predictors import predictor

    model = predictor.load(read_bundle(find_bundle("bootstrap")), EngineSettings(device="cpu"))
    for heights in ((150, 480), (60, 149)):
        for name in PHOTOS:
            print(f"{heights[0]}-{heights[1]} px, {name}: {_row(model, photo(name), heights, count)}")


def _row(model: Predictor, image: np.ndarray, heights: tuple[int, int], count: int) -> str:
    rng = np.random.default_rng(0)
    outcomes: Counter[str] = Counter()
    tops: list[float] = []
    extra = 0
    for _ in range(count):
        persons = model([variation(image, rng, heights)[0]])[0].persons
        extra += max(0, len(persons) - 1)
        if not persons:
            outcomes["no person"] += 1
            continue
        scores = persons[0].scores
        read = not np.isnan(scores).any()
        outcomes[persons[0].status.name + (f" {model.bundle.labels[int(scores.argmax())]}" if read else "")] += 1
        tops += [float(scores.max())] if read else []
    shares = ", ".join(f"{outcome} {100 * n / count:.1f} %" for outcome, n in outcomes.most_common())
    low = f"; top score: 5th percentile {np.quantile(tops, 0.05):.2f}, lowest {min(tops):.2f}" if tops else ""
    return f"{shares}; persons too many {extra}{low}"


if __name__ == "__main__":
    _table(int(sys.argv[1]))
