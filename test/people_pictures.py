"""Pictures of people and faces in small numbers, made of the demo's photographs: folders for ``caer data people``."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import cv2

from caer_ros import share
from caer_ros.offline.data.people.people_set import Folders
from caer_ros.offline.data.people.people_splits import split_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PHOTOS = share.find("resource/demo/photos")
FACES = {"astronaut.png": ((170, 45, 130), "happiness"), "grace_hopper.jpg": ((185, 75, 200), "neutral")}
"""Where the face of a photograph is (left, top, side), and what people say of it."""


def names(split: str, count: int) -> list[str]:
    """Stems of files that belong to a split."""
    fitting: Iterator[str] = (name for name in map("p{:04}".format, range(10_000)) if split_of(name) == split)
    return [next(fitting) for _ in range(count)]


def write(root: Path) -> Folders:
    """Two pictures of people and two faces for each of train and val, an empty picture, and files of no use."""
    bodies, faces, empty = (root / name for name in ("bodies", "faces", "empty"))
    for folder in (bodies, faces, empty):
        folder.mkdir(parents=True)
    rows = []
    for split in ("train", "val"):
        for name, (photo, ((left, top, side), label)) in zip(names(split, 2), FACES.items(), strict=True):
            picture = cv2.imread(str(PHOTOS / photo))
            assert cv2.imwrite(str(bodies / f"{name}.jpg"), picture)
            crop = cv2.resize(picture[top : top + side, left : left + side], (144, 144), interpolation=cv2.INTER_AREA)
            assert cv2.imwrite(str(faces / f"{name}.png"), crop)
            rows.append((f"{name}.png", label))
    assert cv2.imwrite(str(empty / "camera.png"), cv2.imread(str(PHOTOS / "camera.png"))[:200, 300:])
    (bodies / "broken.jpg").write_bytes(b"no picture")
    labels = root / "faces.csv"
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "labels"), *rows])
    return Folders((bodies,), faces, labels, (empty,))
