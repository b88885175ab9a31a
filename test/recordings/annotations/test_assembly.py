from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.assembly import Annotation, assemble, finish, from_ten, one_of
from caer_ros.recordings.annotations.sample import DatasetError, Findings

HEIGHT, WIDTH = 60, 80
EDGES = st.floats(-1e6, 1e6) | st.sampled_from(
    [0.0, HEIGHT, WIDTH, -0.0, np.nan, np.inf, -np.inf, 79.99999999, 80.00000001]
)
BOXES = st.lists(st.tuples(EDGES, EDGES, EDGES, EDGES), max_size=6)


@pytest.fixture(scope="module")
def path(tmp_path_factory, picture):
    return picture(tmp_path_factory.mktemp("picture") / "a.png", HEIGHT, WIDTH)


def persons(boxes):
    return [Annotation(f"row {row}", box, np.eye(8, dtype=np.float32)[row]) for row, box in enumerate(boxes)]


@given(BOXES, BOXES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_box_lies_in_the_image_and_has_an_area(path, boxes, crowds):
    findings = Findings()
    sample = assemble("a", path, persons(boxes), 8, BoxKind.BODY, findings, crowds=crowds)
    kept = 0 if sample is None else len(sample)
    assert kept + len(findings.skipped) == len(boxes)
    if sample is None:
        assert boxes
        return
    for held in (sample.boxes, sample.ignore):
        assert held.dtype == np.float32
        assert held.shape[1] == 4
        assert (held >= 0).all()
        assert (held <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
        assert (held[:, 2:] > held[:, :2]).all()
    for array in (
        sample.emotions,
        sample.vad,
        sample.votes,
        sample.weights,
        sample.gender,
        sample.age,
        sample.track_ids,
    ):
        assert len(array) == kept
    assert (sample.emotions.shape, sample.vad.shape, sample.votes.shape) == ((kept, 8), (kept, 3), (kept, 8))


def test_the_right_persons_stay(path):
    findings = Findings()
    boxes = [(10, 10, 20, 20), (30, 30, 30, 40), (-5, 50, 20, 70)]
    sample = assemble("a", path, persons(boxes), 8, BoxKind.BODY, findings)
    np.testing.assert_array_equal(sample.boxes, [[10, 10, 20, 20], [0, 50, 20, 60]])
    np.testing.assert_array_equal(sample.emotions.argmax(axis=1), [0, 2])
    assert findings.skipped == ["row 1: box [30, 30, 30, 40] has no area in a.png, 80x60"]
    assert findings.repaired == ["row 2: box [-5, 50, 20, 70] clipped to a.png, 80x60"]


def test_an_image_whose_persons_are_all_lost_is_lost_and_one_of_nobody_is_not(path):
    assert assemble("a", path, persons([(9, 9, 9, 9)]), 8, BoxKind.BODY, Findings()) is None
    assert len(assemble("a", path, [], 8, BoxKind.BODY, Findings())) == 0


def test_strict(path):
    with pytest.raises(DatasetError, match=r"row 0: box \[9, 9, 9, 9\] has no area.*correct"):
        assemble("a", path, persons([(9, 9, 9, 9)]), 8, BoxKind.BODY, Findings(), strict=True)


def test_the_whole_image(path):
    sample = assemble("a", path, persons([None]), 8, BoxKind.FACE, Findings())
    np.testing.assert_array_equal(sample.boxes, [[0, 0, WIDTH, HEIGHT]])


def test_what_is_not_said_is_unknown(path):
    sample = assemble("a", path, persons([None]), 8, BoxKind.FACE, Findings())
    assert np.isnan(sample.vad).all()
    assert np.isnan(sample.votes).all()
    np.testing.assert_array_equal(sample.weights, [1])
    assert sample.ignore.shape == (0, 4)


def test_an_unreadable_image_is_counted(tmp_path):
    findings = Findings()
    assert assemble("a", tmp_path / "a.png", persons([None]), 8, BoxKind.BODY, findings) is None
    assert len(findings.unreadable) == 1
    with pytest.raises(DatasetError, match=r"split 'val' of heco has no usable image: 1 cases such as: .*a\.png"):
        finish("heco", tmp_path, "val", "heco", ("a",), False, [None], findings)
    with pytest.raises(DatasetError, match="nothing is annotated"):
        finish("heco", tmp_path, "val", "heco", ("a",), False, [], Findings())


def test_one_to_ten_becomes_minus_one_to_one():
    np.testing.assert_allclose(from_ten([1, 5.5, 10]), [-1, 0, 1])
    assert np.isnan(from_ten([0, 11, np.nan])).all()


@pytest.mark.parametrize(("said", "means"), [("Male", "male"), (" female ", "female"), ("", ""), (None, ""), ("?", "")])
def test_words(said, means):
    assert one_of(said, ("male", "female")) == means
