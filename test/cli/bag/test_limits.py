from __future__ import annotations

import io
import math
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from caer_ros.cli.bag import limits
from caer_ros.cli.bag.limits import Limit, LimitsError, Verdict

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = ("hota", "pd", "lost_part", "messages")
numbers = st.floats(allow_nan=False, allow_infinity=False)


def read(tmp_path: Path, text: str) -> tuple[Limit, ...]:
    file = tmp_path / "limits.yaml"
    file.write_text(text, "utf-8")
    return limits.read(file, KNOWN)


# --- Reading ---


def test_limits_are_read_in_their_order(tmp_path: Path) -> None:
    text = "pd: {min: 0.25}  # a comment\nhota: {min: 0.5, max: 1}\nlost_part:\n  max: 0\n"
    assert read(tmp_path, text) == (Limit("pd", 0.25), Limit("hota", 0.5, 1.0), Limit("lost_part", most=0.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no limits; expected is a mapping such as"),
        ("- pd", "no limits"),
        ("{}", "no limits"),
        ("hotta: {min: 1}", "hotta: no such metric; did you mean hota?"),
        ("xyzzy: {min: 1}", "xyzzy: no such metric; there are hota, pd, lost_part, messages"),
        ("1: {min: 1}", "1: no such metric"),
        ("pd: 0.5", "pd: 0.5 is no limit; expected is {min: x}, {max: y} or both"),
        ("pd: {}", "is no limit"),
        ("pd:", "pd: None is no limit"),
        ("pd: {least: 1}", "is no limit"),
        ("pd: {min: 1, unit: s}", "is no limit"),
        ("pd: {min: high}", "pd.min: 'high' is no finite number"),
        ("pd: {min: yes}", "pd.min: True is no finite number"),
        ("pd: {max: .nan}", "pd.max: nan is no finite number"),
        ("pd: {max: .inf}", "pd.max: inf is no finite number"),
        ("pd: {max: }", "pd.max: None is no finite number"),
        ("pd: {min: 2, max: 1}", "pd: min 2 is above max 1: no value meets both"),
        ("pd: {min: 1}\npd: {min: 0}", "pd is there twice"),
        ("pd: {min: 1, min: 0}", "min is there twice"),
        ("pd: {min: 1", "not YAML"),
        ("pd: !!python/object:os.system {}", "not YAML"),
        ("[pd]: {min: 1}", "not YAML"),
    ],
)
def test_what_is_no_limit_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(LimitsError, match=re.escape(said)) as error:
        read(tmp_path, text)
    assert "limits.yaml: " in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LimitsError, match=r"none\.yaml: cannot be read: No such file"):
        limits.read(tmp_path / "none.yaml", KNOWN)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(LimitsError, match=r"bytes\.yaml: not YAML"):
        limits.read(tmp_path / "bytes.yaml", KNOWN)


# --- Judging ---


@given(value=numbers, least=numbers, most=numbers)
def test_a_value_passes_within_its_limits_and_on_them(value: float, least: float, most: float) -> None:
    (verdict,) = limits.judge([Limit("pd", least, most)], {"pd": value}, {})
    assert verdict.passed == (least <= value <= most)
    assert verdict.value == value
    for on in (least, most):
        assert limits.judge([Limit("pd", min(least, most), max(least, most))], {"pd": on}, {})[0].passed


@pytest.mark.parametrize("values", [{}, {"pd": math.nan}, {"hota": 1.0}])
@pytest.mark.parametrize("limit", [Limit("pd", least=-1e9), Limit("pd", most=1e9)])
def test_what_was_not_measured_fails_and_says_what_it_takes(values: dict[str, float], limit: Limit) -> None:
    (verdict,) = limits.judge([limit], values, {"pd": "needs annotated boxes"})
    assert (verdict.passed, verdict.problem) == (False, "not measured: needs annotated boxes")
    assert limits.judge([limit], values, {})[0].problem == "not measured in this run"


