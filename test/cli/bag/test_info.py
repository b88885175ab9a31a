from __future__ import annotations

import argparse
import json

import pytest
from bag_files import compressed, image, picture, write_bag

from caer_ros.cli.bag import info
from caer_ros.recordings.sources import SourceError

S = 10**9


def call(*arguments):
    parser = argparse.ArgumentParser()
    info.add_arguments(parser)
    return info.run(parser.parse_args(list(map(str, arguments))))


@pytest.fixture
def bag(tmp_path):
    """A camera that starts without stamps, skips two pictures, and sends one broken; and one picture beside it."""
    shown = [("/front", S * t, compressed(picture(1), S * t if t > 1 else 0)) for t in (1, 2, 3, 4, 5, 11)]
    shown[3][2].data = shown[3][2].data[:200]
    return write_bag(tmp_path / "bag", [*shown, ("/side", 12 * S, image(picture(1), 12 * S - S // 2))])


def test_a_report_for_people(bag, capsys):
    assert call(bag) == 0
    said = capsys.readouterr().out
    first, front, side = said.split("\n\n")
    assert "mcap, " in first
    assert "7 messages in 11.000 s from 1970-01-01 00:00:01.000 UTC" in first
    assert front.startswith("/front  sensor_msgs/msg/CompressedImage\n  6 messages, ")
    assert "0.50 Hz over 10.000 s, longest interval 6.000 s, 1 gaps" in front
    assert "stamps: 1 zero, recorded 0.000 s after their stamp (median)" in front
    assert "images: bgr8; jpeg compressed bgr8, 64x48\n" in front + "\n"
    assert "stamps: in order, recorded 0.500 s after" in side
    assert "images: bgr8, 64x48" in side


def test_decode(bag, capsys):
    assert call(bag, "--decode") == 0
    assert "64x48, 1 cannot be decoded" in capsys.readouterr().out


def test_json(bag, capsys):
    assert call(bag, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["format"], said["format_version"], said["path"]) == ("caer bag info", 1, str(bag))
    front, side = said["topics"]
    assert (front["name"], front["count"], front["gaps"], front["stamps"]["zero"]) == ("/front", 6, 1, 1)
    assert front["images"] == {
        "encoding": "bgr8; jpeg compressed bgr8",
        "width": 64,
        "height": 48,
        "undecodable": None,
    }
    assert side["rate"] is None  # of one message


def test_what_is_no_bag(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        call(tmp_path / "none")
    write_bag(tmp_path / "empty", [])
    assert call(tmp_path / "empty") == 0


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (3.83e6, "3.83 MB"), (2.5e9, "2.5 GB"), (2e13, "20,000 GB")],
)
def test_sizes(count, said):
    assert info._size(count) == said
