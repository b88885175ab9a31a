from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import NAN, joined, prediction, sample, table

from caer_ros.offline.metrics.joined import MetricsError, join
from caer_ros.perception.person import BoxKind

BOX = [[0, 0, 10, 10]]


def test_in_the_order_of_the_samples():
    samples = [sample("a", BOX, [[1, 0]]), sample("b"), sample("c", BOX * 2, [[0, 1], [NAN, 0.4]])]
    images = [prediction("c", pooled=[[3, 4], [5, 6]]), prediction("a", pooled=[[1, 2]]), prediction("b")]
    together = joined(samples, images)
    assert [image.image_id for image in together.images] == ["a", "b", "c"]
    np.testing.assert_array_equal(together.image_index, [0, 2, 2])
    np.testing.assert_array_equal(together.targets, [[1, 0], [0, 1], [NAN, 0]])
    np.testing.assert_array_equal(together.pooled(), [[1, 2], [3, 4], [5, 6]])


def test_what_makes_a_positive():
    votes = np.array([[0, 1 / 3], [2 / 3, NAN]], np.float32)
    samples = [sample("a", BOX * 2, [[0, 0.5], [0.49, NAN]], votes=votes)]
    expected = {"labels": [[0, 1], [0, NAN]], "any_vote": [[0, 1], [1, NAN]], "majority": [[0, 0], [1, NAN]]}
    for positive, targets in expected.items():
        np.testing.assert_array_equal(joined(samples, [prediction("a")], positive).targets, targets)


def test_who_is_believed_to_be_a_bit_of_everything_is_unknown():
    """Single labels sum to 1: where none reaches a half, none was decided on. Several labels are each on their own."""
    beliefs = [[0.4, 0.3, 0.3], [0.6, 0.4, 0], [0.5, 0.5, NAN], [0.4, 0.3, 0.2], [0.49, 0.49, 0.02], [0, 0, 0]]
    expected = [[NAN] * 3, [1, 0, 0], [1, 1, NAN], [0, 0, 0], [NAN] * 3, [0, 0, 0]]
    together = joined([sample("a", BOX * 6, beliefs, 3)], [prediction("a", labels=3)])
    np.testing.assert_array_equal(together.targets, expected)


@pytest.mark.parametrize("annotations", ["any_vote", "majority"])
def test_votes_that_are_not_there(annotations):
    samples = [sample("a", BOX, [[1, 0]]), sample("b", BOX, [[1, 0]])]
    images = [prediction("a"), prediction("b")]
    with pytest.raises(MetricsError, match=f'annotations "{annotations}": the samples hold no single votes'):
        joined(samples, images, annotations)
    samples[1] = sample("b", BOX, [[1, 0]], votes=np.array([[1, 0]], np.float32))
    np.testing.assert_array_equal(joined(samples, images, annotations).targets, [[NAN, NAN], [1, 0]])


def test_images_without_pooled_scores_have_none():
    together = joined([sample("a", BOX, [[1, 0]]), sample("b", BOX, [[1, 0]])], [prediction("a"), prediction("b")])
    assert not together.has_pooled
    with pytest.raises(MetricsError, match="no scores read in the ground-truth boxes"):
        together.pooled()
    images = [prediction("a"), prediction("b", pooled=[[0.1, 0.2]])]
    some = joined(together.samples, images)
    np.testing.assert_allclose(some.pooled(), [[NAN, NAN], [0.1, 0.2]])


def test_no_votes():
    with pytest.raises(MetricsError, match="no single votes"):
        joined([sample("a", BOX, [[1, 0]])], [prediction("a")]).votes()


def test_only_exhaustive_images():
    samples = [sample("a", BOX, [[1, 0]], exhaustive=False), sample("b", BOX, [[0, 1]])]
    images = [prediction("a"), prediction("b")]
    rest = joined(samples, images).exhaustive()
    assert [image.image_id for image in rest.images] == ["b"]
    np.testing.assert_array_equal(rest.image_index, [0])
    np.testing.assert_array_equal(rest.targets, [[0, 1]])
    with pytest.raises(MetricsError, match="no image is annotated exhaustively"):
        joined(samples[:1], images[:1]).exhaustive()


@pytest.mark.parametrize(
    ("samples", "predictions", "says"),
    [
        ([], [], "no samples"),
        (["a", "b", "c", "d", "e"], ["a"], r"images not in the predictions: b, c, d and 1 more"),
        (["a"], ["a", "b"], r"images in the predictions, but not in the samples: b;"),
        (["a"], ["a", "a"], r"images twice in the predictions: a;"),
        (["a", "a"], ["a"], r"images twice in the samples: a;"),
    ],
)
def test_images_that_do_not_match_are_named(samples, predictions, says):
    with pytest.raises(MetricsError, match=says):
        join([sample(name) for name in samples], table([prediction(name) for name in predictions]))


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ({"labels": 3}, "a: 2 labels annotated, 3 predicted"),
        ({"pooled": [[0, 0], [0, 0]]}, "a: scores pooled in 2 boxes, but 1 persons are annotated"),
        ({"size": (10, 10)}, r"a: predicted at size \(10, 10\), annotated at \(100, 200\)"),
        ({"boxes": BOX}, "a: boxes, scores and emotions of the prediction differ in length"),
    ],
)
def test_an_image_that_does_not_fit_is_named(image, says):
    with pytest.raises(MetricsError, match=says):
        joined([sample("a", BOX, [[1, 0]])], [prediction("a", **image)], labels=image.get("labels", 2))


def test_kinds_of_boxes_are_not_mixed_unless_asked_for():
    samples, predictions = [sample("a")], table([prediction("a")], box_kind=BoxKind.HEAD)
    with pytest.raises(MetricsError, match="a: annotated are body boxes, predicted head boxes"):
        join(samples, predictions)
    assert len(join(samples, predictions, any_box_kind=True).images) == 1
