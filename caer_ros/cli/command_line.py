"""The command line ``caer``: finds the module behind a command, and imports that one only.

The module of ``caer bench node`` is ``caer_ros.cli.bench.node``. A command has ``add_arguments(parser)`` and
``run(args) -> int``, and imports nothing heavy before ``run``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caer_ros import __version__
from caer_ros.cli.importing import PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

OK, FAILED, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

EXIT_CODES = """exit codes:
  0    done
  1    what was asked for failed; one line on stderr says why
  2    the command line was wrong
  130  interrupted with Ctrl-C
  143  terminated

--debug, or CAER_DEBUG=1, shows where an error came from."""

ROS_ARGUMENTS = """arguments after --ros-args go to ROS, such as --ros-args -r old_topic:=new_topic

"""


@dataclass(frozen=True)
class Command:
    """One command: the words that call it, the module behind it, and what it does."""

    words: tuple[str, ...]
    module: str
    summary: str
    ros: bool = False
    """Does it start a ROS node, which takes ``--ros-args``?"""


COMMANDS = (
    Command(("demo",), "caer_ros.cli.demo.demo", "play the demo bag into the real node and show what comes out"),
    Command(("play",), "caer_ros.cli.play.play", "publish a bag, a video or pictures as a camera", ros=True),
    Command(("watch",), "caer_ros.cli.watch.watch", "show what a running node sees", ros=True),
    Command(("bench", "scaling"), "caer_ros.cli.bench.scaling", "measure what more persons cost, against two stages"),
    Command(("bench", "train"), "caer_ros.cli.bench.train", "measure loading and training throughput"),
    Command(("models", "list"), "caer_ros.cli.models.list", "the bundles that the node can load by name"),
    Command(("models", "info"), "caer_ros.cli.models.info", "a bundle's model card"),
    Command(("models", "verify"), "caer_ros.cli.models.verify", "compare every file of a bundle with its hash"),
    Command(("models", "compare"), "caer_ros.cli.models.compare", "speed, size and agreement of two or more models"),
    Command(("models", "describe"), "caer_ros.cli.models.describe", "parameters and GFLOPs of a network"),
    Command(("data", "check"), "caer_ros.cli.data.check", "what is in a data set, and what is wrong with it"),
    Command(("data", "synthetic"), "caer_ros.cli.data.synthetic", "render data sets and bags of known truth"),
    Command(("data", "people"), "caer_ros.cli.data.people", "put pictures of people together to learn from"),
    Command(("train",), "caer_ros.cli.train", "train a teacher or a student"),
    Command(("distill",), "caer_ros.cli.distill", "teach a student on unlabelled frames of a robot"),
    Command(("evaluate", "dataset"), "caer_ros.cli.evaluate.dataset", "ER, PD and OER of a model on a data set"),
    Command(
        ("evaluate", "portraits"),
        "caer_ros.cli.evaluate.portraits",
        "labels of neutral and smiling people by size, group and cover",
    ),
    Command(
        ("evaluate", "readability"),
        "caer_ros.cli.evaluate.readability",
        "from when on somebody can be read, and a label is certain",
    ),
    Command(("evaluate", "bag"), "caer_ros.cli.evaluate.bag", "what a robot perceived, from its recordings"),
    Command(
        ("evaluate", "compare"),
        "caer_ros.cli.evaluate.compare",
        "two evaluations, frame by frame the same",
    ),
    Command(("evaluate", "hardest"), "caer_ros.cli.evaluate.hardest", "the frames to annotate or train on next"),
    Command(("bag", "info"), "caer_ros.cli.bag.info", "topics, rates, gaps and stamps of a bag"),
    Command(("bag", "extract"), "caer_ros.cli.bag.extract", "pictures of a bag, to be annotated"),
    Command(("bag", "label-studio"), "caer_ros.cli.bag.label_studio", "annotate pictures, and read it back"),
    Command(("bag", "merge"), "caer_ros.cli.bag.merge", "the ground truth as a topic of a bag"),
    Command(("bag", "bench"), "caer_ros.cli.bag.bench", "play a bag into the node and hold it to limits"),
    Command(("calibrate",), "caer_ros.cli.calibrate", "make a bundle's scores honest probabilities"),
    *(Command(("import", name), f"caer_ros.cli.importing.{name}", makes) for name, makes in PUBLISHED.items()),
    Command(("export",), "caer_ros.cli.export", "make a model bundle of a checkpoint"),
    Command(("reproduce",), "caer_ros.cli.reproduce", "train and print a table of a paper"),
    Command(("bench", "node"), "caer_ros.cli.bench.node", "measure the latency and throughput of the node"),
    Command(("bench", "evaluate"), "caer_ros.cli.bench.evaluate", "measure the evaluation of bags"),
    Command(("bench", "tracking"), "caer_ros.cli.bench.tracking", "measure detection and identity on generated bags"),
)

GROUPS = {
    "bag": "look into recordings, annotate them, replay them",
    "bench": "measure speed, tracking and training",
    "data": "check and make data sets",
    "evaluate": "measure what a model perceives",
    "import": "make bundles of the weights that others published",
    "models": "list, describe, verify and compare models",
}
"""What the commands of two words are about."""

COMPANION = {
    *("train", "distill", "evaluate", "calibrate", "import", "export", "reproduce", "data"),
    *("models describe", "bag bench", "bench scaling", "bench tracking", "bench train", "bench evaluate"),
}
"""Commands, and groups of them, that need the offline companion ``caer_ros/offline``."""

NO_COMPANION = (
    "this installation is without the offline companion, which trains, evaluates and exports. Build the workspace with "
    "`colcon build --cmake-args -DCAER_OFFLINE=ON`, or run in the sources "
    "`CMAKE_ARGS=-DCAER_OFFLINE=ON pip install --no-build-isolation '.[cpu,opencv,offline]'`"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``caer`` with ``argv`` (default: the process's arguments) and return its exit code."""
    words, ros_arguments = split_ros_arguments(sys.argv[1:] if argv is None else list(argv))
    command = find_command(words)
    if command and lacks_companion(command) and not {"-h", "--help"}.intersection(words):
        return run(command, argparse.Namespace())  # which says so; its arguments are the companion's to know
    parser = build_parser(command)
    try:
        args = parser.parse_args(words)
    except SystemExit as exit_:  # argparse has already said what is wrong, or printed the help
        return int(exit_.code or OK)
    if command is None:
        parser.print_help(sys.stderr)
        return USAGE
    if ros_arguments and not command.ros:
        print(f"{title(command)}: --ros-args: this command starts no ROS node", file=sys.stderr)
        return USAGE
    args.ros_arguments = ros_arguments
    return run(command, args)


