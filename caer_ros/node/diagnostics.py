"""What goes wrong, said once and remembered; how fast things go; and both as /diagnostics and ~/status."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from builtin_interfaces.msg import Time

    from caer_ros.msg import PerceptionStatus

LOG_PERIOD = 10.0
"""Seconds between two log lines about the same problem."""
ACTIVE_TIME = 5.0
"""Seconds for which a problem counts as present after it was last reported."""


STATES = ("inactive", "ok", "paused", "no camera", "fault")
"""PerceptionStatus.state in words."""


class Level(IntEnum):
    """Same values as diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass
class Problem:
    """Something that went wrong, perhaps many times. Times in seconds of the steady clock."""

    key: str
    level: Level
    message: str
    count: int
    last: float
    logged: float
    stamp: Time
    """When it was last met, on the ROS clock."""


class Problems:
    """Every problem met: logged at once and then at most every ``LOG_PERIOD``, kept for diagnostics and status.

    Args:
        log: takes a level and a line.
        stamp: the ROS clock, as a message.
        now: steady clock in seconds.

    Thread-safe.
    """

    def __init__(
        self, log: Callable[[Level, str], None], stamp: Callable[[], Time], now: Callable[[], float] = monotonic
    ) -> None:
        self._log = log
        self._stamp = stamp
        self._now = now
        self._lock = threading.Lock()
        self._problems: dict[str, Problem] = {}
        self.newest: Problem | None = None

    def report(self, key: str, level: Level, message: str, *, always: bool = False) -> None:
        """Say that a problem is there (again).

        Args:
            key: names its kind, such as ``corrupt_image``.
            level: how bad it is.
            message: one line; white space is folded.
            always: log it even if the last one of its kind was just logged: somebody waits for the answer.
        """
        message = " ".join(message.split())
        now = self._now()
        with self._lock:
            known = self._problems.get(key)
            count = 1 if known is None else known.count + 1
            quiet = not always and known is not None and now - known.logged < LOG_PERIOD
            logged = known.logged if known is not None and quiet else now
            self.newest = self._problems[key] = Problem(key, level, message, count, now, logged, self._stamp())
        if not quiet:
            self._log(level, message if count == 1 else f"{message} ({count} times since start)")

    def solved(self, key: str) -> None:
        """A problem of this kind is over: no longer active, still counted."""
        with self._lock:
            if key in self._problems:
                self._problems[key].last = -ACTIVE_TIME

    def active(self) -> list[Problem]:
        """Problems met within the last ``ACTIVE_TIME``, worst first."""
        since = self._now() - ACTIVE_TIME
        with self._lock:
            return sorted((p for p in self._problems.values() if p.last > since), key=lambda p: (-p.level, -p.last))

    def all(self) -> list[Problem]:
        """Problems met since start, in order of their first time."""
        with self._lock:
            return list(self._problems.values())


class Rate:
    """Events a second over the last ``window`` seconds."""

    def __init__(self, window: float = 5.0, now: Callable[[], float] = monotonic) -> None:
        self.window = window
        self._now = now
        self._times: deque[float] = deque(maxlen=10_000)
        self._since = now()

    def tick(self) -> None:
        self._times.append(self._now())

    @property
    def full(self) -> bool:
        """Has it been running for a whole window?"""
        return self._now() - self._since >= self.window

    @property
    def hertz(self) -> float:
        now = self._now()
        while self._times and self._times[0] < now - self.window:
            self._times.popleft()
        return len(self._times) / min(self.window, max(now - self._since, 1e-3))


@dataclass
class Stages:
    """Seconds that each stage took, for the last images.

    In order: ``transport`` (image stamp to callback), ``wait`` (mailbox), ``decode``, ``resize``, ``inference``,
    ``post``, ``track``, ``message``, ``publish``; ``total`` is from callback to publish return, ``overhead`` is
    what of that is not inference, ``latency`` from the image's stamp to publish return; ``debug`` is what drawing costs
    afterwards.
    """

    size: int = 600
    _values: dict[str, deque[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seconds: dict[str, float]) -> None:
        with self._lock:
            for stage, value in seconds.items():
                self._values.setdefault(stage, deque(maxlen=self.size)).append(value)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()

    def percentiles(self, *which: float) -> dict[str, tuple[float, ...]]:
        """For each stage the percentiles asked for, in seconds."""
        with self._lock:
            values = {stage: list(window) for stage, window in self._values.items()}
        return {stage: tuple(float(v) for v in np.percentile(window, which)) for stage, window in values.items()}


def diagnostic_array(name: str, status: PerceptionStatus, problems: Problems, stages: Stages) -> DiagnosticArray:
    """``/diagnostics`` of the node, from what it says in ``~/status`` and from its problems."""
    active = problems.active()
    level = max((problem.level for problem in active), default=Level.OK)
    if status.state in (status.NO_CAMERA, status.FAULT):
        level = Level.ERROR
    values = {
        "input topic": status.input_topic,
        "input rate (Hz)": f"{status.input_rate:.2f}",
        "input age (s)": f"{status.input_age:.3f}",
        "output rate (Hz)": f"{status.output_rate:.2f}",
        "images received": str(status.images_received),
        "images rejected": str(status.images_rejected),
        "mailbox drops": str(status.mailbox_drops),
        "latency p50 (ms)": f"{status.latency_p50 * 1e3:.2f}",
        "latency p95 (ms)": f"{status.latency_p95 * 1e3:.2f}",
        "provider": status.provider,
        "model": status.model_id,
        "model version": status.model_version,
        "last error": status.last_error,
    }
    for stage, (p50, p95) in stages.percentiles(50, 95).items():
        values[f"{stage} p50 (ms)"] = f"{p50 * 1e3:.3f}"
        values[f"{stage} p95 (ms)"] = f"{p95 * 1e3:.3f}"
    for problem in problems.all():
        values[f"problem {problem.key}"] = f"{problem.count} × {problem.message}"
    return DiagnosticArray(
        header=status.header,
        status=[
            DiagnosticStatus(
                level=bytes([level]),
                name=f"{name}: perception",
                message=status.reason or STATES[status.state],
                hardware_id=status.input_topic,
                values=[KeyValue(key=key, value=value) for key, value in values.items()],
            )
        ],
    )
