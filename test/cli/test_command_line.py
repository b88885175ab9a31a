"""The command line as a process: what it imports, its exit codes, its errors."""

import argparse
import re
import subprocess
import sys

import pytest
from ros_process import CAER, ROOT

from caer_ros import __version__
from caer_ros.cli import command_line

# What a robot's owner waits for, and what must not be needed to read a help text.
HEAVY = ("numpy", "cv2", "rclpy", "rich", "rosbags", "onnxruntime", "scipy", "yaml")


def caer(*arguments):
    return subprocess.run([*CAER, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def help_words():
    yield ()
    for command in command_line.COMMANDS:
        yield command.words


@pytest.mark.parametrize("words", list(help_words()), ids=" ".join)
def test_help_needs_nothing_heavy(words):
    """That is what makes it quick."""
    code = f"""
import sys
from caer_ros import cli
assert cli.main([*{words!r}, "--help"]) == 0
sys.exit(repr([name for name in {HEAVY!r} if name in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.stderr.strip() == "[]"
    assert "usage: caer" in done.stdout


def test_help_names_every_command_and_the_exit_codes():
    done = caer("--help")
    assert done.returncode == 0
    for command in command_line.COMMANDS:
        assert re.search(rf"^    {command.words[0]}\s", done.stdout, re.MULTILINE)
    for code in (
        command_line.OK,
        command_line.FAILED,
        command_line.USAGE,
        command_line.INTERRUPTED,
        command_line.TERMINATED,
    ):
        assert f"\n  {code} " in done.stdout
    assert "--rate" in caer("play", "--help").stdout


def test_version():
    assert caer("--version").stdout == f"caer_ros {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "COMMAND"),
        (("dance",), "invalid choice: 'dance'"),
        (("bench",), "WHAT"),
        (("play",), "source"),
        (("models", "list", "--no-such"), "--no-such"),
        (("models", "list", "--ros-args", "-r", "a:=b"), "starts no ROS node"),
    ],
)
def test_a_wrong_command_line_is_2(arguments, words):
    done = caer(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_an_error_is_one_line_and_a_traceback_only_on_request(monkeypatch):
    quiet = caer("play", "/no/such/bag")
    assert quiet.returncode == 1
    assert quiet.stderr == "caer play: /no/such/bag: no such file or folder\n"
    for arguments in (("--debug", "play", "/no/such/bag"), ("play", "/no/such/bag", "--debug")):
        loud = caer(*arguments)
        assert loud.returncode == 1
        assert "Traceback" in loud.stderr
        assert loud.stderr.endswith(quiet.stderr)
    monkeypatch.setenv("CAER_DEBUG", "1")
    assert "Traceback" in caer("play", "/no/such/bag").stderr


class Ours(Exception):
    __module__ = "caer_ros.somewhere"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Ours("model.yaml: labels:\n  missing"), 1, "caer play: model.yaml: labels: missing\n"),
        (FileNotFoundError(2, "No such file", "x"), 1, "caer play: [Errno 2] No such file: 'x'\n"),
        (KeyError("x"), 1, "caer play: internal error: KeyError: 'x' (--debug shows where)\n"),
        (argparse.ArgumentTypeError("--size: not here"), 2, "caer play: --size: not here\n"),
        (ModuleNotFoundError("no", name="rclpy"), 1, "caer play: the Python module rclpy is missing: install it, or "),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_happens_becomes_an_exit_code_and_one_line(error, code, line, monkeypatch, capsys):
    from caer_ros.cli.play import play

    def fail(args):
        raise error

    monkeypatch.setattr(play, "run", fail)
    monkeypatch.setattr(command_line.signal, "signal", lambda *_: None)
    monkeypatch.delenv("CAER_DEBUG", raising=False)
    assert command_line.main(["play", "bag"]) == code
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == bool(line)


@pytest.mark.parametrize("command", command_line.COMMANDS, ids=lambda command: " ".join(command.words))
def test_ros_arguments_are_split_off(command):
    argv = [*command.words, "a", "--ros-args", "-r", "x:=y"]
    ours, ros = command_line.split_ros_arguments(argv)
    assert ours == [*command.words, "a"]
    assert ros == ["--ros-args", "-r", "x:=y"]
    assert command_line.find_command(ours) == command


def test_the_command_is_found_behind_options():
    assert command_line.find_command(["--debug", "bench", "node"]).module == "caer_ros.cli.bench.node"
    assert command_line.find_command(["bench"]) is None
