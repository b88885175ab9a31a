"""What is learnt: a batch in, the losses out (KA, VISAPP 2025, section 3.2); one module for each kind of network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caer_ros.offline.systems.components import centre, pooling
from caer_ros.offline.systems.components.backbone import Backbone
from caer_ros.offline.systems.ka import losses, networks
from caer_ros.offline.systems.ka.amalgamation import Amalgamation, feature_loss, reconstruction_loss
from caer_ros.offline.systems.ka.network import Student
from caer_ros.offline.systems.ka.teachers import Classifier, Detector, Teachers
from caer_ros.offline.training import checkpoint
from caer_ros.offline.training.task import Loss, Step, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.systems.ka.config import KaConfig, RecipeConfig
    from caer_ros.offline.systems.ka.examples import Batch


def emotion_loss(logits: Tensor, targets: Tensor, weights: Tensor, multi_label: bool) -> Loss:
    """Eq. 1 or 2, over the persons of whom something is known."""
    loss = losses.multi_label_loss if multi_label else losses.single_label_loss
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
            "emotion": emotion_loss(logits, targets, weights, self.multi_label),
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
        self.highest = None if multi_label else "val/f1"

    def forward(self, batch: Batch) -> Step:
        logits, targets = self.network(self.normalised(batch.images)), batch.emotions[:, 0]
        return Step({"emotion": emotion_loss(logits, targets, batch.weights[:, 0], self.multi_label)}, logits, targets)


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


def build(config: KaConfig, labels: int, multi_label: bool, initialise: bool = True) -> Task:
    """The task of a configuration, on the CPU.

    Args:
        config: says which network, how it begins and who teaches it.
        labels: E.
        multi_label: can a person have several labels?
        initialise: load the backbone's first weights; False where a checkpoint replaces them anyway.

    Raises:
        BackboneError, CheckpointError: weights or a teacher that cannot be had or do not fit.
    """
    model, recipe = config.model, config.recipe
    for path in recipe.teachers:  # before weights are fetched, which may take minutes
        if not Path(path).is_file():
            raise checkpoint.CheckpointError(f"recipe.teachers: {path}: no such file")
    weights: str | Path | None = recipe.teachers[0] if recipe.name == "ft" else model.weights
    network = networks.build(config.task, model, labels, weights if initialise else None)
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
