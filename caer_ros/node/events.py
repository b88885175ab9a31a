"""From frames to events: who appeared, whose emotion changed, who left (msg/PersonEvent), without ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from math import nan
from typing import TYPE_CHECKING, Any

from caer_ros.perception.person import EmotionStatus, Person, TrackState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet


class EventType(IntEnum):
    """Same values as msg/PersonEvent."""

    APPEARED = 1
    EMOTION_CHANGED = 2
    LEFT = 3


@dataclass(frozen=True)
class Event:
    """One change about one person; fields as in msg/PersonEvent."""

    type: EventType
    track_id: str
    sequence: int
    label: str = ""
    previous_label: str = ""
    score: float = nan
    hold_time: float = 0.0
    present: tuple[str, ...] = ()


@dataclass
class _Known:
    """What is known about one track. ``label`` was told, ``candidate`` is waiting since ``since_ns``."""

    first_ns: int
    last_ns: int
    label: str = ""
    score: float = nan
    candidate: str = ""
    since_ns: int = 0
    appeared: bool = False


@dataclass
class EventDetector:
    """Turns frames into events. A change counts once it has lasted ``hold_time`` seconds of image time."""

    hold_time: float
    _sequence: int = 0
    _known: dict[str, _Known] = field(default_factory=dict)

    @property
    def present(self) -> tuple[str, ...]:
        """Track ids of everybody who has appeared and not left."""
        return tuple(track_id for track_id, known in self._known.items() if known.appeared)

    def update(
        self, persons: Iterable[Person], labels: Sequence[str], alive: AbstractSet[str], stamp_ns: int
    ) -> list[Event]:
        """The events of one frame. ``alive`` are the tracks that have not run out; untracked persons have no events."""
        events = self._left([track_id for track_id in self._known if track_id not in alive], stamp_ns)
        for person in persons:
            if person.track_id and person.track_state != TrackState.COASTED:
                events += self._seen(person, labels, stamp_ns)
        return events

    def everybody_left(self) -> list[Event]:
        """LEFT for everybody present: the camera is gone, or tracking starts anew."""
        return self._left(list(self._known), None)

    def _seen(self, person: Person, labels: Sequence[str], stamp_ns: int) -> list[Event]:
        known = self._known.setdefault(person.track_id, _Known(stamp_ns, stamp_ns, since_ns=stamp_ns))
        known.last_ns = stamp_ns
        label = labels[person.top_index] if person.status == EmotionStatus.OK else ""
        if label != known.candidate:
            known.candidate, known.since_ns = label, stamp_ns
        held = (stamp_ns - known.since_ns) * 1e-9
        score = float(person.smoothed_scores[person.top_index]) if label else nan
        events = []
        if not known.appeared and (stamp_ns - known.first_ns) * 1e-9 >= self.hold_time:
            known.appeared = True
            known.label = label if held >= self.hold_time else ""
            events.append(
                self._event(
                    EventType.APPEARED,
                    person.track_id,
                    label=known.label,
                    score=score if known.label else nan,
                    hold_time=(stamp_ns - known.first_ns) * 1e-9,
                )
            )
        elif known.appeared and label != known.label and held >= self.hold_time:
            previous, known.label = known.label, label
            events.append(
                self._event(
                    EventType.EMOTION_CHANGED,
                    person.track_id,
                    label=label,
                    previous_label=previous,
                    score=score,
                    hold_time=held,
                )
            )
        return events

    def _left(self, track_ids: Sequence[str], stamp_ns: int | None) -> list[Event]:
        events = []
        for track_id in track_ids:
            known = self._known.pop(track_id)
            if known.appeared:
                away = 0.0 if stamp_ns is None else max(0.0, (stamp_ns - known.last_ns) * 1e-9)
                events.append(self._event(EventType.LEFT, track_id, previous_label=known.label, hold_time=away))
        return events

    def _event(self, kind: EventType, track_id: str, **fields: Any) -> Event:
        self._sequence += 1
        return Event(kind, track_id, self._sequence, present=self.present, **fields)
