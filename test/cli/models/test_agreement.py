"""Agreement of two models, on persons written down by hand."""

from itertools import permutations

import numpy as np
import pytest
from graphs import LABELS, write_bundle
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.cli.models.agreement import Agreement, FrameAgreement, SharedLabels, closeness, pairs
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.person import BoxKind, EmotionStatus, Person
from caer_ros.taxonomy import CAER_S, EMOTIC, HECO

ALL = SharedLabels(tuple((label, label) for label in LABELS), (0, 1, 2), (0, 1, 2))
NAN = float("nan")


def person(box, scores=(0.2, 0.3, 0.5), kind=BoxKind.BODY):
    return Person(np.array(box, np.float32), 0.9, kind, np.array(scores, np.float32), EmotionStatus.OK)


def persons(*boxes, kind=BoxKind.BODY):
    return [person(box, kind=kind) for box in boxes]


def bundle(folder, **fields):
    graph = {"emotions": np.full((2, len(fields["labels"])), 0.1)}
    return read_bundle(write_bundle(folder, graph, **{"predictable": list(fields["labels"]), **fields}))


# --- Who is who ---


def test_boxes_of_one_kind_match_from_an_iou_of_a_half():
    body = persons((0, 0, 100, 100))
    assert pairs(body, persons((0, 0, 100, 51))) == [(0, 0)]
    assert pairs(body, persons((0, 0, 100, 49))) == []
    assert pairs(body, []) == pairs([], body) == []


def test_more_pairs_go_before_better_ones():
    """Two of the boxes are equal; but then the third of each model is left over, and all overlap their neighbour's."""
    first = persons(*((x, 0, x + 100, 100) for x in (0, 30, 60)))
    second = persons(*((x, 0, x + 100, 100) for x in (30, 60, 90)))
    assert pairs(first, second) == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("kind", [BoxKind.HEAD, BoxKind.FACE])
def test_a_head_belongs_to_the_body_whose_upper_half_holds_it(kind):
    body = persons((100, 100, 200, 400))
    assert pairs(body, persons((130, 105, 170, 150), kind=kind)) == [(0, 0)]
    assert pairs(persons((130, 105, 170, 150), kind=kind), body) == [(0, 0)]
    assert pairs(body, persons((130, 350, 170, 390), kind=kind)) == []  # a face on a shirt
    assert pairs(body, persons((60, 105, 115, 150), kind=kind)) == []  # a quarter inside
    assert pairs(body, persons((130, 79, 170, 119), kind=kind)) == []  # hardly inside
    assert pairs(body, persons((130, 81, 170, 121), kind=kind)) == [(0, 0)]


def test_a_head_within_two_bodies_belongs_to_the_one_where_it_is_expected():
    bodies = persons((0, 0, 300, 400), (100, 100, 200, 400))
    assert pairs(bodies, persons((130, 102, 170, 142), kind=BoxKind.HEAD)) == [(1, 0)]
    assert pairs(bodies, persons((130, 2, 170, 42), kind=BoxKind.HEAD)) == [(0, 0)]


def test_a_face_belongs_to_the_head_around_it():
    heads = persons((0, 0, 100, 100), (200, 0, 300, 100), kind=BoxKind.HEAD)
    # The lower half too: a face is the lower part of a head.
    assert pairs(heads, persons((230, 60, 270, 100), kind=BoxKind.FACE)) == [(1, 0)]


corner, length = st.integers(0, 60), st.integers(1, 60)
box = st.tuples(corner, corner, length, length).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
boxes = st.lists(box, max_size=6)
kinds = st.sampled_from([BoxKind.BODY, BoxKind.HEAD, BoxKind.FACE])


@given(boxes, kinds, boxes, kinds)
def test_pairs_are_one_to_one_and_the_same_from_either_side(a, kind_a, b, kind_b):
    first, second = persons(*a, kind=kind_a), persons(*b, kind=kind_b)
    found = pairs(first, second)
    assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
    assert len(pairs(second, first)) == len(found)
    frame = FrameAgreement.of(first, second, ALL)
    assert len(frame.matched) + len(frame.only_first) == len(first)
    assert len(frame.matched) + len(frame.only_second) == len(second)


@given(st.lists(box, max_size=4), kinds, st.lists(box, max_size=4), kinds)
def test_most_pairs_and_then_the_best_fit(a, kind_a, b, kind_b):
    """Against every one-to-one matching."""
    first, second = persons(*a, kind=kind_a), persons(*b, kind=kind_b)
    values = closeness(np.array(a, float).reshape(-1, 4), kind_a, np.array(b, float).reshape(-1, 4), kind_b)
    fits = values.T if len(a) > len(b) else values
    best = max(
        (sum(fit > 0 for fit in chosen), sum(chosen))
        for columns in permutations(range(fits.shape[1]), len(fits))
        for chosen in [[fits[row, column] for row, column in enumerate(columns)]]
    )
    found = pairs(first, second)
    assert (len(found), sum(values[pair] for pair in found)) == (best[0], pytest.approx(best[1]))


