from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caer_ros.offline.systems.ka import losses

NAN = math.nan


def log_sigmoid(x):
    return -math.log1p(math.exp(-x))


def test_eq_1_sums_over_emotions_and_averages_over_persons():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    first = -(log_sigmoid(2.0) + log_sigmoid(1.0) + log_sigmoid(-0.5))
    second = -(log_sigmoid(0.0) + log_sigmoid(3.0) + log_sigmoid(-2.0))
    assert losses.multi_label_loss(logits, targets).item() == pytest.approx((first + second) / 2)


def test_eq_1_is_26_times_a_librarys_mean():
    rng = np.random.default_rng(0)
    logits, targets = torch.from_numpy(rng.normal(size=(4, 26))), torch.from_numpy(rng.integers(0, 2, (4, 26)) * 1.0)
    mean = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    assert losses.multi_label_loss(logits, targets).item() == pytest.approx(26 * mean.item(), rel=1e-5)


def test_eq_2():
    logits = torch.tensor([[1.0, 2.0, 0.0], [0.5, -0.5, 0.0]])
    targets = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    first = -math.log(math.exp(2) / (math.exp(1) + math.exp(2) + 1))
    second = -math.log(math.exp(0.5) / (math.exp(0.5) + math.exp(-0.5) + 1))
    assert losses.single_label_loss(logits, targets).item() == pytest.approx((first + second) / 2)
    soft = torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.0, 0.5]])
    library = torch.nn.functional.cross_entropy(logits, soft)
    assert losses.single_label_loss(logits, soft).item() == pytest.approx(library.item())


def test_eq_2_leaves_an_unknown_label_out_of_the_softmax():
    logits = torch.tensor([[1.0, 2.0, 9.0]], requires_grad=True)
    loss = losses.single_label_loss(logits, torch.tensor([[0.0, 1.0, NAN]]))
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / (math.exp(1) + math.exp(2))))
    loss.backward()
    assert logits.grad[0, 2] == 0
    assert logits.grad[0, 1] < 0 < logits.grad[0, 0]


def test_eq_3_is_the_mean_over_persons_and_emotions():
    variances = torch.tensor([[1.0, 3.0], [0.0, 2.0]])
    assert losses.variance_loss(variances, torch.zeros(2, 2)).item() == pytest.approx(1.5)
    known = torch.tensor([[0.0, NAN], [0.0, 1.0]])
    assert losses.variance_loss(variances, known).item() == pytest.approx((1 + 1) / 2)


@pytest.mark.parametrize("loss", [losses.multi_label_loss, losses.single_label_loss, losses.variance_loss])
def test_unknown_labels_and_persons_count_for_nothing(loss):
    values = torch.tensor([[0.5, 2.0, 1.0], [3.0, 0.5, 0.25], [0.1, 0.2, 0.3]])
    targets = torch.tensor([[0.0, 1.0, 0.0], [NAN, NAN, NAN], [1.0, 0.0, 0.0]])
    assert loss(values, targets).item() == pytest.approx(loss(values[[0, 2]], targets[[0, 2]]).item())


@pytest.mark.parametrize("loss", [losses.multi_label_loss, losses.single_label_loss, losses.variance_loss])
@pytest.mark.parametrize("persons", [0, 2])
def test_nothing_known_is_zero_with_a_zero_gradient(loss, persons):
    values = torch.full((persons, 3), 0.5, requires_grad=True)
    total = loss(values, torch.full((persons, 3), NAN), torch.ones(persons))
    total.backward()
    assert total.item() == 0
    assert torch.equal(values.grad, torch.zeros(persons, 3))


