"""The pip route: build the one CMakeLists.txt and hand what it installs to setuptools.

An editable install takes only the messages from CMake. They go to site-packages without an
``__init__.py``, where ``caer_ros.__path__`` finds them and joins them to the live sources.

Options of CMake are read from the environment variable ``CMAKE_ARGS``, such as ``-DCAER_OFFLINE=ON``.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
_PREFIXES = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH")


def check_tools() -> None:
    """Say what is missing before CMake does: without generators it would make a package without messages."""
    if importlib.util.find_spec("rosidl_generator_py") is None:
        sys.exit(
            "caer_ros: this Python environment has no ROS message generators. Run `make build`, or install "
            "requirements/dev.txt first and build with --no-build-isolation."
        )
    if not any(map(shutil.which, ("c++", "g++", "clang++"))) and "CXX" not in os.environ:
        sys.exit("caer_ros: no C++ compiler. On Debian and Ubuntu: apt install g++")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        sys.exit(f"caer_ros: no headers for {sys.executable}. On Debian and Ubuntu: apt install python3-dev")


def stage(messages_only: bool) -> Path:
    """Build with CMake, install into a folder laid out like a prefix, and return that."""
    build = ROOT / "build" / f"cmake-{sys.implementation.cache_tag}{'-messages' if messages_only else ''}"
    prefix = build / "stage"
    shutil.rmtree(prefix, ignore_errors=True)  # what is no longer installed must not linger
    environment = os.environ | {
        # Where ROS lies: in this Python's prefix (wheels), or in what is sourced (apt).
        **{name: os.pathsep.join(filter(None, [sys.prefix, os.environ.get(name)])) for name in _PREFIXES},
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),  # cmake, ninja
    }
    configure = [
        *("-S", str(ROOT), "-B", str(build), "-G", "Ninja"),
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        f"-DCAER_MESSAGES_ONLY={'ON' if messages_only else 'OFF'}",
        "-DBUILD_TESTING=OFF",
        "-DCAER_OFFLINE=OFF",  # or CMake would remember what the last build was asked for
        *shlex.split(os.environ.get("CMAKE_ARGS", "")),
    ]
    for arguments in (configure, ["--build", str(build)], ["--install", str(build)]):
        subprocess.run(["cmake", *arguments], env=environment, check=True)
    return prefix


class BuildWithCMake(build_ext):
    """Takes the place of the compiler. There is one empty extension, so that the wheel is a platform's own."""

    def run(self) -> None:
        check_tools()
        prefix = stage(messages_only=self.editable_mode)
        python_dir = next(prefix.rglob("caer_ros/__init__.py")).parents[1]
        # The metadata is written by setuptools, and byte code by the installer.
        for folder in [*python_dir.glob("*.egg-info"), *python_dir.rglob("__pycache__")]:
            shutil.rmtree(folder)
        if self.editable_mode:
            (python_dir / "caer_ros" / "__init__.py").unlink()
            shutil.copytree(prefix, self.get_finalized_command("install").install_data)
            return
        # CMake installs all modules, so whatever an earlier build left here goes.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        shutil.move(python_dir, self.build_lib)
        self.distribution.data_files = [
            (str(path.parent.relative_to(prefix)), [str(path.relative_to(ROOT))])
            for path in sorted(prefix.rglob("*"))
            if path.is_file()
        ]

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


setup(ext_modules=[Extension("caer_ros.messages", sources=[])], cmdclass={"build_ext": BuildWithCMake})
