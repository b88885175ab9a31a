"""BENet's training images (ACIVS 2023, section 3.3): one annotated person and his image make one example.

Each example's randomness comes from (seed, epoch, index) alone; see ``training.loader``. In validation the
pre-transform of each example is the same in all epochs, and the image is seen straight and with its own colours; the
authors' code validates on randomly changed images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from caer_ros.offline.systems.benet import augmentation, codec
from caer_ros.offline.systems.benet.augmentation import Change, Head
from caer_ros.offline.systems.benet.network import STRIDES
from caer_ros.offline.training.augmentation import clamp
from caer_ros.offline.training.config import ConfigError
from caer_ros.offline.training.loader import Examples, described, read
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.systems.benet.config import BenetTraining
    from caer_ros.offline.training.loader import Key
    from caer_ros.recordings.annotations.sample import Array, Dataset, Sample


class BenetExample(NamedTuple):
    """One image and the N persons of whom its head learns: one for the person-centric head and the background's."""

    image: Tensor
    """[3,S,S] uint8 RGB."""
    head: Head
    boxes: Array
    """[N,4] in pixels of the image, within it."""
    emotions: Array
    """[N,E] 0..1, NaN unknown; for the background head what at least one person has."""
    extra_emotions: Array
    """[N,E'] likewise, of the extra data's labels."""
    weights: Array
    """[N] how much a person's labels count."""
    targets: tuple[codec.Targets, ...]
    """At each of ``STRIDES``."""


class Scale(NamedTuple):
    """What the maps of one resolution should say, of the B images of a batch; D of them teach the detection head."""

    centres: Tensor
    """[B,N,2] column and row; padding is 0."""
    sizes: Tensor
    """[B,N,2] height and width in pixels of the map; padding is 0."""
    heatmap: Tensor
    """[D,1,h,w] 0..1."""
    ignore: Tensor
    """[D,1,h,w] bool: it is not known whether a centre is there."""


class BenetBatch(NamedTuple):
    """B images with up to N persons each, padded."""

    images: Tensor
    """[B,3,S,S] uint8 RGB."""
    heads: Tensor
    """[B] of ``Head``; stays on the CPU, where it says which image goes where."""
    present: Tensor
    """[B,N] bool: a person, not padding."""
    emotions: Tensor
    """[B,N,E] 0..1; NaN unknown, and padding."""
    extra_emotions: Tensor
    """[B,N,E'] likewise."""
    weights: Tensor
    """[B,N]; padding is 0."""
    coarse: Scale
    """At a quarter of the resolution."""
    fine: Scale
    """At half of it."""

    def to(self, device: torch.device) -> BenetBatch:
        """The same on a device."""

        def there(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        return BenetBatch(
            there(self.images),
            self.heads,
            there(self.present),
            there(self.emotions),
            there(self.extra_emotions),
            there(self.weights),
            Scale(*map(there, self.coarse)),
            Scale(*map(there, self.fine)),
        )


@dataclass(frozen=True)
class _Item:
    sample: Sample
    person: int
    extra: bool


class BenetExamples(Examples):
    """One or two data sets as BENet sees them: an example for each person with a known label.

    Args:
        dataset: one split.
        config: how to read it; ``benet_recipe`` says how images are changed, ``benet`` which heads there are.
        seed: of all randomness; None for validation.
        extra: more data with labels of its own; its examples follow those of ``dataset``.

    Raises:
        ConfigError: fields that do not fit one another, or the extra data.
        DatasetError: there is nobody with a label.
    """

    def __init__(self, dataset: Dataset, config: BenetTraining, seed: int | None, extra: Dataset | None = None) -> None:
        self.recipe = config.benet_recipe
        self.labels = len(dataset.labels)
        self.extra_labels = config.benet.extra_labels
        self._side = config.data.size[0]
        self._unlabelled_are_negative = config.data.unlabelled_are_negative
        self._seed = seed
        self._chances = augmentation.probabilities(self.recipe)
        if config.data.size[1] != self._side:
            raise ConfigError(f"data.size: {list(config.data.size)}, but BENet learns from squares")
        if config.data.cache:
            raise ConfigError(
                "data.cache: BENet changes images at their own size, which are too large to keep; unset it"
            )
        if extra is not None and len(extra.labels) != self.extra_labels:
            raise ConfigError(
                f"benet.extra_labels: {self.extra_labels}, but {extra.name} has {len(extra.labels)} labels"
            )
        self.extra_seen = f"; {described(extra)}" if extra else ""
        """The extra data, for a person to read."""
        self._items = [*_items(dataset, extra=False), *(_items(extra, extra=True) if extra else ())]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Key) -> BenetExample:
        """The example of an (epoch, index). Raises DatasetError for an image that cannot be read."""
        epoch, index = key
        item, recipe = self._items[index], self.recipe
        sample = item.sample
        random = np.random.default_rng([0, 0, index] if self._seed is None else [self._seed, epoch, index])
        pixels = read(sample)
        order = [item.person, *(row for row in range(len(sample)) if row != item.person)]
        head = augmentation.choose(self._chances, sample.boxes[order], sample.size, random)
        rows = np.arange(len(sample))
        if head == Head.BOTTOM_UP:
            masked = augmentation.masked(sample.boxes, random, recipe.apart == "each_axis")
            pixels, rows = augmentation.hidden(pixels, sample.boxes[masked]), np.flatnonzero(~masked)
        elif head == Head.PERSON_CENTRIC:
            pixels, rows = augmentation.crop(pixels, sample.boxes[item.person]), np.array([item.person])
        elif head == Head.BACKGROUND:
            pixels = augmentation.hidden(pixels, sample.boxes)

        change = Change() if self._seed is None else augmentation.draw_change(recipe, random)
        matrix = augmentation.projection(pixels.shape[:2], self._side, head == Head.PERSON_CENTRIC, change)
        image = torch.from_numpy(augmentation.warp(pixels, matrix, self._side)).permute(2, 0, 1).contiguous()
        if self._seed is not None:
            image = augmentation.recoloured(image, augmentation.draw_appearance(recipe, random), random)
        frame = np.array([0, 0, self._side, self._side], np.float32)
        if head in (Head.PERSON_CENTRIC, Head.BACKGROUND):
            emotions = _union(sample.emotions[rows])
            weights = sample.weights[rows].mean(keepdims=True)
            return self._example(item, image, head, frame[None], emotions, weights, sample.ignore[:0])
        boxes = augmentation.moved(sample.boxes[rows], matrix)
        inside = clamp(boxes, self._side, self._side)
        seen = augmentation.covered(boxes, frame) >= recipe.min_visible
        regions = clamp(augmentation.moved(sample.ignore, matrix), self._side, self._side)
        unknown = np.concatenate([inside[~seen], regions])
        rows, boxes = rows[seen], inside[seen]
        return self._example(item, image, head, boxes, sample.emotions[rows], sample.weights[rows], unknown)

    def _example(
        self, item: _Item, image: Tensor, head: Head, boxes: Array, emotions: Array, weights: Array, unknown: Array
    ) -> BenetExample:
        """With its targets, and its labels in their place."""
        exhaustive = item.sample.exhaustive or self._unlabelled_are_negative
        unknown = unknown[np.prod(unknown[:, 2:] - unknown[:, :2], axis=1) > 0]
        targets = tuple(
            codec.encode(
                boxes / np.float32(stride),
                self._side // stride,
                self._side // stride,
                unknown / np.float32(stride),
                exhaustive,
            )
            for stride in STRIDES
        )
        known = emotions.astype(np.float32)
        if item.extra:
            return BenetExample(image, head, boxes, _nobody(boxes, self.labels), known, weights, targets)
        return BenetExample(image, head, boxes, known, _nobody(boxes, self.extra_labels), weights, targets)


