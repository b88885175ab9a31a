"""Images in the order of a training: each by its key, shared among processes, loaded by workers.

Each image's randomness comes from (seed, epoch, index) alone, so neither the number of worker processes, nor several
training processes, nor a restart in the middle of an epoch change what the network sees.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils import data

from caer_ros.offline.training.config import ConfigError
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from caer_ros.recordings.annotations.sample import Dataset, Sample

Key = tuple[int, int]
"""Epoch and index of an image: what fixes how it looks."""


class Examples(data.Dataset[Any], ABC):
    """A data set as a network sees it, indexed by ``Key``."""

    extra_seen: str = ""
    """What is learnt from beside the data set, for a person to read."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many examples an epoch has."""


def read(sample: Sample) -> NDArray[np.uint8]:
    """A sample's image [H,W,3] RGB. Raises DatasetError where it cannot be read, or is of another size by now."""
    pixels = image_files.read(sample.path)
    if pixels.shape[:2] != sample.size:
        raise DatasetError(
            f"{sample.path}: {pixels.shape[1]} x {pixels.shape[0]} pixels, but {sample.size[1]} x {sample.size[0]} "
            "when the set was loaded; was it replaced?"
        )
    return pixels


def described(dataset: Dataset) -> str:
    """What is in a split, for a person to read."""
    samples = dataset.samples
    return f"{dataset.name}, {dataset.split}: {len(samples)} images, {sum(map(len, samples))} persons"


def padded(rows: Sequence[NDArray[Any]], value: float = 0) -> Tensor:
    """B arrays [N,...] of different N as one tensor [B,N,...], the shorter ones filled up with a value."""
    return pad_sequence([torch.from_numpy(array) for array in rows], batch_first=True, padding_value=value)


def mixed(*values: int) -> int:
    """A seed from several numbers, such that neighbours give unrelated streams."""
    return int(np.random.SeedSequence(values).generate_state(1, np.uint64)[0])


class TrainOrder(data.Sampler[list[Key]]):
    """Batches of an epoch, shuffled by (seed, epoch); each of several processes gets its part of every batch.

    The last, incomplete batch is left out, as batch normalisation suffers from it; another shuffle, other images.
    """

    def __init__(self, length: int, batch: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        if batch % processes:
            raise ConfigError(f"data.batch: {batch} cannot be shared by {processes} processes; choose a multiple")
        if batch > length:
            raise ConfigError(f"data.batch: {batch}, but there are only {length} examples to learn from")
        self._length, self._batch, self._seed = length, batch, seed
        self._part = slice(rank * batch // processes, (rank + 1) * batch // processes)
        self.epoch = 0
        self.first = 0
        """The batch of the epoch to begin with, after a restart."""

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self._length // self._batch

    def __iter__(self) -> Iterator[list[Key]]:
        order = np.random.default_rng([self._seed, self.epoch]).permutation(self._length).tolist()
        for batch in range(self.first, len(self)):
            part = order[batch * self._batch : (batch + 1) * self._batch][self._part]
            yield [(self.epoch, index) for index in part]


class ValidationOrder(data.Sampler[list[Key]]):
    """All images once and in order; of several processes, each gets every so many-th batch."""

    def __init__(self, length: int, batch: int, rank: int = 0, processes: int = 1) -> None:
        starts = range(rank * batch, length, processes * batch)
        self._batches = [[(0, index) for index in range(start, min(start + batch, length))] for start in starts]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self._batches)


def loader(
    examples: Examples,
    collate: Callable[[Any], Any],
    order: data.Sampler[list[Key]],
    workers: int,
    pin_memory: bool = False,
) -> data.DataLoader[Any]:
    """Batches in that order. Worker processes, at most one for each core, stay from epoch to epoch."""
    return data.DataLoader(
        examples,
        batch_sampler=order,
        num_workers=min(workers, os.cpu_count() or 1),
        collate_fn=collate,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=_one_thread,
    )


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)  # there are as many processes as wanted already
