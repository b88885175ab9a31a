from __future__ import annotations

import argparse

import pytest

from caer_ros.cli.data import synthetic
from caer_ros.offline import data
from caer_ros.offline.data.synthetic import cues, drawn_truth, folders, plans


def call(*arguments):
    parser = argparse.ArgumentParser()
    synthetic.add_arguments(parser)
    return synthetic.run(parser.parse_args(list(map(str, arguments))))


def test_a_data_set(tmp_path, capsys):
    out = tmp_path / "heco"
    assert call(out, "--format", "heco", "--images", 10, "--seed", 4, "--size", "96x72", "--scene", 1) == 0
    said = capsys.readouterr().out
    assert "7 train, 1 val, 2 test" in said
    assert "best possible mAP 100.0, from the person alone 79." in said
    assert len(data.load("heco", out, "train").samples) == 7
    assert drawn_truth.read(out).dials == cues.Dials(scene=1.0)


def test_a_bag(tmp_path, capsys):
    assert call(tmp_path / "bag", "--bag", "--images", 2, "--size", "96x72") == 0
    assert "truth.json" in capsys.readouterr().out
    assert list((tmp_path / "bag" / "bag").glob("*.mcap"))


def test_the_defaults_are_those_of_the_library():
    parser = argparse.ArgumentParser()
    synthetic.add_arguments(parser)
    args = parser.parse_args(["out", "--format", "own"])
    assert cues.Dials(args.face, args.posture, args.scene, args.hidden) == cues.Dials()
    assert args.size == (plans.Settings().width, plans.Settings().height)
    assert set(synthetic.FORMATS) == set(folders.FORMATS)


@pytest.mark.parametrize("splits", [("train", "val", "test"), ("train", "val")])
@pytest.mark.parametrize("images", [0, 1, 9, 1000])
def test_every_image_goes_into_a_split(images, splits):
    counts = synthetic.parts(images, splits)
    assert tuple(counts) == splits
    assert sum(counts.values()) == images
    assert min(counts.values()) >= 0


@pytest.mark.parametrize("wrong", [("--scene", "2"), ("--size", "20x20"), ("--images", "-1"), ("--format", "voc")])
def test_wrong_arguments(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        call(tmp_path, "--format", "own", *wrong)
    assert wrong[0] in capsys.readouterr().err
