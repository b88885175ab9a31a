"""`caer evaluate bag` on recordings that are not whole, or of several cameras."""

import json

import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from caer_ros.cli import main
from caer_ros.offline.data.synthetic import bags, plans
from caer_ros.recordings.definitions import typestore
from caer_ros.recordings.sources import COMPRESSED_IMAGE

IMAGES = 8
CAMERA, BACK = "/camera/image_raw/compressed", "/back/image_raw/compressed"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    settings = plans.Settings(width=160, height=120, people=(0, 0, 1, 1))
    return bags.write(tmp_path_factory.mktemp("recording") / "monday", settings, 3, IMAGES)


def copy(bag, folder, storage=StoragePlugin.MCAP, change=lambda topic, index, data: [(topic, data)]):
    """The bag's images in a new one, each as what ``change`` makes of it."""
    types = typestore()
    with Reader(bag) as reader, Writer(folder, version=9, storage_plugin=storage) as writer:
        images = [one for one in reader.connections if one.msgtype == COMPRESSED_IMAGE]
        made = {}
        for index, (connection, when, data) in enumerate(reader.messages(images)):
            for topic, changed in change(connection.topic, index, bytes(data)):
                if topic not in made:
                    made[topic] = writer.add_connection(topic, COMPRESSED_IMAGE, typestore=types)
                writer.write(made[topic], when, changed)
    return folder


def evaluate(made, bag, *options):
    words = ["--truth", made.truth, "--model", "student_synth", "--device", "cpu", "--no-images", *options]
    return main(["evaluate", "bag", str(bag), *map(str, words)])


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite"])
def test_a_recording_that_was_cut_short_says_so(made, tmp_path, capsys, storage):
    bag = copy(made.bag, tmp_path / "bag", storage)
    file = next(file for pattern in ("*.mcap", "*.db3") for file in bag.glob(pattern))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert evaluate(made, bag) == 1
    said = capsys.readouterr().err
    assert str(bag) in said
    assert "if the recording was cut short" in said


def test_one_corrupt_frame_is_left_out_by_name_and_the_others_are_evaluated(made, tmp_path, capsys):
    def cut(topic, index, data):
        return [(topic, data[: len(data) // 2] if index == 4 else data)]

    assert evaluate(made, copy(made.bag, tmp_path / "cut", change=cut), "--output", tmp_path / "result") == 0
    metrics = json.loads((tmp_path / "result" / "metrics.json").read_text())
    assert metrics["evaluation"]["images"] == IMAGES - 1
    (line,) = metrics["left_out"]
    assert "cannot be decoded" in line
    assert line.split(":")[0].startswith("camera/image_raw/compressed/")
    assert "cannot be decoded" in (tmp_path / "result" / "report.html").read_text("utf-8")


def test_of_two_cameras_with_equal_stamps_one_has_to_be_named(made, tmp_path, capsys):
    bag = copy(made.bag, tmp_path / "bag", change=lambda topic, index, data: [(BACK, data), (topic, data)])
    assert evaluate(made, bag) == 1
    assert f"several image topics; name one: {BACK}, {CAMERA}" in capsys.readouterr().err
    assert evaluate(made, bag, "--topic", CAMERA, "--json") == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["bags"][0]["image_topic"] == CAMERA
    assert metrics["evaluation"]["images"] == IMAGES
    assert evaluate(made, bag, "--topic", BACK) == 1  # nothing of it is annotated
    assert "is one of" in capsys.readouterr().err
