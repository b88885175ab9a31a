"""Configurations of trainings: found by name, read from YAML, overridden on the command line, compared and written.

Which fields there are depends on the task, whose system has them: ``systems.of(task).CONFIG``.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml

from caer_ros import share
from caer_ros.offline import systems
from caer_ros.offline.training.config import ConfigError, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import ArgumentParser

FIRST_TASK = "student"
"""The task of a configuration that names none."""


def find(name: str) -> Path:
    """A configuration file by its path, or one of the package's own by its name, such as "ka_heco".

    Raises:
        ConfigError: there is none; lists those there are.
    """
    if Path(name).is_file():
        return Path(name)
    try:
        return share.find(f"config/train/{name}.yaml")
    except FileNotFoundError:
        names = ", ".join(sorted({path.stem for folder in share.folders() for path in folder.glob("config/train/*")}))
        raise ConfigError(f"{name}: no such file, nor a configuration of caer_ros, which has: {names}") from None


def parser(task: str = FIRST_TASK) -> ArgumentParser:
    """A parser whose options are the fields of a task's configuration, such as ``--data.batch``."""
    result = _without_fields()
    result.add_class_arguments(systems.of(task).CONFIG, None)
    return result


def explanation() -> str:
    """What every field of every system means, for a person to read."""
    first, *others = dict.fromkeys(systems.of(task).CONFIG for task in systems.TASKS)
    result = _without_fields()
    result.add_class_arguments(first, None)
    told = {field.name for field in dataclasses.fields(first)}
    for config in others:
        types = get_type_hints(config)
        for name in [field.name for field in dataclasses.fields(config) if field.name not in told]:
            result.add_class_arguments(types[name], name)
            told.add(name)
    return str(result.format_help())


def _without_fields() -> ArgumentParser:
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    result = ArgumentParser(
        prog="caer train CONFIG", usage="%(prog)s [FIELDS]", exit_on_error=False, add_help=False, allow_abbrev=False
    )
    result.add_argument("--config", action="config", help="see CONFIG")
    return result


def read(name: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration of a file, found by path or name, with fields overridden as on the command line.

    Args:
        name: path or name.
        overrides: such as ``["--data.root", "/data/heco", "--trainer.epochs=3"]``.

    Raises:
        ConfigError: one line with the file or the command line, the field, and what is expected.
    """
    from argparse import ArgumentError

    path = find(name)
    try:
        plain, task = _plain_of_file(path), _option("--task", overrides)
        task = task or str(plain.get("task", FIRST_TASK))
        if task not in systems.TASKS:
            raise ConfigError(f"task: {task}, expected one of {', '.join(systems.TASKS)}")
        plain = _of_system(plain, task)
        _refuse_sections_of_others(plain, overrides, task)
        arguments = parser(task)
        # Not by its path, because fields that earlier versions wrote may be gone from it.
        values = arguments.instantiate(arguments.parse_args([f"--config={yaml.safe_dump(plain)}", *overrides]))
        return systems.of(task).CONFIG(**{key: value for key, value in values.as_dict().items() if key != "config"})
    except (ArgumentError, ConfigError) as error:
        said = " ".join(str(error).split()).replace("<class '", "").replace("'>", "").replace("typing.", "")
        said = re.sub(r'^Parser key "([^"]+)":', r"\1:", said)
        given = [option.split("=")[0].removeprefix("--") for option in overrides if option.startswith("--")]
        typed = said.startswith(("unrecognized", *(f"{option}:" for option in given)))
        raise ConfigError(f"{'command line' if typed else path}: {said}") from None


def _plain_of_file(path: Path) -> dict[str, Any]:
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"no YAML: {error}") from error
    if not isinstance(plain, dict):
        raise ConfigError("no configuration: expected fields such as data and task")
    return plain


def _option(name: str, overrides: Sequence[str]) -> str | None:
    """The last value of an option, given as ``--task=X`` or ``--task X``."""
    from argparse import ArgumentParser

    options = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    options.add_argument(name, dest="value")
    value: str | None = options.parse_known_args(overrides)[0].value
    return value


def _sections(task: str) -> set[str]:
    return {field.name for field in dataclasses.fields(systems.of(task).CONFIG)}


def _of_system(plain: dict[str, Any], task: str) -> dict[str, Any]:
    """Without sections that are null, as earlier versions wrote those of other systems."""
    return systems.of(task).upgraded({key: value for key, value in plain.items() if value is not None})


def _refuse_sections_of_others(plain: dict[str, Any], overrides: Sequence[str], task: str) -> None:
    given = [*plain, *(re.split(r"[.=]", option[2:], maxsplit=1)[0] for option in overrides if option[:2] == "--")]
    own = _sections(task)
    for name in given:
        others = [other for other in systems.TASKS if name in _sections(other)]
        if name not in own and others:
            raise ConfigError(f"{name}: given, but task is {task}; set task to {others[0]}, or leave it out")


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """Plain data, as in YAML."""
    return {key: _plain(value) for key, value in asdict(config).items()}


def dump(config: TrainConfig) -> str:
    """The whole configuration as YAML, which ``read`` takes."""
    text: str = yaml.safe_dump(to_dict(config), sort_keys=False)
    return text


# Where and how fast a run goes, not what it computes.
_MAY_CHANGE: dict[str, tuple[str, ...]] = {
    "data": ("root", "workers", "cache"),
    "trainer": ("accelerator", "devices", "num_nodes", "strategy", "threads", "checkpoint_steps"),
}


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """The fields in which ``new`` is another training than ``old``, as "data.batch: 20 -> 10".

    Where it runs may change; so may the number of epochs, if the learning rate does not depend on it.
    """
    may_change = dict(_MAY_CHANGE)
    if new.optimiser.schedule != "cosine":
        may_change["trainer"] = (*may_change["trainer"], "epochs")
    before, after = _flat(to_dict(replace(old, output=new.output))), _flat(to_dict(new))
    exempt = {f"{group}.{name}" for group, names in may_change.items() for name in names}
    return [
        f"{key}: {before.get(key)} -> {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if key not in exempt and before.get(key) != after.get(key)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[prefix + key] = value
    return result