@pytest.mark.parametrize("loss", [losses.multi_label_loss, losses.single_label_loss, losses.variance_loss])
def test_a_doubtful_person_teaches_less(loss):
    values, targets = torch.tensor([[0.5, 2.0], [1.0, 0.25]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    each = [loss(values[[person]], targets[[person]]).item() for person in (0, 1)]
    weighted = loss(values, targets, torch.tensor([1.0, 0.2])).item()
    assert weighted == pytest.approx((each[0] + 0.2 * each[1]) / 2)


def test_eq_4():
    heatmap = torch.tensor([[[[1.0, 0.5], [0.0, 1.0]]]])
    logits = torch.tensor([[[[2.0, 0.3], [-1.0, -0.7]]]])
    p = [1 / (1 + math.exp(-x)) for x in (2.0, 0.3, -1.0, -0.7)]
    expected = -(
        (1 - p[0]) ** 2 * math.log(p[0])
        + (1 - 0.5) ** 4 * p[1] ** 2 * math.log(1 - p[1])
        + (1 - 0.0) ** 4 * p[2] ** 2 * math.log(1 - p[2])
        + (1 - p[3]) ** 2 * math.log(p[3])
    )
    assert losses.focal_loss(logits, heatmap).item() == pytest.approx(expected / 2)


def test_eq_4_counts_centres_over_the_batch():
    heatmap, logits = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    heatmap[0, 0, 0] = 1  # two centres in the first image, none in the second
    term = 0.25 * math.log(2)
    assert losses.focal_loss(logits, heatmap).item() == pytest.approx(8 * term / 2)


def test_eq_4_ignores_what_is_not_known_but_never_a_centre():
    heatmap, logits = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, requires_grad=True)
    heatmap[0, 0, 0, 0] = 1
    ignore = torch.tensor([[[[True, True], [False, False]]]])
    loss = losses.focal_loss(logits, heatmap, ignore)
    loss.backward()
    assert loss.item() == pytest.approx(3 * 0.25 * math.log(2))
    assert logits.grad[0, 0, 0, 1] == 0
    assert logits.grad[0, 0, 0, 0] < 0 < logits.grad[0, 0, 1, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_eq_4_is_stable_for_any_logit(dtype):
    logits = torch.tensor([[[[-6e4, 6e4], [6e4, -6e4]]]], dtype=dtype, requires_grad=True)
    heatmap = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    loss = losses.focal_loss(logits, heatmap)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(6e4, rel=1e-2)
    assert logits.grad.isfinite().all()
    assert losses.focal_loss(logits, torch.zeros(1, 1, 2, 2)).isfinite()  # no centre: N is 1


def test_eq_5_sums_width_and_height_and_averages_over_persons():
    sizes, targets = torch.tensor([[3.0, 5.0], [2.0, 2.0]]), torch.tensor([[1.0, 6.0], [2.0, 4.5]])
    assert losses.size_loss(sizes, targets).item() == pytest.approx((2 + 1 + 0 + 2.5) / 2)
    assert losses.size_loss(torch.empty(0, 2), torch.empty(0, 2)).item() == 0


def test_eq_6_and_9():
    focal, size = torch.tensor(2.0), torch.tensor(3.0)
    assert sum(losses.detection_loss(focal, size)).item() == pytest.approx(2.3)
    assert losses.total_loss(*torch.arange(5.0)).item() == 10


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32)), st.integers(0, 2**12 - 1))
@settings(max_examples=60, deadline=None)
def test_any_logits_and_any_mask_give_finite_losses_and_gradients(values, mask):
    unknown = torch.tensor([[bool(mask >> (4 * row + column) & 1) for column in range(4)] for row in range(3)])
    targets = torch.eye(3, 4).masked_fill(unknown, NAN)
    for loss in (losses.multi_label_loss, losses.single_label_loss):
        logits = torch.from_numpy(values).requires_grad_()
        total = loss(logits, targets)
        total.backward()
        assert total.isfinite()
        assert total >= 0
        assert logits.grad.isfinite().all()
        assert (logits.grad[unknown] == 0).all()


@pytest.mark.parametrize("loss", [losses.multi_label_loss, losses.single_label_loss])
def test_half_precision_logits_are_computed_in_float32(loss):
    logits, targets = torch.tensor([[11.0, -9.5, 3.25]]), torch.tensor([[1.0, 0.0, 0.0]])
    with torch.autocast("cpu", torch.bfloat16):
        half = loss(logits.bfloat16(), targets)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(loss(logits, targets).item(), rel=1e-6)
