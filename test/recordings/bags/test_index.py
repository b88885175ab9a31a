"""What `caer bag info` finds in a bag; the numbers of the small bags are counted by hand."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from bag_files import compressed, image, picture, stamped, write_bag
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String

from caer_ros.recordings import frames
from caer_ros.recordings.bags.index import index
from caer_ros.recordings.sources import SourceError

DEMO = Path(__file__).parents[3] / "resource" / "demo" / "demo_bag"
S = 10**9
STORAGES = (StoragePlugin.MCAP, StoragePlugin.SQLITE3)


def topic_of(bag, name="/camera", **options):
    return next(topic for topic in index(bag, **options).topics if topic.name == name)


def camera(folder, stamps, times=None, storage=StoragePlugin.MCAP):
    """Pictures with these stamps, recorded a tenth of a second apart from 1000 s on, or at these times."""
    times = times or [1000 * S + i * S // 10 for i in range(len(stamps))]
    shown = [("/camera", time, compressed(picture(1), stamp)) for time, stamp in zip(times, stamps, strict=True)]
    return write_bag(folder / "bag", shown, storage)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_small_bag(tmp_path, storage):
    raw, info = image(picture(1, 64, 48), 1 * S), stamped(CameraInfo(), 2 * S)
    bag = write_bag(
        tmp_path / "bag",
        [("/raw", 5 * S, raw), ("/raw", 7 * S, raw), ("/info", 6 * S, info), ("/talk", 6 * S, String(data="hello"))],
        storage,
    )
    found = index(bag)
    assert (found.storage, found.compression, found.count) == (storage.name.lower(), "", 4)
    assert (found.start, found.duration, found.warnings) == (5 * S, 2.0, ())
    assert found.size == sum(file.stat().st_size for file in bag.iterdir())
    info, raw, talk = found.topics
    assert (info.name, raw.name, talk.name) == ("/info", "/raw", "/talk")
    assert (raw.msgtype, raw.count, raw.duration, raw.rate) == ("sensor_msgs/msg/Image", 2, 2.0, 0.5)
    assert raw.bytes > 2 * 64 * 48 * 3
    assert (raw.images.encoding, raw.images.width, raw.images.height) == ("bgr8", 64, 48)
    assert raw.images.undecodable is None
    assert (raw.stamps.duplicate, raw.stamps.offset) == (1, 5.0)
    assert math.isnan(info.rate)
    assert math.isnan(info.longest)
    assert (info.stamps.offset, info.images) == (4.0, None)
    assert (talk.stamps, talk.images, talk.count) == (None, None, 1)


def test_gaps_are_intervals_of_more_than_five_medians(tmp_path):
    tenths = [0, 1, 2, 3, 8, 9, 10, 16, 17]  # 0.5 s is five medians, 0.6 s is more
    topic = topic_of(camera(tmp_path, [S] * 9, [1000 * S + i * S // 10 for i in tenths]))
    assert (topic.gaps, topic.longest, topic.duration) == (1, 0.6, 1.7)
    assert topic.rate == pytest.approx(8 / 1.7)


def test_header_stamps(tmp_path):
    # 0 is not set; 6 and 7 come after 8; 6 and 9 come twice. The median is that of 7, recorded at 1000.5 s.
    stamps = [5, 0, 6, 8, 6, 7, 9, 9, 0]
    found = topic_of(camera(tmp_path, [stamp * S for stamp in stamps])).stamps
    assert (found.zero, found.out_of_order, found.duplicate) == (2, 2, 2)
    assert found.offset == pytest.approx(993.5)


def test_without_any_stamp_there_is_no_offset(tmp_path):
    found = topic_of(camera(tmp_path, [0, 0])).stamps
    assert (found.zero, found.out_of_order, found.duplicate) == (2, 0, 0)
    assert math.isnan(found.offset)


def test_pictures_are_decoded_only_when_asked(tmp_path, monkeypatch):
    good, bad = compressed(picture(1), S), compressed(picture(1), 2 * S)
    bad.data = bad.data[:200]
    empty = image(picture(1), 3 * S)
    empty.data = empty.data[:10]
    bag = write_bag(
        tmp_path / "bag", [("/camera", S, good), ("/camera", 2 * S, bad), ("/camera", 3 * S, good), ("/raw", S, empty)]
    )
    asked = index(bag, decode=True).topics
    assert [topic.images.undecodable for topic in asked] == [1, 1]

    def refuse(message):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(frames, "pixels_of", refuse)
    assert index(bag).topics == tuple(replace(t, images=replace(t.images, undecodable=None)) for t in asked)


def test_the_first_picture_is_no_picture(tmp_path):
    broken = compressed(picture(1), S)
    broken.data = broken.data[:2]
    images = topic_of(write_bag(tmp_path / "bag", [("/camera", S, broken)])).images
    assert (images.encoding, images.width, images.height) == ("bgr8; jpeg compressed bgr8", None, None)


def test_an_empty_bag(tmp_path):
    found = index(write_bag(tmp_path / "bag", []))
    assert (found.count, found.duration, found.start, found.topics) == (0, 0.0, 0, ())


def test_the_demo_bag_is_read_in_one_pass():
    passes = []

    def watch(messages, count):
        passes.append(count)
        yield from messages

    found = index(DEMO, decode=True, watch=watch)
    assert passes == [330]
    assert [(topic.count, topic.gaps) for topic in found.topics] == [(165, 0), (165, 0)]
    assert found.topics[0].images is None
    assert (found.topics[1].images.width, found.topics[1].images.undecodable) == (640, 0)


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE])
def test_compression_is_named(tmp_path, mode):
    types = get_typestore(Stores.ROS2_JAZZY)
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/talk", "std_msgs/msg/String", typestore=types)
        message = types.types["std_msgs/msg/String"](data="hello")
        writer.write(connection, S, types.serialize_cdr(message, "std_msgs/msg/String"))
    found = index(tmp_path / "bag")
    assert found.compression == {"STORAGE": "zstd"}.get(mode.name, f"zstd ({mode.name.lower()})")
    assert (found.storage, found.count) == ("mcap", 1)


@pytest.mark.parametrize("part", [0.9, 0.5, 0.05])
@pytest.mark.parametrize("storage", STORAGES)
def test_a_recording_that_was_cut_short_says_so(tmp_path, storage, part):
    bag = camera(tmp_path, [S * (i + 1) for i in range(200)], storage=storage)
    (file,) = (file for file in bag.iterdir() if file.suffix != ".yaml")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(part * len(whole))])
    for path in (bag, file):
        with pytest.raises(SourceError, match=r"broken bag: .*`ros2 bag reindex` or `mcap recover`") as error:
            index(path)
        assert str(path) in str(error.value)


def test_a_folder_without_metadata(tmp_path):
    bag = camera(tmp_path, [S, 2 * S])
    (bag / "metadata.yaml").unlink()
    found = index(bag)
    assert found.count == 2
    assert found.warnings == ("no metadata.yaml: was the recorder killed? `ros2 bag reindex` writes it",)
    shutil.copy(bag / "bag.mcap", bag / "second.mcap")
    with pytest.raises(SourceError, match=r"no metadata.yaml and 2 bag files"):
        index(bag)


def test_a_killed_recorder_leaves_what_is_not_read(tmp_path):
    bag = camera(tmp_path, [S, 2 * S], storage=StoragePlugin.SQLITE3)
    (bag / "bag.db3-wal").write_bytes(b"left")
    text = (bag / "metadata.yaml").read_text().replace("message_count: 2", "message_count: 3")
    (bag / "metadata.yaml").write_text(text)
    counted, log = index(bag).warnings
    assert counted.startswith("2 messages, but 3 are announced")
    assert log.startswith("bag.db3-wal: a write-ahead log")


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "no such file"), ("some.txt", "not a ROS 2 bag"), ("old.bag", "rosbags-convert --src")],
)
def test_what_is_no_bag(tmp_path, name, said):
    if name != "none":
        (tmp_path / name).write_text("text")
    with pytest.raises(SourceError, match=said):
        index(tmp_path / name)


def test_a_type_of_which_nothing_is_known_is_counted(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/own", "own_msgs/msg/Thing", msgdef="nonsense %", rihs01="RIHS01_0")
        writer.write(connection, S, b"\0\1\0\0")
    (topic,) = index(tmp_path / "bag").topics
    assert (topic.msgtype, topic.count, topic.bytes, topic.stamps) == ("own_msgs/msg/Thing", 1, 4, None)
