"""Several bags at the same time, each in a process, with exactly the results of one after the other."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from queue import Empty
from typing import TYPE_CHECKING, Any

from caer_ros.offline.evaluation.bags.bag_run import run_bag
from caer_ros.offline.evaluation.predict import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from multiprocessing.queues import Queue

    from caer_ros.offline.evaluation.bags.bag_run import BagJob, BagRun
    from caer_ros.recordings.annotations.sample import Sample

    Advance = Callable[[int, int], None]
    """Takes the number of a job and how many of its samples are done."""

_LOOK = 0.1  # s between two looks at how far other processes are


def _ignore(job: int, done: int) -> None:
    """Shows no progress."""


def run_bags(jobs: Sequence[BagJob], processes: int = 1, advance: Advance = _ignore) -> list[BagRun]:
    """Runs several bags, each as ``run_bag`` alone would; with several processes only sooner.

    Args:
        jobs: their stores must be different files.
        processes: how many bags run at the same time, each with the threads that its settings name.
        advance: called in this process, to show progress; a job that is done has done all samples of its dataset.

    Raises:
        EvaluationError: a process was killed; or as ``run_bag``. The other jobs are stopped.
    """
    if processes == 1 or len(jobs) == 1:
        return [_run(number, job, advance) for number, job in enumerate(jobs)]
    context = get_context("spawn")  # a fork of a process in which threads run may hang
    news, stop = context.Queue(), context.Event()
    with ProcessPoolExecutor(min(processes, len(jobs)), context, _share, (news, stop)) as pool:
        futures = [pool.submit(_run_there, number, job) for number, job in enumerate(jobs)]
        try:
            _follow(futures, jobs, news, advance)
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures]


def _follow(futures: Sequence[Future[BagRun]], jobs: Sequence[BagJob], news: Queue[Any], advance: Advance) -> None:
    """Wait until all jobs are done, or one has failed: then its error is raised."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, _LOOK, FIRST_COMPLETED)
        while True:
            try:
                number, count = news.get_nowait()
            except Empty:
                break
            if futures[number] in pending:
                advance(number, count)
        for number, future in enumerate(futures):
            if future in done:
                try:
                    future.result()
                except BrokenProcessPool as error:
                    raise EvaluationError(
                        f"a process that evaluated bags, such as {jobs[number].bag}, was killed: was there enough "
                        "memory? Run again with fewer processes; what is in the stores is not computed again"
                    ) from error
                advance(number, len(jobs[number].dataset.samples))


class _Stopped(Exception):
    """Another job failed."""


_shared: list[Any] = []
"""Queue of the news and event that stops the job, in a process of ``run_bags``."""


def _share(*shared: Any) -> None:
    _shared[:] = shared
    shared[0].cancel_join_thread()  # who is stopped does not wait for its news to be read


def _run_there(number: int, job: BagJob) -> BagRun:
    news, stop = _shared

    def advance(number: int, done: int) -> None:
        if stop.is_set():
            raise _Stopped
        news.put((number, done))

    return _run(number, job, advance)


def _run(number: int, job: BagJob, advance: Advance) -> BagRun:
    def watch(samples: Iterable[Sample]) -> Iterator[Sample]:
        for done, sample in enumerate(samples):
            advance(number, done)
            yield sample

    run = run_bag(job.bundle, job.bag, job.dataset, job.topic, job.settings, job.pipeline, job.store, watch)
    advance(number, len(job.dataset.samples))
    return run
