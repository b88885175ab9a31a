"""Start real processes, and a node to talk to them, in a ROS domain of their own: for every test that goes over DDS.

::

    env = environment(tmp_path)
    with ros_node(env) as node, process([*CAER, "play", "bag"], env, tmp_path / "play") as play:
        node.create_subscription(...)
        assert play.wait(20) == 0, play.output()
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rclpy.node import Node

ROOT = Path(__file__).resolve().parents[1]
CAER = (sys.executable, "-m", "caer_ros.cli")

_DOMAINS = range(10, 102)
"""Above 101 the ports of a domain meet Linux's ephemeral ones."""
_MOST = 12
"""Domains that a process takes before it uses its own again, so that several runs fit on a machine."""
_held: list[tuple[int, int]] = []
"""Domains that this process has locked, with the locks' file descriptors, the longest unused first."""


def environment(tmp_path: Path) -> dict[str, str]:
    """This process's environment with a ROS domain that no other running test has, kept to this machine."""
    domain = _free_domain()
    logs = tmp_path / "ros_log"
    logs.mkdir(exist_ok=True)
    ours = {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(logs),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        "COLUMNS": "160",
    }
    foreign = ("CAER_", "FASTRTPS_", "FASTDDS_", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | ours


def _free_domain() -> int:
    """A domain that no other process has and in which nobody is, such as the node of a fixture that lives on."""
    domain = _locked() if len(_held) < _MOST else None
    if domain is None:
        domain = next((known for known, _ in _held if _is_quiet(known)), None) or _locked()
    if domain is None:
        raise RuntimeError("no ROS domain is free: too many test runs on this machine?")
    _held.sort(key=lambda held: held[0] == domain)  # the one that is used now goes to the end
    return domain


def _locked() -> int | None:
    """A new domain for this process, where there is one."""
    # A file lock, for other workers and other runs on this machine; it ends with this process.
    folder = Path(tempfile.gettempdir()) / f"caer_ros_test_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for domain in set(_DOMAINS) - {domain for domain, _ in _held}:
        lock = os.open(folder / str(domain), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _held.append((domain, lock))
        return domain
    return None


def _is_quiet(domain: int) -> bool:
    """Whether no participant has its discovery port in the domain (RTPS 2.3, 9.6.1: 7400 + 250 domain + 10 + 2 n)."""
    for participant in range(8):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain + 2 * participant))
            except OSError:
                return False
    return True


@contextmanager
def ros_node(env: Mapping[str, str], name: str = "test") -> Iterator[Node]:
    """A node in the domain of ``env``, in this process; its callbacks run in a thread."""
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    context = rclpy.Context()
    with _variables(env, ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOG_DIR")):
        rclpy.init(context=context, domain_id=int(env["ROS_DOMAIN_ID"]))
    node = rclpy.create_node(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join(5)
        node.destroy_node()
        rclpy.try_shutdown(context=context)


@contextmanager
def _variables(env: Mapping[str, str], names: Sequence[str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: env[name] for name in names})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Process:
    """A running process; its output goes to files, so that it never blocks."""

    def __init__(self, popen: subprocess.Popen[bytes], stdout: Path, stderr: Path) -> None:
        """Made by ``process``."""
        self.popen = popen
        self._stdout = stdout
        self._stderr = stderr

    @property
    def stdout(self) -> str:
        """What it has written so far."""
        return self._stdout.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has written so far."""
        return self._stderr.read_text(errors="replace")

    def output(self) -> str:
        """Both, for the message of an assertion."""
        return f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"

    def wait(self, seconds: float = 30.0) -> int:
        """Its exit code; fails the test when it has not ended after ``seconds``."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s\n{self.output()}") from None

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        """Return when it has written ``text``; fails the test after ``seconds`` or when it ends without."""
        until(lambda: text in self.stdout or text in self.stderr or self.popen.poll() is not None, seconds)
        assert text in self.stdout or text in self.stderr, f"no {text!r}\n{self.output()}"

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.popen.send_signal(signal.SIGINT)


@contextmanager
def process(command: Sequence[str], env: Mapping[str, str], output: Path, limit: float = 60.0) -> Iterator[Process]:
    """Run ``command`` in a process group of its own; at the end, or after ``limit`` seconds, all of it is ended.

    Args:
        command: Program and arguments.
        env: The whole environment, see ``environment``.
        output: Start of the names of two files, ``.out`` and ``.err``, for what it writes.
        limit: Seconds after which it is killed, whatever the test does.
    """
    stdout, stderr = output.with_suffix(".out"), output.with_suffix(".err")
    with stdout.open("wb") as out, stderr.open("wb") as err:
        popen = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
    watchdog = threading.Timer(limit, _kill, (popen,))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield Process(popen, stdout, stderr)
    finally:
        watchdog.cancel()
        _end(popen)


def run(command: Sequence[str], env: Mapping[str, str], output: Path, limit: float = 60.0) -> Process:
    """Run ``command`` to its end; its exit code is in ``.popen.returncode``."""
    with process(command, env, output, limit) as running:
        running.wait(limit)
    return running


def until(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Wait for ``condition()`` to be true; False when it is not after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _end(popen: subprocess.Popen[bytes]) -> None:
    # Politely first: a killed Fast DDS process leaves its shared memory behind.
    if popen.poll() is None:
        _signal_group(popen, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            popen.wait(5)
    _kill(popen)
    popen.wait(10)


def _kill(popen: subprocess.Popen[bytes]) -> None:
    _signal_group(popen, signal.SIGKILL)


def _signal_group(popen: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(popen.pid, number)
