"""The hardest frames of an evaluated bag, as a new annotation set."""

import itertools
import json
import shutil

import cv2
import pytest

from caer_ros.cli import command_line
from caer_ros.offline.data import load


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bag of two scenes, and the result of a model on it."""
    folder = tmp_path_factory.mktemp("hardest")
    words = ["--images", "8", "--rate", "2", "--scenes", "2", "--size", "160x120"]
    assert command_line.main(["data", "synthetic", str(folder / "field"), "--bag", *words]) == 0
    bag, result = str(folder / "field" / "bag"), str(folder / "result")
    assert (
        command_line.main(["evaluate", "bag", bag, "--model", "student_synth", "--no-images", "--output", result]) == 0
    )
    return folder


def hardest(*words):
    return command_line.main(["evaluate", "hardest", *map(str, words)])


def test_they_are_a_data_set_with_what_was_annotated(made, tmp_path, capsys):
    assert hardest(made / "result", "--count", 3, "--apart", 0, "--output", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    ranks = [float(line.split()[0]) for line in lines[:3]]
    assert ranks == sorted(ranks, reverse=True)
    assert lines[3].startswith("3 of 8 frames")
    dataset = load("own", tmp_path / "out", "train")
    assert {f"{line.split()[1]}.jpg" for line in lines[:3]} == {sample.image_id for sample in dataset.samples}
    annotated = json.loads((made / "result" / "annotations.json").read_text())
    persons = {image["file_name"]: 0 for image in annotated["images"]}
    names = {image["id"]: image["file_name"] for image in annotated["images"]}
    for entry in annotated["annotations"]:
        persons[names[entry["image_id"]]] += 1
    for sample in dataset.samples:
        assert len(sample) == persons[sample.image_id.removesuffix(".jpg")]
        assert cv2.imread(str(sample.path)).shape == (120, 160, 3)


def test_neighbours_in_time_are_left_out(made, tmp_path, capsys):
    assert hardest(made / "result", "--apart", 1.1, "--output", tmp_path / "out") == 0
    stamps = sorted(sample.stamp for sample in load("own", tmp_path / "out", "train").samples)
    assert min(b - a for a, b in itertools.pairwise(stamps)) >= 1.1e9


def test_a_model_never_disagrees_with_itself(made, tmp_path, capsys):
    assert hardest(made / "result", made / "result", "--count", 2, "--output", tmp_path / "out") == 0
    assert capsys.readouterr().out.startswith("0.000")


def test_a_result_with_another_kind_of_boxes_is_ranked_too(made, tmp_path, capsys):
    shutil.copytree(made / "result", tmp_path / "result")
    annotations = tmp_path / "result" / "annotations.json"
    content = json.loads(annotations.read_text())
    content["info"]["box_kind"] = "head"  # as after caer evaluate bag --any-box-kind
    annotations.write_text(json.dumps(content))
    assert hardest(tmp_path / "result", "--count", 1, "--output", tmp_path / "out") == 0


def test_a_bag_that_was_moved_is_named_anew(made, tmp_path, capsys):
    shutil.copytree(made / "result", tmp_path / "result")
    metrics = tmp_path / "result" / "metrics.json"
    content = json.loads(metrics.read_text())
    content["bags"][0]["path"] = "/gone/bag"
    metrics.write_text(json.dumps(content))
    assert hardest(tmp_path / "result", "--output", tmp_path / "out") == 1
    assert "/gone/bag: no such file or folder" in capsys.readouterr().err
    bag = made / "field" / "bag"
    assert hardest(tmp_path / "result", "--bag", bag, "--count", 1, "--output", tmp_path / "out") == 0


def test_what_cannot_be_done_is_said(made, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    assert hardest(made / "result", "--output", tmp_path / "full") == 1
    assert "not empty" in capsys.readouterr().err
    assert hardest(*[made / "result"] * 3, "--output", tmp_path / "out") == 2
    for apart in ("nan", "-1"):
        assert hardest(made / "result", "--apart", apart, "--output", tmp_path / "out") == 2
        assert f"--apart: must be a number, 0 or more, not '{apart}'" in capsys.readouterr().err
    assert hardest(tmp_path / "none", "--output", tmp_path / "out") == 1
    assert "no metrics.json" in capsys.readouterr().err
    shutil.copytree(made / "result", tmp_path / "set")
    (tmp_path / "set" / "metrics.json").write_text('{"format": "caer evaluate dataset"}')
    assert hardest(tmp_path / "set", "--output", tmp_path / "out") == 1
    assert "of a data set" in capsys.readouterr().err
