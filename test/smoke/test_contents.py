"""What an installation consists of, by colcon or as a wheel: a robot's has no training code.

The environment variable CAER_OFFLINE says what was asked for: ON with the offline companion, else without.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import caer_ros
from caer_ros import share
from caer_ros.cli.command_line import COMMANDS, NO_COMPANION, Command, needs_companion

SOURCES = Path(__file__).resolve().parents[2]
PACKAGE = Path(caer_ros.__file__).absolute().parent
SHARE = next(folder for folder in share.folders() if folder.is_dir() and folder != SOURCES)
WHOLE = os.environ.get("CAER_OFFLINE") == "ON"
COMPANION = (
    "caer_ros/offline/",
    "config/bag_bench.yaml",
    "config/train/",
    "resource/published_numbers.yaml",
    "resource/synthetic/",
)


def files(folder: Path, *below: str) -> set[str]:
    """Paths relative to ``folder``, of what a person wrote."""
    found = {path.relative_to(folder) for name in below for path in (folder / name).rglob("*") if path.is_file()}
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def caer(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run code in which ``cli`` is the command line, where nothing but this installation is."""
    alone = f"caer_ros.__path__ = [{str(PACKAGE)!r}]; from caer_ros.cli import command_line as cli"
    command = [sys.executable, "-c", f"import argparse, sys, caer_ros; {alone}\n{code}"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_this_is_no_source_tree() -> None:
    assert PACKAGE.parent != SOURCES


def test_it_has_every_file_of_the_sources_and_of_the_companion_only_what_was_asked_for() -> None:
    written = files(SOURCES, "caer_ros", "config", "launch", "models", "resource")
    companion = {name for name in written if name.startswith(COMPANION)}
    assert all(any(name.startswith(part) for name in companion) for part in COMPANION)
    installed = files(PACKAGE.parent, "caer_ros") | files(SHARE, "config", "launch", "models", "resource")
    wanted = written if WHOLE else written - companion
    assert not wanted - installed
    assert not installed & companion - wanted
    if not WHOLE:
        assert not (PACKAGE / "offline").exists()


def test_nothing_that_trains_is_required() -> None:
    required = set(re.findall(r"<(?:exec_)?depend>(.+)</", (SHARE / "package.xml").read_text()))
    with suppress(importlib.metadata.PackageNotFoundError):  # colcon writes none
        lines = importlib.metadata.requires("caer_ros") or []
        required |= {line for line in lines if "extra ==" not in line}
    assert any("numpy" in name for name in required)
    assert not {name for name in required if re.search(r"torch|lightning|timm|transformers|onnx\b", name)}


def test_every_help_is_there(tmp_path: Path) -> None:
    done = caer("for command in cli.COMMANDS: assert cli.main([*command.words, '--help']) == 0, command", tmp_path)
    assert done.returncode == 0, done.stderr
    assert caer("cli.main(['bag', '--help'])", tmp_path).stdout.count("extract") == 1


@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if needs_companion(command)],
    ids=lambda command: " ".join(command.words),
)
def test_a_command_without_the_companion_says_so_and_names_the_remedy(command: Command, tmp_path: Path) -> None:
    done = caer(f"sys.exit(cli.main([*{command.words}, 'x']))", tmp_path)
    if WHOLE:
        assert NO_COMPANION not in done.stderr
    else:
        assert done.stderr == f"caer {' '.join(command.words)}: {NO_COMPANION}\n"
        assert done.returncode == 1
        assert not list(tmp_path.iterdir())


def test_a_recording_is_looked_into_on_the_robot(tmp_path: Path) -> None:
    bag = SHARE / "resource" / "demo" / "demo_bag"
    done = caer(f"sys.exit(cli.main(['bag', 'info', {str(bag)!r}]))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sensor_msgs/msg/CompressedImage" in done.stdout
    options = ["--output", "out", "--count", "2", "--prefill", "bootstrap", "--device", "cpu"]
    done = caer(f"sys.exit(cli.main(['bag', 'extract', {str(bag)!r}, *{options!r}]))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(files(tmp_path, "out")) == 3
