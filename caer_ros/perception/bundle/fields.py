"""Take the fields of a YAML mapping one by one, each checked: a wrong one is an error that says what to do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from caer_ros.perception.bundle.bundle import BundleError

if TYPE_CHECKING:
    from pathlib import Path

_T = TypeVar("_T")
_MISSING = object()


class Fields:
    """One mapping of ``model.yaml``: each field is taken once and checked; ``end`` refuses what is left.

    Every method raises BundleError, which names file and field, what was expected, and what was found.
    """

    def __init__(self, manifest: Path, value: Any, name: str = "") -> None:
        self._manifest = manifest
        self._name = name
        if not isinstance(value, dict):
            raise BundleError(
                f"{manifest}: expected fields (name: value){f' under {name}' if name else ''}, found {value!r}"
            )
        self._left = dict(value)
        self._known: list[str] = []

    def take(self, name: str, expected: str) -> Any:
        self._known.append(name)
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            raise BundleError(f"{self._manifest}: {self._full(name)} is missing; add it: {expected}")
        return value

    def has(self, name: str) -> bool:
        """Whether an optional field is there and not null."""
        if self._left.get(name) is not None:
            return True
        self._left.pop(name, None)
        self._known.append(name)
        return False

    def text(self, name: str) -> str:
        expected = "text (in quotes when it looks like a number)"
        value = self.take(name, expected)
        if not isinstance(value, str) or not value.strip():
            self.fail(name, expected, value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        expected = "a list of names (in quotes where they look like numbers)"
        values = self.take(name, expected)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self.fail(name, expected, values)
        return tuple(values)

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        expected = "a number" if low == -math.inf else f"a number from {low:g} to {high:g}"
        value = self.take(name, expected)
        if not _is_number(value) or not low <= value <= high:
            self.fail(name, expected, value)
        return float(value)

    def numbers(self, name: str, count: int, each: str = "label") -> tuple[float, ...]:
        expected = f"a list of {count} number{'s' * (count > 1)}, one for each {each}"
        values = self.take(name, expected)
        if not isinstance(values, list) or len(values) != count or not all(map(_is_number, values)):
            self.fail(name, expected, values)
        return tuple(float(value) for value in values)

    def integer(self, name: str, low: int) -> int:
        expected = f"a whole number, at least {low}"
        value = self.take(name, expected)
        if type(value) is not int or value < low:  # not isinstance: true is no number here
            self.fail(name, expected, value)
        return value

    def choice(self, name: str, choices: dict[str, _T]) -> _T:
        expected = "one of " + ", ".join(choices)
        value = self.take(name, expected)
        if isinstance(value, bool):  # YAML reads true and false for itself
            value = str(value).lower()
        if not isinstance(value, str) or value not in choices:
            self.fail(name, expected, value)
        return choices[value]

    def section(self, name: str) -> Fields:
        return Fields(self._manifest, self.take(name, "fields (name: value)"), self._full(name))

    def sections(self, name: str) -> list[Fields]:
        values = self.take(name, "a list, [] when there are none")
        if not isinstance(values, list):
            self.fail(name, "a list, [] when there are none", values)
        return [Fields(self._manifest, value, f"{self._full(name)}[{i}]") for i, value in enumerate(values)]

    def end(self) -> None:
        for name in self._left:
            raise BundleError(
                f"{self._manifest}: {self._full(str(name))} is not a field of this kind of bundle; remove it, or "
                f"correct its name: {', '.join(self._known)}"
            )

    def fail(self, name: str, expected: str, found: object, remedy: str = "") -> NoReturn:
        message = f"{self._manifest}: {self._full(name)}: expected {expected}, found {found!r}"
        raise BundleError(f"{message}; {remedy}" if remedy else message)

    def _full(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name


def _is_number(value: object) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))
