"""What a measurement ran on: the machine and the versions."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import psutil

from caer_ros import processor

_PACKAGES = ("numpy", "scipy", "cv2", "onnxruntime")


def describe() -> dict[str, str | int | float | bool]:
    """The machine as JSON: processor, cores that this process may use, memory, system, and how busy it is now."""
    return {
        "cpu": processor.name(),
        "architecture": platform.machine(),
        "cores": len(psutil.Process().cpu_affinity()),
        "virtual": processor.is_virtual(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": _system(),
        "kernel": platform.release(),
        "load_before": round(psutil.getloadavg()[0], 2),
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
