from __future__ import annotations

import io
from dataclasses import replace

import pytest
from offline.evaluation import made_evaluation
from rich.console import Console

from caer_ros.offline.evaluation.bags.as_recorded import WARNING
from caer_ros.offline.reports import bag_tables
from caer_ros.offline.reports.tables import percent


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return made_evaluation.record(tmp_path_factory.mktemp("made") / "bag", images=40, width=160, height=120)


@pytest.fixture(scope="module")
def offline(recording):
    return made_evaluation.offline(recording).result


@pytest.fixture(scope="module")
def recorded(recording):
    return made_evaluation.recorded(recording).result


def rows(table):
    return {row[0]: row[1:] for row in table.rows}


def shown(result):
    console = Console(width=200, record=True, file=io.StringIO())
    bag_tables.show(result, console)
    return console.export_text()


def test_the_headline_stands_beside_its_floor(recorded):
    table = bag_tables.summary(recorded)
    assert table.title.startswith("made (0123456789abcdef) on bag, as recorded, at 200 ms: ")
    value, beside = rows(table)["OER"]
    assert value == percent(recorded.evaluation.oer.mean_average_precision)
    assert f"floor (chance) {percent(recorded.evaluation.oer.chance)}" in beside
    value, beside = rows(table)["OER, very frames"]
    assert value == percent(recorded.strict.oer.mean_average_precision)
    assert f"floor {percent(recorded.strict.oer.chance)}" in beside
    assert rows(table)["HOTA"][0] == percent(recorded.tracking.hota)
    assert rows(table)["flicker per minute"][0] == f"{recorded.stability.flicker_per_minute:.3g}"
    assert rows(table)["false persons per minute"][0] == f"{recorded.false_persons.per_minute:.3g}"
    assert rows(table)["ECE of persons as found"][0] == percent(recorded.reliability_of_found.mean_ece)
    value, beside = rows(table)["delay of a change"]
    assert value == f"{recorded.stability.delay_median:.3g}"
    assert f"of {recorded.stability.changes} changes never" in beside


def test_offline_there_are_no_deadlines_and_fates(offline, recorded):
    first = {table.title.split()[0] for table in bag_tables.tables(offline)}
    assert first == {"made", "Labels"}
    assert {table.title.split()[0] for table in bag_tables.tables(recorded)} - first == {"Newest", "Frames,", "Times"}
    assert "OER, very frames" not in rows(bag_tables.summary(offline))


def test_a_row_for_each_deadline(recorded):
    table = bag_tables.deadlines(recorded)
    assert [row[0] for row in table.rows] == [f"{1000 * point.deadline:g}" for point in recorded.curve]
    assert [row[1] for row in table.rows] == [percent(point.oer) for point in recorded.curve]
    assert [row[4] for row in table.rows] == [percent(point.found) for point in recorded.curve]


def test_every_fate_is_counted(recorded):
    account, table = recorded.account, rows(bag_tables.fates(recorded))
    assert table["answered in time"] == (str(account.annotated.in_time), str(account.frames.in_time))
    assert table["answered late"] == (str(account.annotated.late), str(account.frames.late))
    assert table["no answer"] == (str(account.annotated.unanswered), str(account.frames.unanswered))
    three = [list(table.values())[number][0] for number in range(3)]
    assert sum(map(int, three)) == len(account.fates) == 40
    assert min(map(int, three)) > 0, "the recording has all of them"
    assert table["dropped by the node, by its own count"] == ("—", str(account.drops))
    assert table["no answer, unknown why"] == ("—", str(account.unexplained))
    assert account.drops + account.unexplained == account.frames.unanswered
    assert "rejected by the node, by its own count" not in table, "no status is recorded"
    told = rows(bag_tables.fates(replace(recorded, account=replace(account, rejected=3))))
    assert told["rejected by the node, by its own count"] == ("—", "3")


def test_times_are_in_milliseconds(recorded):
    table = rows(bag_tables.times(recorded))
    latency = recorded.timing.latency
    assert table["latency: stamp to publishing, ROS clock"][:2] == (
        f"{1000 * latency.median:.1f}",
        f"{1000 * latency.p95:.1f}",
    )
    assert f"{recorded.timing.drops} images dropped" in bag_tables.times(recorded).title
    assert any(name.startswith("age of what a listener knew") for name in table)


def test_what_does_not_apply_has_no_row(offline):
    bare = replace(offline, tracking=None, stability=None, false_persons=None, reliability_of_found=None)
    names = rows(bag_tables.summary(bare))
    for gone in ("HOTA", "flicker per minute", "false persons per minute", "ECE of persons as found"):
        assert gone in rows(bag_tables.summary(offline))
        assert gone not in names


def test_a_warning_comes_first_and_what_was_left_out_last(offline):
    lines = tuple(f"frame {number}" for number in range(7))
    text = shown(replace(offline, notes=(f"{WARNING}: judged by its own draft", "a note"), left_out=lines))
    assert text.startswith("WARNING: judged by its own draft")
    assert "· a note" in text
    assert "left out: frame 4" in text
    assert "left out: frame 5" not in text
    assert "and 2 more: see metrics.json or the report" in text
    assert f"run {offline.identity.run_hash[:16]}" in text
