"""`caer bench evaluate` measures what it says; how fast it is, is not tested."""

import json

import pytest

from caer_ros.cli import command_line
from caer_ros.cli.bench.evaluate import Scored, every_frame, growth, store


def test_the_report_has_every_size_and_the_offline_run(tmp_path, capsys):
    assert (
        command_line.main(["data", "synthetic", str(tmp_path / "s"), "--bag", "--images", "4", "--size", "160x120"])
        == 0
    )
    capsys.readouterr()
    words = ["bench", "evaluate", "--frames", "20", "40", "--runs", "1", "--model", "student_synth", "--json"]
    assert command_line.main([*words, "--bag", str(tmp_path / "s" / "bag")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["frames"] for one in report["scoring"]] == [20, 40]
    assert all(one["score_seconds"] > 0 and one["memory_mb"] >= 0 for one in report["scoring"])
    offline = report["offline"]
    assert offline["frames"] == 4
    assert offline["ratio"] == pytest.approx(offline["total_seconds"] / offline["inference_seconds"])
    assert offline["ratio"] > 1
    assert report["machine"]["cores"] >= 1


def test_growth_is_the_exponent():
    assert growth([Scored(1000, 1.0, 1.0, 0), Scored(4000, 4.0, 12.0, 0)]) == pytest.approx(1.5)
    assert growth([Scored(1000, 1.0, 1.0, 0)]) is None


def test_what_is_scored_is_the_same_on_every_run(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        store(tmp_path / name, 5)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_every_image_of_a_bag_is_run():
    from caer_ros.cli.demo import demo_bag

    dataset, topic = every_frame(demo_bag.committed().bag)
    assert topic == "/camera/image_raw/compressed"
    assert len(dataset.samples) == 165
    assert dataset.samples[0].size == (480, 640)
