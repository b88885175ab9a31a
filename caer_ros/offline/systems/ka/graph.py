"""The student as the robot runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caer_ros.offline.export.graph import ExportError, SingleShotGraph, SingleShotOutput
from caer_ros.offline.systems.components import centre, pooling
from caer_ros.offline.systems.ka.network import Student, StudentOutput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.perception.imaging.resizing import Resize

PERSONS = 100
"""K where nothing is asked for."""


class StudentGraph(SingleShotGraph):
    """The student with everything around it that a robot needs.

    Args:
        student: in eval mode. Without a detection head it finds nobody, and K is 0.
        resize, max_persons, multi_label, predictable: see ``SingleShotGraph``.

    Raises:
        ExportError: the size is not fixed, or no multiple of the student's largest stride; K is not possible.
    """

    network: Student
    scale: Tensor
    pooling = "box_mean"
    stride = Student.stride
    multiple = 32
    one_size = True

    def __init__(
        self,
        student: Student,
        resize: Resize,
        max_persons: int,
        multi_label: bool,
        predictable: Sequence[bool] | None = None,
    ) -> None:
        super().__init__(student, resize, max_persons, multi_label, student.config.labels, predictable)
        height, width = resize.size
        cells = height * width // self.stride**2
        if not 0 < max_persons <= cells:
            raise ExportError(f"max_persons {max_persons}: expected 1 to {cells}, the pixels of the student's maps")
        self.max_persons = max_persons if student.config.detection else 0
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        self.register_buffer("scale", self.stride / sides, persistent=False)

    def forward(self, images: Tensor) -> SingleShotOutput:
        """Images uint8 [B,H,W,3] RGB."""
        output = self.network(self.normalised(images))
        boxes, person_scores = self._persons(output)
        emotion_scores = self.probabilities(pooling.pool(output.emotion_maps, boxes))
        return SingleShotOutput(boxes * self.scale, person_scores, emotion_scores, output.emotion_maps)

    def _persons(self, output: StudentOutput) -> tuple[Tensor, Tensor]:
        """Boxes [B,K,4] in pixels of the maps, and logits [B,K]."""
        if output.heatmap is None or output.sizes is None:
            images = len(output.emotion_maps)
            return output.emotion_maps.new_empty(images, 0, 4), output.emotion_maps.new_empty(images, 0)
        return centre.decode(output.heatmap, output.sizes, self.max_persons)
