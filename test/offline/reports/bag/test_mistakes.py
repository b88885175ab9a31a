"""Errors of consecutive frames are one error, and the worst come first."""

from __future__ import annotations

import pytest
from offline.evaluation.written_frames import frame
from offline.metrics.tracks import found, together

from caer_ros.offline.reports.bag.mistakes import worst
from caer_ros.offline.reports.bag.people import answers


def said(mistakes):
    return [(mistake.image, mistake.frames, pytest.approx(mistake.seconds)) for mistake in mistakes]


def scored(frames, scores):
    """With the score of the first label of every frame's first person."""
    for (_, image), score in zip(frames, scores, strict=True):
        image.tracked.smoothed[:, :] = score
    return answers(together(frames))


def test_a_person_missed_for_a_while_is_one_error_and_longest_comes_first():
    frames = [frame(0.5 * number, [(0, "a", 0), (1, "b", 0)], [(1, "run-2", 0)]) for number in range(3)]
    frames += [frame(1.5 + 0.5 * number, [(0, "a", 0), (1, "b", 0)], [(0, "run-1", 0)]) for number in range(2)]
    told = answers(together(frames))
    assert said(worst(told, "missed", 5)) == [(0, 3, 1.0), (3, 2, 0.5)]
    assert said(worst(told, "missed", 1)) == [(0, 3, 1.0)]


def test_after_more_than_a_second_it_is_another_error():
    frames = [frame(second, [(0, "a", 0)], []) for second in (0, 0.9, 2.0)]
    assert sorted(mistake.frames for mistake in worst(answers(together(frames)), "missed", 5)) == [1, 2]


def test_wrong_labels_come_by_score_and_each_label_is_an_error_of_its_own():
    told = scored(
        [
            frame(0.0, [(0, "a", 0)], [(0, "run-1", 1)]),
            frame(0.1, [(0, "a", 0)], [(0, "run-1", 1)]),
            frame(0.2, [(0, "a", 0)], [(0, "run-1", 2)]),
            frame(0.3, [(0, "a", 0)], [(0, "run-1", 0)]),
            frame(0.4, [(0, "a", None)], [(0, "run-1", 1)]),
        ],
        [0.5, 0.6, 0.9, 1.0, 1.0],
    )
    mistakes = worst(told, "wrong", 5)
    assert said(mistakes) == [(2, 1, 0.0), (1, 2, 0.1)]
    assert [mistake.score for mistake in mistakes] == [pytest.approx(0.9), pytest.approx(0.6)]
    assert worst(told, "missed", 5) == []


def test_somebody_who_is_not_there_is_one_error_by_track_or_by_place():
    frames = [frame(0.1 * number, [], [(number % 3, "run-7", 0)]) for number in range(3)]
    assert said(worst(answers(together(frames)), "false", 5)) == [(0, 3, 0.2)]
    untracked = [(sample, found(sample.image_id, image.boxes, [""], [0])) for sample, image in frames]
    assert [mistake.frames for mistake in worst(answers(together(untracked)), "false", 5)] == [1, 1, 1]
    same = [(sample, found(sample.image_id, [[0, 0, 40, 40]], [""], [0])) for sample, _ in frames]
    mistake, *others = worst(answers(together(same)), "false", 5)
    assert (mistake.frames, mistake.person, mistake.found, others) == (3, -1, 0, [])
    assert mistake.box.tolist() == [0, 0, 40, 40]
