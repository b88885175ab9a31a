from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.cli.demo import scoring
from caer_ros.cli.demo.scoring import GroundTruth, TrueImage, TruePerson

if TYPE_CHECKING:
    from pathlib import Path

A, B, FAR = (0.0, 0.0, 100.0, 200.0), (200.0, 0.0, 300.0, 200.0), (500.0, 300.0, 560.0, 400.0)


def person(identity: str, box: scoring.Box, ignore: bool = False) -> TruePerson:
    return TruePerson(identity.split("/")[0], identity, box, box, 1.0, ignore)


def truth_of(*images: tuple[TruePerson, ...]) -> GroundTruth:
    return GroundTruth(tuple(TrueImage(index, False, persons) for index, persons in enumerate(images, start=1)))


def moved(box: scoring.Box, dx: float) -> scoring.Box:
    return (box[0] + dx, box[1], box[2] + dx, box[3])


def test_overlaps_by_hand() -> None:
    # Half shared: 50 of 150. Nothing shared. An empty box shares nothing with anybody, not even with itself.
    empty = (5.0, 5.0, 5.0, 9.0)
    table = scoring.overlaps([A, empty], [moved(A, 50.0), B, empty, A])
    assert table.tolist() == [[pytest.approx(1 / 3), 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    assert scoring.overlaps([], [A]).shape == (0, 1)


def test_perfect_run() -> None:
    truth = truth_of((person("a/1", A), person("b/1", B)), (), (person("a/1", A),))
    result = scoring.score(truth, [(1, [("t1", A), ("t2", B)]), (2, []), (3, [("t1", A)])])
    assert (result.precision, result.recall, result.idf1) == (1.0, 1.0, 1.0)
    assert (result.switches, result.fragmentations, result.identities, result.tracks) == (0, 0, 2, 2)
    assert (result.images, result.unprocessed, result.demanded) == (3, 0, 3)


def test_misses_and_false_alarms_by_hand() -> None:
    # a is found twice of three times, b once of three; one detection of nobody, one too far off.
    both = (person("a/1", A), person("b/1", B))
    run = [(1, [(1, A), (2, B)]), (2, [(1, A), (3, FAR)]), (3, [(2, moved(B, 50.0))])]
    result = scoring.score(truth_of(both, both, both), run)
    assert (result.true_positives, result.false_positives, result.demanded) == (3, 2, 6)
    assert result.precision == pytest.approx(3 / 5)
    assert result.recall == pytest.approx(3 / 6)
    assert result.idf1 == pytest.approx(2 * 3 / (6 + 5))


def test_identity_switch_and_fragmentation_by_hand() -> None:
    here = (person("a/1", A),)
    # Missed at first (a late start is no fragmentation), found as 1, missed, found as 2.
    run = [(1, []), (2, [(1, A)]), (3, [(1, A)]), (4, []), (5, [(2, A)]), (6, [(2, A)]), (7, [(2, A)])]
    result = scoring.score(truth_of(*[here] * 7), run)
    assert (result.switches, result.fragmentations) == (1, 1)
    # Track 2 is the better half: 3 agreements, of 7 demanded and 5 detections.
    assert result.id_true_positives == 3
    assert result.idf1 == pytest.approx(6 / 12)


def test_a_person_who_comes_back_as_a_new_identity_must_not_keep_the_track() -> None:
    truth = truth_of((person("a/1", A),), (), (person("a/2", A),))
    kept = scoring.score(truth, [(1, [(1, A)]), (2, []), (3, [(1, A)])])
    renewed = scoring.score(truth, [(1, [(1, A)]), (2, []), (3, [(2, A)])])
    assert (kept.idf1, renewed.idf1) == (0.5, 1.0)
    assert renewed.switches == 0


def test_most_pairs_come_first_then_faithfulness_then_overlap() -> None:
    near, between = moved(A, 30.0), moved(A, 15.0)
    # Greedy by overlap would give `between` to a and leave b alone with nothing.
    truth = truth_of((person("a/1", A), person("b/1", moved(A, 40.0))))
    run = [(1, [("x", moved(A, 20.0)), ("y", moved(A, -20.0))])]
    assert scoring.score(truth, run).true_positives == 2
    # In the second image the other track fits better, but the known one still fits: no switch.
    truth = truth_of((person("a/1", A),), (person("a/1", A),))
    result = scoring.score(truth, [(1, [("x", A)]), (2, [("x", near), ("y", between)])])
    assert (result.switches, result.false_positives) == (0, 1)


def test_ignored_persons_neither_cost_nor_reward() -> None:
    truth = truth_of((person("a/1", A), person("b/1", B, ignore=True)))
    alone = scoring.score(truth, [(1, [(1, A)])])
    found = scoring.score(truth, [(1, [(1, A), (2, B)])])
    assert alone == found
    assert (found.precision, found.recall, found.tracks) == (1.0, 1.0, 1)
    # A box that lies with half of itself on somebody ignored is theirs; one with less is false.
    part = scoring.score(truth, [(1, [(1, A), (2, moved(B, 45.0))])])
    off = scoring.score(truth, [(1, [(1, A), (2, moved(B, 55.0))])])
    assert (part.false_positives, off.false_positives) == (0, 1)


def test_a_demanded_person_is_never_lost_to_an_ignored_one() -> None:
    truth = truth_of((person("a/1", moved(A, 20.0), ignore=True), person("b/1", A)))
    result = scoring.score(truth, [(1, [(1, moved(A, 20.0))])])
    assert (result.true_positives, result.recall) == (1, 1.0)


def test_dropped_images_are_not_judged() -> None:
    here = (person("a/1", A),)
    result = scoring.score(truth_of(*[here] * 4), [(4, [("t", A)]), (2, [("t", A)])])
    assert (result.images, result.unprocessed, result.demanded) == (2, 2, 2)
    assert (result.recall, result.fragmentations, result.idf1) == (1.0, 0, 1.0)


def test_untracked_detections_have_no_identity() -> None:
    both = (person("a/1", A), person("b/1", B))
    result = scoring.score(truth_of(both, both), [(1, [("", A), ("", B)]), (2, [("", A), ("", B)])])
    assert (result.precision, result.recall) == (1.0, 1.0)
    assert result.id_true_positives == 2
    assert result.switches == 2


def test_nothing_to_judge_is_nan_and_null() -> None:
    result = scoring.score(truth_of(()), [])
    assert all(math.isnan(value) for value in (result.precision, result.recall, result.idf1))
    assert result.to_dict()["idf1"] is None
    assert result.to_dict()["unprocessed"] == 1


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ([(7, [])], "stamp 7 is not in the ground truth"),
        ([(1, []), (1, [])], "comes twice"),
        ([(1, [("t", A), ("t", B)])], "track id twice"),
    ],
)
def test_runs_that_do_not_belong_are_refused(run: list, says: str) -> None:
    with pytest.raises(scoring.GroundTruthError, match=says):
        scoring.score(truth_of(()), run)


