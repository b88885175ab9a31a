"""From samples to batches of the student for real people: the image as the robot sees it, persons and their faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from caer_ros.offline.systems.people.network import STRIDE
from caer_ros.offline.training import loader
from caer_ros.offline.training.augmentation import Augmentation, View, clamp
from caer_ros.offline.training.loader import mixed, padded, read
from caer_ros.perception.imaging.resizing import Resize, place, plan
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from caer_ros.offline.training.config import DataConfig
    from caer_ros.offline.training.loader import Key
    from caer_ros.recordings.annotations.sample import Array, Dataset

INSIDE, AROUND = 0.7, 1.3
"""In so much of a face's box its map is 1; from there to so much of it nothing is said."""

READABLE = {"readable": 1.0, "hidden": 0.0, "none": 0.0, "": np.nan}
"""Whether a face can be read, by ``Sample.faces``; NaN unknown."""


class Example(NamedTuple):
    """One image and its N persons."""

    image: Tensor
    """[3,H,W] uint8 RGB."""
    boxes: Array
    """[N,4] in pixels of the image."""
    emotions: Array
    """[N,E] 0..1, NaN unknown."""
    weights: Array
    """[N] how much a person's labels count."""
    readable: Array
    """[N] 1 for a face that can be read, 0 for one that cannot and for none; NaN unknown."""
    face: Array
    """[h,w] 1 in faces, 0 elsewhere, NaN unknown."""


class Batch(NamedTuple):
    """B images with up to N persons each, padded."""

    images: Tensor
    """[B,3,H,W] uint8 RGB."""
    boxes: Tensor
    """[B,N,4] in pixels of the image; padding is 0."""
    present: Tensor
    """[B,N] bool: a person, not padding."""
    emotions: Tensor
    """[B,N,E] 0..1; NaN unknown, and padding."""
    weights: Tensor
    """[B,N]; padding is 0."""
    readable: Tensor
    """[B,N]; NaN unknown, and padding."""
    face: Tensor
    """[B,1,h,w] 0..1; NaN unknown."""

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def resize_rule(config: DataConfig) -> Resize:
    """How training images become the network's input, and so how the robot's must: by averaging, for small faces."""
    return Resize(mode=config.resize, size=config.size, interpolation="area")


class PeopleExamples(loader.Examples):
    """A data set as the network sees it.

    Args:
        dataset: one split.
        config: how to read it.
        seed: of all randomness; None for no augmentation, as in validation.

    Raises:
        DatasetError: nobody's face is annotated.
    """

    def __init__(self, dataset: Dataset, config: DataConfig, seed: int | None) -> None:
        self._samples = dataset.samples
        if not any(face for sample in self._samples for face in sample.faces):
            raise DatasetError(
                f"{dataset.root}: the {dataset.split} split of {dataset.name} says of nobody what can be seen of the "
                'face; this task needs the field "face" of annotations, such as `caer data people` writes it'
            )
        self._rule = resize_rule(config)
        self._seed = seed
        self._augmentation = Augmentation(config.augmentation)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, key: Key) -> Example:
        """The example of an (epoch, index). Raises DatasetError for an image that cannot be read."""
        epoch, index = key
        sample, (height, width) = self._samples[index], self._rule.size
        fit = plan(self._rule, *sample.size)
        image = torch.from_numpy(place(read(sample), fit)).permute(2, 0, 1).contiguous()
        scale = np.tile(np.divide(fit.resized, sample.size, dtype=np.float32)[::-1], 2)
        boxes = np.concatenate([sample.boxes, np.nan_to_num(sample.face_boxes)]) * scale
        ignore = sample.ignore * scale
        if self._seed is None:
            view = View(image, clamp(boxes, height, width), np.ones(len(boxes), bool), clamp(ignore, height, width))
        else:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(mixed(self._seed, epoch, index))
                view = self._augmentation(image, boxes, ignore)
        persons = len(sample)
        shown = view.visible[:persons]
        nowhere = np.isnan(sample.face_boxes)
        faces = np.where(nowhere, np.float32(np.nan), view.boxes[persons:])
        # Of whom nothing is known, there may be a face that nobody annotated.
        secret = np.array([not face for face in sample.faces], bool) & nowhere.any(1)
        unknown = np.concatenate([view.ignore, view.boxes[:persons][secret]])
        return Example(
            view.image,
            view.boxes[:persons][shown],
            sample.emotions[shown],
            sample.weights[shown],
            np.array([READABLE[face] for face in sample.faces], np.float32)[shown],
            face_map(faces, unknown, height // STRIDE, width // STRIDE),
        )


def face_map(faces: Array, unknown: Array, height: int, width: int) -> Array:
    """The target [h,w] of the map of faces: 1 within, 0 elsewhere, NaN at edges and where nothing is known.

    Args:
        faces: [N,4] in pixels of the image, NaN for none.
        unknown: [M,4] regions.
        height, width: of the map.
    """
    target = np.zeros((height, width), np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    for left, top, right, bottom in unknown / STRIDE:
        target[(x > left) & (x < right) & (y > top) & (y < bottom)] = np.nan
    there = faces[~np.isnan(faces).any(1)] / STRIDE
    offsets = []
    for left, top, right, bottom in there:
        half = max((right - left) / 2, 0.5), max((bottom - top) / 2, 0.5)
        offsets.append(np.maximum(abs(x - (left + right) / 2) / half[0], abs(y - (top + bottom) / 2) / half[1]))
    for offset in offsets:
        target[offset < AROUND] = np.nan
    for offset in offsets:
        target[(offset < INSIDE) | (offset == offset.min())] = 1  # a small face still has its nearest cell
    return target


def collate(examples: Sequence[Example]) -> Batch:
    """Pad persons to the largest number of them in an image, and stack."""
    return Batch(
        torch.stack([example.image for example in examples]),
        padded([example.boxes for example in examples]),
        padded([np.ones(len(example.boxes), bool) for example in examples]),
        padded([example.emotions for example in examples], np.nan),
        padded([example.weights for example in examples]),
        padded([example.readable for example in examples], np.nan),
        torch.from_numpy(np.stack([example.face for example in examples]))[:, None],
    )
