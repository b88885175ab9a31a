"""Draws pictures into files, in several processes when there are many."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.data.synthetic import drawn_people, plans, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SPLITS = ("train", "val", "test")
JPEG_QUALITY = 92
_CHUNK = 16


@dataclass(frozen=True, slots=True)
class Job:
    """A picture to draw."""

    settings: plans.Settings
    seed: int
    split: str
    index: int
    """Index within the split."""
    path: Path
    somebody: bool = False
    """Must there be a person in it?"""
    scene: int | None = None
    """Index of ``cues.EMOTIONS``; None: any."""
    expression: str | None = None
    """A portrait with this expression, instead of a scene."""

    @property
    def random(self) -> np.random.Generator:
        """The randomness of this picture."""
        return np.random.default_rng([self.seed, SPLITS.index(self.split), self.index])


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on disk."""

    seed: int
    split: str
    index: int
    path: Path
    width: int
    height: int
    scene: int
    """Index of ``cues.EMOTIONS``."""
    things: tuple[plans.Thing, ...]
    persons: tuple[render.Truth, ...]


def draw(jobs: Sequence[Job], processes: int = 1) -> Iterator[Picture]:
    """Draw the pictures and write them, JPEG or PNG by their paths' suffix, in the order of the jobs.

    Raises:
        OSError: a picture cannot be written.
    """
    for folder in {job.path.parent for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    if processes == 1 or len(jobs) <= _CHUNK:
        yield from map(draw_one, jobs)
        return
    # A fork of a process in which threads run (OpenCV's, torch's) may hang.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(draw_one, jobs, chunksize=_CHUNK)


def draw_one(job: Job) -> Picture:
    """Draw one picture and write it."""
    atlas, random, settings = drawn_people.load(), job.random, job.settings
    while True:
        if job.expression is None:
            scene = plans.plan(settings, atlas, random, job.scene)
        else:
            scene = plans.portrait(settings, atlas, job.expression, random)
        image, persons = render.render(scene, atlas)
        if persons or not job.somebody:
            break
    write(job.path, image)
    place = (scene.width, scene.height, scene.kind, scene.things)
    return Picture(job.seed, job.split, job.index, job.path, *place, persons)


def write(path: Path, image: render.Image) -> None:
    """Write an RGB uint8 [H,W,3] picture. Raises OSError."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    path.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes())