@given(boxes, kinds)
def test_a_model_agrees_with_itself(found, kind):
    people = persons(*found, kind=kind)
    frame = FrameAgreement.of(people, people, ALL)
    assert (frame.disagreements, frame.difference) == (0, 0)
    assert len(frame.matched) == len(people)


# --- What they read ---


def test_labels_of_known_sets_are_shared_by_their_meaning(tmp_path):
    caer = bundle(tmp_path / "a", label_set="caer_s", labels=list(CAER_S))
    heco = bundle(
        tmp_path / "b", label_set="heco", labels=list(HECO), predictable=[label for label in HECO if label != "Fear"]
    )
    shared = SharedLabels.of(caer, heco)
    assert shared.names == (
        ("Anger", "Anger"),
        ("Disgust", "Disgust"),
        ("Happy", "Happiness"),
        ("Neutral", "Peace"),
        ("Sad", "Sadness"),
        ("Surprise", "Surprise"),
    )
    assert [CAER_S[i] for i in shared.first] == [a for a, _ in shared.names]
    assert [HECO[i] for i in shared.second] == [b for _, b in shared.names]
    emotic = bundle(tmp_path / "c", label_set="emotic", labels=list(EMOTIC))
    assert len(SharedLabels.of(emotic, emotic).names) == 26


def test_labels_of_own_sets_are_shared_by_name(tmp_path):
    own = bundle(tmp_path / "a", labels=["calm", "Anger", "glad"])
    heco = bundle(tmp_path / "b", label_set="heco", labels=list(HECO))
    assert SharedLabels.of(own, heco) == SharedLabels((("Anger", "Anger"),), (1,), (0,))
    assert SharedLabels.of(bundle(tmp_path / "c", labels=["x"]), heco).names == ()


PLACES = [(200 * i, 0, 200 * i + 100, 100) for i in range(5)]


def test_counts_and_shares():
    first = [person(PLACES[0], (0.7, 0.2, 0.1)), person(PLACES[1], (0.1, 0.8, 0.1)), person(PLACES[2])]
    second = [
        person(PLACES[1], (0.5, 0.4, 0.1)),
        person(PLACES[0], (0.6, 0.2, 0.2)),
        person(PLACES[2], (NAN, NAN, NAN)),  # found, but not read
        person(PLACES[4]),
    ]
    frame = FrameAgreement.of(first, second, ALL)
    assert sorted(frame.matched) == [(0, 1), (1, 0), (2, 2)]
    assert (frame.only_first, frame.only_second) == ((), (3,))
    assert frame.scores.shape == (2, 2, 3)
    assert frame.same_top.tolist() == [True, False]
    assert frame.disagreements == 2  # one whom the first misses, one with another label
    assert frame.difference == pytest.approx((0.1 + 0.1 + 0.4 + 0.4) / 6)

    empty = FrameAgreement.of([], first[:1], ALL)
    whole = Agreement.of([frame, empty])
    assert (whole.pairs, whole.only_first, whole.only_second, whole.read, whole.same_top) == (3, 0, 2, 2, 1)
    assert (whole.only_one_share, whole.same_top_share) == (0.4, 0.5)
    assert whole.difference == frame.difference
    assert np.isnan(whole.correlation)  # of two persons


def test_top_labels_are_those_of_the_shared_ones_alone():
    """Both models have another favourite that the other does not know."""
    shared = SharedLabels((("calm", "calm"), ("glad", "joy")), (0, 2), (1, 0))
    first, second = person(PLACES[0], (0.1, 0.7, 0.2)), person(PLACES[0], (0.3, 0.2, 0.5))
    frame = FrameAgreement.of([first], [second], shared)
    np.testing.assert_allclose(frame.scores[:, 0], [[0.1, 0.2], [0.2, 0.3]], atol=1e-6)
    assert frame.same_top.tolist() == [True]
    one = SharedLabels(shared.names[:1], (0,), (1,))
    alone = FrameAgreement.of([first], [second], one)
    assert alone.disagreements == 0  # the largest of one says nothing
    assert np.isnan(Agreement.of([alone]).same_top_share)
    assert Agreement.of([alone]).difference == pytest.approx(0.1)
    nothing = Agreement.of([FrameAgreement.of([first], [second], SharedLabels((), (), ()))])
    assert np.isnan([nothing.difference, nothing.correlation, nothing.same_top_share]).all()


def test_correlation_is_the_mean_of_the_labels_that_vary():
    rows = np.random.default_rng(1).random((5, 3))
    rows[:, 2] = 0.3  # the same for everybody
    other = rows[:, [1, 0, 2]]
    frames = [
        FrameAgreement.of([person(box, a)], [person(box, b)], ALL)
        for box, a, b in zip(PLACES, rows, other, strict=True)
    ]
    expected = np.corrcoef(rows[:, 0], rows[:, 1])[0, 1]
    assert Agreement.of(frames).correlation == pytest.approx(expected, abs=1e-6)
