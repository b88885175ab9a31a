"""What a measurement ran on: the machine, the versions, and what a process uses of it (Linux, by /proc)."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("numpy", "scipy", "cv2", "onnxruntime")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def describe() -> dict[str, str | int | float | bool]:
    """The machine as JSON: processor, cores that this process may use, memory, system, and how busy it is now."""
    cpu = _cpuinfo()
    return {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in cpu.get("flags", "").split(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * _PAGE / 1e9, 1),
        "system": _system(),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(ros: bool) -> dict[str, str]:
    """Versions of everything that the speed depends on; ``ros``: of rclpy and its middleware too."""
    from importlib import import_module

    import caer_ros

    found = {"caer_ros": caer_ros.__version__, "python": platform.python_version()}
    found |= {name: str(import_module(name).__version__) for name in _PACKAGES}
    if ros:
        from rclpy.utilities import get_rmw_implementation_identifier

        found["rclpy"] = _distribution("ros-jazzy-rclpy", "rclpy")
        found["rmw"] = get_rmw_implementation_identifier()
    return found


class Usage:
    """What one process has used. Raises OSError once the process has ended."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)

    def cpu_seconds(self) -> float:
        """User and system time since it started, all its threads, in steps of a clock tick (10 ms)."""
        # The name, the second field, is in brackets and may itself hold spaces and brackets.
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_bytes(self) -> int:
        """Resident memory now, shared pages included."""
        return int((self._folder / "statm").read_text().split()[1]) * _PAGE


def _cpuinfo() -> dict[str, str]:
    """The first processor's block of /proc/cpuinfo; empty where there is none."""
    try:
        block = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return sys.platform


def _distribution(*names: str) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