def recording() -> list[tuple[dict[int, scoring.Box], list[tuple[int, scoring.Box]]]]:
    """Four people, one of them away for a while, and a bad tracker: misses, false alarms, swapped and lost ids."""
    draw = random.Random(7).random
    names = list(range(4))
    images = []
    for image in range(120):
        shift = 2.0 * (image % 45)
        people = {
            who: (40 + 130 * who + shift, 60 + 10 * who, 120 + 130 * who + shift, 240 + 10 * who) for who in range(4)
        }
        if 40 <= image < 60:
            del people[2]
        if draw() < 0.06:
            a, b = int(4 * draw()), int(4 * draw())
            names[a], names[b] = names[b], names[a]
        if draw() < 0.05:
            names[int(4 * draw())] = 100 + image
        detections = [
            (names[who], tuple(side + 40 * draw() - 20 for side in box)) for who, box in people.items() if draw() > 0.12
        ]
        if draw() < 0.15:
            detections.insert(0, (1000 + image, (500.0, 10.0, 560.0, 90.0)))
        images.append((people, detections))
    return images


def test_agrees_with_motmetrics() -> None:
    """Golden values: motmetrics 1.4.0 (PyPI), `recording()` into MOTAccumulator with iou_matrix(max_iou=0.5)."""
    images = recording()
    truth = truth_of(*[tuple(person(f"{who}/1", box) for who, box in people.items()) for people, _ in images])
    result = scoring.score(truth, [(index, found) for index, (_, found) in enumerate(images, start=1)])
    assert (result.demanded, result.true_positives, result.false_positives) == (460, 411, 19)
    assert (result.switches, result.fragmentations, result.id_true_positives) == (22, 47, 135)
    assert result.precision == pytest.approx(0.955814, abs=1e-6)
    assert result.recall == pytest.approx(0.893478, abs=1e-6)
    assert result.idf1 == pytest.approx(0.303371, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(shuffler: random.Random) -> None:
    images = recording()[:20]
    truth = truth_of(*[tuple(person(f"{who}/1", box) for who, box in people.items()) for people, _ in images])
    run = [(index, found) for index, (_, found) in enumerate(images, start=1)]
    expected = scoring.score(truth, run)
    shuffled = [(index, [(f"t{track}", box) for track, box in found]) for index, found in run]
    shuffler.shuffle(shuffled)
    for _, found in shuffled:
        shuffler.shuffle(found)
    assert scoring.score(truth, shuffled) == expected


def test_ground_truth_goes_to_a_file_and_back(tmp_path: Path) -> None:
    truth = replace(truth_of((person("a/1", A), person("b/1", B, ignore=True)), ()), meta={"seed": 4})
    (tmp_path / "truth.json").write_text(truth.to_json(), "utf8")
    assert scoring.read(tmp_path / "truth.json") == truth


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"meta": {}, "images": [{"stamp_ns": 1}]}', '{"meta": {}, "images": [3]}']
)
def test_a_file_that_is_no_ground_truth_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(text, "utf8")
    with pytest.raises(scoring.GroundTruthError, match=r"truth\.json"):
        scoring.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(scoring.GroundTruthError, match=r"absent\.json"):
        scoring.read(tmp_path / "absent.json")