def examples(dataset: Dataset, config: BenetTraining, seed: int | None) -> BenetExamples:
    """The examples of a split; of the training split, whose seed is not None, with the recipe's extra data.

    Raises:
        ConfigError, DatasetError: as ``BenetExamples``; the extra data cannot be read.
    """
    from caer_ros.offline import data as datasets

    extra = config.benet_recipe.extra if seed is not None else None
    if extra is None:
        return BenetExamples(dataset, config, seed)
    splits = [datasets.load(extra.name, Path(extra.root), split) for split in extra.splits]
    samples = tuple(sample for split in splits for sample in split.samples)
    return BenetExamples(dataset, config, seed, replace(splits[0], split="+".join(extra.splits), samples=samples))


def collate(examples: Sequence[BenetExample]) -> BenetBatch:
    """Pad persons to the largest number of them in an image, and stack."""
    present = _padded([np.ones(len(example.boxes), bool) for example in examples], False)
    coarse, fine = (_scale(examples, index) for index in range(len(STRIDES)))
    return BenetBatch(
        torch.stack([example.image for example in examples]),
        torch.tensor([int(example.head) for example in examples]),
        present,
        _padded([example.emotions for example in examples], torch.nan),
        _padded([example.extra_emotions for example in examples], torch.nan),
        _padded([example.weights for example in examples], 0),
        coarse,
        fine,
    )


def _items(dataset: Dataset, extra: bool) -> list[_Item]:
    items = [
        _Item(sample, person, extra)
        for sample in dataset.samples
        for person in np.flatnonzero(~np.isnan(sample.emotions).all(axis=1)).tolist()
    ]
    if not items:
        raise DatasetError(
            f"{dataset.root}: the {dataset.split} split of {dataset.name} has no person with a label; see "
            f"`caer data check {dataset.name} {dataset.root}`"
        )
    return items


def _union(emotions: Array) -> Array:
    """[N,E] to [1,E]: what at least one person has (the maximum); what nobody surely has, but one may, is not known."""
    unknown = np.isnan(emotions)
    most = np.where(unknown, 0, emotions).max(axis=0, keepdims=True)
    result: Array = np.where(unknown.any(axis=0, keepdims=True) & (most < 1), np.float32(np.nan), most)
    return result


def _nobody(boxes: Array, labels: int) -> Array:
    return np.full((len(boxes), labels), np.nan, np.float32)


def _scale(examples: Sequence[BenetExample], index: int) -> Scale:
    targets = [example.targets[index] for example in examples]
    detecting = [target for example, target in zip(examples, targets, strict=True) if example.head == Head.DETECTION]
    maps = (len(detecting), 1, *targets[0].heatmap.shape)
    return Scale(
        _padded([target.centres for target in targets], 0),
        _padded([target.sizes for target in targets], 0),
        _stacked([target.heatmap for target in detecting], maps, torch.float32),
        _stacked([target.ignore for target in detecting], maps, torch.bool),
    )


def _stacked(maps: Sequence[NDArray[np.generic]], shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
    if not maps:
        return torch.empty(shape, dtype=kind)
    return torch.from_numpy(np.stack(maps)).reshape(shape)


def _padded(rows: Sequence[NDArray[np.generic]], value: float) -> Tensor:
    """Arrays [N,...] of different N as [B,N,...]."""
    return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], True, value)
