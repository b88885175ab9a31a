"""Bands, marks and cuts of the timeline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from offline.evaluation.written_frames import bag, frame
from offline.metrics.tracks import together

from caer_ros.offline.metrics.over_time.stability import stability
from caer_ros.offline.reports.bag import person_timeline
from caer_ros.offline.reports.bag.palette import Palette
from caer_ros.offline.reports.bag.people import Course, answers, courses


def timeline(frames, steady=False, **changes):
    joined = together(frames)
    told = answers(joined)
    shown = courses(told, [bag()])
    palette = Palette.of(told)
    return person_timeline.timeline(told, shown, [bag()], palette, stability(joined) if steady else None, **changes)


def drawn(blocks):
    """Class, left, width and word of each stretch."""
    return [(block.css, pytest.approx(block.left), pytest.approx(block.width), block.word) for block in blocks]


def band(shown, kind):
    """What is drawn in the band of that kind, for each person who has it."""
    (only,) = shown.bags
    return [drawn(person.bands[kind]) for person in only.persons if kind in person.bands]


def lane(shown, kind):
    (only,) = shown.bags
    return [drawn(lane.blocks) for lane in only.lanes if lane.kind == kind]


def course(seconds):
    return Course(0, "camera", "a", 0, np.arange(len(seconds)), np.array(seconds, float))


def test_runs_of_truth_and_of_what_was_said_stand_at_their_time():
    """Ten frames, a second each: the truth changes at 4 s, and is told at 6 s; at 8 s the person is missed."""
    tops = [0] * 6 + [1, 1]
    frames = [frame(s, [(0, "a", int(s >= 4))], [(0, "run-1", top)]) for s, top in enumerate(tops)]
    frames += [frame(8, [(0, "a", 1)], []), frame(9, [(0, "a", 1)], [(0, "run-1", -1)])]
    shown = timeline(frames, steady=True)
    assert band(shown, "truth") == [[("k0", 0, 40, "label 0"), ("k1", 40, 60, "label 1")]]
    assert band(shown, "said") == [
        [
            ("k0", 0, 60, "label 0"),
            ("k1", 60, 20, "label 1"),
            ("missed", 80, 10, "missed"),
            ("none", 90, 10, "no label"),
        ]
    ]
    assert band(shown, "wrong") == [[("", 40, 20, "")]]
    assert band(shown, "delays") == [[("delay", 40, 20, "2.0 s")]]
    assert shown.bags[0].persons[0].words == ("found 90 %", "right 60 %")
    assert shown.data["labels"] == [
        ["label 0", "k0"],
        ["label 1", "k1"],
        ["label 2", "k2"],
        ["missed", "missed"],
        ["no label", "none"],
    ]
    (row,) = shown.data["rows"]
    assert row["span"] == 10_000
    assert row["t"] == [1000 * second for second in range(10)]
    assert row["truth"] == [[0]] * 4 + [[1]] * 6
    assert row["said"] == [*tops, -2, -1]
    assert row["iou"][7:] == [100, -1, 100]


def test_a_change_that_nobody_told_of_says_so():
    frames = [frame(s, [(0, "a", int(s >= 2))], [(0, "run-1", 0)]) for s in range(4)]
    assert band(timeline(frames, steady=True), "delays") == [[("never", 50, 0, "never followed")]]


def test_a_person_who_leaves_has_no_band_meanwhile():
    there = [second for second in range(10) if second not in (3, 4, 5, 6)]
    frames = [frame(s, [(0, "a", 0)] if s in there else [], [(0, "run-1", 0)] if s in there else []) for s in range(10)]
    (truth,) = band(timeline(frames), "truth")
    assert [(left, width) for _, left, width, _ in truth] == [(0, 35), (70, 30)]


def test_an_emotion_that_is_not_annotated_is_no_emotion():
    shown = timeline([frame(s, [(0, "a", None)], [(0, "run-1", 1)]) for s in range(3)])
    assert band(shown, "truth") == [[("neither", 0, 100, "not annotated")]]
    assert shown.data["rows"][0]["truth"] == [None] * 3
    assert band(shown, "wrong") == [[]]


def test_several_true_labels_are_stripes():
    frames = [frame(s, [(0, "a", 0)], [(0, "run-1", 1)]) for s in range(2)]
    for sample, _ in frames:
        sample.emotions[0] = [1, 1, 0]
    shown = timeline(frames)
    (block,) = shown.bags[0].persons[0].bands["truth"]
    assert (block.css, block.word, block.stripes) == ("k0", "label 0, label 1", (0, 1))
    assert band(shown, "wrong") == [[]]  # one of them was said


def test_the_same_name_in_two_bags_is_two_lines():
    frames = [frame(s, [(0, f"{name}/a", 0)], [], f"{name}/camera") for name in ("one", "two") for s in range(2)]
    joined = together(frames)
    told = answers(joined)
    bags = [bag("one"), bag("two")]
    shown = person_timeline.timeline(told, courses(told, bags), bags, Palette.of(told))
    assert [(each.heading, [person.name for person in each.persons]) for each in shown.bags] == [
        ("one", ["a"]),
        ("two", ["a"]),
    ]
    assert [person.row for each in shown.bags for person in each.persons] == [0, 1]
    assert [row["span"] for row in shown.data["rows"]] == [2000, 2000]


def test_fates_and_false_boxes_have_their_lanes():
    frames = [frame(s, [(0, "a", 0)], [(0, "run-1", 0)] + ([(3, "run-2", 0)] if s == 2 else [])) for s in range(4)]
    shown = timeline(frames, fates={0: "in time", 1: "in time", 2: "late", 3: "no answer"})
    assert [css for css, *_ in lane(shown, "fates")[0]] == ["fate in-time", "fate late", "fate no-answer"]
    assert lane(shown, "false") == [[("", 50, 25, "")]]
    assert shown.data["rows"][0]["fate"] == ["in time", "in time", "late", "no answer"]
    assert timeline(frames[:2]).bags[0].lanes == []


def test_cuts_are_embedded_once_and_known_by_their_frame():
    frames = [frame(s, [(0, "a", 0)], []) for s in range(4)]
    (row,) = timeline(frames, thumbnails=[{2: b"two", 0: b"zero"}]).data["rows"]
    assert row["at"] == [0, 2]
    assert row["cuts"] == ["data:image/jpeg;base64,emVybw==", "data:image/jpeg;base64,dHdv"]


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=300, unique=True).map(sorted), st.integers(1, 60))
def test_cuts_are_few_and_evenly_spaced(seconds, persons):
    chosen = person_timeline.cuts([course(seconds)] * persons)
    assert len(chosen) == persons
    for frames in chosen:
        assert 1 <= len(frames) <= person_timeline.CUTS_EACH
        assert frames == sorted(set(frames))
        assert 0 <= frames[0] <= frames[-1] < len(seconds)
    assert sum(map(len, chosen)) <= max(person_timeline.CUTS, persons)


def test_cuts_of_a_steady_recording_are_spread_over_it():
    (chosen,) = person_timeline.cuts([course(np.arange(240) / 10)])
    assert len(chosen) == 24
    assert set(np.diff(chosen)) <= {9, 10}


def test_of_many_persons_those_who_are_there_for_longest_are_shown_in_their_order():
    lengths = [3, 50, *range(4, 4 + person_timeline.ROWS)]
    shown = person_timeline.chosen([course(np.arange(length)) for length in lengths])
    assert [len(each.answers) for each in shown] == [50, *range(5, 4 + person_timeline.ROWS)]


def test_labels_beyond_the_colours_have_patterns_and_none_is_used_twice():
    names = tuple(f"label {number}" for number in range(26))
    palette = Palette(names, tuple(reversed(range(26))))
    assert palette.css(25) == "k0"
    assert palette.css(18) == "k0 p1"
    assert len({palette.css(index) for index in range(26)}) == 26
