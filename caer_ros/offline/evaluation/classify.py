"""What a trained classifier says about every labelled person's crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.sample import Array, Dataset


def classify(path: Path, dataset: Dataset, device: str = "cpu", batch: int = 64) -> tuple[Array, Array]:
    """Targets and probabilities, both [N,E], of the persons that have a label, in the data set's order.

    Crops are made as in training. ``path`` is a checkpoint of task "classifier", ``device`` one of torch.

    Raises:
        CheckpointError: it is none.
        DatasetError: an image cannot be read.
    """
    import torch

    from caer_ros.offline.models.teacher import Classifier
    from caer_ros.offline.training.checkpoint import CheckpointError, load_network
    from caer_ros.offline.training.config import DataConfig
    from caer_ros.offline.training.data import Examples, ValidationOrder, loader
    from caer_ros.offline.training.tasks import ClassifierTask

    network, card = load_network(path)
    if not isinstance(network, Classifier):
        raise CheckpointError(f"{path} is a {card.task}, not a classifier")
    task = ClassifierTask(network, card.multi_label).eval().to(device)
    data = DataConfig(dataset.name, str(dataset.root), size=card.resize.size, resize=card.config["data"]["resize"])
    examples = Examples(dataset, data, seed=None, crops=True)
    targets, scores = [], []
    with torch.inference_mode():
        for images in loader(examples, ValidationOrder(len(examples), batch), workers=0):
            step = task(images.to(torch.device(device)))
            scores.append(step.logits.sigmoid() if card.multi_label else step.logits.softmax(1))
            targets.append(step.targets)
    return np.asarray(torch.cat(targets).cpu()), np.asarray(torch.cat(scores).float().cpu())
