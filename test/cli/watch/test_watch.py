"""`caer watch` as a process, beside a node of this process that publishes as the real one does."""

import json
import threading
import time

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_process import CAER, environment, process, ros_node, run, until
from std_msgs.msg import String

from caer_ros.cli.watch.watch import as_plain
from caer_ros.msg import PerceptionStatus, PersonEmotion, PersonEmotionArray

RELIABLE = QoSProfile(depth=5)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WATCH = (*CAER, "watch")


@pytest.fixture
def env(tmp_path):
    return environment(tmp_path)


class Emotion:
    """Publishes what the node would: a status that stays, and a message 20 times a second."""

    def __init__(self, node, qos=RELIABLE, status=None):
        self.emotions = node.create_publisher(PersonEmotionArray, f"/{node.get_name()}/emotions", qos)
        self.status = node.create_publisher(PerceptionStatus, f"/{node.get_name()}/status", LATCHED)
        self.status.publish(status or PerceptionStatus(state=PerceptionStatus.ACTIVE, model_id="bootstrap"))
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def _publish(self):
        while not self._stop.wait(0.05):
            person = PersonEmotion(
                track_id="run-1", emotion_status=PersonEmotion.EMOTION_OK, top_label="Peace", top_score=0.75
            )
            person.valence = float("nan")
            person.scores = [0.25, float("nan")]
            message = PersonEmotionArray(persons=[person], image_width=64, labels=["a", "b"])
            message.mailbox_drops = self.sent
            self.emotions.publish(message)
            self.sent += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()


def test_json_is_one_object_a_line_and_ends_after_the_count(env, tmp_path):
    with ros_node(env, "emotion") as node, Emotion(node):
        # For long enough that the latched status is discovered, too.
        done = run((*WATCH, "--json", "--count", "60", "--timeout", "30"), env, tmp_path / "watch")
    assert done.popen.returncode == 0, done.output()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    emotions = [line["message"] for line in lines if line["type"] == "emotions"]
    statuses = [line["message"] for line in lines if line["type"] == "status"]
    assert len(emotions) == 60
    assert statuses[0]["model_id"] == "bootstrap"
    assert emotions[0]["persons"][0]["top_label"] == "Peace"
    assert emotions[0]["persons"][0]["valence"] is None
    assert emotions[0]["persons"][0]["scores"] == [0.25, None]
    drops = [message["mailbox_drops"] for message in emotions]
    assert drops == list(range(drops[0], drops[0] + 60))  # none is missing


def test_the_table_stays_on_the_screen(env, tmp_path):
    with ros_node(env, "emotion") as node, Emotion(node):
        done = run((*WATCH, "--timeout", "3"), env, tmp_path / "watch")
    assert done.popen.returncode == 0, done.output()
    for part in ("ACTIVE", "bootstrap", "1 person", "run-1", "Peace", "0.75", "messages/s here"):
        assert part in done.stdout


def test_another_node_can_be_watched(env, tmp_path):
    with ros_node(env, "other") as node, Emotion(node):
        done = run((*WATCH, "--node", "other", "--count", "1", "--json", "--timeout", "30"), env, tmp_path / "watch")
    assert done.popen.returncode == 0, done.output()


def test_a_reader_that_has_enough_ends_it_without_a_word(env, tmp_path):
    shell = ("bash", "-c", f"set -o pipefail; {' '.join(WATCH)} --json --timeout 30 | head -n 2")
    with ros_node(env, "emotion") as node, Emotion(node):
        done = run(shell, env, tmp_path / "watch")
    assert done.popen.returncode == 0, done.output()
    assert done.stdout.count("\n") == 2
    assert done.stderr == ""


def test_ctrl_c_ends_it(env, tmp_path):
    with ros_node(env, "emotion") as node, Emotion(node), process(WATCH, env, tmp_path / "watch") as running:
        until(lambda: node.count_subscribers("/emotion/emotions"))
        time.sleep(0.5)
        running.interrupt()
        assert running.wait(10) == 130, running.output()
        assert running.stderr == ""


def failure(env, tmp_path, *arguments):
    for seconds in ("2", "20"):  # on a busy machine nobody may have been discovered within the first
        done = run((*WATCH, "--json", "--timeout", seconds, *arguments), env, tmp_path / f"watch_{seconds}")
        if "nodes there: none" not in done.stderr:
            break
    assert done.popen.returncode == 1, done.output()
    assert done.stderr.startswith("caer watch: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_no_such_node_names_those_that_are_there(env, tmp_path):
    with ros_node(env, "somebody"):
        error = failure(env, tmp_path)
    assert "0 of 1 messages on /emotion/emotions within 2 s: no node /emotion; nodes there: /somebody;" in error


def test_a_node_that_publishes_nothing_yet_is_told_from_none(env, tmp_path):
    with ros_node(env, "emotion"):
        assert "/emotion runs and publishes no such topic" in failure(env, tmp_path)


def test_a_silent_node_says_why_by_its_status(env, tmp_path):
    status = PerceptionStatus(state=PerceptionStatus.NO_CAMERA, reason="no image for 5 s on /image_raw")
    with ros_node(env, "emotion") as node:
        silent = Emotion(node, status=status)
        assert "/emotion is NO CAMERA: no image for 5 s on /image_raw" in failure(env, tmp_path)
        assert silent.sent == 0


def test_incompatible_qos_is_named(env, tmp_path):
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    with ros_node(env, "emotion") as node, Emotion(node, best_effort):
        assert "its QoS does not fit: ERROR: Best effort publisher and reliable subscription" in failure(env, tmp_path)


def test_another_type_on_the_topic_is_named(env, tmp_path):
    with ros_node(env, "emotion") as node:
        node.create_publisher(String, "/emotion/emotions", 1)
        assert "carries std_msgs/msg/String" in failure(env, tmp_path)


def test_fewer_than_asked_is_a_failure(env, tmp_path):
    with ros_node(env, "emotion") as node, Emotion(node):
        assert " of 100000 messages" in failure(env, tmp_path, "--count", "100000")


def test_every_field_of_a_message_is_plain():
    message = PersonEmotionArray(persons=[PersonEmotion()], labels=["a"], predictable=[True], image_width=3)
    plain = json.loads(json.dumps(as_plain(message), allow_nan=False))
    assert set(plain) == set(message.get_fields_and_field_types())
    assert plain["predictable"] == [True]
    assert plain["image_width"] == 3
    assert plain["persons"][0]["direction"] == {"x": 0.0, "y": 0.0, "z": 0.0}