def split_ros_arguments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and ROS's: from ``--ros-args`` to the end."""
    argv = list(argv)
    cut = argv.index("--ros-args") if "--ros-args" in argv else len(argv)
    return argv[:cut], argv[cut:]


def find_command(argv: Sequence[str]) -> Command | None:
    """The command that ``argv`` calls; None when it names none, or only half of one."""
    named = tuple(word for word in argv if not word.startswith("-"))
    return next((command for command in COMMANDS if named[: len(command.words)] == command.words), None)


def build_parser(chosen: Command | None) -> argparse.ArgumentParser:
    """A parser that knows every command's name, and the arguments of ``chosen`` alone."""
    parser = argparse.ArgumentParser(
        prog="caer",
        description="How people in a robot's camera image appear to feel.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"caer_ros {__version__}")
    _add_debug(parser, default=bool(os.environ.get("CAER_DEBUG")))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    groups: dict[tuple[str, ...], argparse._SubParsersAction[argparse.ArgumentParser]] = {(): commands}
    for command in COMMANDS:
        group = command.words[:-1]
        if group not in groups:
            inner = commands.add_parser(group[0], help=GROUPS[group[0]], description=GROUPS[group[0]])
            groups[group] = inner.add_subparsers(title="commands", metavar="WHAT", required=True)
        sub = groups[group].add_parser(
            command.words[-1],
            help=command.summary,
            epilog=(ROS_ARGUMENTS if command.ros else "") + EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_debug(sub, default=argparse.SUPPRESS)
        if command is chosen:
            module = importlib.import_module(command.module)
            sub.description = module.__doc__
            if lacks_companion(command):
                sub.description = f"{module.__doc__}\n{NO_COMPANION}"
            else:
                module.add_arguments(sub)
    return parser


def run(command: Command, args: argparse.Namespace) -> int:
    """Run one command and turn whatever happens into an exit code and at most one line on stderr."""
    if lacks_companion(command):
        print(f"{title(command)}: {NO_COMPANION}", file=sys.stderr)
        return FAILED
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(importlib.import_module(command.module).run(args))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `caer watch --json | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except argparse.ArgumentTypeError as error:  # arguments that contradict each other, or what they name
        print(f"{title(command)}: {error}", file=sys.stderr)
        return USAGE
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        print(f"{title(command)}: {in_words(error)}", file=sys.stderr)
        return FAILED


def needs_companion(command: Command) -> bool:
    """Whether the command needs the offline companion, which a robot's installation is without."""
    return not COMPANION.isdisjoint((command.words[0], " ".join(command.words)))


def lacks_companion(command: Command) -> bool:
    """Whether the command needs the offline companion, and this installation is without it."""
    return needs_companion(command) and not importlib.util.find_spec("caer_ros.offline")


def title(command: Command) -> str:
    """What to call the command in an error."""
    return " ".join(("caer", *command.words))


def in_words(error: Exception) -> str:
    """One line for a person. Our own errors and the system's say it already; others are bugs, and say so."""
    said = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError):
        return f"the Python module {error.name} is missing: install it, or source the ROS workspace that has it"
    if isinstance(error, OSError) or type(error).__module__.startswith("caer_ros"):
        return said
    return f"internal error: {type(error).__name__}: {said} (--debug shows where)"


def _add_debug(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument("--debug", action="store_true", default=default, help="show where an error came from")


def _terminate(signum: int, frame: FrameType | None) -> None:
    # A process that dies of SIGTERM leaves its shared memory behind; unwinding lets ROS clean up.
    raise SystemExit(TERMINATED)
