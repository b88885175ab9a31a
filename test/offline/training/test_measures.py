from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from offline.metrics.tables import joined, prediction, sample
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from caer_ros.offline.metrics.emotion_recognition import classification, er
from caer_ros.offline.training.measures import Means, Outcomes
from caer_ros.offline.training.task import Loss, Step

BOX = (0, 0, 10, 10)
ALONE = SimpleNamespace(world_size=1, is_global_zero=True, device="cpu")


def outcomes(logits: np.ndarray, targets: np.ndarray, multi_label: bool) -> dict[str, float]:
    result = Outcomes(multi_label)
    for part in np.array_split(np.arange(len(logits)), 3):
        result.add(Step({}, torch.from_numpy(logits[part]).float(), torch.from_numpy(targets[part]).float()))
    return result.result(ALONE)


def test_means_do_not_depend_on_the_batches() -> None:
    """Persons with losses 1, 2, 3 and 6, in batches of one and three, and a batch without anybody."""
    means = Means()
    for value, number in ((1.0, 1), (11 / 3, 3), (0.0, 0)):
        means.add({"emotion": Loss(torch.tensor(value), torch.tensor(number))})
    assert means.result(ALONE) == {"total": pytest.approx(3), "emotion": pytest.approx(3)}


def test_an_empty_images_heatmap_counts() -> None:
    """Its value is a sum, to be divided by the persons of all batches."""
    means = Means()
    for value, number in ((4.0, 2), (1.0, 0)):
        means.add({"heatmap": Loss(torch.tensor(value), torch.tensor(number))})
    assert means.result(ALONE)["heatmap"] == pytest.approx((4 * 2 + 1) / 2)


def test_summands_have_numbers_of_their_own_and_are_added_up() -> None:
    means = Means()
    for values, numbers in (((1.0, 5.0), (1, 2)), ((3.0, 8.0), (3, 1))):
        parts = (Loss(torch.tensor(value), torch.tensor(number)) for value, number in zip(values, numbers, strict=True))
        means.add({f"reconstruction.{index}": part for index, part in enumerate(parts)})
    expected = pytest.approx((1 + 9) / 4 + (10 + 8) / 3)
    assert means.result(ALONE) == {"total": expected, "reconstruction": expected}


def test_means_go_on_after_a_restart() -> None:
    whole, first, second = Means(), Means(), Means()
    for index in range(6):
        loss = {"emotion": Loss(torch.rand(()), torch.tensor(index))}
        whole.add(loss)
        (first if index < 3 else second).add(loss)
        if index == 2:
            second.load(first.sums(ALONE), ALONE)
    assert second.result(ALONE) == whole.result(ALONE)


def test_scores_of_single_labels_agree_with_sklearn() -> None:
    random = np.random.default_rng(0)
    logits, truth = random.normal(size=(90, 4)), random.integers(0, 3, 90)
    targets = np.eye(4)[truth]
    result = outcomes(logits, targets, multi_label=False)
    assert result["accuracy"] == pytest.approx(accuracy_score(truth, logits.argmax(1)))
    assert result["f1"] == pytest.approx(f1_score(truth, logits.argmax(1), labels=[0, 1, 2], average="macro"))
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert result["ap"] == pytest.approx(
        np.mean([average_precision_score(targets[:, label], scores[:, label]) for label in range(3)]), abs=1e-6
    )


def test_scores_of_several_labels_leave_out_what_is_unknown() -> None:
    random = np.random.default_rng(1)
    logits, targets = random.normal(size=(60, 3)), (random.random((60, 3)) < 0.3).astype(float)
    targets[random.random(targets.shape) < 0.2] = np.nan
    known = ~np.isnan(targets)
    expected = [average_precision_score(targets[k, i], logits[k, i]) for i, k in enumerate(known.T)]
    assert outcomes(logits, targets, multi_label=True) == {"ap": pytest.approx(np.mean(expected))}


@pytest.mark.parametrize("multi_label", [False, True])
def test_soft_labels_are_binarised_as_evaluation_does_it(multi_label: bool) -> None:
    """Beliefs of a teacher: 0.9 is a positive, and who is believed to be a bit of everything is unknown."""
    random = np.random.default_rng(2)
    logits = random.normal(size=(60, 3))
    beliefs = random.choice([0.05, 0.3, 0.5, 0.9, np.nan], (60, 3)) if multi_label else random.dirichlet([0.5] * 3, 60)
    persons = range(len(beliefs))
    scores = 1 / (1 + np.exp(-logits)) if multi_label else np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    together = joined(
        [sample(f"{i}", [BOX], beliefs[[i]], labels=3) for i in persons],
        [prediction(f"{i}", [BOX], [1], scores[[i]], labels=3, pooled=scores[[i]]) for i in persons],
        labels=3,
    )
    result = outcomes(logits, beliefs, multi_label)
    assert result["ap"] == pytest.approx(er(together).mean_average_precision)
    if not multi_label:
        expected = classification(together)
        assert 0 < expected.persons < len(beliefs)
        assert (result["accuracy"], result["f1"]) == (pytest.approx(expected.top1), pytest.approx(expected.mean_f1))


def test_nobody_has_no_scores() -> None:
    assert outcomes(np.empty((0, 3)), np.empty((0, 3)), multi_label=False) == {}
    unknown = np.full((4, 3), np.nan)
    assert outcomes(np.zeros((4, 3)), unknown, multi_label=False) == {}


def test_a_process_without_any_batch_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(values: list[object], mine: object) -> None:
        values[:] = [mine, type(mine)()]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    two = SimpleNamespace(world_size=2)
    means, result = Means(), Outcomes(multi_label=False)
    means.add({"emotion": Loss(torch.tensor(2.0), torch.tensor(3))})
    result.add(Step({}, torch.eye(3), torch.eye(3)))
    assert means.result(two) == {"total": 2, "emotion": 2}
    assert result.result(two) == {"ap": 1, "accuracy": 1, "f1": 1}
