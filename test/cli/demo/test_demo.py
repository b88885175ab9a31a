"""`caer demo` for real: node and player as processes, on short bags; and the folder that it fills."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from bag_files import START_NS, compressed, picture, stamped, write_bag
from graphs import write_bundle
from rclpy.serialization import serialize_message
from ros_process import CAER, environment, process, run, until
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

from caer_ros.cli.console.output_folder import OutputError
from caer_ros.cli.demo import demo, demo_bag, scenes
from caer_ros.cli.demo.demo import prepare
from caer_ros.cli.demo.performance import DemoError, Scenario, node_command, play_command
from caer_ros.msg import PersonEmotion, PersonEmotionArray
from caer_ros.recordings.definitions import TRUTH_TOPIC, typestore
from caer_ros.recordings.sources import COMPRESSED_IMAGE
from caer_ros.taxonomy import HECO

DEMO = (*CAER, "demo")
LIMIT = 200.0
slow = pytest.mark.timeout(LIMIT + 40)


# --- For real ---


def write_story(folder, parts, noise=(), seconds=3.0):
    """A bag of the demo's people with these parts, and its ground truth."""
    views = (scenes.View(0.0, 850, 395, 0.8), scenes.View(seconds, 870, 395, 0.8))
    scene = scenes.Scene(scenes.Story(1, seconds, parts, views, noise))
    made = demo_bag.DemoBag(folder / demo_bag.BAG, folder / demo_bag.TRUTH)
    demo_bag.write_scene(scene, [scene.persons(index) for index in range(scene.story.length)], made)
    return made.bag


@pytest.fixture(scope="module")
def people_bag(tmp_path_factory):
    """The astronaut and the cameraman, side by side."""
    parts = [
        scenes.Part(actor, depth, (scenes.Pose(0.0, x), scenes.Pose(4.0, x + 30)))
        for depth, (actor, x) in enumerate({"astronaut": 1000, "cameraman": 620}.items())
    ]
    return write_story(tmp_path_factory.mktemp("people"), tuple(parts))


@slow
def test_real_people_come_out_of_the_real_node(people_bag, tmp_path):
    out = tmp_path / "out"
    command = [*DEMO, "--bag", str(people_bag), "--out", str(out), "--rate", "0.5", "--json"]
    ended = run(command, environment(tmp_path), tmp_path / "demo", LIMIT)
    assert ended.popen.returncode == 0, ended.output()
    said = json.loads(ended.stdout)
    assert said["problems"] == []
    persons = {person["name"]: person for person in said["persons"]}
    assert (persons["astronaut"]["status"], persons["astronaut"]["emotion"]) == ("OK", "Happy")
    assert persons["cameraman"]["status"] == "PROFILE_OR_OCCLUDED"
    assert said["detection_and_identity"]["recall"] > 0.8
    speed = said["speed"]
    assert speed["sent"] == 30
    assert 0 < speed["processed"] <= speed["received"] <= 30
    assert 0 < speed["inference"]["p50"] <= speed["processing"]["p50"]

    assert json.loads((out / "summary.json").read_text())["persons"] == said["persons"]
    assert {file.name for file in out.iterdir()} <= demo.OURS
    assert {"index.html", "messages", "logs", "pictures/astronaut.jpg", "pictures/cameraman.jpg"} <= said[
        "files"
    ].keys()
    for file in said["files"]:
        assert (out / file).exists(), file
    assert cv2.imread(str(out / "pictures" / "astronaut.jpg")).shape == (480, 640, 3)
    video = cv2.VideoCapture(str(out / "video.webm"))
    assert sum(video.read()[0] for _ in range(100)) == 30
    with AnyReader([out / "messages"]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts["/emotion/emotions"] == speed["processed"]
    assert counts["/emotion/label_info"] == 1
    assert counts["/emotion/status"] >= 1


@slow
def test_it_fails_when_nobody_comes_out(tmp_path):
    bag = write_story(tmp_path, (), noise=(3, 4), seconds=1.5)
    ended = run(
        [*DEMO, "--bag", str(bag), "--out", str(tmp_path / "out")], environment(tmp_path), tmp_path / "demo", LIMIT
    )
    assert ended.popen.returncode == 1
    assert "caer demo: no person came out of" in ended.stderr, ended.output()
    assert "no person came out" in (tmp_path / "out" / "index.html").read_text()  # what there is can be looked at


@slow
def test_it_fails_with_the_reason_of_a_node_that_does_not_start(people_bag, tmp_path):
    command = [*DEMO, "--bag", str(people_bag), "--out", str(tmp_path / "out"), "--model", "no_such_model"]
    ended = run(command, environment(tmp_path), tmp_path / "demo", LIMIT)
    assert ended.popen.returncode == 1
    assert "the node does not start: cannot configure" in ended.stderr, ended.output()
    assert "no_such_model" in ended.stderr


def children(env, program):
    """Process ids of ``program`` in this ROS domain."""
    # None stands for what may not be read, or is gone.
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if program in (process.info["cmdline"] or ())
        and (process.info["environ"] or {}).get("ROS_LOG_DIR") == env["ROS_LOG_DIR"]
    ]


@slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=str
)
def test_whoever_stops_it_stops_its_processes_too(people_bag, tmp_path, number, code):
    out, env = tmp_path / "out", environment(tmp_path)
    env["ROS_LOG_DIR"] = str(out / "logs" / "ros")
    with process(
        [*DEMO, "--bag", str(people_bag), "--out", str(out), "--rate", "0.2"], env, tmp_path / "demo", LIMIT
    ) as running:
        running.wait_for("playing", LIMIT)
        assert until(lambda: children(env, "play"))
        assert children(env, "caer_ros.node.emotion_node")
        running.popen.send_signal(number)
        # Python ends itself by SIGINT, which a shell calls 130 too, when Ctrl-C met it inside an exec().
        assert running.wait(40) in (code, -signal.SIGINT if number == signal.SIGINT else code), running.output()
        assert not children(env, "caer_ros.node.emotion_node")
        assert not children(env, "play")


@slow
def test_it_fails_with_the_last_words_of_a_node_that_died(people_bag, tmp_path):
    out, env = tmp_path / "out", environment(tmp_path)
    env["ROS_LOG_DIR"] = str(out / "logs" / "ros")
    command = [*DEMO, "--bag", str(people_bag), "--out", str(out)]
    with process(command, env, tmp_path / "demo", LIMIT) as running:
        running.wait_for("playing", LIMIT)
        (node,) = children(env, "caer_ros.node.emotion_node")
        os.kill(node, signal.SIGKILL)
        assert running.wait(40) == 1
        assert "caer demo: the node ended with exit code -9" in running.stderr, running.output()
        assert "waiting for images" in running.stderr  # from its log
        assert "the whole logs are in" in running.stderr
        assert not children(env, "play")


@slow
def test_a_single_shot_model_on_a_bag_that_carries_its_own_truth(tmp_path):
    """No faces, eight labels, and somebody whose place and emotion the bag itself knows."""
    emotions = np.full((2, 8), 0.02)
    emotions[:, HECO.index("Fear")] = 0.86
    size = {"resize": {"mode": "stretch", "size": [120, 160], "interpolation": "nearest"}}
    labels = {"label_set": "heco", "labels": list(HECO), "predictable": list(HECO)}
    model = write_bundle(tmp_path / "finder", {"emotions": emotions}, **labels, **size)
    bag = write_truthful(tmp_path, [START_NS + index * 10**8 for index in range(12)])
    out = tmp_path / "out"
    command = [*DEMO, "--bag", str(bag), "--out", str(out), "--model", str(model), "--json"]
    ended = run(command, environment(tmp_path), tmp_path / "demo", LIMIT)
    assert ended.popen.returncode == 0, ended.output()
    said = json.loads(ended.stdout)
    (person,) = said["persons"]
    assert (person["name"], person["status"], person["emotion"]) == ("Surprise_1-1", "OK", "Fear")
    assert person["scores"]["Fear"] == pytest.approx(0.86, abs=1e-3)
    assert said["detection_and_identity"]["precision"] == said["detection_and_identity"]["recall"] == 1.0
    assert said["facts"]["Model"]["kind"] == "single_shot: one pass of one network finds and reads everybody"
    assert said["facts"]["Model"]["labels"] == f"{', '.join(HECO)} (heco)"
    assert "pictures/Surprise_1-1.jpg" in said["files"]
    page = (out / "index.html").read_text()
    assert "Surprise 1-1" in page
    assert "face" not in page.partition("<body>")[2]


