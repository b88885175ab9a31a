"""Cut faces out of an image for a network that reads their expressions, and what such a network answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from caer_ros.perception.imaging.resizing import squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caer_ros.perception.engine import Engine
    from caer_ros.perception.person import Array
    from caer_ros.perception.prediction import Stopwatch


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is said about the expressions of N faces."""

    scores: Array
    """[N,E] in the order of the bundle's labels, 0..1; NaN where a label cannot be predicted."""
    agree: NDArray[np.bool_]
    """[N] False where two networks contradict each other."""
    vad: Array | None = None
    """[N,3] valence, arousal, dominance, -1..1; NaN where not predicted."""


class Reader(Protocol):
    """The loaded expression networks of a composed bundle."""

    @property
    def engines(self) -> dict[str, Engine]:
        """By their names in the bundle's files."""
        ...

    def __call__(self, image: NDArray[np.uint8], faces: Array, watch: Stopwatch) -> Reading:
        """Read the faces [N,4] (xyxy) of an RGB image [H,W,3]; tells ``watch`` of "resize" and "inference".

        Raises:
            EngineError: a network cannot run, or gives what does not fit the bundle.
        """
        ...

    def warm_up(self) -> None:
        """Runs each network once on black. Raises EngineError as a call does."""
        ...


def crops(
    image: NDArray[np.uint8], faces: Array, factors: tuple[float, ...], size: int, antialias: bool = True
) -> NDArray[np.uint8]:
    """Squares around faces [N,4] (xyxy), resized: [N*F,size,size,3]; all of the first face, then of the second.

    Args:
        image: RGB [H,W,3]; beyond it is black.
        faces: boxes in its pixels.
        factors: sides of the F squares of a face, in longer sides of its box.
        size: side of the result in pixels.
        antialias: average the pixels where a square shrinks.
    """
    centres = ((faces[:, :2] + faces[:, 2:]) / 2).repeat(len(factors), axis=0).astype(np.float32)
    sides = np.outer((faces[:, 2:] - faces[:, :2]).max(axis=1), factors).astype(np.float32)
    return squares(image, centres, sides.ravel(), size, antialias).pixels
