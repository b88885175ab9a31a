from __future__ import annotations

import argparse
import json

import cv2
import numpy as np
import pytest

from caer_ros.cli.data import check


@pytest.fixture
def root(tmp_path):
    """Two splits of one's own set, without a flaw."""
    for split, count in (("train", 3), ("test", 2)):
        images = [{"id": number, "file_name": f"{split}{number}.png"} for number in range(count)]
        for image in images:
            cv2.imwrite(str(tmp_path / image["file_name"]), np.zeros((60, 80, 3), np.uint8))
        annotations = [
            {"id": number, "image_id": 0, "bbox": [1, 1, 20, 20], "emotions": [label]}
            for number, label in enumerate(["Peace", "Fear", "Peace", "Anger"])
        ]
        content = {"info": {"label_set": "heco"}, "images": images, "annotations": annotations}
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    return tmp_path


def run(*words):
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(list(map(str, words))))


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_tables(root, capsys):
    assert run("own", root, "--split", "train", "test") == 0
    out, err = capsys.readouterr()
    rows = {line[:34].strip(): line[34:].split() for line in out.splitlines()}
    assert rows["images"] == ["3", "2"]
    assert rows["persons"] == ["4", "4"]
    assert rows["images of nobody"] == ["2", "1"]
    assert rows["images of 3 or more"] == ["1", "1"]
    assert rows["Peace"] == ["50.0", "%", "50.0", "%"]
    assert rows["chance mAP (mean prevalence)"] == ["12.5", "%", "12.5", "%"]
    assert err == ""


def test_json_is_one_object(root, capsys):
    assert run("own", root, "--split", "test", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["format_version"], report["name"]) == ("caer data check", 1, "own")
    assert report["splits"]["test"]["prevalence"]["Peace"] == 0.5
    assert report["splits"]["test"]["findings"]["skipped"] == []
    assert report["problems"] == []


def test_findings_are_shown(root, capsys):
    (root / "train2.png").write_bytes(b"no image")
    edit(root / "train.json", lambda content: content["annotations"][0].update(bbox=[-5, 1, 20, 20]))
    assert run("own", root, "--split", "train") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "train: images that cannot be read, left out (1)" in out
    assert "train2.png: no image, or its header is broken" in out
    assert "train: boxes beyond the image, clipped (1)" in out


def test_many_findings_are_cut_in_the_table_and_whole_in_json(root, capsys):
    edit(root / "train.json", lambda content: [a.update(bbox=[-5, 1, 20, 20]) for a in content["annotations"]])
    run("own", root, "--split", "train")
    assert "and 1 more" in capsys.readouterr().out
    run("own", root, "--split", "train", "--json")
    assert len(json.loads(capsys.readouterr().out)["splits"]["train"]["findings"]["repaired"]) == 4


def test_a_missing_split_is_a_failure_that_says_why(root, capsys):
    assert run("own", root) == 1
    out, err = capsys.readouterr()
    assert "Peace" in out  # the others are shown all the same
    assert err.count("\n") == 1
    assert "no val.json" in err


def test_nothing_usable(root, capsys):
    for file in root.glob("*.png"):
        file.unlink()
    assert run("own", root, "--split", "train", "--json") == 1
    out, err = capsys.readouterr()
    assert "has no usable image: 3 cases such as" in err
    assert json.loads(out)["problems"] == [err.removeprefix("caer data check: ").strip()]
    assert json.loads(out)["splits"] == {}


def test_a_wrong_annotation(root, capsys):
    edit(root / "train.json", lambda content: content["annotations"][0].update(emotions=["Joy"]))
    assert run("own", root, "--split", "train") == 1
    assert "annotation 0 of train0.png: 'Joy' is no label" in capsys.readouterr().err


def test_a_missing_folder_is_said_once(tmp_path, capsys):
    assert run("heco", tmp_path / "nowhere") == 1
    assert capsys.readouterr().err.count("no such file or folder") == 1


def test_damage_that_only_decoding_finds(root, capsys):
    file = root / "train1.png"
    raw = bytearray(file.read_bytes())
    at = raw.index(b"IDAT") + 6
    raw[at : at + 8] = bytes(8)
    file.write_bytes(raw + bytes(5000) + b"IEND")  # long, and with an end mark, so that its header passes
    assert run("own", root, "--split", "train") == 0
    assert run("own", root, "--split", "train", "--decode") == 1
    assert "train: 1 images cannot be decoded" in capsys.readouterr().err


def test_images_of_two_splits(root, capsys):
    edit(root / "test.json", lambda content: content["images"][1].update(file_name="train1.png"))
    assert run("own", root, "--split", "train", "test") == 0
    assert "train, test: 1 images belong to both splits" in capsys.readouterr().out


def test_splits_with_different_labels(root, capsys):
    edit(root / "test.json", lambda content: content["info"].update(label_set="x", labels=["Peace", "Fear", "Anger"]))
    assert run("own", root, "--split", "train", "test") == 1
    assert "different labels" in capsys.readouterr().err


def test_an_unknown_name_is_wrong_usage(root):
    with pytest.raises(argparse.ArgumentTypeError, match="no data set is called 'imagenet'; there are emotic"):
        run("imagenet", root)
