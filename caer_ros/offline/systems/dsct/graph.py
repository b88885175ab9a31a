"""DSCT as the robot runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caer_ros.offline.export.graph import SingleShotGraph, SingleShotOutput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.systems.dsct.network import Dsct
    from caer_ros.perception.imaging.resizing import Resize


class DsctGraph(SingleShotGraph):
    """DSCT with everything around it that a robot needs. Each subject query is a person, so K is N.

    A person's score is the logit of "a subject" where labels are many (EMOTIC), and else its likeliest emotion's
    sigmoid, because there (CAER-S) the subject's logit is not trained.

    Args:
        network: in eval mode.
        resize, multi_label, predictable: see ``SingleShotGraph``.
    """

    network: Dsct
    pooling = "query"
    stride = 8
    multiple = 1
    smallest = 65
    """The coarsest level, at 1/64, has two cells or more: with one, the exporter would take sizes of 1 for fixed."""

    def __init__(
        self, network: Dsct, resize: Resize, multi_label: bool, predictable: Sequence[bool] | None = None
    ) -> None:
        super().__init__(network, resize, network.config.subjects, multi_label, network.labels, predictable)
        self.person_score = "logit" if multi_label else "max_class"

    def forward(self, images: Tensor) -> SingleShotOutput:
        """Images uint8 [B,H,W,3] RGB."""
        output = self.network(self.normalised(images))
        logits, boxes = output.logits[-1], output.boxes[-1]
        centres, halves = boxes[..., :2], boxes[..., 2:] / 2
        emotions = logits[..., :-1]
        if self.multi_label:
            scores = logits[..., -1]
        else:
            scores = emotions.masked_fill(self.untaught, -torch.inf).amax(-1).sigmoid()
        corners = torch.cat([centres - halves, centres + halves], -1)
        return SingleShotOutput(corners, scores, self.probabilities(emotions), None)
