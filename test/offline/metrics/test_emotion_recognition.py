from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import NAN, joined, prediction, random_set, sample
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
)

from caer_ros.offline.metrics.emotion_recognition import classification, er
from caer_ros.offline.metrics.joined import MetricsError

BOX = [[0, 0, 10, 10]]


def test_by_hand():
    """Label 0 ranks its only positive second of three: 1/2. Label 1 has no positive, label 2 only one known person."""
    samples = [sample("a", BOX * 2, [[1, 0, NAN], [0, 0, 1]], 3), sample("b", BOX, [[0, NAN, NAN]], 3)]
    images = [
        prediction("a", labels=3, pooled=[[0.5, 0.5, 0.5], [0.7, NAN, NAN]]),
        prediction("b", labels=3, pooled=[[0.1, 0.5, 0.5]]),
    ]
    result = er(joined(samples, images))
    np.testing.assert_allclose(result.average_precision, [0.5, NAN, 1])
    np.testing.assert_allclose(result.prevalence, [1 / 3, 0, 1])
    np.testing.assert_array_equal(result.positives, [1, 0, 1])
    assert result.classes == 2
    assert result.mean_average_precision == pytest.approx(0.75)
    assert result.chance == pytest.approx((1 / 3 + 1) / 2)
    assert result.persons == 3
    assert result.coverage == pytest.approx(4 / 6)
    assert result.annotations == "labels"


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed):
    samples, images = random_set(seed, images=30)
    result = er(joined(samples, images))
    targets, scores = (
        np.concatenate([getattr(item, name) for item in items])
        for items, name in ((samples, "emotions"), (images, "pooled"))
    )
    for label, value in enumerate(result.average_precision):
        known = ~np.isnan(targets[:, label])
        assert value == pytest.approx(average_precision_score(targets[known, label], scores[known, label]))


def test_detections_do_not_matter():
    samples, images = random_set(3)
    alone = [prediction(image.image_id, labels=3, pooled=image.pooled) for image in images]
    assert er(joined(samples, images)).mean_average_precision == er(joined(samples, alone)).mean_average_precision


def test_without_pooled_scores_there_is_none():
    for metric in (er, classification):
        with pytest.raises(MetricsError, match="pooled"):
            metric(joined([sample("a", BOX, [[1, 0]])], [prediction("a")]))


def test_single_labels_equal_scikit_learn():
    """Label 3 is predicted but nobody's: scikit-learn is told to leave it out of the means, as ours does."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 60)
    scores = generator.random((60, 4)).astype(np.float32)
    samples = [sample("a", BOX * 60, np.eye(4)[truth], 4)]
    result = classification(joined(samples, [prediction("a", labels=4, pooled=scores)]))
    predicted = scores.argmax(axis=1)
    assert result.top1 == pytest.approx(accuracy_score(truth, predicted))
    assert result.mean_f1 == pytest.approx(f1_score(truth, predicted, labels=[0, 1, 2], average="macro"))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert result.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, predicted))
    np.testing.assert_array_equal(result.confusion[:, :4], confusion_matrix(truth, predicted, labels=range(4)))
    assert np.isnan(result.f1[3])
    assert result.persons == 60


def test_a_person_without_scores_is_wrong_and_one_of_two_labels_is_left_out():
    samples = [sample("a", BOX * 4, [[1, 0], [0, 1], [1, 1], [1, NAN]])]
    pooled = [[NAN, NAN], [NAN, 0.1], [1, 0], [0.6, 0.5]]
    result = classification(joined(samples, [prediction("a", pooled=pooled)]))
    np.testing.assert_array_equal(result.confusion, [[1, 0, 1], [0, 1, 0]])
    assert result.top1 == pytest.approx(2 / 3)
    assert result.balanced_accuracy == pytest.approx(0.75)
    assert result.persons == 3
