from __future__ import annotations

import argparse
import json

import pytest

from caer_ros.cli.bag import extract, merge
from caer_ros.offline.data.synthetic import bags, plans
from caer_ros.recordings.annotations import truth
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.sources import SourceError


def call(*arguments):
    parser = argparse.ArgumentParser()
    merge.add_arguments(parser)
    return merge.run(parser.parse_args(list(map(str, arguments))))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return bags.write(tmp_path_factory.mktemp("s") / "out", plans.Settings(width=160, height=120), 1, 5, rate=5)


def boxes(dataset):
    return [sample.boxes.tolist() for sample in dataset.samples]


def test_there_and_back(made, tmp_path, capsys):
    file, copy = tmp_path / "read.json", tmp_path / "copy"
    assert call(made.bag, "--read", "--output", file) == 0
    persons = sum(map(len, truth.from_topic(made.bag).samples))
    assert capsys.readouterr().out == f"{file}: 5 frames, {persons} persons\n"
    content = json.loads(file.read_text())
    assert all(image["file_name"].endswith(".jpg") for image in content["images"])
    assert content["info"]["exhaustive"] is True
    assert call(made.bag, file, "--output", copy, "--topic", "/again") == 0
    assert capsys.readouterr().out == f"{copy}: the bag, and 5 messages on /again\n"
    again = truth.from_topic(copy, topic="/again")
    assert boxes(again) == boxes(truth.from_json(file, made.bag))
    assert call(copy, "--read", "--topic", "/again", "--output", tmp_path / "again.json") == 0
    assert boxes(truth.from_json(tmp_path / "again.json", copy)) == boxes(again)


def test_what_was_extracted_is_merged(made, tmp_path):
    parser = argparse.ArgumentParser()
    extract.add_arguments(parser)
    out = tmp_path / "out"
    extract.run(parser.parse_args([str(made.bag), "--from-truth", "--output", str(out)]))
    call(made.bag, out / "annotations.json", "--output", tmp_path / "copy", "--topic", "/again")
    known, again = truth.from_topic(made.bag), truth.from_topic(tmp_path / "copy", topic="/again")
    for one, other in zip(known.samples, again.samples, strict=True):
        assert one.boxes == pytest.approx(other.boxes, abs=1e-4)
        assert (one.track_ids, one.stamp, one.exhaustive) == (other.track_ids, other.stamp, other.exhaustive)


def test_annotations_of_frames_that_are_not_there(made, tmp_path, capsys):
    content = json.loads(made.truth.read_text())
    for image in content["images"][1:]:
        folder, _, stamp = image["file_name"].removesuffix(".jpg").rpartition("/")
        image["file_name"] = f"{folder}/{int(stamp) + 1}.jpg"
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(content))
    arguments = (made.bag, file, "--output", tmp_path / "copy", "--topic", "/again")
    with pytest.raises(DatasetError, match=r"wrong.json: 4 annotated frames have no place in .* and 1 more") as error:
        call(*arguments)
    assert str(error.value).count("annotated, but not in the bag") == merge.SHOWN
    assert "left out" not in str(error.value)
    assert not (tmp_path / "copy").exists()
    assert call(*arguments, "--partial") == 0
    said = capsys.readouterr().out
    assert "1 messages on /again" in said
    assert said.count("note: ") == merge.SHOWN + 1
    assert len(truth.from_topic(tmp_path / "copy", topic="/again").samples) == 1


def test_nothing_is_overwritten(made, tmp_path):
    file = tmp_path / "read.json"
    file.write_text("mine")
    with pytest.raises(DatasetError, match="exists already"):
        call(made.bag, "--read", "--output", file)
    assert file.read_text() == "mine"
    with pytest.raises(DatasetError, match="has a topic /ground_truth/persons"):
        call(made.bag, made.truth, "--output", tmp_path / "copy")


def test_what_is_not_there(made, tmp_path):
    with pytest.raises(SourceError, match="no topic /nowhere"):
        call(made.bag, "--read", "--topic", "/nowhere", "--output", tmp_path / "a.json")
    with pytest.raises(SourceError, match="no images on /nowhere"):
        call(made.bag, made.truth, "--image-topic", "/nowhere", "--output", tmp_path / "copy")
    with pytest.raises(argparse.ArgumentTypeError, match=r"ANNOTATIONS\.json"):
        call(made.bag, "--output", tmp_path / "copy")
    with pytest.raises(argparse.ArgumentTypeError, match="--read"):
        call(made.bag, made.truth, "--read", "--output", tmp_path / "copy")
