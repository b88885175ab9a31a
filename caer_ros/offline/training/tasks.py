"""What is learnt: a batch in, the losses out (KA, VISAPP 2025, section 3.2); one module for each kind of network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from caer_ros.offline import losses
from caer_ros.offline.amalgamation import Amalgamation, feature_loss, reconstruction_loss
from caer_ros.offline.codecs import centre, pooling
from caer_ros.offline.models.backbone import Backbone
from caer_ros.offline.models.student import Student
from caer_ros.offline.models.teacher import Classifier, Detector, Teachers
from caer_ros.offline.training import checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.training.config import RecipeConfig, TrainConfig
    from caer_ros.offline.training.data import Batch


class Loss(NamedTuple):
    """One part of eq. 9, as its value over a batch and over how many persons or entries that is the mean."""

    value: Tensor
    number: Tensor
    """0 where there was nobody; the value is then a sum, as for an empty image's heatmap."""


class Step(NamedTuple):
    """What a task makes of a batch."""

    losses: dict[str, Loss]
    """Their plain sum is eq. 9. "reconstruction.0" is the first teacher's summand of "reconstruction"."""
    logits: Tensor
    """[P,E] of the P persons of the batch; [0,E] where the task has no emotions."""
    targets: Tensor
    """[P,E] NaN unknown."""