@slow
def test_a_robot_without_the_offline_companion_shows_all_but_the_accuracy(people_bag, tmp_path):
    """The same command, in a Python that has no caer_ros.offline."""
    out = tmp_path / "out"
    without = "import sys; sys.modules['caer_ros.offline'] = None; from caer_ros.cli.command_line import main; "
    words = ["demo", "--bag", str(people_bag), "--out", str(out), "--rate", "0.5"]
    command = [sys.executable, "-c", f"{without}sys.exit(main({words!r}))"]
    ended = run(command, environment(tmp_path), tmp_path / "demo", LIMIT)
    assert ended.popen.returncode == 0, ended.output()
    assert "need the offline companion, which is not installed here" in ended.stdout
    said = json.loads((out / "summary.json").read_text())
    assert said["detection_and_identity"] is None
    assert {person["name"] for person in said["persons"] if person["found"]} == {"astronaut", "cameraman"}
    assert (out / "index.html").exists()


# --- What is played ---


def write_truthful(folder, stamps, true_stamps=None):
    """A bright person in the dark, who is also on the ground truth's topic."""
    dark = np.zeros((240, 320, 3), np.uint8)
    dark[40:200, 120:200] = 255
    types = typestore()
    bag = folder / "bag"
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        camera = writer.add_connection("/camera/image/compressed", COMPRESSED_IMAGE, typestore=types)
        truth = writer.add_connection(TRUTH_TOPIC, "caer_ros/msg/PersonEmotionArray", typestore=types)
        for stamp in stamps:
            writer.write(camera, stamp, serialize_message(compressed(dark, stamp)))
        for stamp in true_stamps or stamps:
            true = PersonEmotion(
                track_id="1-1",
                scores=[1.0],
                box_kind=PersonEmotion.BOX_BODY,
                x_min=120.0,
                y_min=40.0,
                x_max=200.0,
                y_max=200.0,
            )
            said = PersonEmotionArray(persons=[true], labels=["Surprise"], image_width=320, image_height=240)
            writer.write(truth, stamp, serialize_message(stamped(said, stamp)))
    return bag


def test_a_bag_may_carry_its_own_ground_truth(tmp_path):
    stamps = [START_NS + index * 10**8 for index in range(3)]
    bag = write_truthful(tmp_path, stamps)
    truth = Scenario.of(bag).truth
    assert [image.stamp_ns for image in truth.images] == stamps
    (person,) = truth.images[0].persons
    assert (person.person, person.identity, person.ignore) == ("Surprise_1-1", "1-1", False)
    assert person.box == (120.0, 40.0, 200.0, 200.0)
    write_truth(tmp_path, stamps, "camera/image/compressed")
    assert Scenario.of(bag).truth.images[0].persons == ()  # a file beside the bag is preferred


def test_a_topic_with_too_little_truth_is_refused(tmp_path):
    bag = write_truthful(tmp_path, [START_NS, START_NS + 1], [START_NS])
    with pytest.raises(DemoError, match=r"topic /ground_truth/persons knows 1 of the 2 images"):
        Scenario.of(bag)


def write_images(folder, stamps):
    messages = [
        ("/cam/image/compressed", START_NS + i, compressed(picture(i % 9), stamp)) for i, stamp in enumerate(stamps)
    ]
    return write_bag(folder / "bag", messages)


def write_truth(folder, stamps, camera="cam/image/compressed"):
    images = [
        {"id": stamp, "file_name": f"{camera}/{stamp}.jpg", "stamp": stamp, "width": 40, "height": 30}
        for stamp in stamps
    ]
    content = {"info": {"labels": []}, "images": images, "annotations": []}
    (folder / "ground_truth.json").write_text(json.dumps(content))


