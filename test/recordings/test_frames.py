from __future__ import annotations

import sqlite3

import cv2
import numpy as np
import pytest
from bag_files import START_NS, compressed, image, picture, picture_index, write_bag
from rosbags.rosbag2 import StoragePlugin

from caer_ros.offline.data.synthetic import bags, plans
from caer_ros.recordings import frames
from caer_ros.recordings.sources import SourceError


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Two seconds of a synthetic camera at 5 Hz."""
    return bags.write(tmp_path_factory.mktemp("bag") / "out", plans.Settings(width=96, height=64), 0, 10, rate=5).bag


def test_all_frames_of_a_bag_come_in_order_with_header_stamps(bag):
    found = list(frames.read(bag))
    assert len(found) == 10
    assert np.diff([frame.stamp_ns for frame in found]) == pytest.approx(0.2e9, rel=0.01)
    assert all(frame.pixels.shape == (64, 96, 3) and frame.pixels.dtype == np.uint8 for frame in found)
    assert len({frame.name for frame in found}) == 10
    assert all(frame.name.endswith(f"/{frame.stamp_ns}") and not frame.name.startswith("/") for frame in found)


@pytest.mark.parametrize(("every", "count"), [(0.0, 10), (0.2, 10), (0.39, 5), (1.0, 2), (100.0, 1)])
def test_frames_are_thinned_out_evenly_in_time(bag, every, count):
    found = [frame.stamp_ns for frame in frames.read(bag, every=every)]
    assert len(found) == count
    assert np.all(np.diff(found) >= every * 1e9)


def test_pictures_are_rgb(tmp_path):
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 255  # OpenCV's order
    cv2.imwrite(str(tmp_path / "red.png"), red)
    (frame,) = frames.read(tmp_path)
    assert frame.pixels[0, 0].tolist() == [255, 0, 0]


def test_a_topic_that_is_not_there_is_an_error_that_lists_those_that_are(bag):
    with pytest.raises(SourceError, match=r"no images on /nowhere: .*image"):
        next(frames.read(bag, "/nowhere"))


def test_a_broken_image_is_left_out_and_a_bag_of_broken_ones_is_an_error(tmp_path):
    good, bad = compressed(picture(1), 10**9), compressed(picture(2), 2 * 10**9)
    bad.data = bad.data[: len(bad.data) // 2]
    mixed = write_bag(tmp_path / "mixed", [("/camera", 1, good), ("/camera", 2, bad)])
    assert [frame.stamp_ns for frame in frames.read(mixed)] == [10**9]
    broken = write_bag(tmp_path / "broken", [("/camera", 1, bad)])
    with pytest.raises(SourceError, match="no image of /camera can be decoded"):
        next(frames.read(broken))


def test_of_two_cameras_one_must_be_named(tmp_path):
    both = [(topic, 1, image(picture(index), 10**9 + index)) for index, topic in enumerate(("/left", "/right"))]
    bag = write_bag(tmp_path / "bag", both)
    with pytest.raises(SourceError, match="several image topics; name one: /left, /right"):
        next(frames.read(bag))
    (frame,) = frames.read(bag, "/right")
    assert picture_index(frame.pixels) == 1


# --- Frames by their stamps ---


def test_frames_at_stamps_are_just_those_in_recorded_order(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/cam", START_NS + i, image(picture(i), START_NS + i)) for i in range(6)])
    problems = []
    found = list(frames.at(bag, "/cam", [START_NS + 4, START_NS + 1, START_NS + 99], problems))
    assert [frame.stamp_ns - START_NS for frame in found] == [1, 4]
    assert [picture_index(frame.pixels) for frame in found] == [1, 4]
    assert found[0].name == f"cam/{START_NS + 1}"
    assert problems == []


def test_of_two_images_with_one_stamp_the_first_that_can_be_decoded_is_taken(tmp_path):
    broken = compressed(picture(1), START_NS)
    broken.data = broken.data[:10]
    twice = [broken, compressed(picture(2), START_NS), compressed(picture(3), START_NS)]
    bag = write_bag(tmp_path / "bag", [("/cam", START_NS + i, one) for i, one in enumerate(twice)])
    problems = []
    (frame,) = frames.at(bag, "/cam", [START_NS], problems)
    assert picture_index(frame.pixels) == 2
    assert len(problems) == 1
    assert f"/cam at stamp {START_NS}" in problems[0]


def test_stamps_are_read_without_decoding(tmp_path):
    broken = compressed(picture(1), START_NS + 7)
    broken.data = broken.data[:10]
    bag = write_bag(tmp_path / "bag", [("/cam", START_NS, broken)])
    assert frames.stamps(bag) == ("/cam", [START_NS + 7])


@pytest.mark.parametrize("length", [0, 8, 14, 20, 40, 100])
def test_a_message_that_is_cut_anywhere_is_left_out_and_named(tmp_path, length):
    told = [("/cam", START_NS + i, image(picture(i), START_NS + i)) for i in range(3)]
    bag = write_bag(tmp_path / "bag", told, StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("UPDATE messages SET data = substr(data, 1, ?) WHERE id = 2", (length,))
    database.close()
    problems = []
    asked = [START_NS + i for i in range(3)]
    for found in (list(frames.read(bag)), list(frames.at(bag, "/cam", asked, problems))):
        assert [picture_index(frame.pixels) for frame in found] == [0, 2]
    assert len(problems) == (length >= 12)  # below there is no stamp by which it could have been asked for
    assert all(line.partition(f"/cam at stamp {START_NS + 1}: ")[2] for line in problems)
