from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_convert, box_iou

from caer_ros.offline.systems.dsct.losses import SetLosses, Truth, Weights, best_query, label_cost, match, set_losses

COSTS = Weights(2, 5, 2)
PERSONS = (3, 0, 5, 1)


@dataclass
class Case:
    """Three layers, four images, four queries; persons as in PERSONS, in the third image one more than queries."""

    logits: Tensor
    boxes: Tensor
    truth: Truth


def drawn(emotions: int, multi_label: bool) -> Case:
    """The inputs of the golden values, in the order in which numpy draws them."""
    random = np.random.default_rng(0)
    layers, images, queries, persons = 3, 4, 4, 5
    logits = random.normal(-1, 2, (layers, images, queries, emotions + 1))
    boxes = [
        random.uniform(0.2, 0.8, (layers, images, queries, 2)),
        random.uniform(0.05, 0.4, (layers, images, queries, 2)),
    ]
    truth = [random.uniform(0.2, 0.8, (images, persons, 2)), random.uniform(0.05, 0.4, (images, persons, 2))]
    if multi_label:
        labels = (random.random((images, persons, emotions)) < 0.2).astype(float)
    else:
        labels = np.eye(emotions)[random.integers(0, emotions, (images, persons))]
    present = torch.arange(persons) < torch.tensor(PERSONS)[:, None]
    return Case(
        torch.from_numpy(logits).requires_grad_(),
        torch.from_numpy(np.concatenate(boxes, -1)).requires_grad_(),
        Truth(
            torch.from_numpy(np.concatenate(truth, -1)) * present[..., None],
            present,
            torch.from_numpy(labels).masked_fill(~present[..., None], torch.nan),
            present.double(),
            torch.zeros(images, 0, 4),
            torch.ones(images, dtype=torch.bool),
        ),
    )


GOLDEN = {
    True: (36.06742247432531, 1.1276417067840454, 2.9696636989632093, 6.369705687697053, 9.540910759086914),
    False: (7.741158452825806, 1.1846143546114811, 2.975057991586674, 5.623193229743353, 8.45771227840207),
}
"""The authors' criterion and matcher (DSCT's public code), run on the inputs of ``drawn``: sums over three layers of
the labels', L1 and GIoU losses, then the norms of the gradients of the total (weights 5, 5, 2 on EMOTIC and 9, 5, 2 on
CAER-S) by logits and boxes. In float64, their one conversion of targets to single precision made one to double."""


@pytest.mark.parametrize("multi_label", [True, False])
def test_the_losses_are_those_of_the_authors_code(multi_label: bool) -> None:
    case = drawn(26 if multi_label else 7, multi_label)
    losses = set_losses(case.logits, case.boxes, case.truth, multi_label, COSTS)
    ((5 if multi_label else 9) * losses.labels + 5 * losses.l1 + 2 * losses.giou).backward()
    found = [value.item() for value in losses] + [item.grad.norm().item() for item in (case.logits, case.boxes)]
    assert found == pytest.approx(GOLDEN[multi_label], rel=1e-12)


def test_the_extra_logit_of_single_labels_is_left_alone() -> None:
    case = drawn(7, False)
    set_losses(case.logits, case.boxes, case.truth, False, COSTS).labels.backward()
    assert not case.logits.grad[..., -1].any()
    assert case.logits.grad[..., :-1].all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 5))
