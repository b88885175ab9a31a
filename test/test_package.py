"""What holds for the package as a whole: its walls, its metadata, its messages, its commands."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from catkin_pkg.package import Package, parse_package

import caer_ros
from caer_ros.msg import PersonEmotion, PersonEmotionArray
from caer_ros.perception.person import BoxKind, EmotionStatus, ScoreType, TrackState

if TYPE_CHECKING:
    from enum import IntEnum

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "caer_ros").rglob("*.py"))
INTERFACES = sorted([*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv")])
LOCKS = sorted(ROOT.glob("requirements/*.txt"))

ROOMS = ("perception", "pages", "recordings", "node", "cli", "offline")
FORBIDDEN = {
    "": {"rclpy", "torch"},
    "perception": {
        *(f"caer_ros.{name}" for name in ("pages", "recordings", "node", "cli", "offline", "msg")),
        "rclpy",
        "torch",
    },
    "pages": {
        *(f"caer_ros.{name}" for name in ("perception", "recordings", "node", "cli", "offline", "msg")),
        "rclpy",
        "torch",
    },
    "recordings": {*(f"caer_ros.{name}" for name in ("pages", "node", "cli", "offline", "msg")), "rclpy", "torch"},
    "node": {"caer_ros.offline", "caer_ros.cli", "caer_ros.pages", "torch"},
    "cli": set(),
    "offline": {"caer_ros.node", "caer_ros.cli", "caer_ros.msg", "rclpy"},
}


def imports(code: ast.AST, module: str) -> set[str]:
    """Full names of all that ``code``, the text of ``module``, imports, wherever in it."""
    package = module.split(".")
    names: set[str] = set()
    for statement in ast.walk(code):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            above = package[: len(package) - statement.level] if statement.level else []
            origin = ".".join([*above, *filter(None, [statement.module])])
            names |= {f"{origin}.{alias.name}" for alias in statement.names}
    return names


def room(module: str) -> str:
    """The room a module is in; "" for what stands above the rooms."""
    return next((room for room in ROOMS if f"{module}.".startswith(f"caer_ros.{room}.")), "")


def trespasses(code: str, module: str) -> set[str]:
    """The imports of ``module`` that its room must not have."""
    return {
        name
        for name in imports(ast.parse(code), module)
        if any(f"{name}.".startswith(f"{forbidden}.") for forbidden in FORBIDDEN[room(module)])
    }


def module_name(path: Path) -> str:
    # "__init__" stays: it makes relative imports come out right.
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.fixture(scope="module")
def package() -> Package:
    return parse_package(str(ROOT / "package.xml"))


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters=["="])
    parser.read(ROOT / "setup.cfg")
    return parser


# --- Walls ---


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_room_reaches_through_a_wall(path: Path) -> None:
    assert not trespasses(path.read_text(), module_name(path))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("caer_ros.perception.a", "import torch.nn"),
        ("caer_ros.perception.a", "def f():\n    from rclpy import node"),
        ("caer_ros.perception.a", "from ..node import messages"),
        ("caer_ros.perception.__init__", "from .. import cli"),
        ("caer_ros.node.a", "from caer_ros import cli"),
        ("caer_ros.offline.deep.a", "from caer_ros.node.messages import person_message"),
        ("caer_ros.share", "import rclpy"),
        ("caer_ros.recordings.a", "from caer_ros.offline.data import predictions"),
        ("caer_ros.pages.a", "from caer_ros.perception import person"),
        ("caer_ros.node.a", "from caer_ros.pages import page"),
    ],
)
def test_the_wall_is_seen(module: str, code: str) -> None:
    assert trespasses(code, module)


def test_the_command_line_imports_no_room_until_it_is_called() -> None:
    code = ast.parse((ROOT / "caer_ros/cli/command_line.py").read_text())
    at_start = ast.Module([part for part in code.body if isinstance(part, (ast.Import, ast.ImportFrom))], [])
    assert not {name for name in imports(at_start, "caer_ros.cli.command_line") if room(name) not in ("", "cli")}


# --- Metadata ---


def test_name_version_and_licence_agree(package: Package, setup_cfg: configparser.ConfigParser) -> None:
    installed = importlib.metadata.metadata("caer_ros")
    assert package.name == setup_cfg["metadata"]["name"] == "caer_ros"
    assert package.version == installed["Version"] == caer_ros.__version__
    assert package.licenses[0] == setup_cfg["metadata"]["license"] == "Apache-2.0"
    newest = re.findall(r"^(.+)\n-+$", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)[0]
    assert newest == "Forthcoming" or newest.startswith(f"{caer_ros.__version__} (")


def test_the_oldest_python_agrees(setup_cfg: configparser.ConfigParser) -> None:
    oldest = setup_cfg["options"]["python_requires"].removeprefix(">=")
    assert f'target-version = "py{oldest.replace(".", "")}"' in (ROOT / "pyproject.toml").read_text()


def test_every_import_of_the_runtime_is_declared(package: Package, setup_cfg: configparser.ConfigParser) -> None:
    distributions = {"cv2": "python3-opencv", "yaml": "pyyaml", "PIL": "pillow"}
    from_pip = set(re.findall(r"^([\w-]+)", setup_cfg["options"]["install_requires"], re.MULTILINE))
    from_pip |= set(re.findall(r"^([\w-]+)", setup_cfg["options.extras_require"]["cpu"], re.MULTILINE))
    from_apt = {depend.name for depend in package.build_depends + package.exec_depends}
    companion = set(re.findall(r"^([\w-]+)", setup_cfg["options.extras_require"]["offline"], re.MULTILINE))
    for path in MODULES:
        if room(module_name(path)) == "offline":
            continue
        imported = {name.split(".")[0] for name in imports(ast.parse(path.read_text()), module_name(path))}
        foreign = {distributions.get(name, name) for name in imported - set(sys.stdlib_module_names) - {"caer_ros"}}
        # Commands of the companion are installed everywhere, and need it when they are called.
        assert foreign <= from_pip | from_apt | (companion if room(module_name(path)) == "cli" else set()), path


def test_what_apt_has_of_the_requirements_is_in_package_xml(package: Package) -> None:
    apt = ("jinja2", "numpy", "opencv", "pil", "psutil", "scipy", "yaml")
    assert {f"python3-{name}" for name in apt} <= {depend.name for depend in package.exec_depends}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_everything_and_names_no_index(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .+)?$", line) for line in lines)


# --- Messages ---


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.name)
def test_every_field_is_commented(path: Path) -> None:
    """By a comment on its line, or by one above the group of lines it stands in."""
    group_has_comment = False
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            group_has_comment = True
        elif line.strip() in ("", "---"):
            group_has_comment = False
        else:
            assert group_has_comment or re.search(r"# \S", line), line


@pytest.mark.parametrize(
    ("message", "prefix", "enum"),
    [
        (PersonEmotion, "BOX_", BoxKind),
        (PersonEmotion, "TRACK_", TrackState),
        (PersonEmotion, "EMOTION_", EmotionStatus),
        (PersonEmotionArray, "SCORE_", ScoreType),
    ],
)
def test_message_constants_equal_the_enum(message: type, prefix: str, enum: type[IntEnum]) -> None:
    text = (ROOT / "msg" / f"{message.__name__}.msg").read_text()
    names = re.findall(rf"^uint8 {prefix}(\w+)=", text, re.MULTILINE)
    assert {name: getattr(message, prefix + name) for name in names} == {entry.name: entry.value for entry in enum}


# --- Commands ---


def test_every_command_can_be_loaded(setup_cfg: configparser.ConfigParser) -> None:
    installed = {
        entry.name: entry
        for entry in importlib.metadata.distribution("caer_ros").entry_points
        if entry.group == "console_scripts"
    }
    listed = re.findall(r"^(\w+) = (.+)$", setup_cfg["options.entry_points"]["console_scripts"], re.MULTILINE)
    assert {name: entry.value for name, entry in installed.items()} == dict(listed)
    assert all(callable(entry.load()) for entry in installed.values())
