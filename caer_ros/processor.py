"""The machine's processor, as Linux describes it in /proc/cpuinfo; psutil tells neither name nor flags."""

from __future__ import annotations

import platform
from pathlib import Path


def name() -> str:
    """Return the processor's name, or its architecture where the system tells no name."""
    return _first().get("model name") or platform.processor() or platform.machine()


def is_virtual() -> bool:
    """Does the processor say that it is a virtual machine's?"""
    return "hypervisor" in _first().get("flags", "").split()


def _first() -> dict[str, str]:
    """Return the first processor's fields; none where the system has no such file."""
    try:
        block = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
