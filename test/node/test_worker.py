"""The worker takes the newest item and runs jobs between two of them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from caer_ros.node.worker import Worker


@pytest.fixture
def gate() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def worker(gate: threading.Semaphore) -> Iterator[Any]:
    """A worker whose handler takes one permit of the gate for each item."""
    handled: list[int] = []
    started = threading.Semaphore(0)

    def handle(item: int) -> None:
        started.release()
        assert gate.acquire(timeout=10)
        handled.append(item)

    worker: Any = Worker(handle, lambda: None)
    worker.handled, worker.started = handled, started
    worker.start()
    yield worker
    gate.release(100)
    worker.stop()


def test_under_overload_only_the_newest_is_processed(worker: Any, gate: threading.Semaphore) -> None:
    worker.mailbox.put(1)
    assert worker.started.acquire(timeout=10)
    for item in (2, 3, 4):
        worker.mailbox.put(item)
    gate.release(2)
    assert worker.started.acquire(timeout=10)
    worker.between_items(lambda: None)
    assert worker.handled == [1, 4]
    assert worker.mailbox.drops == 2


def test_a_job_runs_when_no_item_is_in_work(worker: Any, gate: threading.Semaphore) -> None:
    worker.mailbox.put(1)
    assert worker.started.acquire(timeout=10)
    seen: list[list[int]] = []
    job = threading.Thread(target=worker.between_items, args=(lambda: seen.append(list(worker.handled)),))
    job.start()
    assert not seen
    gate.release()
    job.join(10)
    assert seen == [[1]]


def test_stopping_runs_the_jobs_that_are_left_and_later_ones() -> None:
    ran: list[str] = []
    worker: Worker[int] = Worker(lambda item: None, lambda: None)
    worker.start()
    worker.stop()
    worker.between_items(lambda: ran.append("late"))
    assert ran == ["late"]


def test_a_job_that_fails_is_its_callers_and_the_worker_goes_on(worker: Any, gate: threading.Semaphore) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        worker.between_items(fail)
    gate.release()
    worker.mailbox.put(1)
    assert worker.started.acquire(timeout=10)
    worker.between_items(lambda: None)
    assert worker.handled == [1]


@pytest.mark.timeout(30)
def test_jobs_and_a_new_rate_do_not_wait_for_the_rate_limit() -> None:
    handled = threading.Semaphore(0)
    worker: Worker[int] = Worker(lambda item: handled.release(), lambda: None)
    worker.max_rate = 1e-12
    worker.start()
    worker.mailbox.put(1)
    assert handled.acquire(timeout=10)
    worker.mailbox.put(2)
    worker.between_items(lambda: None)
    worker.max_rate = 0.0
    assert handled.acquire(timeout=10)
    worker.stop()


def test_a_rate_limit_skips_to_the_newest() -> None:
    first, last = threading.Event(), threading.Event()
    handled: list[int] = []

    def handle(item: int) -> None:
        handled.append(item)
        (last if item == 49 else first).set()

    worker: Worker[int] = Worker(handle, lambda: None)
    worker.max_rate = 2.0
    worker.start()
    worker.mailbox.put(0)
    assert first.wait(10)
    for item in range(1, 50):
        worker.mailbox.put(item)
    assert last.wait(10)
    worker.stop()
    assert handled == [0, 49]
