"""The node as a real process over DDS: what it publishes, and that bad input never stops it or goes unsaid."""

from __future__ import annotations

import math
import re
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from graphs import write_bundle
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from robot import BEST_EFFORT, SECOND, Robot, robot, scene, slow_bundle
from ros_process import until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import SetBool

from caer_ros.msg import PerceptionStatus, PersonEmotion, PersonEvent
from caer_ros.node.parameters import PARAMETERS
from caer_ros.srv import LoadModel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(180)


def toy_bundle(folder: Path, name: str, **changes: object) -> Path:
    """A single-shot bundle that takes a white rectangle for a person, and finds them glad."""
    graph = {"scores": (0.9,), "emotions": np.array([[0.1, 0.2, 0.7]]), "batch": 1}
    fields = {"max_persons": 1, "resize": {"mode": "stretch", "size": [48, 64], "interpolation": "nearest"}}
    return write_bundle(folder / name, graph, **{"name": name, **fields, **changes})


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single-shot bundle that takes a white rectangle for a person."""
    return toy_bundle(tmp_path_factory.mktemp("models"), "toy")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Iterator[Robot]:
    """One node for the tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("shared")
    with robot(folder, f"model:={toy}", "no_image_timeout:=3.0", "event_hold_time:=0.3", limit=600) as around:
        around.wait_until_matched()
        yield around
        assert around.process.popen.poll() is None, f"the node died\n{around.said()}"


@pytest.fixture
def shared(running: Robot) -> Robot:
    """The node, so much later that everybody whom it saw before has left."""
    running.wait(10.0)
    running.show(scene(box=None))
    return running


# --- What it publishes ---


def test_a_person_is_published_with_box_scores_and_header(shared: Robot) -> None:
    said = shared.show(scene(box=(10, 20, 30, 44)))
    assert said.header.frame_id == "camera_optical_frame"
    assert (said.image_width, said.image_height) == (64, 48)
    (person,) = said.persons
    np.testing.assert_allclose([person.x_min, person.y_min, person.x_max, person.y_max], [10, 20, 30, 44], atol=0.01)
    assert len(person.scores) == len(said.labels) == len(said.predictable)
    assert person.emotion_status == PersonEmotion.EMOTION_OK
    assert said.labels[person.top_index] == person.top_label
    assert 0 < said.inference_time <= said.processing_time
    received, published = (t.sec + t.nanosec * 1e-9 for t in (said.received, said.published))
    assert received <= published
    assert math.isnan(person.valence)
    assert math.isnan(person.direction.x)


def test_nobody_is_an_empty_message(shared: Robot) -> None:
    assert shared.show(scene(box=None)).persons == []


def test_a_track_keeps_its_id(shared: Robot) -> None:
    boxes = [(10 + i, 20, 30 + i, 44) for i in range(8)]
    people = [shared.show(scene(box=box)).persons[0] for box in boxes]
    assert len({person.track_id for person in people}) == 1
    assert people[-1].track_state == PersonEmotion.TRACK_TRACKED
    assert people[-1].track_age > people[0].track_age


def test_camera_info_gives_directions(shared: Robot) -> None:
    k = [50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0]
    info = CameraInfo(width=64, height=48, distortion_model="plumb_bob", d=[0.0] * 5, k=k)
    shared.set_stamp(info)

    def direction() -> float:
        shared.camera_info.publish(info)
        return shared.show(scene(box=(40, 20, 60, 29))).persons[0].direction.x

    assert until(lambda: not math.isnan(direction()), 20)
    (person,) = shared.show(scene(box=(40, 20, 60, 29))).persons
    ray = np.array([(50 - 32.5) / 50, 0.0, 1.0])
    seen = [person.direction.x, person.direction.y, person.direction.z]
    np.testing.assert_allclose(seen, ray / np.linalg.norm(ray), atol=1e-3)
    shared.camera_info.publish(CameraInfo(width=64, height=48))  # uncalibrated again
    assert until(lambda: math.isnan(shared.show().persons[0].direction.x), 20)


