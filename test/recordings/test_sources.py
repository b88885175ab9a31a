"""Bags, videos and pictures that the tests write, and the ways in which they are broken."""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from bag_files import START_NS, compressed, image, picture, picture_index, stamped, write_bag
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import StoragePlugin
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import String

from caer_ros.recordings.sources import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    FIRST_NS,
    IMAGE,
    PICTURE_TOPIC,
    SourceError,
    Stream,
    later,
    open_source,
)

PERIOD_NS = 10**8


def camera_messages(count):
    for index in range(count):
        stamp = START_NS + index * PERIOD_NS
        yield "/cam/camera_info", stamp, stamped(CameraInfo(width=64), stamp)
        yield "/cam/image_raw/compressed", stamp + 1000, compressed(picture(index), stamp)
        yield "/chat", stamp + 2000, String(data="hello")


@pytest.fixture(params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def bag(request, tmp_path):
    return write_bag(tmp_path / "bag", camera_messages(6), request.param)


def shown(source):
    """What ``picture`` was given to make each frame."""
    return [picture_index(frame.data[..., ::-1]) for frame in source.frames()]


# --- Bags ---


@pytest.mark.parametrize("form", ["folder", "file", "folder without metadata"])
def test_a_bag_gives_its_camera_topics_in_order_and_unchanged(bag, form):
    path = next(file for file in bag.iterdir() if file.suffix != ".yaml") if form == "file" else bag
    if form == "folder without metadata":
        (bag / "metadata.yaml").unlink()
    source = open_source(path)
    assert source.streams == (
        Stream("/cam/camera_info", CAMERA_INFO, 6),
        Stream("/cam/image_raw/compressed", COMPRESSED_IMAGE, 6),
    )
    assert source.period_ns == pytest.approx(PERIOD_NS, rel=0.01)
    for _ in range(2):  # a loop reads it again
        frames = list(source.frames())
        assert [frame.topic for frame in frames] == ["/cam/camera_info", "/cam/image_raw/compressed"] * 6
        assert [frame.stamp_ns for frame in frames[1::2]] == [START_NS + i * PERIOD_NS + 1000 for i in range(6)]
        for index, frame in enumerate(frames[1::2]):
            expected = compressed(picture(index), START_NS + index * PERIOD_NS)
            assert deserialize_message(frame.data, CompressedImage) == expected


def open_files(folder):
    """This process's open files below ``folder``."""
    return [file.path for file in psutil.Process().open_files() if folder in Path(file.path).parents]


def test_a_bag_is_open_while_it_is_read_and_no_longer(bag):
    if sys.version_info < (3, 11) and list(bag.glob("*.db3")):
        pytest.skip("the last sqlite reader for Python 3.10 never closes its file; README.md says so")
    frames = open_source(bag).frames()
    next(frames)
    assert open_files(bag)
    frames.close()
    assert not open_files(bag)


def test_a_bag_without_images_names_the_topics_it_has(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/chat", START_NS, String()), ("/cam/camera_info", START_NS, CameraInfo())])
    with pytest.raises(SourceError, match=r"no image.*/cam/camera_info \(sensor_msgs.*/chat \(std_msgs/msg/String\)"):
        open_source(bag)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.9])
def test_a_bag_that_was_cut_short_says_so(bag, keep):
    file = next(file for file in bag.iterdir() if file.suffix != ".yaml")
    content = file.read_bytes()
    file.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    with pytest.raises(SourceError, match=r"broken bag.*mcap recover"):
        list(open_source(bag).frames())


