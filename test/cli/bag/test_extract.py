from __future__ import annotations

import argparse
import json

import pytest

from caer_ros.cli.bag import extract
from caer_ros.offline import data
from caer_ros.offline.data.synthetic import bags, cues, plans
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.recordings.sources import SourceError


def call(*arguments):
    parser = argparse.ArgumentParser()
    extract.add_arguments(parser)
    return extract.run(parser.parse_args(list(map(str, arguments))))


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return bags.write(tmp_path_factory.mktemp("s") / "out", plans.Settings(width=160, height=120), 1, 10, rate=5).bag


def content(out):
    return json.loads((out / "annotations.json").read_text())


def test_pictures_to_annotate(bag, tmp_path, capsys):
    out = tmp_path / "out"
    assert call(bag, "--every", 0.5, "--label-set", "emotic", "--output", out, "--splits", "--png") == 0
    assert capsys.readouterr().out == f"{out}: 4 pictures, annotations.json\n"
    info, images = content(out)["info"], content(out)["images"]
    assert (info["label_set"], info["multi_label"], info["box_kind"]) == ("emotic", True, "body")
    assert [image["split"] for image in images] == ["train", "train", "val", "test"]
    assert all((out / image["file_name"]).suffix == ".png" for image in images)
    assert all((out / image["file_name"]).is_file() for image in images)


def test_labels_of_ones_own(bag, tmp_path):
    out = tmp_path / "out"
    call(bag, "--count", 2, "--labels", "calm, tense", "--multi-label", "--box-kind", "face", "--output", out)
    assert content(out)["info"] == {
        "label_set": "own",
        "multi_label": True,
        "box_kind": "face",
        "labels": ["calm", "tense"],
        "exhaustive": False,
    }
    assert len(content(out)["images"]) == 2


def test_a_bundle_draws_the_boxes(bag, tmp_path, student_bundle, capsys):
    out = tmp_path / "out"
    assert call(bag, "--count", 2, "--prefill", student_bundle, "--emotions", "--output", out, "--device", "cpu") == 0
    assert "2 pictures, " in capsys.readouterr().out
    prefilled_by = content(out)["info"]["prefilled_by"]
    assert (prefilled_by["boxes"], prefilled_by["emotions"], len(prefilled_by["version"])) == (True, True, 16)
    with pytest.raises(argparse.ArgumentTypeError, match=r"--box-kind face: .* draws boxes of the body"):
        call(bag, "--count", 2, "--prefill", student_bundle, "--box-kind", "face", "--output", tmp_path / "other")
    with pytest.raises(BundleError):
        call(bag, "--count", 2, "--prefill", tmp_path / "none", "--output", tmp_path / "other")


def test_the_truth_of_the_bag(bag, tmp_path, capsys):
    out = tmp_path / "out"
    assert call(bag, "--from-truth", "--output", out) == 0
    assert "10 pictures, " in capsys.readouterr().out
    dataset = data.load("own", out / "annotations.json", "test")
    assert (len(dataset.samples), dataset.labels) == (10, cues.EMOTIONS)
    call(bag, "--from-truth", "--count", 3, "--output", tmp_path / "three")
    assert len(content(tmp_path / "three")["images"]) == 3
    with pytest.raises(SourceError, match="no topic /nowhere"):
        call(bag, "--from-truth", "--truth-topic", "/nowhere", "--output", tmp_path / "none")


def test_what_was_left_out_is_said(bag, tmp_path, capsys):
    call(bag, "--count", 10, "--label-set", "heco", "--output", tmp_path / "all")
    assert "left out" not in capsys.readouterr().out
    extract._say(
        argparse.Namespace(output="out", prefill=None, from_truth=False),
        bag_extract_done([f"picture {i}" for i in range(7)]),
    )
    said = capsys.readouterr().out
    assert said.count("left out: picture") == 5
    assert "and 2 more" in said


def bag_extract_done(left_out):
    from caer_ros.recordings.annotations.extract import Extracted

    return Extracted(3, 0, tuple(left_out))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--label-set", "heco"], "--every S or --count N"),
        (["--count", "1"], "--label-set NAME or --labels"),
        (["--count", "1", "--label-set", "moods"], "--label-set moods: there are emotic"),
        (["--count", "1", "--labels", "a,a"], "different names"),
        (["--count", "1", "--labels", "a,,b"], "different names"),
        (["--count", "1", "--labels", "a", "--emotions"], "--prefill BUNDLE"),
        (["--count", "1", "--labels", "a", "--truth-topic", "/t"], "--from-truth"),
        (["--from-truth", "--label-set", "heco"], "--label-set: --from-truth"),
        (["--from-truth", "--box-kind", "face"], "--box-kind: --from-truth"),
        (["--from-truth", "--topic", "/a", "/b"], "one camera"),
    ],
)
def test_arguments_that_contradict_each_other(wrong, said, tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        call(tmp_path / "none", "--output", tmp_path / "out", *wrong)
    assert not (tmp_path / "out").exists()
