from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from caer_ros.offline.systems.benet.losses import EPSILON, emotion_loss, heatmap_loss, size_loss


def focal(truth: float, probability: float) -> float:
    """Eq. 5 of one person and emotion, written out; a target between mixes the cases."""
    present = (1 - probability) ** 2 * math.log(probability + EPSILON)
    absent = probability**2 * math.log(1 - probability + EPSILON)
    return -(truth * present + (1 - truth) * absent)


def test_persons_are_averaged_in_their_image_and_images_in_the_batch() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(3, 4, 5)) * 2
    targets = random.integers(0, 2, (3, 4, 5)).astype(float)
    targets[0, 1, 2] = 0.25
    persons = (4, 1, 0)
    for image, number in enumerate(persons):
        targets[image, number:] = np.nan
    probabilities = 1 / (1 + np.exp(-logits))
    images = [
        np.mean([sum(map(focal, targets[image, row], probabilities[image, row])) for row in range(number)])
        for image, number in enumerate(persons[:2])
    ]
    loss = emotion_loss(torch.tensor(logits), torch.tensor(targets), torch.ones(3, 4))
    assert loss.value.item() == pytest.approx(np.mean(images), rel=1e-6)
    assert loss.number == 2


def test_of_the_authors_code() -> None:
    """Golden: their loss functions and target generators, on these maps of 4 x 4 pixels (emotion, centres, sizes)."""
    ramp = torch.linspace(-2, 2, 2 * 4 * 4).reshape(1, 2, 4, 4)
    targets = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    at = torch.stack([ramp[0, :, 1, 1], ramp[0, :, 2, 3]])[None]
    assert emotion_loss(at, targets, torch.ones(1, 2)).value.item() == pytest.approx(EMOTION, rel=1e-6)
    heat = torch.tensor([[1.0, 0.5, 0.1, 0.0]] * 4).reshape(1, 1, 4, 4)
    assert heatmap_loss(ramp[:, :1], heat).value.item() == pytest.approx(HEATMAP, rel=1e-6)
    sizes = torch.tensor([[[3.0, 2.0], [1.0, 2.5]]])
    assert size_loss(at, sizes, torch.ones(1, 2, dtype=torch.bool)).value.item() == pytest.approx(SIZE, rel=1e-6)


EMOTION = 0.7819746076129377
HEATMAP = 1.0414332151412964
SIZE = 4.120967864990234


def test_weights_scale_a_person_without_changing_the_number() -> None:
    logits, targets = torch.randn(1, 2, 3), torch.ones(1, 2, 3)
    both = emotion_loss(logits, targets, torch.ones(1, 2)).value
    first = emotion_loss(logits, targets, torch.tensor([[1.0, 0.0]])).value
    second = emotion_loss(logits, targets, torch.tensor([[0.0, 1.0]])).value
    torch.testing.assert_close(first + second, both)
    assert 0 < first < both


def test_unknown_labels_teach_nothing() -> None:
    logits = torch.randn(2, 2, 3, requires_grad=True)
    targets = torch.ones(2, 2, 3)
    targets[0, 0, 1] = torch.nan
    targets[1] = torch.nan
    loss = emotion_loss(logits, targets, torch.ones(2, 2))
    loss.value.backward()
    assert logits.grad is not None
    assert loss.number == 1
    assert torch.equal(logits.grad == 0, targets.isnan())


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[[-1e4, 1e4]]], requires_grad=True)
    loss = emotion_loss(logits, torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1))
    loss.value.backward()
    assert loss.value.item() == pytest.approx(-2 * math.log(EPSILON), rel=1e-3)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_an_image_without_centres_is_not_divided() -> None:
    logits = torch.zeros(2, 1, 3, 3)
    targets = torch.zeros(2, 1, 3, 3)
    targets[0, 0, 0, 0] = targets[0, 0, 2, 2] = 1
    one = -0.25 * math.log(0.5 + EPSILON)
    assert heatmap_loss(logits[:1], targets[:1]).value.item() == pytest.approx(9 * one / 2, rel=1e-6)
    loss = heatmap_loss(logits, targets)
    assert loss.value.item() == pytest.approx((9 * one / 2 + 9 * one) / 2, rel=1e-6)
    assert loss.number == 2


def test_ignored_pixels_are_no_background_but_centres_stay() -> None:
    targets = torch.zeros(1, 1, 2, 2)
    targets[0, 0, 0, 0] = 1
    loss = heatmap_loss(torch.zeros(1, 1, 2, 2), targets, torch.ones(1, 1, 2, 2, dtype=torch.bool))
    assert loss.value.item() == pytest.approx(-0.25 * math.log(0.5 + EPSILON), rel=1e-6)


def test_nobody_is_a_loss_of_zero_with_a_gradient() -> None:
    for loss in (
        emotion_loss(torch.zeros(2, 0, 3, requires_grad=True), torch.zeros(2, 0, 3), torch.zeros(2, 0)),
        size_loss(torch.zeros(2, 0, 2, requires_grad=True), torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.bool)),
    ):
        assert (loss.value.item(), loss.number.item()) == (0, 0)
        loss.value.backward()


def test_sizes_are_summed_over_their_two_sides() -> None:
    sizes = torch.tensor([[[5.0, 4.0], [1.0, 1.0]], [[9.0, 9.0], [9.0, 9.0]]])
    present = torch.tensor([[True, True], [True, False]])
    loss = size_loss(sizes, torch.zeros(2, 2, 2), present)
    assert loss.value.item() == pytest.approx(((9 + 2) / 2 + 18) / 2)
    assert loss.number == 2
