"""A student with everything around it that a robot needs, as one network: pixels in, persons out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from caer_ros.offline.codecs import centre, pooling
from caer_ros.offline.models.student import Student, StudentOutput
from caer_ros.offline.training.checkpoint import CheckpointCard, load_network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from caer_ros.perception.resizing import Resize

INPUT = "images"
LARGEST_STRIDE = 32
UNTAUGHT = -1e4
"""Logit, before a softmax, of a label that cannot be predicted: its probability is 0, and fp16 can hold it."""


class ExportError(Exception):
    """A checkpoint that cannot become a bundle, or a bundle that does not answer as the checkpoint does."""


class SingleShotOutput(NamedTuple):
    """What the graph gives; the names are those of its outputs."""

    boxes: Tensor
    """[B,K,4] xyxy, 0..1 of the input, best first; not clipped."""
    person_scores: Tensor
    """[B,K] logits."""
    emotion_scores: Tensor
    """[B,K,E] probabilities."""
    emotion_maps: Tensor
    """[B,E,h,w] logits; only evaluation fetches them."""


class SingleShotGraph(nn.Module):
    """The student with everything around it that a robot needs: pixels in, persons out.

    Args:
        student: in eval mode. Without a detection head it finds nobody, and K is 0.
        resize: the rule by which images are brought to the input's fixed size.
        max_persons: K.
        multi_label: scores are sigmoids, not a softmax.
        predictable: E times whether the label was taught; the others take no part in a softmax. None: all were.

    Raises:
        ExportError: the size is not fixed, or no multiple of the student's largest stride; K is not possible.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor
    untaught: Tensor

    def __init__(
        self,
        student: Student,
        resize: Resize,
        max_persons: int,
        multi_label: bool,
        predictable: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        height, width = resize.size
        if resize.mode not in ("stretch", "letterbox"):
            raise ExportError(f'resize mode "{resize.mode}": a student has a fixed input size: stretch or letterbox')
        if height % LARGEST_STRIDE or width % LARGEST_STRIDE or not height or not width:
            raise ExportError(f"input of {height}x{width} pixels: both must be multiples of {LARGEST_STRIDE}")
        cells = height * width // student.stride**2
        if not 0 < max_persons <= cells:
            raise ExportError(f"max_persons {max_persons}: expected 1 to {cells}, the pixels of the student's maps")
        self.student = student
        self.max_persons = max_persons if student.config.detection else 0
        self.multi_label = multi_label
        self.size = (height, width)
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_DEFAULT_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_DEFAULT_STD).reshape(1, 3, 1, 1), persistent=False)
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        self.register_buffer("scale", student.stride / sides, persistent=False)
        untaught = ~torch.tensor(predictable or [True] * student.config.labels)
        self.register_buffer("untaught", untaught, persistent=False)

    def forward(self, images: Tensor) -> SingleShotOutput:
        """Images uint8 [B,H,W,3] RGB."""
        planes = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        output = self.student(planes)
        boxes, person_scores = self._persons(output)
        logits = pooling.pool(output.emotion_maps, boxes)
        if self.multi_label:
            emotion_scores = logits.sigmoid()
        else:
            emotion_scores = logits.masked_fill(self.untaught, UNTAUGHT).softmax(dim=-1)
        return SingleShotOutput(boxes * self.scale, person_scores, emotion_scores, output.emotion_maps)

    def _persons(self, output: StudentOutput) -> tuple[Tensor, Tensor]:
        """Boxes [B,K,4] in pixels of the maps, and logits [B,K]."""
        if output.heatmap is None or output.sizes is None:
            images = len(output.emotion_maps)
            return output.emotion_maps.new_empty(images, 0, 4), output.emotion_maps.new_empty(images, 0)
        return centre.decode(output.heatmap, output.sizes, self.max_persons)


def run(graph: SingleShotGraph, images: NDArray[np.uint8]) -> SingleShotOutput:
    """The graph's outputs, on the CPU, for images uint8 [B,H,W,3]."""
    with torch.inference_mode():
        output = graph.eval()(torch.from_numpy(images).to(graph.mean.device))
    return SingleShotOutput(*(value.float().cpu() for value in output))


def load_graph(checkpoint: Path, max_persons: int = 100) -> tuple[SingleShotGraph, CheckpointCard]:
    """The network of a checkpoint as a graph on the CPU, and what the checkpoint says about itself.

    Raises:
        ExportError: it is no student's.
        CheckpointError: the file is no checkpoint of ours.
    """
    network, card = load_network(checkpoint)
    if not isinstance(network, Student):
        raise ExportError(f'{checkpoint}: holds a {card.task}; only a "student" finds persons and their emotions')
    try:
        graph = SingleShotGraph(network, card.resize, max_persons, card.multi_label, card.predictable)
    except ExportError as error:
        raise ExportError(f"{checkpoint}: {error}") from error
    return graph.eval(), card
