from __future__ import annotations

import json

import people_pictures

from caer_ros.cli import main
from caer_ros.offline.data.people import people_set


def test_chosen_and_judged_on_canvases(tmp_path, capsys):
    people_set.make(
        tmp_path / "set", people_pictures.write(tmp_path / "pictures"), {"train": 1, "val": 4}, (480, 640), seed=1
    )
    words = ["evaluate", "readability", str(tmp_path / "set"), "--model", "people", "--device", "cpu"]
    assert main([*words, "--output", str(tmp_path / "chosen.json"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "chosen.json").read_text())
    assert (printed["format"], printed["data"]["images"]) == ("caer evaluate readability", 4)
    assert set(printed["judged"]) == {"readable", "unreadable", "certain", "right", "others"}
    assert main(words) == 0
    chosen = printed["chosen"]
    option = f"--readable-threshold {chosen['readable']:g} --uncertain-threshold {chosen['uncertain']:g}"
    assert option in " ".join(capsys.readouterr().out.split())


def test_a_model_that_does_not_judge_faces_is_refused(tmp_path, capsys):
    assert main(["evaluate", "readability", str(tmp_path), "--model", "bootstrap"]) == 1
    assert "it does not say who can be read; a bundle of `caer train people` does" in capsys.readouterr().err
