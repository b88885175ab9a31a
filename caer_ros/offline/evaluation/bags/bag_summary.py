"""Everything that is measured of a model on annotated bags, in one piece of plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.data.predictions import PredictionHeader
    from caer_ros.offline.evaluation.bags.as_recorded import Account, Point
    from caer_ros.offline.evaluation.identity import Identity
    from caer_ros.offline.metrics.over_time.false_persons import FalsePersons
    from caer_ros.offline.metrics.over_time.stability import Stability
    from caer_ros.offline.metrics.over_time.timing import Distribution, TimingSummary
    from caer_ros.offline.metrics.over_time.tracking import Tracking
    from caer_ros.offline.metrics.reliability import Reliability
    from caer_ros.offline.metrics.summary import Evaluation

Manner = Literal["offline", "as recorded"]
"""Offline: the bundle saw every annotated frame once, without a clock. As recorded: what the node published."""


@dataclass(frozen=True, slots=True)
class BagFacts:
    """One bag, and what of it was evaluated."""

    path: Path
    name: str
    """Name of the bag, unique among those evaluated together; with several bags the image ids begin with it."""
    image_topic: str
    emotion_topic: str
    """Topic on which the node published; "" offline."""
    sha256: str
    images: int
    """Images of the topic in the bag."""
    annotated: int
    """Frames with an annotation that were evaluated."""
    seconds: float
    """Time from the first annotated stamp to the last."""
    first_stamp: int
    """Header stamp in nanoseconds of the first annotated frame."""
    recorded: Path | None = None
    """The bag that holds what the node published, where it is another one."""


@dataclass(frozen=True, slots=True, eq=False)
class BagEvaluation:
    """What does not apply is None: offline has no deadline, no fates and no strict variant."""

    manner: Manner
    identity: Identity
    bags: tuple[BagFacts, ...]
    model: PredictionHeader
    evaluation: Evaluation
    """The headline: of the offline run, or of the newest answers at ``deadline`` (streaming)."""
    false_persons: FalsePersons | None
    reliability_of_found: Reliability | None
    """Reliability of the scores of persons who were found at IoU 0.5; for models without scores in annotated boxes."""
    tracking: Tracking | None
    stability: Stability | None
    left_out: tuple[str, ...]
    """Frames and messages that could not be evaluated, one line each."""
    notes: tuple[str, ...]
    """What a reader of the numbers must know, one sentence each; those of ``evaluation``, ``account`` and ``timing``
    among them."""
    strict: Evaluation | None = None
    """Evaluation of the answers to exactly the annotated frames, by the deadline; a missing answer found nobody."""
    deadline: float | None = None
    """Seconds after a frame's stamp at which its answer is taken."""
    curve: tuple[Point, ...] = ()
    """Streaming over deadlines."""
    account: Account | None = None
    """What became of each annotated frame."""
    timing: TimingSummary | None = None
    known_age: Distribution | None = None
    """How old what a listener knew was at each frame's stamp + ``deadline``, by the stamp of the image it was about."""

    @property
    def title(self) -> str:
        """Which model on what and how; the words that keep the two manners apart."""
        bags = ", ".join(bag.name for bag in self.bags)
        how = "offline" if self.deadline is None else f"as recorded, at {1000 * self.deadline:g} ms"
        return f"{self.model.model} ({self.model.model_version[:16]}) on {bags}, {how}"

    def to_dict(self) -> dict[str, Any]:
        """Lists, numbers, strings and None, ready for json; NaN becomes None."""
        from caer_ros.plain_data import plain

        result: dict[str, Any] = plain(self)
        return result
