"""A network with everything around it that a robot needs, as one graph: pixels in, persons out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from caer_ros.perception.imaging.resizing import plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from caer_ros.perception.imaging.resizing import Resize

INPUT = "images"
UNTAUGHT = -1e4
"""Logit, before a softmax, of a label that cannot be predicted: its probability is 0, and fp16 can hold it."""
_TYPICAL = (480, 640)  # of a camera: an example of what a rule that keeps the aspect is given


class ExportError(Exception):
    """A checkpoint that cannot become a bundle, or a bundle that does not answer as the checkpoint does."""


class SingleShotOutput(NamedTuple):
    """What the graph gives; the names are those of its outputs."""

    boxes: Tensor
    """[B,K,4] xyxy, 0..1 of the input, best first; not clipped."""
    person_scores: Tensor
    """[B,K] as ``SingleShotGraph.person_score`` says."""
    emotion_scores: Tensor
    """[B,K,E] probabilities."""
    emotion_maps: Tensor | None
    """[B,E,h,w] logits; only evaluation fetches them. None: the network has no maps."""
    readable: Tensor | None = None
    """[B,K] 0..1: can the person's emotion be read?"""
    face: Tensor | None = None
    """[B,K] 0..1: is there a face, turned away or covered as it may be?"""
    attention: Tensor | None = None
    """[B,1,h,w] logits of faces, which weight the pixels of a box; only evaluation fetches them."""

    @property
    def present(self) -> dict[str, Tensor]:
        """The outputs that the graph has, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class SingleShotGraph(nn.Module, ABC):
    """What the graphs of all networks share: the input, and how logits become probabilities.

    Args:
        network: in eval mode.
        resize: the rule by which images are brought to the input's size.
        max_persons: K.
        multi_label: scores are sigmoids, not a softmax.
        labels: E.
        predictable: E times whether the label was taught; the others take no part in a softmax. None: all were.

    Raises:
        ExportError: the rule gives sizes that the network cannot take.
    """

    pooling: str
    """How a person's emotions are read, as the field of ``model.yaml``."""
    judges_readability: ClassVar[bool] = False
    """Does it say who can be read (outputs ``readable`` and ``face``)?"""
    person_score: str = "logit"
    """What ``person_scores`` are, as the field of ``model.yaml``."""
    stride: ClassVar[int]
    """Pixels of the input between two places where a person can be: how far off an equal answer can be."""
    multiple: ClassVar[int]
    """Pixels; the input's height and width are multiples of this."""
    one_size: ClassVar[bool] = False
    """Must the input have one size, whatever the image?"""
    smallest: ClassVar[int] = 0
    """Least height and width of an input whose size depends on the image."""

    mean: Tensor
    std: Tensor
    untaught: Tensor

    def __init__(
        self,
        network: nn.Module,
        resize: Resize,
        max_persons: int,
        multi_label: bool,
        labels: int,
        predictable: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        if self.one_size and resize.mode == "short_side":
            raise ExportError(f'resize mode "{resize.mode}": a student has a fixed input size: stretch or letterbox')
        sides = (resize.multiple,) if resize.mode == "short_side" else resize.size
        if any(side % self.multiple or not side for side in sides):
            given = "x".join(map(str, sides))
            raise ExportError(f"{resize.mode} of {given} pixels: sides must be multiples of {self.multiple}")
        self.network = network
        self.resize = resize
        self.max_persons = max_persons
        self.multi_label = multi_label
        self.labels = labels
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_DEFAULT_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_DEFAULT_STD).reshape(1, 3, 1, 1), persistent=False)
        untaught = ~torch.tensor(predictable or [True] * labels)
        self.register_buffer("untaught", untaught, persistent=False)

    @property
    def fixed(self) -> bool:
        """Has the input one size, whatever the image?"""
        return self.resize.mode != "short_side"

    @property
    def typical(self) -> tuple[int, int]:
        """Height and width of the input, for a camera's image of 640x480 where it depends on the image."""
        return plan(self.resize, *_TYPICAL).canvas

    @abstractmethod
    def forward(self, images: Tensor) -> SingleShotOutput:
        """Images uint8 [B,H,W,3] RGB."""

    def normalised(self, images: Tensor) -> Tensor:
        """Images uint8 [B,H,W,3] as planes [B,3,H,W] by ImageNet's mean and standard deviation."""
        return (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turn logits of emotions [..., E] into probabilities."""
        if self.multi_label:
            return logits.sigmoid()
        return logits.masked_fill(self.untaught, UNTAUGHT).softmax(dim=-1)


def run(graph: SingleShotGraph, images: NDArray[np.uint8]) -> SingleShotOutput:
    """The graph's outputs, on the CPU, for images uint8 [B,H,W,3]."""
    with torch.inference_mode():
        output: SingleShotOutput = graph.eval()(torch.from_numpy(images).to(graph.mean.device))
    return SingleShotOutput._make(None if value is None else value.float().cpu() for value in output)
