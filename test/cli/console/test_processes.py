"""Real child processes, polite and stubborn ones."""

import os
import sys
import time

import psutil
import pytest
from ros_process import until

from caer_ros.cli.console import processes
from caer_ros.cli.console.processes import Child

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print(child.pid, flush=True)
time.sleep(60)
"""


def child(code, tmp_path):
    return Child("a child", [sys.executable, "-c", code], os.environ, tmp_path / "log")


def running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_it_wrote_and_how_it_ended_are_known(tmp_path):
    code = "import sys; print('one'); print('two'); print('three', file=sys.stderr); sys.exit(3)"
    with child(code, tmp_path) as ended:
        assert ended.wait(20)
    assert ended.exit_code == 3
    assert ended.last_lines(2) == ["two", "three"]


def test_waiting_has_a_limit(tmp_path):
    with child("import time; time.sleep(60)", tmp_path) as busy:
        assert not busy.wait(0.05)
        assert busy.exit_code is None


def test_leaving_the_context_lets_it_tidy_up(tmp_path):
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('tidied up')))
print('up', flush=True)
time.sleep(60)
"""
    with child(code, tmp_path) as polite:
        assert until(lambda: polite.last_lines(1) == ["up"])
    assert polite.exit_code == 0
    assert polite.last_lines(1) == ["tidied up"]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_nobody_is_left_behind(tmp_path, monkeypatch, error):
    """Neither a process that does not listen, nor its own children."""
    monkeypatch.setattr(processes, "POLITE_S", 0.2)
    begin = time.monotonic()
    try:
        with child(PARENT, tmp_path) as parent:
            assert until(lambda: "deaf" in parent.last_lines(5))
            grandchild = int(parent.last_lines(5)[0])
            assert running(grandchild)
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert parent.exit_code is not None
    assert until(lambda: not running(grandchild), 5)
    assert time.monotonic() - begin < 50
