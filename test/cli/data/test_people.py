from __future__ import annotations

import argparse

import people_pictures
import pytest

from caer_ros.cli.data import people
from caer_ros.offline import data
from caer_ros.recordings.annotations.sample import DatasetError


def call(*arguments):
    parser = argparse.ArgumentParser()
    people.add_arguments(parser)
    return people.run(parser.parse_args(list(map(str, arguments))))


def options(folders):
    return ("--bodies", folders.bodies[0], "--faces", folders.faces, "--labels", folders.labels, "--processes", 1)


def test_makes_a_data_set_and_says_of_what(tmp_path, capsys):
    folders = people_pictures.write(tmp_path / "pictures")
    out = tmp_path / "set"
    assert call(out, *options(folders), "--empty", folders.empty[0], "--images", 2, "--val", 1) == 0
    said = capsys.readouterr().out
    assert "2 canvases for train, 1 canvases for val" in said
    assert "left out: 1 pictures that cannot be read" in said
    assert data.load("own", out, "train").samples[0].size == (480, 640)


def test_a_word_that_is_no_label_stops_it_before_anything_is_written(tmp_path):
    folders = people_pictures.write(tmp_path / "pictures")
    folders.labels.write_text("file,labels\nx.png,bored\n")
    with pytest.raises(DatasetError, match="row 2: 'bored' is no label"):
        call(tmp_path / "set", *options(folders))
    assert not (tmp_path / "set").exists()