class Task(nn.Module):
    """A network and its losses."""

    network: nn.Module

    def __init__(self, multi_label: bool) -> None:
        super().__init__()
        self.multi_label = multi_label
        self.register_buffer("_mean", torch.tensor(IMAGENET_DEFAULT_MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("_std", torch.tensor(IMAGENET_DEFAULT_STD)[:, None, None] * 255, persistent=False)

    def normalised(self, images: Tensor) -> Tensor:
        """[B,3,H,W] uint8 to float of ImageNet's mean and standard deviation."""
        assert isinstance(self._mean, Tensor)
        assert isinstance(self._std, Tensor)
        return (images.contiguous(memory_format=torch.channels_last) - self._mean) / self._std

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What is learnt, and for each group its part of the learning rate, "scale"."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad], "scale": 1.0}]

    def emotion_loss(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Loss:
        """Eq. 1 or 2, over the persons of whom something is known."""
        loss = losses.multi_label_loss if self.multi_label else losses.single_label_loss
        return Loss(loss(logits, targets, weights), _known(targets))


class StudentTask(Task):
    """Emotions of persons, where they are, and what the teachers know."""

    def __init__(self, student: Student, multi_label: bool, recipe: RecipeConfig, teachers: Sequence[Backbone]) -> None:
        super().__init__(multi_label)
        self.network = student
        self.teachers = Teachers(teachers) if teachers else None
        self.amalgamation = None
        if self.teachers:
            self.amalgamation = Amalgamation(
                student.channels, self.teachers.channels, recipe.channels, recipe.detach_target, recipe.decoder_width
            )

    def forward(self, batch: Batch) -> Step:
        images = self.normalised(batch.images)
        output = self.network(images)
        boxes, present = batch.boxes / Student.stride, batch.present
        targets, weights = batch.emotions[present], batch.weights[present]
        logits = pooling.pool(output.emotion_maps, boxes)[present]
        variances = pooling.variance(output.emotion_maps, boxes)[present]
        parts = {
            "emotion": self.emotion_loss(logits, targets, weights),
            "variance": Loss(losses.variance_loss(variances, targets, weights), _known(targets)),
        }
        if output.heatmap is not None:
            parts |= detection_losses(output.heatmap, output.sizes, batch)
        if self.teachers and self.amalgamation:
            features = self.teachers(images)
            projection = self.amalgamation(output.features, features)
            loss = feature_loss(projection.teachers, projection.student)
            parts["feature"] = Loss(loss, _positive(projection.teachers))
            for index, (taught, rebuilt) in enumerate(zip(features, projection.reconstructions, strict=True)):
                loss = reconstruction_loss([taught], [rebuilt])
                parts[f"reconstruction.{index}"] = Loss(loss, _positive(taught))
        return Step(parts, logits, targets)


class ClassifierTask(Task):
    """The emotion of a whole image, or of a person's crop: FER and VEA teachers."""

    def __init__(self, classifier: Classifier, multi_label: bool) -> None:
        super().__init__(multi_label)
        self.network = classifier

    def forward(self, batch: Batch) -> Step:
        logits, targets = self.network(self.normalised(batch.images)), batch.emotions[:, 0]
        return Step({"emotion": self.emotion_loss(logits, targets, batch.weights[:, 0])}, logits, targets)


class DetectorTask(Task):
    """Persons alone: the OD teacher."""

    def __init__(self, detector: Detector) -> None:
        super().__init__(multi_label=False)
        self.network = detector

    def forward(self, batch: Batch) -> Step:
        heatmap, sizes = self.network(self.normalised(batch.images))
        nothing = batch.emotions.new_empty(0, batch.emotions.shape[-1])
        return Step(detection_losses(heatmap, sizes, batch), nothing, nothing)


def detection_losses(heatmap: Tensor, sizes: Tensor, batch: Batch) -> dict[str, Loss]:
    """Eq. 6 in its two summands: the focal loss, and the weighted size loss at the true centres."""
    present = batch.present
    focal = losses.focal_loss(heatmap, batch.heatmap, batch.ignore)
    size = losses.size_loss(centre.read(sizes, batch.centres)[present], batch.sizes[present])
    focal, size = losses.detection_loss(focal, size)
    return {"heatmap": Loss(focal, (batch.heatmap == 1).sum()), "size": Loss(size, present.sum())}


def build(config: TrainConfig, labels: int, multi_label: bool, initialise: bool = True) -> Task:
    """The task of a configuration, on the CPU.

    Args:
        config: says which network, how it begins and who teaches it.
        labels: E.
        multi_label: can a person have several labels?
        initialise: load the backbone's first weights; False where a checkpoint replaces them anyway.

    Raises:
        BackboneError, CheckpointError: weights or a teacher that cannot be had or do not fit.
    """
    if config.task == "benet":
        from caer_ros.offline.training import benet

        return benet.build(config, labels, multi_label, initialise)
    if config.task == "dsct":
        from caer_ros.offline.training import dsct

        return dsct.build(config, labels, multi_label, initialise)
    model, recipe = config.model, config.recipe
    for path in recipe.teachers:  # before weights are fetched, which may take minutes
        if not Path(path).is_file():
            raise checkpoint.CheckpointError(f"recipe.teachers: {path}: no such file")
    weights: str | Path | None = recipe.teachers[0] if recipe.name == "ft" else model.weights
    network = checkpoint.build(config.task, model, labels, weights if initialise else None)
    task: Task
    if isinstance(network, Classifier):
        task = ClassifierTask(network, multi_label)
    elif isinstance(network, Detector):
        task = DetectorTask(network)
    else:
        assert isinstance(network, Student)
        teachers = [load_teacher(path, model.backbone) for path in recipe.teachers] if recipe.name == "ka" else []
        task = StudentTask(network, multi_label, recipe, teachers)
    return task.to(memory_format=torch.channels_last)  # a third faster, on a CPU too


def load_teacher(path: str, backbone: str) -> Backbone:
    """A teacher's backbone: of a checkpoint of ours, whatever it is, or of a file of weights for ``backbone``."""
    if Path(path).suffix != ".ckpt":
        return Backbone(backbone, path)
    network, _ = checkpoint.load_network(path)
    assert isinstance(network.backbone, Backbone)
    return network.backbone


def _known(targets: Tensor) -> Tensor:
    return (~targets.isnan()).any(1).sum()


def _positive(features: Tensor) -> Tensor:
    """N_mask of eq. 7 and 8."""
    return (features > 0).sum()