def test_matching_is_one_to_one_and_cheapest(seed: int, queries: int, persons: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    cost = torch.rand(1, 1, queries, persons + 2, generator=generator)
    present = torch.zeros(1, persons + 2, dtype=torch.bool)
    present[0, torch.randperm(persons + 2, generator=generator)[:persons]] = True
    layer, image, query, person = match(cost, present)
    pairs = min(queries, persons)
    assert len(set(query.tolist())) == len(set(person.tolist())) == len(query) == pairs
    assert present[0, person].all()
    table = cost[0, 0][:, present[0]]
    short, long = sorted(table.shape)
    table = table if len(table) == short else table.T
    least = min(sum(float(table[i, j]) for i, j in enumerate(order)) for order in permutations(range(long), short))
    assert float(cost[layer, image, query, person].sum()) == pytest.approx(least, abs=1e-6)


def test_a_cost_that_is_no_number_does_not_stop_the_matching() -> None:
    present = torch.ones(1, 2, dtype=torch.bool)
    assert len(match(torch.full((1, 1, 3, 2), torch.nan), present)[0]) == 2


def one_person(**fields: Tensor) -> tuple[Tensor, Tensor, Truth]:
    """One layer, one image; of three queries the second stands on the person, the third elsewhere."""
    truth = Truth(
        torch.tensor([[[0.5, 0.5, 0.2, 0.4]]]),
        torch.ones(1, 1, dtype=torch.bool),
        torch.tensor([[[1.0, 0.0]]]),
        torch.ones(1, 1),
        torch.zeros(1, 0, 4),
        torch.ones(1, dtype=torch.bool),
    )
    boxes = torch.tensor([[[[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.2, 0.4], [0.9, 0.9, 0.2, 0.2]]]])
    return torch.zeros(1, 1, 3, 3, requires_grad=True), boxes, truth._replace(**fields)


def gradient(multi_label: bool = True, **fields: Tensor) -> Tensor:
    """[3,3] of the labels' loss by the logits of the three queries."""
    logits, boxes, truth = one_person(**fields)
    set_losses(logits, boxes, truth, multi_label, COSTS).labels.backward()
    assert logits.grad is not None
    return logits.grad[0, 0]


def test_who_is_there_is_raised_and_all_else_lowered() -> None:
    assert (gradient() < 0).tolist() == [[False] * 3, [True, False, True], [False] * 3]
    assert gradient().all()


@pytest.mark.parametrize("multi_label", [True, False])
def test_unknown_labels_take_no_part(multi_label: bool) -> None:
    all_known = gradient(multi_label)
    partly = gradient(multi_label, emotions=torch.tensor([[[torch.nan, 0.0]]]))
    assert partly[1, 0] == 0
    all_known[1, 0] = 0
    torch.testing.assert_close(partly, all_known)


def test_an_unknown_label_costs_nothing() -> None:
    logits = torch.randn(1, 1, 2, 3)
    unknown, absent = (torch.tensor([[[1.0, value, 0.0]]]) for value in (torch.nan, 0.0))
    torch.testing.assert_close(label_cost(logits, unknown, True), label_cost(logits, absent, True))


def test_a_weight_scales_the_labels_and_not_the_subject() -> None:
    whole, half = gradient(), gradient(weights=torch.full((1, 1), 0.5))
    torch.testing.assert_close(half[1, :2], whole[1, :2] / 2)
    half[1, :2] = whole[1, :2]
    torch.testing.assert_close(half, whole)


@pytest.mark.parametrize(("share", "judged"), [(0.4, True), (0.6, False)])
def test_queries_in_regions_to_ignore_may_be_anybody(share: float, judged: bool) -> None:
    """The region begins at the left edge of the third query's box and covers that share; the person is not affected."""
    region = torch.tensor([[[0.8 + 0.1 * share, 0.9, 0.2 * share, 0.4], [0.5, 0.5, 1.0, 0.5]]])
    found = gradient(ignore=region)
    assert found[2].any() == judged
    torch.testing.assert_close(found[:2], gradient()[:2])


def test_where_not_all_are_annotated_only_persons_teach() -> None:
    found = gradient(complete=torch.zeros(1, dtype=torch.bool))
    assert found[1].all()
    assert not found[0].any()
    assert not found[2].any()


def test_without_persons_all_is_lowered() -> None:
    logits, boxes, truth = one_person(present=torch.zeros(1, 1, dtype=torch.bool))
    empty = truth._replace(
        **{name: getattr(truth, name)[:, :0] for name in ("boxes", "present", "emotions", "weights")}
    )
    for case in (truth, empty):
        losses = set_losses(logits, boxes.requires_grad_(), case, True, COSTS)
        assert losses.l1 == losses.giou == 0
        assert losses.labels.item() == pytest.approx(9 * 0.75 * 0.25 * np.log(2))
        sum(losses).backward()
        assert boxes.grad is not None
        assert not boxes.grad.any()


def test_half_precision_is_computed_in_single() -> None:
    case = drawn(26, True)
    exact = set_losses(case.logits.float(), case.boxes.float(), case.truth, True, COSTS)
    half = set_losses(case.logits.bfloat16(), case.boxes.float(), case.truth, True, COSTS)
    assert {value.dtype for value in half} == {torch.float32}
    torch.testing.assert_close(SetLosses(*half), SetLosses(*exact), rtol=2e-2, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = set_losses(case.logits.float(), case.boxes.float(), case.truth, True, COSTS)
    torch.testing.assert_close(SetLosses(*mixed), SetLosses(*exact))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_person_is_read_where_the_overlap_is_largest(seed: int) -> None:
    random = np.random.default_rng(seed)
    boxes = torch.from_numpy(random.uniform(0.1, 0.9, (2, 4, 4)))
    persons = torch.from_numpy(random.uniform(0.1, 0.9, (2, 3, 4)))
    truth = Truth(persons, torch.ones(2, 3, dtype=torch.bool), *[torch.zeros(2, 3, 1)] * 4)
    chosen = best_query(boxes, truth)
    for image in range(2):
        overlaps = box_iou(*(box_convert(item[image], "cxcywh", "xyxy") for item in (boxes, persons)))
        torch.testing.assert_close(overlaps[chosen[image], torch.arange(3)], overlaps.amax(0))
