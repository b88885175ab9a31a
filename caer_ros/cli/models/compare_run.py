"""Several models over the same images, taking turns: how long each takes, what it says, and where they disagree."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from caer_ros.cli.models.agreement import Agreement, FrameAgreement, SharedLabels
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.imaging.resizing import plan
from caer_ros.perception.person import EmotionStatus
from caer_ros.perception.pipeline import Pipeline, PipelineSettings
from caer_ros.perception.predictors import predictor
from caer_ros.perception.predictors.composed import nanodet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from caer_ros.cli.models.compare_frames import Picture
    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.person import Person

    Image = NDArray[np.uint8]

WARM_UP = 2
"""Runs of each model on the first image before any that counts."""
UNSTAMPED = 0
"""The pipeline's stamp for an image that stands alone: no tracks, no smoothing."""


@dataclass
class Contender:
    """One model, and what came out of it. Times in seconds of the steady clock."""

    name: str
    """Name of the bundle; numbered where two bundles have one name."""
    bundle: Bundle
    pipeline: Pipeline
    load_seconds: float
    """Reading and preparing the networks, and running each once."""
    whole: list[float] = field(default_factory=list)
    """Time of each image, from RGB in memory to persons with calibrated scores."""
    inference: list[float] = field(default_factory=list)
    """The part of it inside the networks."""
    persons: list[int] = field(default_factory=list)
    """Number of persons in each image."""
    read: int = 0
    """Persons with scores, of all images."""
    uncertain: int = 0
    """Persons with scores whose largest score is too low for a label."""
    saturated: int = 0
    """Images in which the model's list of persons was full."""
    inputs: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(height, width) of the input of the first network, over the images."""

    @classmethod
    def load(cls, name: str, bundle: Bundle, settings: EngineSettings) -> Contender:
        """Raises EngineError or BundleError where the model does not run on the device."""
        started = perf_counter()
        loaded = predictor.load(bundle, settings)
        seconds = perf_counter() - started
        return cls(name, bundle, Pipeline(loaded, PipelineSettings(), run="compare"), seconds)

    @property
    def provider(self) -> str:
        return self.pipeline.predictor.provider

    def look(self, image: Image) -> list[Person]:
        """The persons of an image, RGB uint8 [H,W,3], as the robot has them without a past. Raises EngineError."""
        started = perf_counter()
        frame = self.pipeline(image, UNSTAMPED)
        self.whole.append(perf_counter() - started)
        self.inference.append(frame.seconds["inference"])
        self.persons.append(len(frame.persons))
        statuses = Counter(person.status for person in frame.persons)
        self.uncertain += statuses[EmotionStatus.UNCERTAIN]
        self.read += statuses[EmotionStatus.OK] + statuses[EmotionStatus.UNCERTAIN]
        self.saturated += frame.saturated
        self.inputs[self._input(image)] += 1
        return frame.persons

    def _input(self, image: Image) -> tuple[int, int]:
        rule = self.bundle.resize
        return (nanodet.SIZE, nanodet.SIZE) if rule is None else plan(rule, *image.shape[:2]).canvas


class Look(NamedTuple):
    """What M models said about one image."""

    place: int
    """Among those looked at."""
    name: str
    persons: tuple[list[Person], ...]
    """[M]"""
    agreements: tuple[FrameAgreement, ...]
    """[M-1] each other model with the first."""

    @property
    def disagreements(self) -> int:
        """Disagreements of all pairs with the first model; see ``FrameAgreement``."""
        return sum(agreement.disagreements for agreement in self.agreements)

    @property
    def rank(self) -> tuple[float, ...]:
        """Grows with the disagreement: its number, then the mean difference of the scores; earlier images first."""
        return self.disagreements, sum(agreement.difference for agreement in self.agreements), -self.place


class Shown(NamedTuple):
    """A look that is kept with its image, to be drawn."""

    rank: tuple[float, ...]
    look: Look
    pixels: Image
    """RGB [H,W,3]."""


@dataclass
class Comparison:
    """All that came out."""

    contenders: list[Contender]
    shared: tuple[SharedLabels, ...]
    """[M-1] labels of each other model with the first."""
    looks: list[Look] = field(default_factory=list)
    """Looks at the images, in their order."""
    shown: list[Shown] = field(default_factory=list)
    """Images to be drawn, where models disagree most first."""

    @property
    def agreements(self) -> list[Agreement]:
        """[M-1] each other model with the first, over all images."""
        each = zip(*(look.agreements for look in self.looks), strict=True)
        return [Agreement.of(frames) for frames in each]

    @property
    def ranked(self) -> list[Look]:
        """Where models disagree most first."""
        return sorted(self.looks, key=lambda look: look.rank, reverse=True)


def load(names: Sequence[str], settings: EngineSettings) -> list[Contender]:
    """The models by name or path, all on one device. Raises BundleError or EngineError for the first that fails.

    All bundles are read before the first is loaded.
    """
    found = [read_bundle(find_bundle(name)) for name in names]
    return [
        Contender.load(name, bundle, settings)
        for name, bundle in zip(distinct([bundle.name for bundle in found]), found, strict=True)
    ]


def distinct(names: Sequence[str]) -> list[str]:
    """The names; where one comes more than once, with a number."""
    total, so_far, result = Counter(names), Counter[str](), []
    for name in names:
        so_far[name] += 1
        result.append(name if total[name] == 1 else f"{name} ({so_far[name]})")
    return result


def compare(contenders: list[Contender], pictures: Iterable[Picture], keep: int) -> Comparison:
    """Every model looks at every picture, picture by picture, in an order that is drawn anew (always the same ones).

    Args:
        contenders: two or more, new.
        pictures: each is seen once and dropped.
        keep: so many of them are kept, those on which the models disagree most.

    Raises:
        EngineError: a model cannot run.
    """
    first, *others = contenders
    result = Comparison(contenders, tuple(SharedLabels.of(first.bundle, other.bundle) for other in others))
    order = random.Random(0)
    kept: list[Shown] = []
    for place, picture in enumerate(pictures):
        for contender in contenders if place == 0 else ():
            for _ in range(WARM_UP):
                contender.pipeline(picture.pixels, UNSTAMPED)
        persons: dict[int, list[Person]] = {}
        for which in order.sample(range(len(contenders)), len(contenders)):
            persons[which] = contenders[which].look(picture.pixels)
        agreements = tuple(
            FrameAgreement.of(persons[0], persons[which], shared) for which, shared in enumerate(result.shared, 1)
        )
        look = Look(place, picture.name, tuple(persons[which] for which in range(len(contenders))), agreements)
        result.looks.append(look)
        if keep:
            shown = Shown(look.rank, look, picture.pixels)
            heapq.heappush(kept, shown) if len(kept) < keep else heapq.heappushpop(kept, shown)
    result.shown = sorted(kept, key=lambda shown: shown.rank, reverse=True)
    return result
