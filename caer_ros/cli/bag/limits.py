"""Limits on what a run measured: read from YAML, judged, printed as a table, and written as JUnit XML for a CI server.

The YAML maps a metric's name to a least value, a greatest one, or both; a value on its limit passes::

    hota: {min: 0.7}
    dropped_part: {max: 0.2}

A value that could not be measured fails its limit: what is not there is not good.
"""

from __future__ import annotations

import difflib
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.table import Table

SIDES = ("min", "max")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped (section 2.2)."""


class LimitsError(ValueError):
    """A file of limits that cannot be used; names the file, the metric and what is expected."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a value must not fall below or exceed."""

    metric: str
    least: float = -math.inf
    most: float = math.inf

    @property
    def text(self) -> str:
        """Limit as a person writes it, such as "≥ 0.7" or "0.1 … 0.2"."""
        if self.least > -math.inf and self.most < math.inf:
            return f"{self.least:g} … {self.most:g}"
        return f"≥ {self.least:g}" if self.least > -math.inf else f"≤ {self.most:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A limit, and what became of it."""

    limit: Limit
    value: float
    """NaN: not measured."""
    problem: str
    """Why it failed; "": it passed."""

    @property
    def passed(self) -> bool:
        """Is the value within its limit?"""
        return not self.problem

    def to_dict(self) -> dict[str, Any]:
        """Verdict for JSON; what does not apply is None."""
        named = {"min": self.limit.least, "max": self.limit.most, "value": self.value}
        numbers = {name: number if math.isfinite(number) else None for name, number in named.items()}
        return {"metric": self.limit.metric, **numbers, "passed": self.passed, "problem": self.problem}


# --- Reading -------------------------------------------------------------------------------------------------------


def read(path: Path, known: Collection[str]) -> tuple[Limit, ...]:
    """The limits in a YAML file, in its order.

    Args:
        path: of the file.
        known: names of the metrics that there are.

    Raises:
        LimitsError: the file cannot be read or holds no limit; a metric is unknown or there twice; a limit is no finite
            number, or is neither ``min`` nor ``max``; or no value could meet both.
    """
    try:
        content = yaml.load(path.read_text("utf-8"), _Unique)
    except OSError as error:
        raise LimitsError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise LimitsError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not content:
        raise LimitsError(f"{path}: no limits; expected is a mapping such as: hota: {{min: 0.7}}")
    return tuple(_limit(path, name, sides, known) for name, sides in content.items())


