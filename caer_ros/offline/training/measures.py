"""What an epoch is judged by: its losses, averaged over persons and not over batches, and scores of recognition."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from caer_ros.offline.metrics.average_precision import average_precision
from caer_ros.offline.metrics.positives import positives_of_labels

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from numpy.typing import NDArray

    from caer_ros.offline.training.task import Loss, Step

Value = TypeVar("Value")


class Means:
    """Running means of losses, each weighted by how many persons or entries it was the mean of.

    So they do not depend on how images fell into batches, nor batches to processes.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, losses: dict[str, Loss]) -> None:
        """The losses of one batch, of this process's part of it."""
        for name, (value, number) in losses.items():
            # An empty batch's value is a sum, divided by 1.
            pair = torch.stack([value.detach() * number.clamp(min=1), number.to(value.dtype)])
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def result(self, fabric: Fabric) -> dict[str, float]:
        """The means over all processes, and their "total"; the summands "name.0", "name.1", ... are added up."""
        means: dict[str, float] = {}
        for summand, (total, number) in self.sums(fabric).items():
            name = summand.partition(".")[0]
            means[name] = means.get(name, 0.0) + total / max(number, 1)
        return {"total": sum(means.values()), **means}

    def sums(self, fabric: Fabric) -> dict[str, list[float]]:
        """For each loss, the sum and the number over all processes: what ``load`` goes on with."""
        total: dict[str, list[float]] = {}
        for sums in _everywhere({name: pair.tolist() for name, pair in self._sums.items()}, fabric):
            for name, (value, number) in sums.items():
                before = total.get(name, [0.0, 0.0])
                total[name] = [before[0] + value, before[1] + number]
        return total

    def load(self, sums: dict[str, list[float]], fabric: Fabric) -> None:
        """Go on from such sums, which the first process takes over."""
        if fabric.is_global_zero:
            self._sums = {name: torch.tensor(pair, device=fabric.device) for name, pair in sums.items()}


class Outcomes:
    """Logits and labels of all persons of a validation."""

    def __init__(self, multi_label: bool) -> None:
        self._multi_label = multi_label
        self._logits: list[NDArray[np.float32]] = []
        self._targets: list[NDArray[np.float32]] = []

    def add(self, step: Step) -> None:
        """Those of one batch."""
        self._logits.append(step.logits.float().cpu().numpy())
        self._targets.append(step.targets.float().cpu().numpy())

    def result(self, fabric: Fabric) -> dict[str, float]:
        """Mean average precision "ap"; of single labels also "accuracy" and "f1". Empty without persons.

        Soft labels are binarised as evaluation does it.
        """
        logits, targets = (
            np.concatenate([*chain(*_everywhere(parts, fabric))]) for parts in (self._logits, self._targets)
        )
        if not len(targets):
            return {}
        scores = 1 / (1 + np.exp(-logits)) if self._multi_label else _softmax(logits)
        truth = positives_of_labels(targets)
        precisions = average_precision(truth, scores.astype(np.float64))
        result = {} if np.isnan(precisions).all() else {"ap": float(np.nanmean(precisions))}
        if not self._multi_label:
            single = truth.sum(axis=1) == 1  # of a row with a NaN it is NaN
            result |= classification(truth[single].argmax(axis=1), logits[single].argmax(axis=1), truth.shape[1])
        return result


def classification(truth: NDArray[np.intp], answers: NDArray[np.intp], classes: int) -> dict[str, float]:
    """Accuracy, and F1 averaged over the classes that occur."""
    if not len(truth):
        return {}
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (truth, answers), 1)
    right, support = np.diagonal(confusion), confusion.sum(axis=1)
    f1 = 2 * right / np.maximum(support + confusion.sum(axis=0), 1)
    return {"accuracy": float(right.sum() / support.sum()), "f1": float(f1[support > 0].mean())}


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return result


def _everywhere(value: Value, fabric: Fabric) -> list[Value]:
    """The values of all processes, some of which may have seen no batch."""
    values = [value] * fabric.world_size
    if fabric.world_size > 1:
        torch.distributed.all_gather_object(values, value)
    return values
