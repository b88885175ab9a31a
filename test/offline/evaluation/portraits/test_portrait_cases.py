from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_portraits import write, write_portraits

from caer_ros.offline.evaluation.portraits import bodies, portrait_cases, portrait_set
from caer_ros.offline.evaluation.portraits.canvas import Picture
from caer_ros.perception.person import BoxKind, EmotionStatus, Person
from caer_ros.recordings.annotations.sample import DatasetError

PICTURE = Picture(
    np.zeros((480, 640, 3), np.uint8),
    *(np.array(box, np.float64) for box in ([100, 50, 200, 350], [125, 50, 175, 110], [135, 65, 165, 105])),
)


def person(*box, score=0.9):
    return Person(np.array(box, np.float32), score, BoxKind.BODY, np.empty(0, np.float32), EmotionStatus.OK)


@pytest.fixture(scope="module")
def shown(finder, portraits, street_scenes):
    scenes = bodies.bodies(finder, street_scenes, "all", 0, {})
    return list(portrait_cases.prepare(portrait_set.read(portraits), scenes, finder, (24, 80), {}))


def test_everybody_gets_a_body_and_all_pictures(shown):
    assert [one.person.name for one in shown] == ["01", "02"]  # who share the one body that there is
    cases = [case for case, _ in portrait_cases.pictures(shown, (24, 80), 0)]
    assert len(set(cases)) == len(cases)
    counted = Counter((case.view, case.size) for case in cases)
    both, once = 4, 2
    assert counted == {
        **{(view, size): both for view in ("body", "mouth covered", "eyes covered") for size in (24, 80)},
        ("portrait", 80): both,
        ("from behind", 24): once,
        ("from behind", 80): once,
    }
    assert {bool(case.cover) for case in cases if case.view.endswith("covered")} == {True}


def test_a_smile_changes_the_head_alone(shown):
    made = {
        case.expression: picture
        for case, picture in portrait_cases.pictures(shown[:1], (24,), 0)
        if case.view == portrait_cases.BODY
    }
    differ = (made["neutral"].pixels != made["smiling"].pixels).any(axis=2)
    x_min, y_min, x_max, y_max = made["neutral"].face.round().astype(int)
    assert differ[y_min:y_max, x_min:x_max].mean() > 0.8
    differ[y_min - 24 : y_max + 24, x_min - 24 : x_max + 24] = False
    assert not differ.any()


def test_the_seed_decides_all(shown):
    one, same, other = (
        np.stack([picture.pixels for _, picture in portrait_cases.pictures(shown[:1], (24,), seed)])
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_portraits_that_cannot_be_used_are_named(finder, tmp_path, street_scenes):
    folder = write_portraits(tmp_path / "known")
    write(folder / "01_smiling.png", np.full((200, 200, 3), 128, np.uint8))
    (folder / "02_neutral.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    notes: dict[str, list[str]] = {}
    persons = portrait_set.read(folder)
    scenes = bodies.bodies(finder, street_scenes, "all", 0, notes)
    prepared = list(portrait_cases.prepare(persons, scenes, finder, (120,), notes))
    assert [(one.person.name, list(one.heads)) for one in prepared] == [("01", ["neutral"])]
    assert notes["portrait without a clear face"] == ["01_smiling.png"]
    assert notes["portrait unreadable"] == ["02_neutral.png"]
    assert notes["portrait whose face is narrower than 120 px"] == ["02_smiling.png"]
    with pytest.raises(DatasetError, match=r"no portrait can be used \(.*without a clear face: 1"):
        list(
            portrait_cases.prepare(
                [replace(persons[0], pictures={"x": folder / "01_smiling.png"})], scenes, finder, (24,), {}
            )
        )


def test_without_any_body_it_is_an_error(finder, portraits):
    with pytest.raises(DatasetError, match="no scene suits"):
        list(portrait_cases.prepare(portrait_set.read(portraits), iter(()), finder, (24,), {}))


@pytest.mark.parametrize(
    ("boxes", "kind", "found"),
    [
        ([], BoxKind.BODY, None),
        ([(300, 50, 400, 350)], BoxKind.BODY, None),  # somebody else
        ([(100, 50, 200, 200)], BoxKind.BODY, 0),  # half of the body
        ([(130, 55, 170, 115)], BoxKind.BODY, 0),  # a little of it, but the face
        ([(130, 55, 150, 115)], BoxKind.BODY, None),  # half of the face
        ([(120, 55, 180, 200), (105, 50, 195, 340)], BoxKind.BODY, 1),  # the best, not the first
        ([(100, 50, 200, 350), (134, 66, 166, 104)], BoxKind.FACE, 1),
        ([(100, 50, 200, 350), (125, 52, 175, 108)], BoxKind.HEAD, 1),
    ],
)
def test_whom_the_case_is_about(boxes, kind, found):
    persons = [person(*box) for box in boxes]
    chosen = portrait_cases.find(persons, PICTURE, kind)
    assert chosen is (None if found is None else persons[found])


def test_an_answer_is_the_node_s(finder, shown):
    """At 80 px the demo photographs are found and read; see models/bootstrap/README.md."""
    answers = {
        case.expression: portrait_cases.answer(finder, picture)
        for case, picture in portrait_cases.pictures(shown[:1], (80,), 0)
        if case.view == portrait_cases.PORTRAIT
    }
    smiling = answers["smiling"]
    assert (smiling.found, smiling.status, smiling.label) == (True, "OK", "Happy")
    assert list(smiling.scores) == list(finder.bundle.labels)
    assert smiling.scores["Happy"] == max(smiling.scores.values()) > finder.bundle.thresholds.uncertain
    assert smiling.confidence >= finder.bundle.thresholds.person
    assert answers["neutral"].label in ("Neutral", "")


def test_who_is_not_found_has_no_answer(finder):
    answer = portrait_cases.answer(finder, PICTURE)
    assert (answer.found, answer.status, answer.label, answer.scores) == (False, "", "", None)