def test_a_scenario_is_a_bag_and_what_is_known_about_it(tmp_path):
    stamps = [START_NS + index * 10**8 for index in range(5)]
    bag = write_images(tmp_path, stamps)
    assert Scenario.of(bag).truth is None
    write_truth(tmp_path, [0, *stamps, 99])
    scenario = Scenario.of(bag)
    assert scenario.stamps == tuple(stamps)
    assert (scenario.seconds, scenario.rate) == (pytest.approx(0.4), pytest.approx(10.0))
    assert [image.stamp_ns for image in scenario.truth.images] == stamps  # what is not in the bag does not count


def test_the_ground_truth_of_another_bag_is_refused(tmp_path):
    bag = write_images(tmp_path, [START_NS, START_NS + 1])
    write_truth(tmp_path, [START_NS])
    with pytest.raises(DemoError, match=r"knows 1 of the 2 images .* belongs to another bag"):
        Scenario.of(bag)


@pytest.mark.parametrize("stamps", [[0, 0], [START_NS, START_NS], [START_NS + 1, START_NS]])
def test_stamps_that_cannot_be_joined_are_refused(tmp_path, stamps):
    with pytest.raises(DemoError, match=r"the stamps on /cam/image/compressed do not grow"):
        Scenario.of(write_images(tmp_path, stamps))


def test_what_is_no_bag_is_referred_to_caer_play(tmp_path):
    cv2.imwrite(str(tmp_path / "picture.png"), picture(1))
    with pytest.raises(DemoError, match=r"not a ROS 2 bag.*caer play"):
        Scenario.of(tmp_path / "picture.png")


def test_node_and_player_are_told_the_bag_s_topics(tmp_path):
    args = arguments(model="1", device="cpu", rate=0.5)
    scenario = Scenario.of(write_images(tmp_path, [START_NS, START_NS + 1]))
    node = node_command(scenario, args)
    assert {"image_raw:=/cam/image", "camera_info:=/cam/camera_info", "image_transport:=compressed"} <= set(node)
    assert {'model:="1"', 'device:="cpu"', "use_sim_time:=true"} <= set(node)
    player = play_command(scenario, args)
    assert player[3:6] == ["play", str(tmp_path / "bag"), "--clock"]
    assert player[player.index("--rate") + 1] == "0.5"


def arguments(**given):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), **given})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "caer demo"),
        ({"bag": Path("my bag"), "rate": 2.0}, "caer demo --bag 'my bag' --rate 2"),
        ({"out": Path("x"), "model": "y", "device": "cpu"}, "caer demo --out x --model y --device cpu"),
    ],
)
def test_the_command_line_can_be_typed_again(given, words):
    assert demo.command_line(arguments(**given)) == words


# --- The output folder ---


def test_a_new_folder_is_made_and_an_old_demo_replaced(tmp_path):
    out = prepare(tmp_path / "deep" / "out")
    assert {entry.name for entry in out.iterdir()} == {".caer_demo", "logs"}
    (out / "pictures").mkdir()
    (out / "pictures" / "old.jpg").write_bytes(b"")
    (out / "index.html").write_text("old")
    prepare(out)
    assert {entry.name for entry in out.iterdir()} == {".caer_demo", "logs"}


def test_an_empty_folder_is_taken(tmp_path):
    assert prepare(tmp_path) == tmp_path


@pytest.mark.parametrize(
    "names", [["thesis.txt"], ["index.html"], [".caer_demo", "logs", "thesis.txt"]], ids=["strange", "alike", "mixed"]
)
def test_a_folder_that_is_not_ours_is_refused_and_left_alone(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("precious")
    with pytest.raises(OutputError, match=rf"holds {names[-1]}, which no demo wrote"):
        prepare(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(names)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("precious")
    out = prepare(tmp_path / "out")
    (out / "pictures").symlink_to(precious)
    prepare(out)
    assert (precious / "thesis.txt").exists()
    assert not (out / "pictures").exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(OutputError, match=r"out: is a file"):
        prepare(tmp_path / "out")
