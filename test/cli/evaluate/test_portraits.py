from __future__ import annotations

import json
import shutil

import cv2
import pytest
from made_portraits import photo, write

from caer_ros.cli import main


@pytest.fixture(scope="module")
def evaluate(portraits, street_scenes):
    def run(*options, folder=portraits):
        required = ("--scenes", street_scenes, "--scenes-split", "all", "--device", "cpu")
        return main(["evaluate", "portraits", *map(str, (folder, *required, *options))])

    return run


def test_figures_cases_and_a_sheet_are_written(evaluate, portraits, tmp_path, capsys):
    backs = write(tmp_path / "backs" / "one.png", photo("cameraman")).parent
    options = ("--sizes", "80", "--turned", backs, "--negatives", backs, "--write-sheet", tmp_path / "sheet.jpg")
    assert evaluate(*options, "--output", tmp_path / "out", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "portraits.json").read_text())
    assert printed["format"] == "caer evaluate portraits"
    assert list(printed["models"]) == ["bootstrap"]
    assert printed["models"]["bootstrap"]["thresholds"] == {"person": 0.4, "uncertain": 0.5}
    assert len(printed["cases"]) == 2 * (2 * 4 + 1)
    smiling = next(
        case
        for case in printed["cases"]
        if (case["person"], case["expression"], case["view"]) == ("01", "smiling", "portrait")
    )
    answer = smiling["answers"]["bootstrap"]
    assert (answer["label"], answer["status"]) == ("Happy", "OK")
    assert answer["scores"]["Happy"] > 0.5
    assert [folder["kind"] for folder in printed["folders"]["bootstrap"]] == ["turned", "negatives"]
    sizes = printed["figures"]["bootstrap"]["sizes"]
    assert [(of["view"], of["size"], of["found"]["cases"]) for of in sizes] == [("body", 80, 4), ("portrait", 80, 4)]
    assert cv2.imread(str(tmp_path / "sheet.jpg")).shape[1] == 8 * 320
    text = (tmp_path / "out" / "portraits.md").read_text()
    assert "| bootstrap | portrait | 80 | neutral |" in text
    assert "</html>" in (tmp_path / "out" / "portraits.html").read_text()


@pytest.mark.parametrize(
    ("options", "said", "code"),
    [
        (("--sizes", "24,x"), "must be widths in pixels from 8 to 160 with commas between", 2),
        (("--sizes", "4"), "must be widths in pixels from 8 to 160", 2),
        (("--write-sheet", "sheet.png"), "--write-sheet sheet.png: must end in .jpg", 2),
        (("--model", "bootstrap", "--model", "bootstrap"), "--model bootstrap: is there already", 1),
        (("--model", "student_synth"), "predicts no Neutral and no Happy, but Anger, Disgust", 1),
        (("--model", "nobody"), "nobody", 1),
        (("--scenes-split", "val"), "none of its pictures is of the split 'val'", 1),
        (("--scenes", "."), "no picture in it", 1),
        (("--turned", "nowhere"), "nowhere: no such folder", 1),
    ],
)
def test_a_wrong_setup_is_one_clear_line(evaluate, tmp_path, monkeypatch, capsys, options, said, code):
    monkeypatch.chdir(tmp_path)
    assert evaluate(*options, "--output", tmp_path / "out") == code
    error = capsys.readouterr().err
    assert said in error
    assert "internal error" not in error


def test_a_result_outlives_a_wrong_setup(evaluate, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".caer_evaluate_portraits").write_text("")
    (out / "portraits.json").write_text("{}")
    assert evaluate("--turned", tmp_path / "nowhere", "--output", out) == 1
    assert (out / "portraits.json").exists()


def test_a_table_without_a_column_and_a_folder_of_somebody_else_are_refused(evaluate, portraits, tmp_path, capsys):
    folder = shutil.copytree(portraits, tmp_path / "known")
    (tmp_path / "known.csv").write_text("id,age\n01,3\n")
    assert evaluate("--output", tmp_path / "out", folder=folder) == 1
    assert "known.csv: no column gender and no column ethnicity" in capsys.readouterr().err
    assert evaluate("--output", folder) == 1
    assert "which no evaluate portraits wrote" in capsys.readouterr().err
    assert len(list(folder.iterdir())) == 4
