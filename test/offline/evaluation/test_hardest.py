"""Which frames are hard, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from offline.metrics.tables import NAN, joined, prediction, random_set, sample, table

from caer_ros.offline.evaluation.hardest import Hard, by_disagreement, by_loss, spread
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.perception.person import BoxKind, ScoreType

LEFT, RIGHT, FAR = (0, 0, 20, 40), (100, 0, 120, 40), (150, 50, 170, 90)
FIRST, SECOND, UNKNOWN = (1, 0), (0, 1), (NAN, NAN)


def ranking(hard):
    return {one.image_id: pytest.approx(one.hardness) for one in hard}


def test_the_loss_of_an_image_is_the_mean_over_its_persons_and_false_detections():
    samples = [
        sample("right", [LEFT], [FIRST]),
        sample("wrong", [LEFT], [FIRST]),
        sample("missed", [LEFT, RIGHT], [FIRST, SECOND]),
        sample("false", [LEFT], [FIRST]),
        sample("not all annotated", [LEFT], [FIRST], exhaustive=False),
        sample("no emotion", [LEFT], [UNKNOWN]),
        sample("nobody"),
    ]
    predictions = [
        prediction("right", [LEFT], [0.9], [(0.8, 0.2)]),
        prediction("wrong", [LEFT], [0.9], [(0.2, 0.8)]),
        prediction("missed", [LEFT], [0.9], [(0.8, 0.2)]),
        prediction("false", [LEFT, FAR], [0.9, 0.9], [(0.8, 0.2), (0.8, 0.2)]),
        prediction("not all annotated", [LEFT, FAR], [0.9, 0.9], [(0.8, 0.2), (0.8, 0.2)]),
        prediction("no emotion", [LEFT], [0.9], [(0.2, 0.8)]),
        prediction("nobody"),
    ]
    hard = by_loss(joined(samples, predictions))
    # A label that is ranked second of two has a label ranking average precision of 1/2.
    assert ranking(hard) == {
        "right": 0,
        "wrong": 0.5,
        "missed": 0.5,
        "false": 0.5,
        "not all annotated": 0,
        "no emotion": 0,
        "nobody": 0,
    }
    assert [one.hardness for one in hard] == sorted((one.hardness for one in hard), reverse=True)


def test_detections_below_the_models_threshold_do_not_count():
    samples = [sample("a", [LEFT], [FIRST])]
    (hard,) = by_loss(joined(samples, [prediction("a", [LEFT], [0.2], [(0.8, 0.2)])]))
    assert hard.hardness == 1


def test_two_models_disagree_by_their_scores_and_by_whom_only_one_sees():
    first = [
        prediction("same", [LEFT], [0.9], [(0.8, 0.2)]),
        prediction("other scores", [LEFT], [0.9], [(0.8, 0.2)]),
        prediction("alone", [LEFT, RIGHT], [0.9, 0.9], [(0.8, 0.2), (0.8, 0.2)]),
        prediction("nobody"),
        prediction("unseen", [LEFT], [0.9], [UNKNOWN]),
    ]
    second = [
        prediction("same", [LEFT], [0.5], [(0.8, 0.2)]),
        prediction("other scores", [LEFT], [0.9], [(0.3, 0.7)]),
        prediction("alone", [LEFT], [0.9], [(0.8, 0.2)]),
        prediction("nobody"),
        prediction("unseen", [LEFT], [0.9], [UNKNOWN]),
    ]
    hard = by_disagreement(table(first, score_type=ScoreType.SOFTMAX), table(second, score_type=ScoreType.SOFTMAX))
    assert ranking(hard) == {"same": 0, "other scores": 0.5, "alone": 0.5, "nobody": 0, "unseen": 0}


@given(st.integers(0, 100))
def test_disagreement_is_between_0_and_1_and_symmetric_and_no_model_disagrees_with_itself(seed):
    (_, one), (_, other) = random_set(seed), random_set(seed + 1)
    a, b = table(one, labels=3), table(other, labels=3)
    there, back = ranking(by_disagreement(a, b)), dict(by_disagreement(b, a))
    assert there == back
    assert all(0 <= hardness <= 1 for hardness in back.values())
    assert not any(hard.hardness for hard in by_disagreement(a, a))


@pytest.mark.parametrize(
    "change", [{"labels": ("a", "b")}, {"score_type": ScoreType.SOFTMAX}, {"box_kind": BoxKind.FACE}]
)
def test_models_that_say_different_things_are_not_compared(change):
    with pytest.raises(MetricsError, match="not comparable"):
        by_disagreement(table([prediction("a")]), table([prediction("a")], **change))


def test_two_tables_of_different_images_are_an_error():
    with pytest.raises(MetricsError, match="no image in common"):
        by_disagreement(table([prediction("a")]), table([prediction("b")]))


def test_neighbours_in_time_are_skipped_but_not_those_of_another_recording():
    ranked = [Hard("cam/1", 0.9), Hard("cam/2", 0.8), Hard("back/2", 0.7), Hard("cam/3", 0.6), Hard("x", 0.5)]
    stamps = {"cam/1": 10**9, "cam/2": 15 * 10**8, "back/2": 15 * 10**8, "cam/3": 2 * 10**9}
    assert [one.image_id for one in spread(ranked, stamps, 10, 1.0)] == ["cam/1", "back/2", "cam/3", "x"]
    assert [one.image_id for one in spread(ranked, stamps, 2, 0.0)] == ["cam/1", "cam/2"]


def test_a_person_without_detection_anywhere_is_all_the_loss_there_is():
    samples = [sample(str(i), [LEFT], [FIRST]) for i in range(3)]
    hard = by_loss(joined(samples, [prediction(str(i)) for i in range(3)]))
    assert np.allclose([one.hardness for one in hard], 1)