def test_a_bags_own_truth_says_who_is_to_be_found(tmp_path: Path) -> None:
    """A person without a kind of box is a region to ignore; without a track id nobody is the same as anybody."""
    from bag_files import stamped
    from rclpy.serialization import serialize_message
    from rosbags.rosbag2 import StoragePlugin, Writer

    from caer_ros.msg import PersonEmotion, PersonEmotionArray
    from caer_ros.recordings.definitions import PERSONS, TRUTH_TOPIC, typestore

    sides = dict(zip(("x_min", "y_min", "x_max", "y_max"), A, strict=True))
    tracked = PersonEmotion(box_kind=PersonEmotion.BOX_BODY, track_id="4", top_label="Sad", **sides)
    nameless = PersonEmotion(box_kind=PersonEmotion.BOX_BODY, top_label="Sad", **sides)
    crowd = PersonEmotion(box_kind=PersonEmotion.BOX_UNKNOWN, **sides)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection(TRUTH_TOPIC, PERSONS, typestore=typestore())
        for stamp in (1, 2):
            said = stamped(PersonEmotionArray(persons=[tracked, nameless, crowd, nameless]), stamp)
            writer.write(topic, stamp, serialize_message(said))
    truth = scoring.recorded(tmp_path / "bag")
    assert truth is not None
    assert [[p.ignore for p in image.persons] for image in truth.images] == [[False, False, True, False]] * 2
    first, second = ({p.identity for p in image.persons if not p.ignore} for image in truth.images)
    assert len(first) == len(second) == 3
    assert first & second == {"Sad_4/1"}
