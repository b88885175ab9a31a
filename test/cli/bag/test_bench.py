"""`caer bag bench`: for real on the demo bag and on a synthetic one, node and player as processes; and what it says."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from ros_process import CAER, environment, run
from rosbags.highlevel import AnyReader

from caer_ros import share
from caer_ros.cli import command_line
from caer_ros.cli.bag import bench as bag_bench
from caer_ros.cli.bag.bench_metrics import METRICS
from caer_ros.cli.demo import demo_bag
from caer_ros.offline.data.synthetic import bags, plans

if TYPE_CHECKING:
    from pathlib import Path

BENCH = (*CAER, "bag", "bench")
LIMIT = 120.0
slow = pytest.mark.timeout(LIMIT + 40)

EMOTIONS = {
    "oer",
    "oer_above_chance",
    "strict_oer",
    "flicker_per_minute",
    "right_part",
    "delay_of_change_median",
    "changes_never_seen",
}
"""What a ground truth of boxes and identities does not tell."""


def cases(file: Path) -> dict[str, ET.Element]:
    root = ET.parse(file).getroot()
    suite = root[0]
    found = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    assert suite.attrib["tests"] == str(len(found))
    assert suite.attrib["failures"] == str(sum(case.find("failure") is not None for case in found.values()))
    return found


# --- For real ---


@slow
def test_the_demo_bag_keeps_the_limits_that_come_with_caer(tmp_path: Path) -> None:
    out, junit = tmp_path / "out", tmp_path / "deep" / "bench.xml"
    limits = share.find("config/bag_bench.yaml")
    command = [*BENCH, str(demo_bag.committed().bag), "--limits", str(limits), "--junit", str(junit)]
    ended = run([*command, "--output", str(out), "--json"], environment(tmp_path), tmp_path / "bench", LIMIT)
    assert ended.popen.returncode == 0, ended.output()
    said = json.loads(ended.stdout)
    assert said["passed"]
    assert {name for name, value in said["values"].items() if value is None} == EMOTIONS
    assert {limit["metric"] for limit in said["limits"]} == cases(junit).keys()
    assert all(limit["passed"] and limit["value"] is not None for limit in said["limits"])
    assert said["evaluation"]["manner"] == "as recorded"
    assert said["evaluation"]["evaluation"]["persons"] == 269
    with AnyReader([out / bag_bench.MESSAGES]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts["/emotion/emotions"] == said["values"]["messages"]
    assert {entry.name for entry in out.iterdir()} == bag_bench.ours() | {bag_bench.MARKER, "logs"}


@slow
def test_a_synthetic_bag_is_judged_by_its_own_topic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = bags.write(tmp_path / "made", plans.Settings(), seed=3, images=30, runs=2, rate=5.0)
    limits, junit, out = tmp_path / "limits.yaml", tmp_path / "bench.xml", tmp_path / "out"
    limits.write_text(
        "found_at_iou_50: {min: 0.5}\noer_above_chance: {min: 0.02}\nhota: {min: 0.3}\nidentity_switches: {max: 20}\n"
        "false_persons_per_minute: {max: 60}\nflicker_per_minute: {max: 100}\nlost_part: {max: 0.5}\n"
        "messages: {min: 8, max: 30}\n"
    )
    command = [*BENCH, str(made.bag), "--model", "student_synth", "--limits", str(limits), "--junit", str(junit)]
    ended = run([*command, "--output", str(out)], environment(tmp_path), tmp_path / "bench", LIMIT)
    assert ended.popen.returncode == 0, ended.output()
    assert len(cases(junit)) == 8
    assert "passed" in ended.stdout
    assert "FAILED" not in ended.stdout
    said = json.loads((out / "bench.json").read_text())
    # Each scene's people keep their emotion, so there is no change to be late for.
    assert {name for name, value in said["values"].items() if value is None} == {"delay_of_change_median"}
    # The other command's code on the same messages: the same numbers, from the same inputs.
    recorded = ["evaluate", "bag", str(made.bag), "--recorded", str(out / bag_bench.MESSAGES), "--json"]
    capsys.readouterr()
    assert command_line.main(recorded) == 0
    other = json.loads(capsys.readouterr().out)
    for part in ("evaluation", "strict", "tracking", "stability", "timing", "account", "false_persons"):
        assert other[part] == said["evaluation"][part], part
    assert other["identity"]["run_hash"] == said["evaluation"]["identity"]["run_hash"]


# --- What it says, without a node ---


class Evaluation:
    """Stands in for what was measured."""

    class model:
        model, model_version = "bootstrap", "0123"

    def to_dict(self) -> dict[str, Any]:
        return {"manner": "as recorded"}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the next run measures."""
    values: dict[str, float] = dict.fromkeys(METRICS, float("nan")) | {"hota": 0.5, "messages": 7.0}
    monkeypatch.setattr(bag_bench, "measure", lambda args, console: Evaluation())
    monkeypatch.setattr("caer_ros.cli.bag.bench_metrics.values", lambda evaluation: values)
    return values