def test_a_bag_with_damage_in_the_middle_gives_what_comes_before(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)  # chunks of 1 MiB hold two of these
    messages = [("/image", START_NS + i, image(noise, START_NS + i)) for i in range(10)]
    bag = write_bag(tmp_path / "bag", messages, StoragePlugin.MCAP)
    file = bag / "bag.mcap"
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2**20] = bytes(2**20)
    file.write_bytes(content)
    frames = open_source(bag).frames()
    seen = [next(frames).stamp_ns for _ in range(2)]
    with pytest.raises(SourceError, match="broken bag"):
        list(frames)
    assert seen == [START_NS, START_NS + 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "no such file"),
        (lambda path: path.mkdir() or path, "no picture in this folder"),
        (
            lambda path: path.with_suffix(".bag").write_bytes(b"x") and path.with_suffix(".bag"),
            "rosbags-convert",
        ),
        (lambda path: path.with_suffix(".txt").write_text("hello") and path.with_suffix(".txt"), "not a bag"),
        (lambda path: path.with_suffix(".mp4").write_bytes(bytes(999)) and path.with_suffix(".mp4"), "not a bag"),
    ],
    ids=["missing", "empty folder", "ros1", "text", "zeros"],
)
def test_what_cannot_be_played_is_named_with_a_reason(tmp_path, make, words):
    path = make(tmp_path / "source")
    with pytest.raises(SourceError, match=words) as caught:
        open_source(path)
    assert str(path) in str(caught.value)


def test_several_bag_files_without_metadata_are_not_guessed_at(bag):
    (bag / "metadata.yaml").unlink()
    file = next(iter(bag.iterdir()))
    shutil.copy(file, bag / f"other{file.suffix}")
    with pytest.raises(SourceError, match="ros2 bag reindex"):
        open_source(bag)


# --- Videos ---


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG"), (".mkv", "MJPG")])
def test_a_video_gives_its_pictures_at_their_times(tmp_path, suffix, codec):
    path = tmp_path / f"video{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (64, 48))
    for index in range(8):
        writer.write(picture(index))
    writer.release()
    source = open_source(path)
    assert source.streams == (Stream(PICTURE_TOPIC, IMAGE, 8),)
    assert source.period_ns == 40_000_000
    assert [frame.stamp_ns - FIRST_NS for frame in source.frames()] == [i * 40_000_000 for i in range(8)]
    assert shown(source) == list(range(8))
    assert source.problems == []


def test_a_video_without_a_header_is_played_too(tmp_path):
    path = tmp_path / "video.mjpeg"
    path.write_bytes(b"".join(cv2.imencode(".jpg", picture(index))[1].tobytes() for index in range(5)))
    source = open_source(path)
    assert source.streams == (Stream(PICTURE_TOPIC, IMAGE, 0),)
    assert shown(source) == [0, 1, 2, 3, 4]
    assert source.problems == []


def test_pictures_without_times_are_a_period_apart():
    due = [100]
    for position in (140, 140, 140, 300):
        due.append(later(position, due[-1], 40))
    assert due == [100, 140, 180, 220, 300]
    assert later(7, None, 40) == 7


def test_a_video_that_ends_early_is_a_problem(tmp_path):
    path = tmp_path / "video.mkv"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    noise = np.random.default_rng(0)
    for _ in range(40):
        writer.write(noise.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    source = open_source(path)
    count = sum(1 for _ in source.frames())
    assert 0 < count < 40
    assert f"ended after {count} of" in source.problems[0]


# --- Pictures ---


def test_pictures_come_in_natural_order_at_an_even_rate(tmp_path):
    for index in (0, 2, 10):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), picture(index))
    (tmp_path / "notes.txt").write_text("not a picture")
    source = open_source(tmp_path, fps=4)
    assert source.streams == (Stream(PICTURE_TOPIC, IMAGE, 3),)
    assert [frame.stamp_ns - FIRST_NS for frame in source.frames()] == [0, 250_000_000, 500_000_000]
    assert shown(source) == [0, 2, 10]


def test_one_picture_is_a_source(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), picture(3))
    assert shown(open_source(tmp_path / "photo.png")) == [3]


def test_a_broken_picture_is_left_out_and_noted(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture(1))
    (tmp_path / "b.png").write_bytes(b"nonsense")
    (tmp_path / "c.png").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "d.png"), picture(4))
    source = open_source(tmp_path, fps=10)
    assert [frame.stamp_ns - FIRST_NS for frame in source.frames()] == [0, 300_000_000]
    assert [problem.split(":")[0] for problem in source.problems] == [str(tmp_path / "b.png"), str(tmp_path / "c.png")]


def test_no_readable_picture_is_an_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"nonsense")
    with pytest.raises(SourceError, match="none of 1 pictures"):
        list(open_source(tmp_path).frames())
