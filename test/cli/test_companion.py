"""Which commands need the offline companion: command line, code and README agree."""

from __future__ import annotations

import ast
import configparser
import re
from functools import cache
from pathlib import Path

import pytest

from caer_ros.cli.command_line import COMMANDS, GROUPS, needs_companion

ROOT = Path(__file__).parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "caer_ros").rglob("*.py")
}


@cache
def imports(module: str) -> frozenset[str]:
    """All that ``module`` must import when it runs, and what of the companion it names to start it as a process."""
    names = set()
    todo: list[ast.AST] = [ast.parse(FILES[module].read_text())]
    while todo:
        node = todo.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                todo += node.orelse
                continue
            case ast.Try(handlers=[ast.ExceptHandler(type=ast.Name(id="ModuleNotFoundError"))]):
                todo += [*node.orelse, *node.finalbody]  # it does without, and says so
                continue
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            case ast.Constant(value=str() as text) if text in FILES and text.startswith("caer_ros.offline"):
                names.add(text)
        todo += ast.iter_child_nodes(node)
    return frozenset(names)


def reached(module: str) -> set[str]:
    """All that running ``module`` may import."""
    seen, todo = set(), {module}
    while todo:
        seen.add(name := todo.pop())
        todo |= imports(name) & FILES.keys() - seen
    return seen


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_the_command_line_says_who_needs_the_companion(command):
    companions = {name for name in reached(command.module) if f"{name}.".startswith("caer_ros.offline.")}
    assert needs_companion(command) == bool(companions), sorted(companions)


def test_a_robot_s_commands_import_nothing_of_the_extra():
    parser = configparser.ConfigParser(delimiters=["="])
    parser.read(ROOT / "setup.cfg")
    extra = set(re.findall(r"^([\w-]+)", parser["options.extras_require"]["offline"], re.MULTILINE))
    extra = {name.replace("-", "_") for name in extra}
    for command in COMMANDS:
        if not needs_companion(command):
            imported = {name.split(".")[0] for module in reached(command.module) for name in imports(module)}
            assert not imported & extra, command


def test_the_readme_marks_them():
    """A row names one command, or several: `caer bag info`, `merge` °."""
    section = (ROOT / "README.md").read_text().split("\n## The command line\n")[1].split("\n## ")[0]
    marked = {}
    for cell in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE):
        group: tuple[str, ...] = ()
        for named in re.findall(r"`(?:caer )?([a-z][a-z -]*)", cell):
            words = tuple(word for word in named.split() if not word.startswith("-"))
            if words[0] in GROUPS and len(words) == 2:
                group, words = words[:1], words[1:]
            marked[group + words] = "°" in cell
    assert marked == {command.words: needs_companion(command) for command in COMMANDS}