def bench(tmp_path: Path, text: str, *more: str) -> int:
    (tmp_path / "limits.yaml").write_text(text)
    command = ["bag", "bench", str(tmp_path / "bag.v2.mcap"), "--limits", str(tmp_path / "limits.yaml"), *more]
    return command_line.main([*command, "--junit", str(tmp_path / "bench.xml")])


@pytest.mark.usefixtures("measured")
def test_a_limit_that_is_not_kept_fails_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(tmp_path, "hota: {min: 0.6}\noer: {min: 0.1}\nmessages: {min: 7, max: 7}", "--json") == 1
    said = capsys.readouterr()
    assert (
        "caer bag bench: 2 of 3 limits were not kept: hota: 0.5 is below 0.6; "
        "oer: not measured: it needs annotated emotions\n"
    ) in said.err
    content = json.loads(said.out)
    assert content["passed"] is False
    assert [limit["passed"] for limit in content["limits"]] == [False, False, True]
    assert content["values"]["hota"] == 0.5
    assert content["values"]["oer"] is None
    found = cases(tmp_path / "bench.xml")
    assert [case.find("failure") is None for case in found.values()] == [False, False, True]
    assert {case.attrib["classname"] for case in found.values()} == {"caer_bag_bench.bag_v2"}


@pytest.mark.usefixtures("measured")
def test_limits_that_are_kept_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(tmp_path, "hota: {min: 0.5}") == 0
    assert "passed" in capsys.readouterr().out


@pytest.mark.usefixtures("measured")
def test_without_limits_everything_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["bag", "bench", str(tmp_path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["passed"], content["limits"]) == (True, [])
    assert content["values"].keys() == METRICS.keys()


def test_a_run_that_broke_off_keeps_no_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.xml").write_text("<testsuites/>")
    assert bench(tmp_path, "hota: {min: 0.5}") == 1  # there is no such bag
    assert "no such file or folder" in capsys.readouterr().err
    failure = cases(tmp_path / "bench.xml")["hota"].find("failure")
    assert failure is not None
    assert "no such file or folder" in failure.attrib["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hotta: {min: 1}", "hotta: no such metric; did you mean hota?"),
        ("hota: {min: .nan}", "hota.min: nan is no finite number"),
    ],
)
def test_a_limit_that_is_none_is_a_wrong_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "bench.xml").write_text("of an earlier run")
    assert bench(tmp_path, text) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "bench.xml").exists()  # CI would take it for this run's


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: BAG"),
        (["bag", "--junit", "x.xml"], "--junit: there is nothing to write without --limits"),
        (["bag", "--limits", "none.yaml"], "--limits none.yaml: cannot be read: No such file or directory"),
        (["bag", "--deadline", "-1"], "must be a number, 0 or more"),
        (["bag", "--rate", "-1"], "must be a number above 0"),
    ],
)
def test_a_wrong_command_line_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert command_line.main(["bag", "bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    bag = str(demo_bag.committed().bag)
    assert command_line.main(["bag", "bench", bag, "--output", str(tmp_path)]) == 1
    assert "holds thesis.txt, which no bag bench wrote" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_torch_is_not_needed(tmp_path: Path) -> None:
    code = (
        "import sys; import caer_ros.cli.bag.bench, caer_ros.cli.bag.bench_metrics;"
        "import caer_ros.offline.evaluation.bags.bag_evaluate, caer_ros.offline.evaluation.bags.bag_inputs;"
        "import caer_ros.offline.reports.bag.bag_report, caer_ros.offline.evaluation.bags.published_messages;"
        "import caer_ros.offline.evaluation.bags.as_recorded, caer_ros.offline.evaluation.predict;"
        "sys.exit('torch' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], environment(tmp_path), tmp_path / "imports").popen.returncode == 0
