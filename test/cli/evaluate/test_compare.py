from __future__ import annotations

import json

import annotated_bag
import pytest
from tiny_student import write_own

from caer_ros.cli import main


@pytest.fixture(scope="module")
def results(student_bundle, tmp_path_factory):
    """Of one recording: offline, and as recorded by a quick and by a slow node."""
    folder = tmp_path_factory.mktemp("results")
    made = annotated_bag.write(folder / "monday")
    given = ("evaluate", "bag", str(made.bag), "--truth", str(made.truth), "--no-images")
    assert main([*given, "--model", str(student_bundle), "--device", "cpu", "--output", str(folder / "offline")]) == 0
    for name, delay in (("quick", 0.05), ("slow", 0.55)):
        said = annotated_bag.answered(made, folder / f"{name}_said", lambda index, delay=delay: delay)
        assert main([*given, "--recorded", str(said), "--output", str(folder / name)]) == 0
    return folder


def compare(*options):
    return main(["evaluate", "compare", *map(str, options)])


def test_bags_are_compared_as_they_were_evaluated(results, capsys):
    names = ("quick", "slow", "offline")
    assert compare(*(results / name for name in names), "--intervals", 20, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["format"] == "caer evaluate compare"
    assert said["frames"] == 12
    assert said["manners"] == ["as recorded at 200 ms", "as recorded at 200 ms", "offline"]
    assert said["names"] == list(names)
    assert len(set(said["run_hashes"])) == 3
    metrics = {metric["metric"]: metric for metric in said["metrics"]}
    for number, name in enumerate(names):
        alone = json.loads((results / name / "metrics.json").read_text("utf-8"))
        for metric, value in (
            ("OER", alone["evaluation"]["oer"]["mean_average_precision"]),
            ("PD", alone["evaluation"]["pd"]["ap"]),
            ("HOTA", alone["tracking"]["hota"]),
            ("flicker per minute", alone["stability"]["flicker_per_minute"]),
        ):
            assert metrics[metric]["values"][number] == pytest.approx(value, abs=1e-6, nan_ok=True), (name, metric)
    slow, _ = metrics["OER"]["differences"]
    assert slow["value"] == pytest.approx(metrics["OER"]["values"][1] - metrics["OER"]["values"][0])
    assert slow["value"] < 0
    assert slow["low"] <= slow["value"] <= slow["high"]
    assert metrics["ER"]["values"][0] is None, "what was published holds no scores in annotated boxes"
    assert metrics["ER"]["differences"] == [None, None]


def test_the_table_says_what_is_compared(results, capsys):
    assert compare(results / "quick", results / "offline", "--intervals", 0) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "quick: oracle (0123456789abcdef), as recorded at 200 ms" in said
    assert "offline: tiny" in said
    assert "different manners" in said
    assert "offline − quick" in said


def test_results_on_data_sets_are_compared(student_bundle, tmp_path, capsys):
    own = write_own(tmp_path / "own")
    command = ["evaluate", "dataset", "own", str(own), "--device", "cpu", "--model", str(student_bundle), "--no-images"]
    for name in ("a", "b"):
        assert main([*command, "--output", str(tmp_path / name)]) == 0
    assert main([*command, "--limit", "4", "--output", str(tmp_path / "part")]) == 0
    capsys.readouterr()
    assert compare(tmp_path / "a", tmp_path / "b", "--intervals", 10, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {metric["metric"] for metric in said["metrics"]} == {"ER", "PD", "OER"}
    for metric in said["metrics"]:
        assert metric["values"][0] == metric["values"][1]
        assert metric["differences"][0]["value"] == 0
        assert metric["differences"][0]["conclusive"] is False
    assert compare(tmp_path / "a", tmp_path / "part") == 1
    error = capsys.readouterr().err
    assert "are not of the same frames: 2 only in" in error
    assert "--common" in error
    assert compare(tmp_path / "a", tmp_path / "part", "--common", "--intervals", 0) == 0
    assert "4 frames" in capsys.readouterr().out


def test_what_goes_wrong_is_said_in_one_line(results, tmp_path, capsys):
    for options, code, says in (
        ((results / "quick",), 2, "required: other"),
        ((results / "quick", tmp_path / "gone"), 1, "gone: no metrics.json"),
        ((results / "quick", results / "slow", "--intervals", "-1"), 2, "0 or more"),
    ):
        assert compare(*options) == code
        assert says in capsys.readouterr().err