def test_labels_are_latched_and_match(shared: Robot) -> None:
    said = shared.show()
    assert until(lambda: shared.labels, 10)
    info = shared.labels[-1]
    assert list(info.labels) == list(said.labels)
    assert info.model_version == said.model_version
    assert info.labels_version == said.labels_version
    assert info.score_type == said.score_type


def test_events_tell_who_comes_and_goes(shared: Robot) -> None:
    shared.events.clear()
    for _ in range(6):
        track_id = shared.show().persons[0].track_id
    assert until(lambda: shared.events, 10)
    (appeared,) = shared.events
    assert (appeared.type, appeared.track_id) == (PersonEvent.APPEARED, track_id)
    assert list(appeared.present) == [track_id]
    for _ in range(25):
        shared.show(scene(box=None))
    assert until(lambda: len(shared.events) == 2, 10)
    assert (shared.events[1].type, shared.events[1].track_id) == (PersonEvent.LEFT, track_id)
    assert shared.events[1].sequence == appeared.sequence + 1


def test_debug_images_are_drawn_for_a_subscriber_only(shared: Robot) -> None:
    drawn: list[Image] = []
    subscription = shared.node.create_subscription(Image, "emotion/debug_image", drawn.append, BEST_EFFORT)

    def debug() -> bool:
        shared.show()
        return bool(drawn)

    assert until(debug, 20)
    assert (drawn[0].width, drawn[0].height, drawn[0].encoding) == (64, 48, "rgb8")
    assert bytes(drawn[0].data) != scene().tobytes()
    shared.node.destroy_subscription(subscription)


def test_the_status_counts(shared: Robot) -> None:
    before = shared.expect_state(PerceptionStatus.ACTIVE).images_received
    shared.show()
    assert until(lambda: shared.statuses[-1].images_received > before, 10)
    status = shared.statuses[-1]
    assert status.provider == "CPUExecutionProvider"
    assert status.input_topic == "/image_raw"
    assert status.model_id == "toy"


# --- Bad images. Each is refused, said, and the next good one is processed. ---


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        ({"height": 0, "width": 0, "step": 0, "data": b""}, "empty_image", "is empty"),
        ({"data": bytes(100)}, "short_image", "but data has 100"),
        ({"encoding": "yuv1234"}, "unknown_encoding", "yuv1234"),
        ({"encoding": "16UC1"}, "unknown_encoding", "16UC1"),
    ],
    ids=["empty", "short", "unknown encoding", "needs cv_bridge"],
)
def test_a_bad_image_is_said_and_survived(shared: Robot, changes: dict[str, object], key: str, text: str) -> None:
    rejected = shared.expect_state(PerceptionStatus.ACTIVE).images_rejected
    for _ in range(3):
        bad = shared.image(None, None, **changes)
        shared.camera.publish(bad)
    assert until(lambda: text in shared.problem(key), 15), shared.said()
    assert until(lambda: text in shared.statuses[-1].reason, 5), shared.said()
    assert "image on /image_raw rejected" in shared.process.output()
    assert until(lambda: shared.statuses[-1].images_rejected > rejected, 10)
    assert len(shared.show().persons) == 1


def test_images_without_a_stamp_are_processed_untracked(shared: Robot) -> None:
    said = shared.show(scene(), stamp_ns=0)
    (person,) = said.persons
    assert (person.track_id, person.track_state) == ("", PersonEmotion.TRACK_UNTRACKED)
    assert list(person.smoothed_scores) == list(person.scores)
    shared.emotions.clear()
    shared.expect_problem("unstamped", "carry no stamp")


