"""`caer play` as a process, and a subscriber in this one: what arrives is what was played."""

import json
import signal
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from bag_files import START_NS, compressed, image, picture, picture_index, stamped, write_bag
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_process import CAER, environment, process, ros_node, run, until
from rosbags.rosbag2 import StoragePlugin
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from caer_ros.cli.play import fastdds
from caer_ros.node.messages import decode

PERIOD_NS = 50_000_000
COUNT = 12
BEST_EFFORT = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=100)


class Arrival(NamedTuple):
    """A message, and when it came by the wall clock and the steady one."""

    message: object
    wall_ns: int
    steady: float


@pytest.fixture
def env(tmp_path):
    return environment(tmp_path)


def listen(node, message_type, topic, qos=BEST_EFFORT):
    arrivals = []
    node.create_subscription(
        message_type, topic, lambda m: arrivals.append(Arrival(m, time.time_ns(), time.monotonic())), qos
    )
    return arrivals


def play(*arguments):
    return (*CAER, "play", *map(str, arguments), "--wait-for-subscriber", "20")


def stamp_ns(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def shown(message):
    """What ``picture`` was given to make it."""
    return picture_index(decode(message))


def assert_played(arrivals, count=COUNT):
    """The pictures came in order, each once; a machine that is busy with other tests may have missed some."""
    indices = [shown(arrival.message) for arrival in arrivals]
    assert indices == sorted(set(indices))
    assert count / 2 <= len(indices) <= count
    return indices


@pytest.fixture(params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def bag(request, tmp_path):
    return jpeg_bag(tmp_path / "bag", request.param)


def jpeg_bag(path, storage=StoragePlugin.MCAP):
    messages = []
    for index in range(COUNT):
        stamp = START_NS + index * PERIOD_NS
        messages.append(("/cam/image_raw/compressed", stamp, compressed(picture(index), stamp)))
        messages.append(("/cam/camera_info", stamp + 1000, stamped(CameraInfo(width=64, height=48), stamp)))
    return write_bag(path, messages, storage)


def test_a_bag_arrives_whole_with_new_stamps_that_still_pair(bag, env, tmp_path):
    with ros_node(env) as node:
        images = listen(node, CompressedImage, "/cam/image_raw/compressed")
        infos = listen(node, CameraInfo, "/cam/camera_info")
        done = run(play(bag, "--json"), env, tmp_path / "play")
        assert done.popen.returncode == 0, done.output()
        until(lambda: len(images) == COUNT and len(infos) == COUNT, 3)
    assert_played(images)
    pairs = {stamp_ns(arrival.message) for arrival in images} & {stamp_ns(arrival.message) for arrival in infos}
    assert len(pairs) >= COUNT / 3
    assert images[0].message.header.frame_id == "camera"
    for arrival in images:
        assert 0 <= arrival.wall_ns - stamp_ns(arrival.message) < 10 * 10**9
    report = json.loads(done.stdout)
    assert (report["images"], report["messages"]) == (COUNT, 2 * COUNT)
    assert report["topics"] == ["/cam/image_raw/compressed"]
    assert report["images_per_second_due"] == pytest.approx(20, rel=0.01)
    assert "left out" not in done.stderr


def test_clock_keeps_the_stamps_and_tells_the_time_of_the_bag(env, tmp_path):
    with ros_node(env) as node:
        images = listen(node, CompressedImage, "/cam/image_raw/compressed")
        clock = listen(node, Clock, "/clock")
        done = run(play(jpeg_bag(tmp_path / "bag"), "--clock", "--rate", "2"), env, tmp_path / "play")
        assert done.popen.returncode == 0, done.output()
        until(lambda: len(images) == COUNT, 3)
    indices = assert_played(images)
    assert [stamp_ns(arrival.message) for arrival in images] == [START_NS + i * PERIOD_NS for i in indices]
    ticks = [arrival.message.clock.sec * 10**9 + arrival.message.clock.nanosec for arrival in clock]
    assert ticks == sorted(ticks)
    assert ticks[0] >= START_NS
    assert ticks[-1] <= START_NS + (COUNT - 1) * PERIOD_NS + 1000
    assert any((tick - START_NS) % PERIOD_NS > 1000 for tick in ticks)  # also between messages
    assert f"{COUNT} images" in done.stdout
    assert "of 40.0 images/s" in done.stdout


def test_loop_goes_on_until_ctrl_c_and_kept_stamps_jump_back(env, tmp_path):
    with (
        ros_node(env) as node,
        process(
            play(jpeg_bag(tmp_path / "bag"), "--loop", "--clock", "--rate", "4"), env, tmp_path / "play"
        ) as running,
    ):
        images = listen(node, CompressedImage, "/cam/image_raw/compressed")
        assert until(lambda: len(images) > COUNT + 2), running.output()
        running.interrupt()
        assert running.wait(10) == 130, running.output()
        assert running.stderr == ""
        assert running.stdout.startswith("sent ")
    stamps = [stamp_ns(arrival.message) for arrival in images]
    back = [index for index in range(1, len(stamps)) if stamps[index] < stamps[index - 1]]
    assert len(back) >= 1
    assert stamps[back[0]] < START_NS + 4 * PERIOD_NS


def test_raw_decodes_and_renames(env, tmp_path):
    with ros_node(env) as node:
        images = listen(node, Image, "/front/image")
        infos = listen(node, CameraInfo, "/front/camera_info")
        done = run(play(jpeg_bag(tmp_path / "bag"), "--raw", "--topic", "front/image"), env, tmp_path / "play")
        assert done.popen.returncode == 0, done.output()
        until(lambda: len(images) == COUNT and len(infos) == COUNT, 3)
    assert_played(images)
    pairs = {stamp_ns(arrival.message) for arrival in images} & {stamp_ns(arrival.message) for arrival in infos}
    assert len(pairs) >= COUNT / 3
    assert (images[0].message.width, images[0].message.height, images[0].message.encoding) == (64, 48, "rgb8")
    assert images[0].message.header.frame_id == "camera"


def test_a_raw_bag_with_a_frame_that_cannot_be_decoded_goes_on(env, tmp_path):
    messages = []
    for index in range(5):
        message = image(picture(index), START_NS + index * PERIOD_NS)
        if index == 2:
            message.step = 1
        messages.append(("/image", stamp_ns(message), message))
    with ros_node(env) as node:
        images = listen(node, CompressedImage, "/image/compressed")
        bag = write_bag(tmp_path / "bag", messages)
        done = run(play(bag, "--compressed"), env, tmp_path / "play")
        assert done.popen.returncode == 0, done.output()
        until(lambda: len(images) == 4, 3)
    assert 2 not in assert_played(images, 4)
    assert "left out: /image at" in done.stderr


@pytest.mark.parametrize(
    ("form", "message_type", "suffix"), [("--raw", Image, ""), ("--compressed", CompressedImage, "/compressed")]
)
def test_a_video_arrives_in_its_time(form, message_type, suffix, env, tmp_path):
    path = tmp_path / "video.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 20, (64, 48))
    for index in range(COUNT):
        writer.write(picture(index))
    writer.release()
    with ros_node(env) as node:
        images = listen(node, message_type, f"/camera/image_raw{suffix}")
        done = run(play(path, form, "--clock"), env, tmp_path / "play")
        assert done.popen.returncode == 0, done.output()
        until(lambda: len(images) == COUNT, 3)
    # The first is at one second: zero would be "not set".
    indices = assert_played(images)
    assert [stamp_ns(arrival.message) for arrival in images] == [10**9 + index * PERIOD_NS for index in indices]


def test_pictures_are_resized_and_follow_ros_remapping(env, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), picture(index))
    (folder / "broken.png").write_bytes(b"nonsense")
    command = (*play(folder, "--fps", "20", "--size", "32x16"), "--ros-args", "-r", "camera/image_raw:=/other")
    with ros_node(env) as node:
        images = listen(node, Image, "/other")
        done = run(command, env, tmp_path / "play")
        assert done.popen.returncode == 0, done.output()
        until(lambda: len(images) == 4, 3)
    assert_played(images, 4)
    assert {(arrival.message.width, arrival.message.height) for arrival in images} == {(32, 16)}
    assert "broken.png" in done.stderr


@pytest.mark.parametrize(
    ("offered", "asked", "arrives"), [("reliable", RELIABLE, True), ("best_effort", RELIABLE, False)]
)
def test_qos_is_offered_as_asked(offered, asked, arrives, env, tmp_path):
    bag = jpeg_bag(tmp_path / "bag")
    with ros_node(env) as node:
        images = listen(node, CompressedImage, "/cam/image_raw/compressed", asked)
        command = (*CAER, "play", str(bag), "--qos", offered, "--wait-for-subscriber", "20" if arrives else "2")
        done = run(command, env, tmp_path / "play")
        until(lambda: len(images) == COUNT * arrives, 3)
    assert bool(images) == arrives, done.output()
    assert done.popen.returncode == (0 if arrives else 1)


def test_large_raw_best_effort_images_arrive_thanks_to_the_profile(env, tmp_path):
    """Fast DDS's own transports lose most of such frames."""
    noise = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    stamps = [START_NS + index * 2 * PERIOD_NS for index in range(10)]
    bag = write_bag(tmp_path / "bag", (("/image", stamp, image(noise, stamp)) for stamp in stamps))
    with ros_node(env) as node:
        images = listen(node, Image, "/image")
        done = run(play(bag), env, tmp_path / "play")
        until(lambda: len(images) == 10, 3)
    assert done.popen.returncode == 0, done.output()
    assert len(images) >= 8  # a reader that the machine delays may miss some
    assert images[0].message.data.tobytes() == noise.tobytes()


def test_a_profile_of_the_users_own_stays(monkeypatch, tmp_path):
    for name in fastdds.USERS_OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")
    assert fastdds.use_profile() == ""
    assert fastdds.os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] == "mine.xml"


