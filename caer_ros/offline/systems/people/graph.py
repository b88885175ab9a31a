"""The student for real people as the robot runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caer_ros.offline.export.graph import ExportError, SingleShotGraph, SingleShotOutput
from caer_ros.offline.systems.people import detection
from caer_ros.offline.systems.people.nanodet import MULTIPLE
from caer_ros.offline.systems.people.network import STRIDE, PeopleStudent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.perception.imaging.resizing import Resize

PERSONS = 50
"""K where nothing is asked for."""


class PeopleGraph(SingleShotGraph):
    """The student with everything around it that a robot needs.

    Args:
        student: in eval mode.
        resize, max_persons, multi_label, predictable: see ``SingleShotGraph``.

    Raises:
        ExportError: the size is not fixed, or no multiple of 32; K is not possible.
    """

    network: PeopleStudent
    scale: Tensor
    cells: Tensor
    judges_readability = True
    stride = STRIDE
    multiple = 32
    one_size = True

    def __init__(
        self,
        student: PeopleStudent,
        resize: Resize,
        max_persons: int,
        multi_label: bool,
        predictable: Sequence[bool] | None = None,
    ) -> None:
        super().__init__(student, resize, max_persons, multi_label, student.config.labels, predictable)
        if not 0 < max_persons <= detection.CANDIDATES:
            raise ExportError(f"max_persons {max_persons}: expected 1 to {detection.CANDIDATES}")
        self.pooling = "box_attention" if student.config.pooling == "attention" else "box_mean"
        height, width = resize.size
        seen = [round(side * student.config.trunk_scale) for side in (height, width)]
        self.seen_height, self.seen_width = (side + -side % MULTIPLE for side in seen)
        # The trunk's image has whole pixels, so the two scales differ by a little.
        self.register_buffer("scale", 1 / torch.tensor(seen[::-1] * 2, dtype=torch.float32), persistent=False)
        cells = torch.tensor([width, height, width, height], dtype=torch.float32) / STRIDE
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, images: Tensor) -> SingleShotOutput:
        """Images uint8 [B,H,W,3] RGB."""
        output = self.network(self.normalised(images))
        found = self.network.detections(output)
        boxes, person_scores = detection.decode(found, self.seen_height, self.seen_width, self.max_persons)
        boxes = boxes * self.scale
        persons = self.network.read(output, boxes * self.cells)
        return SingleShotOutput(
            boxes,
            person_scores,
            self.probabilities(persons.emotions),
            output.emotion_maps,
            persons.readable.sigmoid(),
            persons.face.sigmoid(),
            output.face,
        )
