from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from caer_ros.cli.bag import label_studio
from caer_ros.recordings.annotations.sample import DatasetError

FILES = Path(__file__).parents[2] / "recordings/annotations/label_studio"


@pytest.fixture
def folder(tmp_path):
    shutil.copy(FILES / "annotations.json", tmp_path)
    for image in json.loads((FILES / "annotations.json").read_text())["images"]:
        (tmp_path / image["file_name"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / image["file_name"]).touch()
    return tmp_path


def run(*words):
    parser = argparse.ArgumentParser()
    label_studio.add_arguments(parser)
    return label_studio.run(parser.parse_args(list(map(str, words))))


def test_tasks_and_the_commands(folder, capsys):
    assert run(folder) == 0
    out = capsys.readouterr().out
    assert "tasks.json (4 pictures pre-filled by a model, 1 annotated before, 1 empty) and config.xml beside it" in out
    assert f"cd {folder}/label_studio" in out
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={folder.parent}" in out
    assert "has tasks of its own" not in out
    assert (folder / "label_studio" / "tasks.json").is_file()
    assert (folder / "label_studio" / "config.xml").is_file()


def test_a_project_that_is_there_already(folder, capsys):
    (folder / "label_studio" / "data").mkdir(parents=True)
    run(folder)
    assert f"The project in {folder}/label_studio/data has tasks of its own" in capsys.readouterr().out


def test_import(folder, capsys):
    assert run(folder, "--import", FILES / "export.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 pictures annotated: 4 persons (3 with an emotion, 3 with a track), 2 regions to ignore"
    assert lines[1] == "1 task skipped in Label Studio and left out: task 3"
    assert lines[-1] == f"written: {folder}/annotations.json; the former one is annotations.json.bak"
    run(folder, "--import", FILES / "export.json")
    assert capsys.readouterr().out.splitlines()[-1] == "nothing has changed since the last import"


def test_partial_goes_with_import_only(folder):
    with pytest.raises(argparse.ArgumentTypeError, match="only with --import"):
        run(folder, "--partial")


def test_an_export_that_is_none(folder):
    with pytest.raises(DatasetError, match="no list of tasks"):
        run(folder, "--import", FILES / "annotations.json")
