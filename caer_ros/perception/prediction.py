"""What a model makes of one image, and how long each stage of it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caer_ros.perception.person import Person

STAGES = ("resize", "inference", "post")


@dataclass(slots=True)
class Prediction:
    """The persons of one image, best first."""

    persons: list[Person]
    saturated: bool
    """The model's list of persons was full: there may be more."""
    seconds: dict[str, float]
    """Steady-clock seconds: "resize" (all that prepares inputs), "inference" (inside the networks) and "post"; of the
    whole batch where images ran as one."""


@dataclass(slots=True)
class Stopwatch:
    """Adds up the time of stages that take turns."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    _last: float = field(default_factory=perf_counter)

    def done(self, stage: str) -> None:
        """Everything since the last call, or since the start, was ``stage``."""
        now = perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now
