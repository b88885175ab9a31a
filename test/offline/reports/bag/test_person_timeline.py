"""Bands, marks and cuts of the timeline."""

from __future__ import annotations

import json
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from offline.evaluation.written_frames import bag, frame
from offline.metrics.tracks import together

from caer_ros.offline.metrics.over_time.stability import stability
from caer_ros.offline.reports.bag import person_timeline
from caer_ros.offline.reports.bag.palette import Palette, style
from caer_ros.offline.reports.bag.people import Course, answers, courses


def page(frames, steady=False, **changes):
    joined = together(frames)
    told = answers(joined)
    shown = courses(told, [bag()])
    palette = Palette.of(told)
    return person_timeline.html(told, shown, [bag()], palette, stability(joined) if steady else None, **changes)


def band(html, name):
    """Class, left, width and word of each run of each band of that name."""
    found = []
    for content in re.findall(rf'<div class="band {name}">(.*?)</div>', html):
        run = r'<i class="([^"]*)" style="left:([\d.]+)%;width:([\d.]+)%">(?:<b>([^<]*)</b>)?</i>'
        found.append([(css, float(left), float(width), word) for css, left, width, word in re.findall(run, content)])
    return found


def data(html):
    return json.loads(re.search(r'<script type="application/json" id="timeline">(.*?)</script>', html).group(1))


def course(seconds):
    return Course(0, "camera", "a", 0, np.arange(len(seconds)), np.array(seconds, float))


def test_runs_of_truth_and_of_what_was_said_stand_at_their_time():
    """Ten frames, a second each: the truth changes at 4 s, and is told at 6 s; at 8 s the person is missed."""
    tops = [0] * 6 + [1, 1]
    frames = [frame(s, [(0, "a", int(s >= 4))], [(0, "run-1", top)]) for s, top in enumerate(tops)]
    frames += [frame(8, [(0, "a", 1)], []), frame(9, [(0, "a", 1)], [(0, "run-1", -1)])]
    html = page(frames, steady=True)
    assert band(html, "truth") == [[("k0", 0, 40, "label 0"), ("k1", 40, 60, "label 1")]]
    assert band(html, "said") == [
        [
            ("k0", 0, 60, "label 0"),
            ("k1", 60, 20, "label 1"),
            ("missed", 80, 10, "missed"),
            ("none", 90, 10, "no label"),
        ]
    ]
    assert band(html, "wrong") == [[("", 40, 20, "")]]
    assert band(html, "delays") == [[("delay", 40, 20, "2.0 s")]]
    assert "found 90 % · right 60 %" in html
    shown = data(html)
    assert shown["labels"] == [
        ["label 0", "k0"],
        ["label 1", "k1"],
        ["label 2", "k2"],
        ["missed", "missed"],
        ["no label", "none"],
    ]
    (row,) = shown["rows"]
    assert row["span"] == 10_000
    assert row["t"] == [1000 * second for second in range(10)]
    assert row["truth"] == [[0]] * 4 + [[1]] * 6
    assert row["said"] == [*tops, -2, -1]
    assert row["iou"][7:] == [100, -1, 100]


def test_a_change_that_nobody_told_of_says_so():
    frames = [frame(s, [(0, "a", int(s >= 2))], [(0, "run-1", 0)]) for s in range(4)]
    assert band(page(frames, steady=True), "delays") == [[("never", 50, 0, "never followed")]]


def test_a_person_who_leaves_has_no_band_meanwhile():
    there = [second for second in range(10) if second not in (3, 4, 5, 6)]
    frames = [frame(s, [(0, "a", 0)] if s in there else [], [(0, "run-1", 0)] if s in there else []) for s in range(10)]
    (truth,) = band(page(frames), "truth")
    assert [(left, width) for _, left, width, _ in truth] == [(0, 35), (70, 30)]


def test_an_emotion_that_is_not_annotated_is_no_emotion():
    html = page([frame(s, [(0, "a", None)], [(0, "run-1", 1)]) for s in range(3)])
    assert band(html, "truth") == [[("neither", 0, 100, "not annotated")]]
    assert data(html)["rows"][0]["truth"] == [None] * 3
    assert band(html, "wrong") == [[]]


def test_several_true_labels_are_stripes():
    frames = [frame(s, [(0, "a", 0)], [(0, "run-1", 1)]) for s in range(2)]
    for sample, _ in frames:
        sample.emotions[0] = [1, 1, 0]
    html = page(frames)
    (run,) = re.findall(r'<div class="band truth"><i class="(k\d)" style="([^"]*)"><b>([^<]*)</b></i></div>', html)
    assert run[0] == "k0"
    assert run[1].endswith("background:linear-gradient(#56b4e9 0% 50%,#e69f00 50% 100%)")
    assert run[2] == "label 0, label 1"
    assert band(html, "wrong") == [[]]  # one of them was said


def test_the_same_name_in_two_bags_is_two_lines():
    frames = [frame(s, [(0, f"{name}/a", 0)], [], f"{name}/camera") for name in ("one", "two") for s in range(2)]
    joined = together(frames)
    told = answers(joined)
    bags = [bag("one"), bag("two")]
    html = person_timeline.html(told, courses(told, bags), bags, Palette.of(told))
    assert re.findall(r"<h3>([^<]*)</h3>", html) == ["one", "two"]
    assert re.findall(r'aria-label="([^"]*)"', html) == ["a", "a"]
    assert [row["span"] for row in data(html)["rows"]] == [2000, 2000]


def test_fates_and_false_boxes_have_their_lanes():
    frames = [frame(s, [(0, "a", 0)], [(0, "run-1", 0)] + ([(3, "run-2", 0)] if s == 2 else [])) for s in range(4)]
    html = page(frames, fates={0: "in time", 1: "in time", 2: "late", 3: "lost"})
    assert [css for css, *_ in band(html, "fates")[0]] == ["fate in-time", "fate late", "fate lost"]
    assert '<div class="band false"><i style="left:50.000%;width:25.000%"></i></div>' in html
    assert data(html)["rows"][0]["fate"] == ["in time", "in time", "late", "lost"]
    assert "fates" not in page(frames[:2])


def test_cuts_are_embedded_once_and_known_by_their_frame():
    frames = [frame(s, [(0, "a", 0)], []) for s in range(4)]
    (row,) = data(page(frames, thumbnails=[{2: b"two", 0: b"zero"}]))["rows"]
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
    rules = style()
    for css in {part for index in range(26) for part in palette.css(index).split()}:
        assert f".{css} {{" in rules
