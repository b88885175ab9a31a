import io
import json

import pytest
from rich.console import Console

from caer_ros.offline.reproduction import benet, dsct
from caer_ros.offline.reproduction.grids import as_data, lay_out


def shown(grid, runs, synthetic=False):
    console = Console(file=io.StringIO(), width=220)
    console.print(lay_out(grid, runs, "here", synthetic))
    return console.file.getvalue()


def runs_of(grid, effect=1.5):
    """Two seeds: the reference has 20 and 21, everything else ``effect`` more."""
    measures = ["chance", *(column.measure for column in grid.columns)]
    return {
        row: [dict.fromkeys(measures, base + (0 if row == grid.reference else effect)) for base in (20, 21)]
        for row in grid.rows
    }


def line_of(text, title):
    """The first line of a row, and those below it."""
    lines = text.splitlines()
    first = next(index for index, line in enumerate(lines) if line.strip().startswith(f"{title} "))
    return lines[first], lines[first + 1 : first + 3]


def test_the_published_numbers_are_benets():
    # Read off the paper's Tables 1 to 4 by hand.
    paper = benet.published()
    assert [paper[row]["er"] for row in benet.ROWS] == [23.10, 27.22, 27.49, 27.73, 28.75]
    assert [paper[row].get("pd_benet_compat") for row in benet.ROWS] == [None, 49.66, 49.16, 51.49, 51.71]
    assert [paper[row].get("oer_benet_compat") for row in benet.ROWS] == [None, 23.67, 24.15, 24.10, 24.73]
    assert [paper[row].get("er_mean") for row in benet.ROWS] == [None, None, None, None, 29.30]
    assert not any({"pd", "oer"} & paper[row].keys() for row in benet.ROWS)  # these are of another IoU


def test_the_published_numbers_are_dscts():
    # Read off the paper's Tables 5 to 9 by hand.
    assert [dsct.published(5, "emotic")[row] for row in ("1", "4", "10")] == [37.14, 37.26, 35.68]
    assert [dsct.published(5, "caer_s")[row] for row in ("1", "9", "10")] == [91.78, 91.81, 91.44]
    assert list(dsct.published(6, "emotic").values()) == [36.55, 36.73, 37.11, 36.85, 37.26]
    assert list(dsct.published(7, "emotic").values()) == [37.26, 36.73, 36.48, 36.93]
    assert list(dsct.published(8, "emotic").values()) == [37.01, 36.58, 36.82, 36.44]
    assert list(dsct.published(9, "emotic").values()) == [35.68, 37.26, 37.81]
    assert list(dsct.published(9, "caer_s").values()) == [84.98, 91.81, 85.39]


def test_beside_real_data_stand_the_published_numbers():
    grid = benet.grid(1)
    text = shown(grid, runs_of(grid))
    assert "Table 1: BENet, ER in annotated boxes, mAP. here; percent" in text
    assert "Chance: 20.50." in text
    assert "Differences are to BU." in text
    first, below = line_of(text, "BU+Det+PC")
    assert first.split() == ["BU+Det+PC", "22.00", "±", "0.71", "22.00", "±", "0.71"]
    assert "+1.50 [+1.50, +1.50]" in below[0]
    assert "paper: 27.49 (+4.39)" in below[1]
    assert "29.30" in text


def test_beside_synthetic_data_stands_only_the_sign():
    grid = dsct.grid(7, "emotic", synthetic=True)
    text = shown(grid, runs_of(grid), synthetic=True)
    assert "paper: -" in text
    assert "37.26" not in text
    assert "36.73" not in text
    assert "drawn people" in text


def test_table_3_goes_over_the_thresholds_and_compares_by_the_authors_iou_alone():
    grid = benet.grid(3)
    text = shown(grid, runs_of(grid))
    header = next(line for line in text.splitlines() if "0.50" in line)
    assert header.split()[:11] == [*benet.THRESHOLDS, "Avg."]
    assert text.count("paper:") == 4  # of the authors' average, once a row
    assert text.count("+1.50 [") == 2 * 3  # both averages of all rows but the reference
    assert "inflates the IoU" in text


def test_a_detector_has_no_chance():
    grid = benet.grid(2)
    assert list(grid.rows) == ["bu_det", "bu_det_pc", "bu_det_pc_bg", "bu_det_pc_bg_ed"]
    assert "Chance" not in shown(grid, runs_of(grid))


def test_what_a_training_does_not_have_is_left_out():
    grid = benet.grid(1)
    runs = runs_of(grid)
    runs["bu"] = [{"er": 20.0, "chance": 17.0}, {"er": 21.0, "chance": 17.0}]
    assert "—" in line_of(shown(grid, runs), "BU")[0]
    content = json.loads(json.dumps(as_data(grid, runs, range(2))))
    assert content["rows"][0] == {
        "row": "bu",
        "scores": {"er": [20, 21], "chance": [17, 17]},
        "published": {"er": 23.10},
    }
    assert content["seeds"] == [0, 1]


@pytest.mark.parametrize(("data", "reference"), [("emotic", "4"), ("caer_s", "9")])
def test_subjects_are_compared_with_the_published_number_of_them(data, reference):
    grid = dsct.grid(5, data, synthetic=False)
    assert grid.reference == reference
    assert list(grid.rows) == [str(number) for number in range(1, 11)]
    text = shown(grid, runs_of(grid))
    assert f"Differences are to {reference}." in text
    assert {"emotic": "head boxes", "caer_s": "boxes of faces"}[data] in text
    assert "best on test" in text
    assert "Not to be compared" in text
