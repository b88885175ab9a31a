"""Child processes that never outlive the command that started them, and whose output can be shown when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

LAST_LINES = 10
"""So many lines of a process that ended are told."""
POLITE_S = 4.0
"""Time in which a process may tidy up after it was asked to end: a killed one leaves its shared memory behind."""


class ProcessError(Exception):
    """A process ended that should run; tells its name, its exit code and its last words."""


class Child:
    """A process in a group of its own; leaving its context ends the whole group."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        """Start ``command``; what it writes to stdout and stderr goes to ``log`` and ``log`` with suffix .err.

        ``name`` is what errors call it, such as "the node".
        """
        self.name = name
        self.log = log
        self.errors = log.with_suffix(".err")
        with log.open("wb") as out, self.errors.open("wb") as err:
            # A group of its own: Ctrl-C reaches us alone, and we decide in which order things end.
            self._popen = subprocess.Popen(
                command, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Id of the process, and of its group."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def last_lines(self, count: int) -> list[str]:
        """The end of what it wrote, stderr after stdout."""
        lines = [line for file in (self.log, self.errors) for line in file.read_text(errors="replace").splitlines()]
        return lines[-count:]

    def check(self) -> None:
        """Raises ProcessError when it has ended."""
        if self.exit_code is not None:
            words = " ".join(" ".join(self.last_lines(LAST_LINES)).split())
            raise ProcessError(f"{self.name} ended with exit code {self.exit_code}: {words or 'it said nothing'}")

    def ask_to_end(self) -> None:
        """Send SIGTERM: a process that was started in the background may ignore SIGINT."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Ask it to end, and kill its group when it does not, or when it left somebody behind."""
        if self.exit_code is None:
            self.ask_to_end()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(POLITE_S)
        self._signal(signal.SIGKILL)
        self._popen.wait()

    def wait(self, seconds: float) -> bool:
        """True when it ends within ``seconds``."""
        end = time.monotonic() + seconds
        while self.exit_code is None and time.monotonic() < end:
            time.sleep(0.02)
        return self.exit_code is not None

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