class _Unique(yaml.SafeLoader):
    """Refuses a key that is there twice: YAML's usual reader takes the last, and a limit would be gone unnoticed."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{name} is there twice", node.start_mark)
        content: dict[Any, Any] = super().construct_mapping(node, deep)
        return content


def _limit(path: Path, name: Any, sides: Any, known: Collection[str]) -> Limit:
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise LimitsError(f"{path}: {name}: no such metric; {hint}")
    if not isinstance(sides, dict) or not sides or any(side not in SIDES for side in sides):
        raise LimitsError(f"{path}: {name}: {sides!r} is no limit; expected is {{min: x}}, {{max: y}} or both")
    for side, value in sides.items():
        # A bool is an int to Python, and YAML reads yes and on as bools.
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise LimitsError(f"{path}: {name}.{side}: {value!r} is no finite number")
    limit = Limit(name, float(sides.get("min", -math.inf)), float(sides.get("max", math.inf)))
    if limit.least > limit.most:
        raise LimitsError(f"{path}: {name}: min {limit.least:g} is above max {limit.most:g}: no value meets both")
    return limit


# --- Judging -------------------------------------------------------------------------------------------------------


def judge(limits: Iterable[Limit], values: Mapping[str, float], why_not: Mapping[str, str]) -> tuple[Verdict, ...]:
    """Compare each limit with its value.

    Args:
        limits: to judge.
        values: by metric; one that is missing or NaN was not measured.
        why_not: by metric, what it takes to measure it.
    """
    return tuple(_verdict(limit, values.get(limit.metric, math.nan), why_not) for limit in limits)


def unmeasured(limits: Iterable[Limit], reason: str) -> tuple[Verdict, ...]:
    """All of them failed, because the run did."""
    return tuple(Verdict(limit, math.nan, reason) for limit in limits)


def _verdict(limit: Limit, value: float, why_not: Mapping[str, str]) -> Verdict:
    if math.isnan(value):
        needs = why_not.get(limit.metric, "")
        return Verdict(limit, value, f"not measured: {needs}" if needs else "not measured in this run")
    if value < limit.least:
        return Verdict(limit, value, f"{value:.6g} is below {limit.least:g}")
    return Verdict(limit, value, f"{value:.6g} is above {limit.most:g}" if value > limit.most else "")


# --- Writing -------------------------------------------------------------------------------------------------------


def table(verdicts: Sequence[Verdict]) -> Table:
    """One row a limit: its metric, value, limit, and how it went."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title="Limits", title_justify="left")
    for column in ("metric", "value", "limit", ""):
        shown.add_column(column, justify="right" if column in ("value", "limit") else "left", overflow="fold")
    for verdict in verdicts:
        value = "—" if math.isnan(verdict.value) else f"{verdict.value:.4g}"
        outcome = Text("passed", "green") if verdict.passed else Text(f"FAILED: {verdict.problem}", "bold red")
        shown.add_row(verdict.limit.metric, value, verdict.limit.text, outcome)
    return shown


def junit(verdicts: Sequence[Verdict], suite: str, seconds: float, facts: Mapping[str, str]) -> str:
    """A JUnit XML document with one test case a limit, as GitHub's, GitLab's and Jenkins' readers take it.

    The form is that of ``pytest --junit-xml``: testsuites, testsuite, testcase, failure; a test case carries its value
    and limits as properties and, for readers without these, in system-out.

    Args:
        verdicts: on all limits.
        suite: name of the suite, and class name of its cases.
        seconds: that the run took.
        facts: about the run, properties of the suite.
    """
    failed = sum(not verdict.passed for verdict in verdicts)
    counts = {"tests": str(len(verdicts)), "failures": str(failed), "errors": "0", "skipped": "0"}
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    root = _element(None, "testsuites", {"name": suite, **counts, "time": f"{seconds:.3f}"})
    inner = _element(root, "testsuite", {"name": suite, **counts, "time": f"{seconds:.3f}", "timestamp": now})
    _properties(inner, facts)
    for verdict in verdicts:
        _case(inner, verdict, suite)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, verdict: Verdict, class_name: str) -> None:
    limit, value = verdict.limit, "not measured" if math.isnan(verdict.value) else f"{verdict.value:.9g}"
    # Reading a limit takes no time, and some readers demand the attribute.
    case = _element(suite, "testcase", {"classname": class_name, "name": limit.metric, "time": "0.000"})
    bounds = {"min": limit.least, "max": limit.most}
    _properties(case, {"value": value} | {side: f"{bound:g}" for side, bound in bounds.items() if math.isfinite(bound)})
    if not verdict.passed:
        failure = _element(case, "failure", {"message": f"{limit.metric}: {verdict.problem}", "type": "limit"})
        failure.text = _clean(f"{limit.metric}: {verdict.problem} (limit {limit.text})")
    _element(case, "system-out", {}).text = _clean(f"{limit.metric} = {value} (limit {limit.text})")


def _properties(parent: ET.Element, named: Mapping[str, str]) -> None:
    if named:
        inner = _element(parent, "properties", {})
        for name, value in named.items():
            _element(inner, "property", {"name": name, "value": value})


def _element(parent: ET.Element | None, tag: str, attributes: Mapping[str, str]) -> ET.Element:
    clean = {name: _clean(value) for name, value in attributes.items()}
    return ET.Element(tag, clean) if parent is None else ET.SubElement(parent, tag, clean)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