def test_a_late_image_is_rejected(shared: Robot) -> None:
    shared.show()
    late = shared.image(stamp_ns=shared.stamp_ns - SECOND // 4)
    shared.camera.publish(late)
    shared.expect_problem("late_image", "0.250 s older than the newest")
    assert all(said.header != late.header for said in shared.emotions)


def test_time_that_jumps_back_starts_new_ids(shared: Robot) -> None:
    before = [shared.show() for _ in range(5)][-1].persons[0].track_id
    shared.wait(-30.0)
    after = shared.show().persons[0]
    assert after.track_id != before
    assert after.track_state == PersonEmotion.TRACK_NEW
    shared.expect_problem("time_jumped_back", "jumped back")


def test_a_new_resolution_is_said_and_boxes_fit_it(shared: Robot) -> None:
    before = shared.show().persons[0].track_id
    said = shared.show(scene(128, 96, (20, 40, 60, 88)))
    (person,) = said.persons
    assert (said.image_width, said.image_height) == (128, 96)
    np.testing.assert_allclose([person.x_min, person.y_min, person.x_max, person.y_max], [20, 40, 60, 88], atol=0.01)
    assert person.track_id != before
    shared.expect_problem("resolution_changed", "from 64×48 to 128×96")
    shared.show()


def test_a_camera_that_vanishes_and_returns(shared: Robot) -> None:
    for _ in range(6):
        shared.show()
    status = shared.expect_state(PerceptionStatus.NO_CAMERA)
    assert "no image for" in status.reason
    assert "/image_raw" in status.reason
    assert until(lambda: shared.events and shared.events[-1].type == PersonEvent.LEFT, 15), "who was there has left"
    shared.expect_problem("no_image", "robot is there and silent")
    shared.show()
    shared.expect_state(PerceptionStatus.ACTIVE)


def test_fewer_images_than_announced(tmp_path: Path, toy: Path) -> None:
    """camera_info is small and arrives when large images are lost: its rate is what the camera announces."""
    with robot(tmp_path, f"model:={toy}") as around:
        around.wait_until_matched()
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            ticks += 1
            info = CameraInfo(width=64, height=48)
            around.set_stamp(info)
            around.camera_info.publish(info)
            if ticks % 4 == 0:
                around.camera.publish(around.image())

        around.node.create_timer(0.05, tick)
        around.expect_problem("lost_images", "start the camera's process with config/fastdds_shm.xml")
        assert "(by camera_info)" in around.problem("lost_images")
        assert around.statuses[-1].state == PerceptionStatus.ACTIVE


def test_a_corrupt_jpeg(tmp_path: Path, toy: Path) -> None:
    with robot(tmp_path, f"model:={toy}", "image_transport:=compressed") as around:
        good = cv2.imencode(".png", scene())[1].tobytes()
        broken = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))[1].tobytes()
        rejected = 0
        for data, text in ((b"", "empty"), (b"not a picture", "13 bytes"), (broken[: len(broken) // 2], "truncated")):

            def refused(data: bytes = data, before: int = rejected) -> bool:
                message = CompressedImage(format="jpeg", data=data)
                around.set_stamp(message)
                around.compressed.publish(message)
                return until(lambda: around.statuses and around.statuses[-1].images_rejected > before, 2)

            assert until(refused, 40), around.said()
            assert text in around.statuses[-1].reason
            rejected = around.statuses[-1].images_rejected
        around.expect_problem("corrupt_image", "image on /image_raw/compressed rejected")
        message = CompressedImage(format="png", data=good)
        around.set_stamp(message)
        around.compressed.publish(message)
        assert len(around.answer_to(message).persons) == 1


def test_incompatible_qos(tmp_path: Path, toy: Path) -> None:
    override = "qos_overrides./image_raw.subscription.reliability:=reliable"
    with robot(tmp_path, f"model:={toy}", override, "no_image_timeout:=1.0") as around:
        around.node.destroy_publisher(around.camera)
        around.camera = around.node.create_publisher(Image, "image_raw", BEST_EFFORT)
        assert until(lambda: around.statuses, 30)
        around.expect_problem("incompatible_qos", "asks for RELIABLE, VOLATILE")
        assert until(lambda: "robot offers BEST_EFFORT" in around.problem("incompatible_qos"), 10), around.said()
        assert "incompatible QoS" in around.expect_state(PerceptionStatus.NO_CAMERA).reason


# --- Models that cannot be used, at start and at run time ---


def broken_bundles(toy: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Name -> what to ask for, and what the answer has to contain."""
    cases = {"missing": ("no_such_model", "no_such_model")}
    for name in ("truncated", "hash", "garbage"):
        shutil.copytree(toy, folder / name)
    graph = next((toy).glob("*.onnx"))
    (folder / "truncated" / graph.name).write_bytes(graph.read_bytes()[:-10])
    (folder / "hash" / graph.name).write_bytes(graph.read_bytes()[:-1] + b"x")
    (folder / "garbage" / "model.yaml").write_text("name: [")
    cases |= {
        "truncated": (str(folder / "truncated"), "truncated"),
        "hash": (str(folder / "hash"), "sha256"),
        "garbage": (str(folder / "garbage"), "not valid YAML"),
    }
    shape = toy_bundle(folder, "shape", max_persons=7)
    return cases | {"shape": (str(shape), "the graph declares")}


def test_a_broken_model_leaves_the_old_one_running(shared: Robot, toy: Path, tmp_path: Path) -> None:
    before = shared.show()
    for ask, text in broken_bundles(toy, tmp_path).values():
        answer = shared.call(LoadModel, "emotion/load_model", LoadModel.Request(model=ask))
        assert not answer.success
        assert text in answer.message
        assert answer.message.endswith("toy goes on")
        assert answer.model_version == before.model_version
        said = shared.show()
        assert (said.model_version, said.labels_version) == (before.model_version, before.labels_version)
    shared.expect_problem("load_model_failed", "cannot load model")


def test_swapping_the_model_keeps_tracks_and_raises_the_labels_version(
    shared: Robot, toy: Path, tmp_path: Path
) -> None:
    other = toy_bundle(tmp_path, "other")
    before = [shared.show() for _ in range(3)][-1]
    answer = shared.call(LoadModel, "emotion/load_model", LoadModel.Request(model=str(other)))
    assert answer.success, answer.message
    assert answer.model_id == "other"
    after = shared.show()
    assert (after.model_id, after.labels_version) == ("other", before.labels_version + 1)
    assert after.persons[0].track_id == before.persons[0].track_id
    assert until(lambda: shared.labels[-1].model_id == "other", 10)
    assert shared.call(LoadModel, "emotion/load_model", LoadModel.Request(model=str(toy))).success


@pytest.mark.parametrize(
    ("parameter", "text"),
    [("model:=no_such_model", 'no model bundle named "no_such_model"'), ("device:=cuda:0", "cuda:0")],
)
def test_a_failed_configure_says_why_and_can_be_mended(tmp_path: Path, toy: Path, parameter: str, text: str) -> None:
    parameters = [parameter] if parameter.startswith("model") else [f"model:={toy}", parameter]
    with robot(tmp_path, *parameters) as around:
        status = around.expect_state(PerceptionStatus.FAULT, 30)
        assert text in status.reason
        around.expect_problem("configure_failed", text)
        state = around.call(GetState, "emotion/get_state", GetState.Request())
        assert state.current_state.id == State.PRIMARY_STATE_UNCONFIGURED
        assert around.process.popen.poll() is None
        answer = around.call(LoadModel, "emotion/load_model", LoadModel.Request(model=str(toy)))
        assert not answer.success
        assert "not configured" in answer.message
        name, value = ("model", str(toy)) if parameter.startswith("model") else ("device", "cpu")
        assert set_parameter(around, name, value) == (True, "")
        assert change_state(around, Transition.TRANSITION_CONFIGURE), around.said()
        assert change_state(around, Transition.TRANSITION_ACTIVATE), around.said()
        around.wait_until_matched()


# --- Loading takes long: TensorRT builds its engine for minutes ---


def expect_loading(around: Robot) -> None:
    """The status goes on, says that the model is loading, and the lifecycle says so too."""
    assert until(lambda: around.statuses and "loading model" in around.statuses[-1].reason, 30), around.said()
    assert around.statuses[-1].state == PerceptionStatus.INACTIVE
    seen = len(around.statuses)
    assert until(lambda: len(around.statuses) >= seen + 2, 10), around.said()
    state = around.call(GetState, "emotion/get_state", GetState.Request(), 5)
    assert state.current_state.id == State.TRANSITION_STATE_CONFIGURING


def test_everything_answers_while_configure_loads_the_model(tmp_path: Path, toy: Path) -> None:
    bundle, give = slow_bundle(toy, tmp_path)
    with robot(tmp_path, f"model:={bundle}", "autostart:=false") as around:
        answers: list[bool] = []
        threading.Thread(
            target=lambda: answers.append(change_state(around, Transition.TRANSITION_CONFIGURE)), daemon=True
        ).start()
        expect_loading(around)
        assert around.call(SetBool, "emotion/enable", SetBool.Request(data=True), 5).success
        assert set_parameter(around, "uncertain_below", 0.25) == (True, "")
        assert not set_parameter(around, "device", "cpu")[0]
        answer = around.call(LoadModel, "emotion/load_model", LoadModel.Request(model=str(toy)), 5)
        assert not answer.success
        assert "call again" in answer.message
        assert not change_state(around, Transition.TRANSITION_ACTIVATE)
        around.expect_problem("transition_refused", "the node is loading model")
        assert not answers
        give()
        assert until(lambda: answers, 30), around.said()
        assert answers == [True]
        assert change_state(around, Transition.TRANSITION_ACTIVATE)
        around.wait_until_matched()
        assert around.labels[-1].uncertain_below == pytest.approx(0.25)


def test_a_slow_model_at_start(tmp_path: Path, toy: Path) -> None:
    bundle, give = slow_bundle(toy, tmp_path)
    with robot(tmp_path, f"model:={bundle}") as around:
        expect_loading(around)
        give()
        around.wait_until_matched()


def test_a_slow_model_that_turns_out_to_be_broken(tmp_path: Path, toy: Path) -> None:
    bundle, give = slow_bundle(toy, tmp_path)
    with robot(tmp_path, f"model:={bundle}") as around:
        expect_loading(around)
        give(b"half")
        assert "truncated" in around.expect_state(PerceptionStatus.FAULT).reason
        around.expect_problem("configure_failed", "truncated")
        state = around.call(GetState, "emotion/get_state", GetState.Request())
        assert state.current_state.id == State.PRIMARY_STATE_UNCONFIGURED
        assert change_state(around, Transition.TRANSITION_CONFIGURE), around.said()


def test_the_node_stops_at_once_while_it_loads(tmp_path: Path, toy: Path) -> None:
    bundle, _ = slow_bundle(toy, tmp_path)
    with robot(tmp_path, f"model:={bundle}") as around:
        expect_loading(around)
        maps = Path(f"/proc/{around.process.popen.pid}/maps").read_text().split()
        segments = {Path(word) for word in maps if re.fullmatch(r"/dev/shm/fastrtps_[0-9a-f]{16}", word)}
        around.process.interrupt()
        assert around.process.wait(10) == 0, around.said()
        assert "Traceback" not in around.process.stderr
    assert segments
    assert not [segment for segment in segments if segment.exists()], "its shared memory is left behind"


def test_a_transition_that_is_not_possible_is_refused(shared: Robot) -> None:
    assert not change_state(shared, Transition.TRANSITION_CONFIGURE)
    assert len(shared.show().persons) == 1


def test_a_bad_parameter_at_start_is_an_error_that_says_what_is_allowed(tmp_path: Path) -> None:
    with robot(tmp_path, "device:=gpu") as around:
        assert around.process.wait(30) == 2
        assert "device must be one of auto, cpu, cuda:N, tensorrt:N, not 'gpu'" in around.process.stderr
        assert "Traceback" not in around.process.stderr


# --- Lifecycle, parameters, services ---


def change_state(around: Robot, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(around.call(ChangeState, "emotion/change_state", request).success)


def test_the_lifecycle_goes_round_twice(tmp_path: Path, toy: Path) -> None:
    with robot(tmp_path, f"model:={toy}", "autostart:=false") as around:
        around.expect_state(PerceptionStatus.INACTIVE, 30)
        tracks = set()
        for _ in range(2):
            assert change_state(around, Transition.TRANSITION_CONFIGURE)
            assert around.camera.get_subscription_count() == 0
            assert change_state(around, Transition.TRANSITION_ACTIVATE)
            around.emotions.clear()
            around.wait_until_matched()
            tracks.add(around.show().persons[0].track_id)
            assert change_state(around, Transition.TRANSITION_DEACTIVATE)
            assert until(lambda: around.camera.get_subscription_count() == 0, 10)
            assert change_state(around, Transition.TRANSITION_CLEANUP)
        assert len(tracks) == 2, "ids are never reused"
        for _ in range(2):  # `ros2 launch` and the terminal both send it
            around.process.interrupt()
        assert around.process.wait(20) == 0, around.said()


def test_events_are_numbered_on_and_a_pause_lasts_over_sessions(tmp_path: Path, toy: Path) -> None:
    with robot(tmp_path, f"model:={toy}", "event_hold_time:=0.0") as around:
        around.wait_until_matched()
        around.show()
        assert change_state(around, Transition.TRANSITION_DEACTIVATE)
        assert until(lambda: [e.type for e in around.events][-1:] == [PersonEvent.LEFT], 10), around.said()
        assert around.call(SetBool, "emotion/enable", SetBool.Request(data=False)).success
        assert change_state(around, Transition.TRANSITION_ACTIVATE)
        around.expect_state(PerceptionStatus.PAUSED)
        assert around.call(SetBool, "emotion/enable", SetBool.Request(data=True)).success
        around.emotions.clear()
        around.wait_until_matched()
        around.show()
        assert until(lambda: around.events[-1].type == PersonEvent.APPEARED, 10)
        assert [event.sequence for event in around.events] == list(range(1, len(around.events) + 1))


def test_whoever_was_there_leaves_when_images_cannot_be_used(shared: Robot) -> None:
    for _ in range(6):
        shared.show()
    assert until(lambda: shared.events and shared.events[-1].type == PersonEvent.APPEARED, 10)

    def left() -> bool:
        shared.camera.publish(shared.image(encoding="yuv1234"))
        return until(lambda: shared.events[-1].type == PersonEvent.LEFT, 0.2)

    assert until(left, 20), shared.said()
    assert "'yuv1234' is not decoded here" in shared.expect_state(PerceptionStatus.FAULT).reason
    shared.show()
    shared.expect_state(PerceptionStatus.ACTIVE)


@pytest.mark.parametrize("use_sim_time", [True, False])
def test_who_is_in_a_paused_bag_stays(tmp_path: Path, toy: Path, use_sim_time: bool) -> None:
    """The bag's clock stands: no time passes for its people. In the robot's own time they leave."""
    limits = ("no_image_timeout:=0.5", "track_buffer:=0.5", "event_hold_time:=0.0")
    with robot(tmp_path, f"model:={toy}", f"use_sim_time:={str(use_sim_time).lower()}", *limits) as around:
        clock = around.node.create_publisher(Clock, "/clock", 10)

        def tick(seconds: float = 0.0) -> None:
            around.wait(seconds)
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(around.stamp_ns, SECOND)
            clock.publish(message)

        assert until(lambda: clock.get_subscription_count() or not use_sim_time, 20)
        around.wait_until_matched()
        for _ in range(3):
            tick()
            before = around.show().persons[0].track_id
        seen = len(around.statuses)
        assert until(lambda: len(around.statuses) > seen + 4, 20)
        assert around.statuses[-1].state == PerceptionStatus.NO_CAMERA, "the camera is silent whatever the clock says"
        left = [event for event in around.events if event.type == PersonEvent.LEFT]
        assert bool(left) != use_sim_time
        tick()
        assert (around.show().persons[0].track_id == before) == use_sim_time

        around.events.clear()
        if use_sim_time:  # silence in the bag itself, and then a bag that ends

            def left_in_time() -> bool:
                tick(0.2)
                return until(lambda: around.events, 0.1)

            assert until(left_in_time, 20), around.said()
            assert [event.type for event in around.events] == [PersonEvent.LEFT]
            around.show()
            around.events.clear()
            around.node.destroy_publisher(clock)
        assert until(lambda: [e.type for e in around.events][-1:] == [PersonEvent.LEFT], 20), around.said()


def test_a_slow_rate_is_no_fault(shared: Robot) -> None:
    assert set_parameter(shared, "max_rate", 0.2) == (True, "")
    seen = len(shared.statuses)

    def six_more() -> bool:
        shared.camera.publish(shared.image())
        return until(lambda: len(shared.statuses) > seen + 6, 0.1)

    assert until(six_more, 20)
    assert set_parameter(shared, "max_rate", 0.0) == (True, "")
    assert {status.state for status in shared.statuses[seen:]} == {PerceptionStatus.ACTIVE}


def test_stamps_of_another_clock_are_said(shared: Robot) -> None:
    shared.wait(-1000 * 24 * 3600.0)
    shared.show()
    assert until(lambda: "s in the past: latencies are not known" in shared.problem("clock"), 10), shared.said()
    shared.wait(1000 * 24 * 3600.0)


def test_being_told_to_stop_while_starting_is_no_failure(tmp_path: Path) -> None:
    with robot(tmp_path) as around:
        assert until(lambda: around.statuses, 30), around.said()  # it is there, and loads its model now
        around.process.popen.terminate()
        assert around.process.wait(20) == 0, around.said()
        assert "Traceback" not in around.process.stderr
        assert "cannot configure" not in around.process.stderr


def test_pausing_keeps_the_model_and_stops_inference(shared: Robot) -> None:
    shared.show()
    assert shared.call(SetBool, "emotion/enable", SetBool.Request(data=False)).success
    shared.expect_state(PerceptionStatus.PAUSED)
    seen = len(shared.emotions)
    ignored = shared.image()
    shared.camera.publish(ignored)
    received = shared.statuses[-1].images_received
    assert until(lambda: shared.statuses[-1].images_received > received, 10)
    assert len(shared.emotions) == seen
    assert shared.call(SetBool, "emotion/enable", SetBool.Request(data=True)).success
    assert len(shared.show().persons) == 1
    shared.expect_state(PerceptionStatus.ACTIVE)


def set_parameter(around: Robot, name: str, value: float | str) -> tuple[bool, str]:
    kind = {float: ("double_value", 3), str: ("string_value", 4)}[type(value)]
    parameter = Parameter(name=name, value=ParameterValue(**{"type": kind[1], kind[0]: value}))
    answer = around.call(SetParameters, "emotion/set_parameters", SetParameters.Request(parameters=[parameter]))
    return answer.results[0].successful, answer.results[0].reason


def test_thresholds_change_live_and_bad_values_are_refused(shared: Robot) -> None:
    assert len(shared.show().persons) == 1
    assert set_parameter(shared, "person_threshold", 1.0) == (True, "")
    shared.wait(10.0)
    assert shared.show().persons == []
    assert set_parameter(shared, "person_threshold", 0.0) == (True, "")
    assert len(shared.show().persons) == 1
    accepted, reason = set_parameter(shared, "person_threshold", 1.5)
    assert not accepted
    assert "person_threshold" in reason
    accepted, reason = set_parameter(shared, "model", "other")
    assert not accepted
    assert "call ~/load_model" in reason
    assert set_parameter(shared, "uncertain_below", 1.0) == (True, "")
    (person,) = shared.show().persons
    assert (person.emotion_status, person.top_index) == (PersonEmotion.EMOTION_UNCERTAIN, -1)
    assert set_parameter(shared, "uncertain_below", 0.0) == (True, "")


def test_every_parameter_describes_itself(shared: Robot) -> None:
    request = DescribeParameters.Request(names=[p.name for p in PARAMETERS])
    answer = shared.call(DescribeParameters, "emotion/describe_parameters", request)
    for parameter, descriptor in zip(PARAMETERS, answer.descriptors, strict=True):
        assert descriptor.description == parameter.description
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        if parameter.low is not None:
            assert (ranges[0].from_value, ranges[0].to_value) == (parameter.low, parameter.high)
