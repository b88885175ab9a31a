"""Images and persons for DSCT: the aspect is kept, so images of a batch differ in size and are padded.

Sizes, crops and flips are Deformable DETR's (DSCT's supplement A; figures of the authors' code). As in ``data``, each
image's randomness comes from (seed, epoch, index) alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import box_convert
from torchvision.transforms import v2

from caer_ros.offline.systems.dsct.losses import Truth
from caer_ros.offline.training.augmentation import clamp
from caer_ros.offline.training.config import ConfigError
from caer_ros.offline.training.loader import Examples, Key, mixed, read
from caer_ros.perception.imaging.resizing import Resize, place, plan
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.systems.dsct.config import DsctRecipe, DsctTraining
    from caer_ros.recordings.annotations.sample import Array, Dataset, Sample


class DsctExample(NamedTuple):
    """One image with N persons and M regions to ignore."""

    image: Tensor
    """[3,H,W] uint8 RGB."""
    boxes: Array
    """[N,4] x_min, y_min, x_max, y_max in pixels of the image, of positive area."""
    emotions: Array
    """[N,E] 0..1, NaN unknown."""
    weights: Array
    """[N] how much a person's labels count."""
    ignore: Array
    """[M,4] as ``boxes``."""
    complete: bool
    """Is the rest of the image empty of persons?"""


class DsctBatch(NamedTuple):
    """B images, padded at the right and below to the largest height and width."""

    images: Tensor
    """[B,3,H,W] uint8 RGB; padding is 0."""
    valid: Tensor
    """[B,H,W] bool: image, not padding."""
    truth: Truth
    """Boxes as parts of each image without its padding."""

    def to(self, device: torch.device) -> DsctBatch:
        """The same on a device."""
        images, valid = (tensor.to(device, non_blocking=True) for tensor in (self.images, self.valid))
        return DsctBatch(images, valid, self.truth.to(device))


class DsctExamples(Examples):
    """A data set as DSCT sees it.

    Args:
        dataset: one split.
        config: ``dsct_recipe`` says sizes and random changes; ``data.cache`` keeps whole images, as they are on disk.
        seed: of all randomness; None for none, and the size of validation.

    Raises:
        ConfigError: sizes that cannot be.
        DatasetError: there is nothing to learn from; with ``data.cache`` also what an image's reading raises.
    """

    def __init__(self, dataset: Dataset, config: DsctTraining, seed: int | None) -> None:
        recipe = config.dsct_recipe
        _check(recipe)
        if not dataset.samples:
            raise DatasetError(
                f"{dataset.root}: the {dataset.split} split of {dataset.name} has no image; "
                f"see `caer data check {dataset.name} {dataset.root}`"
            )
        self.labels = len(dataset.labels)
        self._samples = dataset.samples
        self._rule = resize_rule(recipe)
        self._unlabelled_are_negative = config.data.unlabelled_are_negative
        self._seed = seed
        self._changes = augmentation(recipe)
        self._cache: list[NDArray[np.uint8]] | None = None
        if config.data.cache:
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                self._cache = list(pool.map(read, self._samples))

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, key: Key) -> DsctExample:
        """The example of an (epoch, index). Raises DatasetError for an image that cannot be read."""
        epoch, index = key
        sample = self._samples[index]
        pixels = read(sample) if self._cache is None else self._cache[index]
        boxes = np.concatenate([sample.boxes, sample.ignore])
        if self._seed is None:
            image, boxes = self._resized(pixels, boxes)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(mixed(self._seed, epoch, index))
                image, boxes = self._changed(pixels, boxes)
        return _example(sample, image, boxes, sample.exhaustive or self._unlabelled_are_negative)

    def _resized(self, pixels: NDArray[np.uint8], boxes: Array) -> tuple[Tensor, Array]:
        """As on the robot."""
        fit = plan(self._rule, *pixels.shape[:2])
        scale = np.tile(np.divide(fit.resized, fit.source, dtype=np.float32)[::-1], 2)
        return _image(place(pixels, fit)), boxes * scale

    def _changed(self, pixels: NDArray[np.uint8], boxes: Array) -> tuple[Tensor, Array]:
        every = tv_tensors.BoundingBoxes(
            torch.from_numpy(boxes), format="XYXY", canvas_size=pixels.shape[:2], clamping_mode=None
        )
        image, moved = self._changes(tv_tensors.Image(_image(pixels)), every)
        return image.as_subclass(Tensor).contiguous(), moved.as_subclass(Tensor).numpy().reshape(-1, 4)


