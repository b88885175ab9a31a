from __future__ import annotations

import re

import pytest

from caer_ros.offline.evaluation.portraits.other_pictures import OfFolder
from caer_ros.offline.evaluation.portraits.portrait_cases import Answer, Case
from caer_ros.offline.evaluation.portraits.portrait_figures import figures
from caer_ros.offline.evaluation.portraits.portrait_set import KnownPerson
from caer_ros.offline.metrics.proportions import proportion
from caer_ros.offline.reports import portrait_report

PERSONS = [KnownPerson(name, 30, "female", "a|b<c", {}) for name in "ab"]


@pytest.fixture(scope="module")
def made():
    cases = [
        Case(p, e, v, 32, "", "s") for p in "ab" for e in ("neutral", "smiling") for v in ("body", "mouth covered")
    ]
    happy = Answer(True, "OK", "Happy", 0.9, {"Happy": 0.9, "Neutral": 0.1})
    by_model = {
        "sure": figures([(case, happy) for case in cases], PERSONS),
        "blind": figures([(case, Answer(False)) for case in cases], PERSONS),
    }
    folder = OfFolder("turned", "backs", *(proportion([("1", True)]), 1, *[proportion([("1", False)])] * 2))
    return portrait_report.tables(by_model, {"sure": [folder], "blind": [folder]})


def test_models_stand_side_by_side(made):
    sizes, fates, groups, unreadable, folders = made
    assert [row[:4] for row in sizes.rows] == [
        ("sure", "body", "32", "100 % [34–100] 4/4"),
        ("blind", "body", "32", "0 % [0–66] 0/4"),
    ]
    assert sizes.rows[0][5:] == ("50 % [9–91] 2/4", "0.50 [0.50–0.50]", "4 of 4")
    assert sizes.rows[1][5:] == ("—", "—", "0 of 4")
    assert [row[0] for row in fates.rows] == ["sure", "sure", "blind", "blind"]
    assert [row[:4] for row in groups.rows if row[0].startswith("age")] == [
        ("age: 25 to 34", "2", model, face) for model in ("sure", "blind") for face in ("neutral", "smiling")
    ]
    assert unreadable.rows[0][3:] == ("sure", "100 % [34–100] 4/4", "100 % [34–100] 4/4")
    assert [row[1] for row in folders.rows] == ["sure", "blind"]


def test_as_markdown_and_as_a_page(made):
    text = portrait_report.markdown("Title", ["a note"], made)
    assert text.startswith("# Title\n\n- a note\n\n## Persons found")
    for table in made:
        assert f"## {table.title}" in text
    widths = {
        line.count("|") for line in text.split("## Groups")[1].split("##")[0].splitlines() if line.startswith("|")
    }
    assert widths == {8}  # seven columns, whatever a name holds
    html = portrait_report.html("Title", ["a note"], made, {"Models": {"sure": "1"}})
    assert "a|b&lt;c" in html
    assert re.findall(r"<h2>(.+?)</h2>", html) == [*(table.title for table in made), "What ran"]