def test_a_failure_says_by_what(tmp_path: Path) -> None:
    found = limits.judge(read(tmp_path, "pd: {min: 0.5}\nmessages: {max: 3}"), {"pd": 0.49999, "messages": 4.0}, {})
    assert [verdict.problem for verdict in found] == ["0.49999 is below 0.5", "4 is above 3"]


def test_infinite_values_are_measured() -> None:
    assert not limits.judge([Limit("pd", most=9.0)], {"pd": math.inf}, {})[0].passed
    assert limits.judge([Limit("pd", least=9.0)], {"pd": math.inf}, {})[0].passed


def test_when_the_run_failed_every_limit_did() -> None:
    found = limits.unmeasured([Limit("pd", 0.5), Limit("hota", 0.5)], "the node died")
    assert [(verdict.passed, verdict.problem) for verdict in found] == [(False, "the node died")] * 2


def test_a_verdict_in_json_has_no_nan() -> None:
    (verdict,) = limits.judge([Limit("pd", least=0.5)], {}, {})
    assert verdict.to_dict() == {
        "metric": "pd",
        "min": 0.5,
        "max": None,
        "value": None,
        "passed": False,
        "problem": "not measured in this run",
    }


# --- Writing ---

VERDICTS = (
    Verdict(Limit("pd", least=0.25), 0.5, ""),
    Verdict(Limit("hota", 0.5, 0.9), 0.123456, "0.123456 is below 0.5"),
    Verdict(Limit("lost_part", most=0.0), math.nan, "not measured: needs images"),
)


def test_the_table_shows_value_limit_and_outcome() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(limits.table(VERDICTS))
    assert isinstance(console.file, io.StringIO)
    lines = {line.split()[1]: line for line in console.file.getvalue().splitlines() if line.startswith("│")}
    assert re.search(r"pd .* 0\.5 .* ≥ 0\.25 .* passed", lines["pd"])
    assert re.search(r"hota .* 0\.1235 .* 0\.5 … 0\.9 .* FAILED: 0\.123456 is below 0\.5", lines["hota"])
    assert re.search(r"lost_part .* — .* ≤ 0 .* FAILED: not measured: needs images", lines["lost_part"])


def test_junit_is_what_ci_servers_read() -> None:
    root = ET.fromstring(limits.junit(VERDICTS, "caer bag bench: demo", 12.3456, {"model": "bootstrap"}).encode())
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "2", "0")
    (suite,) = root
    assert suite.tag == "testsuite"
    expected = {"name": "caer bag bench: demo", "tests": "3", "failures": "2", "errors": "0", "skipped": "0"}
    assert expected.items() <= suite.attrib.items()
    assert suite.get("time") == "12.346"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", suite.attrib["timestamp"])
    assert [(p.get("name"), p.get("value")) for p in suite.iterfind("properties/property")] == [("model", "bootstrap")]
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["pd", "hota", "lost_part"]
    assert {case.get("classname") for case in cases} == {"caer bag bench: demo"}
    assert all(float(case.attrib["time"]) == 0 for case in cases)
    assert [case.find("failure") is not None for case in cases] == [False, True, True]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.attrib == {"message": "hota: 0.123456 is below 0.5", "type": "limit"}
    assert failure.text == "hota: 0.123456 is below 0.5 (limit 0.5 … 0.9)"
    assert [case.findtext("system-out") for case in cases] == [
        "pd = 0.5 (limit ≥ 0.25)",
        "hota = 0.123456 (limit 0.5 … 0.9)",
        "lost_part = not measured (limit ≤ 0)",
    ]
    named = {p.get("name"): p.get("value") for p in cases[1].iterfind("properties/property")}
    assert named == {"value": "0.123456", "min": "0.5", "max": "0.9"}


@given(text=st.text())
def test_junit_can_be_parsed_whatever_is_in_a_name_or_a_reason(text: str) -> None:
    document = limits.junit([Verdict(Limit("pd", 0.5), math.nan, text + "!")], text, 0.0, {"model": text})
    failure = ET.fromstring(document.encode("utf-8")).find("testsuite/testcase/failure")
    assert failure is not None
    if text.isprintable():
        assert failure.attrib["message"] == f"pd: {text}!"