def test_without_room_for_shared_memory_it_is_said_and_not_used(monkeypatch, tmp_path):
    for name in fastdds.USERS_OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fastdds, "SHARED_MEMORY", tmp_path / "no such place")
    assert "0 MiB free and 32 MiB are needed" in fastdds.use_profile()
    assert not any(name in fastdds.os.environ for name in fastdds.USERS_OWN)


def test_the_profile_is_found_and_used(monkeypatch, tmp_path):
    for name in fastdds.USERS_OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fastdds, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(fastdds, "NEEDED_BYTES", 1)
    assert fastdds.use_profile() == ""
    for name in fastdds.VARIABLES:
        assert "<type>SHM</type>" in Path(fastdds.os.environ[name]).read_text()
        monkeypatch.delenv(name)  # set by use_profile, not by monkeypatch


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_while_it_waits_is_clean(number, env, tmp_path):
    with process(play(jpeg_bag(tmp_path / "bag")), env, tmp_path / "play") as running:
        with ros_node(env) as node:
            assert until(lambda: any(name.startswith("caer_play") for name in node.get_node_names())), running.output()
        running.popen.send_signal(number)
        assert running.wait(10) == 128 + number, running.output()
    assert running.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["/no/such/bag"], 1, "/no/such/bag: no such file"),
        (["{bag}", "--size", "32x32"], 2, "--size: only for a video"),
        (["{bag}", "--size", "32"], 2, "WxH"),
        (["{bag}", "--rate", "0"], 2, "above 0"),
        (["{bag}", "--raw", "--compressed"], 2, "not allowed with"),
        (["{bag}", "--clock", "--restamp"], 2, "not allowed with"),
        (["{bag}", "--wait-for-subscriber", "0.2"], 1, "nobody subscribed to /cam/image_raw/compressed within 0.2 s"),
    ],
)
def test_errors_are_one_line_with_a_reason(arguments, code, words, env, tmp_path):
    bag = str(jpeg_bag(tmp_path / "bag"))
    done = run([*CAER, "play", *(a.format(bag=bag) for a in arguments)], env, tmp_path / "play")
    assert done.popen.returncode == code, done.output()
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert code == 2 or done.stderr.count("\n") == 1
