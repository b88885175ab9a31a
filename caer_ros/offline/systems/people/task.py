"""What is learnt: which faces there are, which can be read, and what they show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from caer_ros.offline.systems.ka.losses import multi_label_loss, single_label_loss, variance_loss
from caer_ros.offline.systems.people import nanodet
from caer_ros.offline.systems.people.network import STRIDE, PeopleConfig, PeopleStudent
from caer_ros.offline.training import checkpoint
from caer_ros.offline.training.config import ConfigError
from caer_ros.offline.training.task import Loss, Step, Task
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.people.config import PeopleModelConfig, PeopleTrainConfig
    from caer_ros.offline.systems.people.examples import Batch

VARIANCE = 0.1
"""Weight of KA's eq. 3, which there is 1: the edges of a face may differ from its middle. Our choice."""


class PeopleTask(Task):
    """The branch learns; the detector stays as it is, so it needs no losses."""

    network: PeopleStudent

    def __init__(self, student: PeopleStudent, multi_label: bool) -> None:
        super().__init__(multi_label)
        self.network = student

    def forward(self, batch: Batch) -> Step:
        output = self.network(self.normalised(batch.images))
        boxes, present = batch.boxes / STRIDE, batch.present
        persons = self.network.read(output, boxes)
        logits, targets, weights = persons.emotions[present], batch.emotions[present], batch.weights[present]
        known = (~targets.isnan()).any(1).sum()
        loss = multi_label_loss if self.multi_label else single_label_loss
        variances = self.network.variances(output, boxes)[present]
        readable, wanted = persons.readable[present], batch.readable[present]
        parts = {
            "emotion": Loss(loss(logits, targets, weights), known),
            "variance": Loss(VARIANCE * variance_loss(variances, targets, weights), known),
            "readable": Loss(yes_or_no(readable, wanted), (~wanted.isnan()).sum()),
            "face": Loss(yes_or_no(output.face, batch.face), (~batch.face.isnan()).sum()),
        }
        return Step(parts, logits, targets)


def yes_or_no(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy in which yes and no count alike, however rare one of them is; NaN says nothing.

    The mean over what is yes and the mean over what is no, and of these the mean: 0 where nothing is known.
    """
    known = ~targets.isnan()
    terms = F.binary_cross_entropy_with_logits(logits.float(), targets.nan_to_num(), reduction="none").where(known, 0)
    yes = targets.nan_to_num()
    no = (1 - yes) * known
    sides = [(terms * side).sum() / side.sum().clamp(min=1) for side in (yes, no)]
    return torch.stack(sides).mean()


def build(config: PeopleTrainConfig, labels: int, multi_label: bool, initialise: bool = True) -> Task:
    """The task of a configuration, on the CPU.

    Raises:
        ConfigError: the bundle of the trunk is not there, or its detector is another; ``weights`` do not fit.
        CheckpointError: ``weights`` are no checkpoint.
    """
    student = PeopleStudent(network_config(config.model, labels))
    if initialise:
        student.detector.load_state_dict(nanodet_of(config.model.trunk).state_dict())
        if config.model.weights is not None:
            student.load_state_dict({**student.state_dict(), **_learnt(config.model.weights, student.config)})
    return PeopleTask(student, multi_label).to(memory_format=torch.channels_last)


def _learnt(path: str, wanted: PeopleConfig) -> dict[str, Tensor]:
    """The entries of a checkpoint's network, all of which ``wanted`` has. Raises CheckpointError and ConfigError."""
    network, _ = checkpoint.load_network(path)
    if (
        not isinstance(network, PeopleStudent)
        or replace(network.config, blocks=wanted.blocks) != wanted
        or any(there > here for there, here in zip(network.config.blocks, wanted.blocks, strict=True))
    ):
        raise ConfigError(f"model.weights: {path} is of another network; give the fields of model as they were there")
    return network.state_dict()


def network_config(model: PeopleModelConfig, labels: int) -> PeopleConfig:
    """What the network is built of."""
    fine, coarse = model.widths
    blocks4, blocks8 = model.blocks
    return PeopleConfig(labels, model.pooling, model.trunk_scale, (fine, coarse), (blocks4, blocks8))


def nanodet_of(bundle: str) -> nanodet.NanoDet:
    """The person detector of a composed bundle. Raises ConfigError."""
    try:
        found = read_bundle(find_bundle(bundle))
        path: Path = found.files["detector"].path
        return nanodet.load(path)
    except BundleError as error:
        raise ConfigError(f"model.trunk: {error}") from error
    except KeyError:
        raise ConfigError(f'model.trunk: {bundle}: kind is "{found.kind}", but a composed bundle is expected') from None
    except nanodet.NanoDetError as error:
        raise ConfigError(f"model.trunk: {error}") from error
