"""How the house is laid out: no circle of imports, a system is one folder, and a name means one thing."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from test_package import MODULES, ROOT, imports, module_name

from caer_ros.offline import systems

SOURCES = {module_name(path).removesuffix(".__init__"): path.read_text() for path in MODULES}
MOST_FILES = 15
"""Modules side by side in a folder."""


# --- Circles ---


def edges(code: str, module: str, known: set[str]) -> set[str]:
    """The modules that ``module`` imports, wherever in it, be it for types alone."""
    found = set()
    for name in imports(ast.parse(code), module):
        while name not in known and "." in name:  # the name of a class or function in a module
            name = name.rpartition(".")[0]
        found.add(name)
    return found & known - {module, "caer_ros"}


def circle(sources: dict[str, str]) -> list[str]:
    """One circle of imports; [] where there is none."""
    packages = {module for module in sources if any(other.startswith(f"{module}.") for other in sources)}
    known = set(sources)
    # "__init__" makes relative imports of a package come out right.
    graph = {
        module: edges(code, f"{module}.__init__" if module in packages else module, known) - {module}
        for module, code in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_of_imports() -> None:
    assert not circle(SOURCES)


@pytest.mark.parametrize(
    "code",
    [
        "from p import b",
        "def f():\n    import p.b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import Thing",
        "from .b import thing",
    ],
)
def test_a_circle_is_seen(code: str) -> None:
    assert set(circle({"p": "", "p.a": code, "p.b": "from p.a import thing"})) == {"p.a", "p.b"}


# --- A system is one folder ---

SYSTEM_FOLDERS = sorted({path.parent.name for path in (ROOT / "caer_ros/offline/systems").glob("*/system.py")})
MAY_NAME_SYSTEMS = (
    "caer_ros/offline/systems/",
    "caer_ros/offline/reproduction/",
    "caer_ros/cli/importing/",  # its commands are called by them
)
NAMES = re.compile(r"benet|dsct|affect_?dml|pkd|systems\.(ka|people)\b", re.IGNORECASE)
EVALUATOR = re.compile(r"\w*benet_compat|benet's( evaluator| code| published numbers|\.)", re.IGNORECASE)
"""The published evaluator whose numbers two metrics reproduce is named as what it is."""


def names_of_systems(code: str) -> list[str]:
    """Where code, comments left out and docstrings too, names a system: they may cite a paper."""
    docstrings = {
        (node.body[0].lineno, node.body[0].col_offset)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    }
    statements = {
        (node.lineno, node.col_offset)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)  # what says what a field means
    }
    found = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.start in docstrings | statements):
            continue
        found += [token.line.strip()] if NAMES.search(EVALUATOR.sub("", token.string)) else []
    return found + [line for line in code.splitlines() if re.search(r"\bsystems\.(ka|people)\b", line)]


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if not str(path.relative_to(ROOT)).startswith(MAY_NAME_SYSTEMS)],
    ids=module_name,
)
def test_outside_its_folder_nothing_names_a_system(path: Path) -> None:
    assert not names_of_systems(path.read_text())
    assert not NAMES.search(path.stem)


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ('if task == "benet":\n    pass', True),
        ("from caer_ros.offline.systems.ka import task", True),
        ("def f(dsct: int) -> None: ...", True),
        ('"""As BENet does it."""\nx = 1  # DSCT', False),
        ("oer_benet_compat(joined)", False),
    ],
)
def test_a_name_is_seen(code: str, named: bool) -> None:
    assert bool(names_of_systems(code)) == named


def test_every_folder_of_a_system_is_in_the_table() -> None:
    assert sorted(set(systems.TASKS.values())) == SYSTEM_FOLDERS
    for task, folder in systems.TASKS.items():
        system = systems.of(task)
        assert system.__name__ == f"caer_ros.offline.systems.{folder}.system"  # type: ignore[attr-defined]
        assert task in system.NETWORKS
        assert (ROOT / "test/offline/systems" / folder).is_dir()


# --- Files ---


def test_no_folder_is_crowded() -> None:
    beside = Counter(path.parent for path in MODULES if path.stem != "__init__")
    assert not {str(folder): count for folder, count in beside.items() if count > MOST_FILES}


def test_a_name_means_one_thing() -> None:
    """Systems have the same parts, and a command's module has the command's name; other names are there once."""
    part_of_each = {"config", "examples", "graph", "losses", "network", "published", "system", "task", "weights"}
    commands = {Path(*command.split(".")).with_suffix(".py") for command in command_modules()}
    stems = Counter(
        path.stem
        for path in MODULES
        if path.relative_to(ROOT) not in commands
        and path.stem not in {"__init__", *part_of_each}
        and not str(path.relative_to(ROOT)).startswith("caer_ros/offline/systems/")
    )
    assert not {name for name, count in stems.items() if count > 1}


def command_modules() -> list[str]:
    from caer_ros.cli.command_line import COMMANDS

    return [command.module for command in COMMANDS]
