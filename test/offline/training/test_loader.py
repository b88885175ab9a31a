from __future__ import annotations

import tracemalloc

from caer_ros.offline.training.loader import TrainOrder


def test_a_batch_takes_the_memory_of_a_batch_however_long_the_epoch_is() -> None:
    """Copying the rest of the epoch for each batch takes megabytes here, and in a whole epoch quadratic time."""
    batches = iter(TrainOrder(200_000, 8, seed=0))
    next(batches)  # draws the epoch's order
    tracemalloc.start()
    try:
        next(batches)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000


def test_an_epoch_that_goes_on_gives_the_batches_of_an_unbroken_one() -> None:
    whole, resumed = (TrainOrder(1000, 8, seed=3, rank=1, processes=2) for _ in range(2))
    whole.epoch = resumed.epoch = 4
    resumed.first = 77
    assert list(resumed) == list(whole)[77:]
