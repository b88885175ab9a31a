"""Appeared, changed, left: each once, each after its hold time."""

from math import isnan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.node.events import Event, EventDetector, EventType
from caer_ros.perception.person import BoxKind, EmotionStatus, Person, TrackState

LABELS = ("calm", "happy")


def person(track_id: str, label: str = "", state: TrackState = TrackState.TRACKED) -> Person:
    scores = np.array([0.2, 0.2], np.float32)
    if label:
        scores[LABELS.index(label)] = 0.8
    return Person(
        box=np.array([0, 0, 10, 10], np.float32),
        confidence=0.9,
        box_kind=BoxKind.BODY,
        scores=scores,
        status=EmotionStatus.OK if label else EmotionStatus.UNCERTAIN,
        track_id=track_id,
        track_state=state,
        smoothed_scores=scores,
    )


def run(detector: EventDetector, *frames: tuple[float, list[Person]], alive: set[str] | None = None) -> list[Event]:
    events = []
    for seconds, persons in frames:
        ids = {p.track_id for p in persons} if alive is None else alive
        events += detector.update(persons, LABELS, ids, round(seconds * 1e9))
    return events


def test_a_person_appears_once_after_the_hold_time() -> None:
    frames = [(1 + 0.1 * i, [person("r-1", "happy")]) for i in range(20)]
    (event,) = run(EventDetector(0.5), *frames)
    assert (event.type, event.track_id, event.label, event.sequence) == (EventType.APPEARED, "r-1", "happy", 1)
    assert event.hold_time == 0.5
    assert event.score == np.float32(0.8)
    assert event.present == ("r-1",)


def test_a_flash_of_a_person_is_no_event() -> None:
    detector = EventDetector(0.5)
    assert run(detector, (1.0, [person("r-1")]), (1.1, []), (1.2, [])) == []
    assert detector.present == ()


def test_a_change_counts_when_it_holds() -> None:
    detector = EventDetector(0.5)
    run(detector, *[(1 + 0.1 * i, [person("r-1", "calm")]) for i in range(8)])
    flicker = [(2.0, [person("r-1", "happy")]), (2.1, [person("r-1", "calm")])]
    assert run(detector, *flicker) == []
    (change,) = run(detector, *[(3 + 0.1 * i, [person("r-1", "happy")]) for i in range(8)])
    assert (change.type, change.label, change.previous_label) == (EventType.EMOTION_CHANGED, "happy", "calm")
    (unsure,) = run(detector, *[(4 + 0.1 * i, [person("r-1")]) for i in range(8)])
    assert (unsure.label, unsure.previous_label) == ("", "happy")
    assert isnan(unsure.score)


def test_coasting_changes_nothing() -> None:
    detector = EventDetector(0.5)
    run(detector, *[(1 + 0.1 * i, [person("r-1", "calm")]) for i in range(8)])
    coasting = [(2 + 0.1 * i, [person("r-1", "", TrackState.COASTED)]) for i in range(20)]
    assert run(detector, *coasting) == []


def test_who_is_away_too_long_has_left() -> None:
    detector = EventDetector(0.0)
    run(detector, (1.0, [person("r-1", "calm"), person("r-2")]))
    assert run(detector, (2.0, [person("r-2")]), alive={"r-1", "r-2"}) == []
    (left,) = run(detector, (3.5, [person("r-2")]))
    assert (left.type, left.track_id, left.previous_label) == (EventType.LEFT, "r-1", "calm")
    assert left.hold_time == 2.5
    assert left.present == ("r-2",)
    (gone,) = detector.everybody_left()
    assert (gone.track_id, gone.present, gone.sequence) == ("r-2", (), 4)
    assert detector.everybody_left() == []


def test_untracked_persons_have_no_events() -> None:
    assert run(EventDetector(0.0), (1.0, [person("", "calm")])) == []


@given(st.lists(st.sets(st.sampled_from(["r-1", "r-2", "r-3"])), max_size=30))
def test_sequence_has_no_gap_and_present_is_what_events_say(frames: list[set[str]]) -> None:
    detector = EventDetector(0.15)
    present: set[str] = set()
    sequence = 0
    for i, ids in enumerate(frames):
        for event in run(detector, (1 + 0.1 * i, [person(track_id) for track_id in sorted(ids)])):
            sequence += 1
            assert event.sequence == sequence
            if event.type is EventType.APPEARED:
                assert event.track_id not in present
                present.add(event.track_id)
            if event.type is EventType.LEFT:
                present.remove(event.track_id)
            assert set(event.present) == present
