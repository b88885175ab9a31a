"""From samples to batches of the student and its teachers: decode, resize as the robot does, augment, encode targets.

See ``training.loader`` for where randomness comes from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from caer_ros.offline.systems.components import centre
from caer_ros.offline.systems.components.backbone import Backbone
from caer_ros.offline.training import loader
from caer_ros.offline.training.augmentation import Augmentation, View, clamp
from caer_ros.offline.training.loader import mixed, padded, read
from caer_ros.perception.imaging.resizing import Resize, place, plan
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.training.config import DataConfig
    from caer_ros.offline.training.loader import Key
    from caer_ros.recordings.annotations.sample import Array, Dataset, Sample

STRIDE = Backbone.stride


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
    targets: centre.Targets
    """Targets of the detection head."""


class Batch(NamedTuple):
    """B images with up to N persons each, padded; the shape of the training step's input."""

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
    heatmap: Tensor
    """[B,1,h,w] 0..1, at a quarter of the resolution."""
    ignore: Tensor
    """[B,1,h,w] bool: it is not known whether a centre is there."""
    centres: Tensor
    """[B,N,2] column and row on the heatmap; padding is 0."""
    sizes: Tensor
    """[B,N,2] width and height in pixels of the heatmap; padding is 0."""

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


@dataclass(frozen=True)
class Item:
    """What is read for one example: a whole image with its persons, or one person's crop as an image of its own."""

    sample: Sample
    person: int | None = None


def resize_rule(config: DataConfig) -> Resize:
    """How training images become the network's input, and so how the robot's must."""
    return Resize(mode=config.resize, size=config.size)


class KaExamples(loader.Examples):
    """A data set as the network sees it.

    Args:
        dataset: one split.
        config: how to read it.
        seed: of all randomness; None for no augmentation, as in validation.
        crops: one example for each person with a label, cropped to its box, instead of one for each image.

    Raises:
        DatasetError: there is nothing to learn from; with ``config.cache`` also what an image's reading raises.
    """

    def __init__(self, dataset: Dataset, config: DataConfig, seed: int | None, crops: bool = False) -> None:
        self.labels = len(dataset.labels)
        self._rule = resize_rule(config)
        self._unlabelled_are_negative = config.unlabelled_are_negative
        self._seed = seed
        self._augmentation = Augmentation(config.augmentation)
        if crops:
            self._items = [
                Item(sample, person)
                for sample in dataset.samples
                for person in np.flatnonzero(~np.isnan(sample.emotions).all(axis=1)).tolist()
            ]
        else:
            self._items = [Item(sample) for sample in dataset.samples]
        if not self._items:
            raise DatasetError(
                f"{dataset.root}: the {dataset.split} split of {dataset.name} has no "
                f"{'person with a label' if crops else 'image'}; see `caer data check {dataset.name} {dataset.root}`"
            )
        self._cache: NDArray[np.uint8] | None = None
        if config.cache:
            self._cache = np.empty((len(self._items), *config.size, 3), np.uint8)
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # decoding and resizing release Python's lock
                for index, pixels in enumerate(pool.map(self._read, self._items)):
                    self._cache[index] = pixels

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Key) -> Example:
        """The example of an (epoch, index). Raises DatasetError for an image that cannot be read."""
        epoch, index = key
        item, height, width = self._items[index], *self._rule.size
        pixels = self._read(item) if self._cache is None else self._cache[index]
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        boxes, ignore = self._regions(item)
        if self._seed is None:
            view = View(image, clamp(boxes, height, width), np.ones(len(boxes), bool), clamp(ignore, height, width))
        else:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(mixed(self._seed, epoch, index))
                view = self._augmentation(image, boxes, ignore)
        # A crop shows its person, however it was turned.
        rows = np.flatnonzero(view.visible) if item.person is None else np.array([item.person])
        boxes = view.boxes[view.visible] if item.person is None else view.boxes
        targets = centre.encode(
            boxes / np.float32(STRIDE),
            height // STRIDE,
            width // STRIDE,
            view.ignore / np.float32(STRIDE),
            item.sample.exhaustive or self._unlabelled_are_negative,
        )
        return Example(view.image, boxes, item.sample.emotions[rows], item.sample.weights[rows], targets)

    def _regions(self, item: Item) -> tuple[Array, Array]:
        """Persons and regions to ignore, in pixels of the input."""
        height, width = self._rule.size
        if item.person is not None:
            return np.array([[0, 0, width, height]], np.float32), np.empty((0, 4), np.float32)
        resized = plan(self._rule, *item.sample.size).resized
        scale = np.tile(np.divide(resized, item.sample.size, dtype=np.float32)[::-1], 2)
        return item.sample.boxes * scale, item.sample.ignore * scale

    def _read(self, item: Item) -> NDArray[np.uint8]:
        pixels = read(item.sample)
        if item.person is not None:
            left, top, right, bottom = item.sample.boxes[item.person].tolist()
            pixels = pixels[int(top) : max(int(top) + 1, round(bottom)), int(left) : max(int(left) + 1, round(right))]
        return place(pixels, plan(self._rule, *pixels.shape[:2]))


def collate(examples: Sequence[Example]) -> Batch:
    """Pad persons to the largest number of them in an image, and stack."""
    return Batch(
        torch.stack([example.image for example in examples]),
        padded([example.boxes for example in examples]),
        padded([np.ones(len(example.boxes), bool) for example in examples]),
        padded([example.emotions for example in examples], np.nan),
        padded([example.weights for example in examples]),
        torch.from_numpy(np.stack([example.targets.heatmap for example in examples]))[:, None],
        torch.from_numpy(np.stack([example.targets.ignore for example in examples]))[:, None],
        padded([example.targets.centres for example in examples]),
        padded([example.targets.sizes for example in examples]),
    )