def resize_rule(recipe: DsctRecipe) -> Resize:
    """How images become the input in validation, and so how they must on the robot."""
    return Resize("short_side", short=recipe.val_short, longest=recipe.longest)


def augmentation(recipe: DsctRecipe) -> v2.Compose:
    """A flip, perhaps a random part of the image, and one of the sizes; its randomness is torch's CPU generator."""
    crop = [v2.RandomShortestSize(list(recipe.crop_short_sides)), RandomPart(*recipe.crop)]
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(recipe.flip_probability),
            v2.RandomApply(crop, recipe.crop_probability),
            v2.RandomShortestSize(list(recipe.short_sides), recipe.longest),
        ]
    )


class RandomPart(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """A random part of the image, whose height and width are drawn apart, both from ``least`` to ``most`` pixels."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__()
        self.least, self.most = least, most

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Which part."""
        height, width = v2.query_size(flat_inputs)
        rows, columns = (self._drawn(min(self.least, side), min(self.most, side)) for side in (height, width))
        return {
            "top": self._drawn(0, height - rows),
            "left": self._drawn(0, width - columns),
            "height": rows,
            "width": columns,
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """That part of an image, or boxes moved along."""
        return v2.functional.crop(inpt, **params)

    @staticmethod
    def _drawn(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, ()))


def collate(examples: Sequence[DsctExample]) -> DsctBatch:
    """Pad images, persons and regions to the largest in the batch, and stack."""
    size, labels = len(examples), examples[0].emotions.shape[1]
    height, width = (max(example.image.shape[side] for example in examples) for side in (1, 2))
    persons, regions = (max(len(field) for field in fields) for fields in zip(*map(_listed, examples), strict=True))
    images, valid = torch.zeros(size, 3, height, width, dtype=torch.uint8), torch.zeros(size, height, width).bool()
    truth = Truth(
        torch.zeros(size, persons, 4),
        torch.zeros(size, persons, dtype=torch.bool),
        torch.full((size, persons, labels), torch.nan),
        torch.zeros(size, persons),
        torch.zeros(size, regions, 4),
        torch.tensor([example.complete for example in examples]),
    )
    for index, example in enumerate(examples):
        number, (rows, columns) = len(example.boxes), example.image.shape[1:]
        images[index, :, :rows, :columns] = example.image
        valid[index, :rows, :columns] = True
        truth.boxes[index, :number] = _parts(example.boxes, rows, columns)
        truth.present[index, :number] = True
        truth.emotions[index, :number] = torch.from_numpy(example.emotions)
        truth.weights[index, :number] = torch.from_numpy(example.weights)
        truth.ignore[index, : len(example.ignore)] = _parts(example.ignore, rows, columns)
    return DsctBatch(images, valid, truth)


def _example(sample: Sample, image: Tensor, boxes: Array, complete: bool) -> DsctExample:
    """Persons and regions of which something is left in the image, as the authors' code keeps them."""
    inside = clamp(boxes, *image.shape[1:])
    left: NDArray[np.bool_] = np.all(inside[:, 2:] > inside[:, :2], axis=1)
    rows, regions = np.flatnonzero(left[: len(sample)]), inside[len(sample) :][left[len(sample) :]]
    return DsctExample(image, inside[rows], sample.emotions[rows], sample.weights[rows], regions, complete)


def _check(recipe: DsctRecipe) -> None:
    for name, sizes in (
        ("short_sides", recipe.short_sides),
        ("crop_short_sides", recipe.crop_short_sides),
        ("val_short", (recipe.val_short,)),
        ("longest", (recipe.longest,)),
        ("crop", recipe.crop),
    ):
        if not sizes or min(sizes) < 1:
            raise ConfigError(f"dsct_recipe.{name}: {list(sizes)}, expected pixels, 1 or more")
    if recipe.crop[0] > recipe.crop[1]:
        raise ConfigError(f"dsct_recipe.crop: {list(recipe.crop)}, expected the least first, then the most")


def _listed(example: DsctExample) -> tuple[Array, Array]:
    return example.boxes, example.ignore


def _image(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _parts(boxes: Array, height: int, width: int) -> Tensor:
    """Corners in pixels to centre, width and height as parts of the image."""
    parts: Tensor = box_convert(torch.from_numpy(boxes) / torch.tensor([width, height] * 2), "xyxy", "cxcywh")
    return parts
