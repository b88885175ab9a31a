from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.perception.person import BoxKind, EmotionStatus, Person, TrackState
from caer_ros.perception.tracking import tracker as module
from caer_ros.perception.tracking.tracker import Tracker, TrackerSettings

START_NS = 1_700_000_000_000_000_000
SETTINGS = TrackerSettings(high=0.5, low=0.1, match_iou=0.3, buffer=2.0, coast=0.3, duplicate_iou=0.8)


def person(box, confidence=0.9) -> Person:
    return Person(
        box=np.asarray(box, np.float32),
        confidence=confidence,
        box_kind=BoxKind.BODY,
        scores=np.array([0.25, 0.75], np.float32),
        status=EmotionStatus.OK,
        face_box=np.array([1, 2, 3, 4], np.float32),
        vad=np.zeros(3, np.float32),
        embedding=np.ones(4, np.float32) / 2,
    )


def standing(x, height=200.0, confidence=0.9) -> Person:
    """Somebody whose feet are in the middle of a 640×480 image, ``x`` from its left."""
    return person([x - 0.2 * height, 400 - height, x + 0.2 * height, 400], confidence)


class Camera:
    """Feeds a tracker; ``see`` takes the seconds since the start and the persons."""

    def __init__(self, tracker: Tracker | None = None) -> None:
        self.tracker = tracker or Tracker(SETTINGS, "run")

    def see(self, seconds: float, *persons: Person) -> list[Person]:
        return self.tracker.update(list(persons), START_NS + round(seconds * 1e9))

    def ids(self, seconds: float, *persons: Person) -> list[str]:
        return [one.track_id for one in self.see(seconds, *persons)]


def test_a_person_is_new_then_tracked_under_one_id():
    camera = Camera(Tracker(SETTINGS, "k3f"))
    (first,) = camera.see(0.0, standing(300))
    (second,) = camera.see(0.1, standing(302))
    (third,) = camera.see(0.35, standing(305))
    assert [one.track_id for one in (first, second, third)] == ["k3f-1"] * 3
    assert [one.track_state for one in (first, second, third)] == [TrackState.NEW] + [TrackState.TRACKED] * 2
    assert [one.track_age for one in (first, second, third)] == pytest.approx([0, 0.1, 0.35])


def test_the_box_of_a_detected_person_is_the_detection_itself():
    camera = Camera()
    for step, jitter in enumerate([0, 9, -8, 7, -9, 8]):
        seen = standing(300 + jitter)
        before = seen.box.copy()
        (reported,) = camera.see(step / 10, seen)
        assert reported is seen
        np.testing.assert_array_equal(reported.box, before)


def test_persons_keep_the_order_in_which_they_were_detected():
    camera = Camera()
    camera.see(0.0, standing(100, confidence=0.6), standing(500, confidence=0.9))
    newcomer, right, left = standing(300), standing(500), standing(100)
    assert camera.see(0.1, newcomer, right, left) == [newcomer, right, left]


def walk(camera: Camera, steps: int, hz: float = 10.0, speed: float = 100.0) -> float:
    """Somebody walks right from x = 200, seen ``steps`` times; the time of the last."""
    for step in range(steps):
        camera.see(step / hz, standing(200 + speed * step / hz))
    return (steps - 1) / hz


def test_a_person_who_is_missed_coasts_where_the_motion_leads():
    camera = Camera()
    end = walk(camera, 20)
    last = standing(200 + 100 * (end + 0.1))
    camera.see(end + 0.1, last)
    (coasted,) = camera.see(end + 0.3)
    assert coasted.track_state == TrackState.COASTED
    assert coasted.track_id == "run-1"
    assert coasted.track_age == pytest.approx(end + 0.3)
    assert coasted.confidence == last.confidence
    np.testing.assert_allclose(coasted.box, standing(200 + 100 * (end + 0.3)).box, atol=4)
    assert abs(coasted.box[0] - last.box[0]) > 10

    assert coasted.status == EmotionStatus.NOT_PREDICTED
    assert coasted.scores.shape == coasted.smoothed_scores.shape == (2,)
    assert np.isnan(coasted.scores).all()
    assert np.isnan(coasted.smoothed_scores).all()
    assert coasted.face_box is coasted.vad is coasted.embedding is None
    assert last.track_state == TrackState.TRACKED
    np.testing.assert_array_equal(last.scores, np.float32([0.25, 0.75]))


def test_coasting_ends_before_the_track_does():
    camera = Camera()
    end = walk(camera, 5)
    assert len(camera.see(end + 0.3)) == 1
    assert camera.see(end + 0.31) == []
    assert camera.tracker.alive == ("run-1",)
    camera.see(end + 2.0)
    assert camera.tracker.alive == ("run-1",)
    camera.see(end + 2.01)
    assert camera.tracker.alive == ()


def test_somebody_seen_once_does_not_coast():
    camera = Camera()
    camera.see(0.0, standing(300))
    assert camera.see(0.1) == []
    assert camera.ids(0.2, standing(300)) == ["run-1"]


@pytest.mark.parametrize(("away", "expected"), [(0.5, "run-1"), (1.9, "run-1"), (2.1, "run-2"), (30.0, "run-2")])
@pytest.mark.parametrize("frames_meanwhile", [True, False])
def test_who_is_away_longer_than_the_buffer_gets_a_new_id(away, expected, frames_meanwhile):
    camera = Camera()
    end = walk(camera, 10, speed=0)
    if frames_meanwhile:
        for seconds in np.arange(0.1, away, 0.1):
            camera.see(end + seconds)
    assert camera.ids(end + away, standing(205)) == [expected]
    assert camera.tracker.alive == (expected,)


def test_faint_detections_keep_a_track_alive_but_start_none():
    camera = Camera()
    assert camera.see(0.0, standing(100, confidence=0.49)) == []
    assert camera.ids(0.1, standing(300, confidence=0.5)) == ["run-1"]
    for step in range(2, 50):
        (kept,) = camera.see(step / 10, standing(300, confidence=0.1), standing(100, confidence=0.49))
        assert (kept.track_id, kept.track_state, kept.confidence) == ("run-1", TrackState.TRACKED, 0.1)


def test_detections_below_low_are_ignored():
    camera = Camera(Tracker(replace(SETTINGS, coast=0.0), "run"))
    camera.see(0.0, standing(300))
    assert camera.see(0.1, standing(300, confidence=0.09)) == []


def test_a_faint_detection_does_not_take_the_track_of_a_confident_one():
    camera = Camera()
    camera.see(0.0, standing(300))
    confident, faint = standing(310, confidence=0.6), standing(300, confidence=0.4)
    assert camera.see(0.1, faint, confident) == [confident]
    assert confident.track_id == "run-1"


def test_empty_images_are_steps_too():
    camera = Camera()
    assert camera.see(0.0) == []
    camera.see(0.1, standing(300))
    assert camera.see(0.2) == []
    assert camera.ids(0.3, standing(300)) == ["run-1"]


@pytest.mark.parametrize("hz", [5.0, 10.0, 30.0])
def test_ids_survive_a_fast_pan(hz):
    """The camera turns back and forth at up to 565 px/s: at 5 Hz more than the persons' width between two images."""
    camera, width = Camera(), 0.4 * 180
    pan = [180 * np.sin(np.pi * step / hz) for step in range(int(6 * hz))]
    assert hz > 5 or np.abs(np.diff(pan)).max() > 1.4 * width
    for step, shift in enumerate(pan):
        ids = camera.ids(step / hz, *(standing(x + shift, 180) for x in (40, 320, 600)))
        assert ids == ["run-1", "run-2", "run-3"], f"image {step}"


@pytest.mark.parametrize("hz", [5.0, 10.0, 30.0])
def test_ids_survive_a_zoom(hz):
    camera = Camera()
    for step in range(int(4 * hz)):
        zoom = np.exp(0.35 * np.sin(np.pi * step / hz))
        boxes = [zoom * (np.array([x, 100, x + 70, 280]) - 200) + 200 for x in (20, 180, 340)]
        assert camera.ids(step / hz, *map(person, boxes)) == ["run-1", "run-2", "run-3"], f"image {step}"


@pytest.mark.parametrize("hz", [5.0, 10.0, 30.0])
def test_ids_survive_two_people_passing_each_other(hz):
    """One walks in front and hides the other for the time that they overlap by half."""
    camera = Camera()
    for step in range(int(4 * hz)):
        seconds = step / hz
        front, behind = standing(100 + 110 * seconds, 230), standing(540 - 110 * seconds, 200)
        hidden = abs(front.box[0] - behind.box[0]) < 40
        ids = {one.track_id: one for one in camera.see(seconds, front, *([] if hidden else [behind]))}
        assert ids["run-1"] is front
        assert hidden or ids["run-2"] is behind
    assert not hidden


def test_ids_survive_a_rate_that_changes_from_60_to_2_hz():
    camera, seconds = Camera(), 0.0
    for hz in [60.0] * 60 + [2.0] * 4 + [30.0, 7.0, 15.0, 4.0] * 10:
        seconds += 1 / hz
        assert camera.ids(seconds, standing(100 + 20 * seconds)) == ["run-1"]


def test_a_person_far_off_or_of_another_size_is_somebody_else():
    camera = Camera()
    camera.see(0.0, standing(100))
    camera.see(0.1, standing(100))
    assert camera.see(0.2, standing(500))[0].track_id == "run-2"
    camera = Camera()
    camera.see(0.0, standing(100, 200))
    assert camera.ids(0.1, standing(150, 90)) == ["run-2"]


def test_a_long_absence_does_not_lend_the_id_to_anybody_in_sight():
    camera = Camera()
    for step in range(10):
        camera.see(step / 10, standing(100, 100))
    assert camera.ids(2.8, standing(280, 100)) == ["run-2"]


def test_a_detection_on_top_of_a_tracked_one_starts_no_track():
    camera = Camera()
    assert camera.ids(0.0, standing(300, confidence=0.8), standing(301, confidence=0.9)) == ["run-1"]
    assert camera.ids(0.1, standing(300), standing(302)) == ["run-1"]
    assert camera.ids(0.2, standing(300), standing(330)) == ["run-1", "run-2"]


@pytest.mark.parametrize("stamp_ns", [START_NS, START_NS - 1])
def test_a_stamp_that_is_not_later_is_an_error_and_changes_nothing(stamp_ns):
    tracker = Tracker(SETTINGS, "run")
    tracker.update([standing(300)], START_NS)
    with pytest.raises(ValueError, match="reset"):
        tracker.update([standing(300)], stamp_ns)
    assert tracker.update([standing(300)], START_NS + 1)[0].track_id == "run-1"


def test_reset_drops_all_tracks_and_numbering_goes_on():
    camera = Camera()
    walk(camera, 5)
    camera.tracker.reset()
    assert camera.tracker.alive == ()
    assert camera.ids(0.0, standing(240)) == ["run-2"]


def test_settings_may_change_between_two_updates():
    camera = Camera()
    camera.see(0.0, standing(300, confidence=0.4))
    camera.tracker.settings = replace(SETTINGS, high=0.3, buffer=0.5)
    assert camera.ids(0.1, standing(300, confidence=0.4)) == ["run-1"]
    camera.see(0.7)
    assert camera.tracker.alive == ()


def test_memory_is_bounded_while_people_come_and_go():
    rng = np.random.default_rng(0)
    tracker, seen = Tracker(SETTINGS, "run"), set()
    for frame in range(5000):
        present = [standing(x, h) for x, h in zip(rng.uniform(0, 640, 2), rng.uniform(60, 300, 2), strict=True)]
        seen.update(one.track_id for one in tracker.update(present[: rng.integers(3)], START_NS + frame * 100_000_000))
        assert len(tracker.alive) == len(tracker._tracks) == len(tracker._motion.position) <= 2 * 2.0 / 0.1 + 2
    assert len(seen) > 500


# --- Properties ---


def scene(seed: int, images: int = 25, people: int = 6) -> list[tuple[int, list[tuple[np.ndarray, float]]]]:
    """(stamp, detections) of people who wander, hide and turn up, at an uneven rate, in no special arrangement."""
    rng = np.random.default_rng(seed)
    centres, sizes = rng.uniform(50, 600, (people, 2)), rng.uniform(40, 200, (people, 2))
    velocities = rng.normal(0, 80, (people, 2))
    stamp, frames = START_NS, []
    for _ in range(images):
        dt = rng.choice([0.02, 0.1, 0.2, 0.6, 2.5], p=[0.3, 0.3, 0.25, 0.1, 0.05]) * rng.uniform(0.8, 1.2)
        stamp += int(dt * 1e9)
        centres = centres + velocities * dt + rng.normal(0, 3, (people, 2))
        boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
        boxes = np.round(boxes * 8) / 8  # exact in float32 also when moved and scaled: no coin is tossed at thresholds
        visible = rng.random(people) < 0.8
        frames.append((stamp, list(zip(boxes[visible], rng.uniform(0.05, 1, visible.sum()), strict=True))))
    return frames


def tracks(frames, factor: float = 1.0, shift=(0.0, 0.0)) -> list[dict[str, tuple[TrackState, np.ndarray]]]:
    """For each image the state and box, in the scene's own coordinates, of each id."""
    tracker, offset, results = Tracker(SETTINGS, "run"), np.tile(shift, 2), []
    for stamp, detections in frames:
        reported = tracker.update([person(box * factor + offset, score) for box, score in detections], stamp)
        assert len({one.track_id for one in reported}) == len(reported)
        results.append({one.track_id: (one.track_state, (one.box - offset) / factor) for one in reported})
    return results


def assert_same_tracks(a, b) -> None:
    for one, other in zip(a, b, strict=True):
        assert {key: state for key, (state, _) in one.items()} == {key: state for key, (state, _) in other.items()}
        for key, (_, box) in one.items():
            np.testing.assert_allclose(box, other[key][1], atol=0.05)


SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_ids_are_unique_in_an_image_and_never_reused(seed):
    tracker, born, gone = Tracker(SETTINGS, "run"), set(), set()
    for stamp, detections in scene(seed):
        reported = tracker.update([person(box, score) for box, score in detections], stamp)
        ids = [one.track_id for one in reported]
        new = {one.track_id for one in reported if one.track_state == TrackState.NEW}
        assert len(set(ids)) == len(ids)
        assert not new & born
        born |= new
        assert set(ids) <= set(tracker.alive) <= born
        assert not gone & set(tracker.alive)
        gone = born - set(tracker.alive)


@given(seed=SEEDS, order=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_detections_does_not_matter(seed, order):
    frames = scene(seed)
    shuffled = [(stamp, order.sample(detections, len(detections))) for stamp, detections in frames]
    assert_same_tracks(tracks(frames), tracks(shuffled))


@given(seed=SEEDS, dx=st.integers(-5000, 5000), dy=st.integers(-5000, 5000))
@settings(max_examples=40, deadline=None)
def test_the_place_in_the_image_does_not_matter(seed, dx, dy):
    frames = scene(seed)
    assert_same_tracks(tracks(frames), tracks(frames, shift=(dx, dy)))


@given(seed=SEEDS, factor=st.sampled_from([0.25, 0.5, 3.0, 6.5]))
@settings(max_examples=40, deadline=None)
def test_the_resolution_does_not_matter(seed, factor):
    frames = scene(seed)
    assert_same_tracks(tracks(frames), tracks(frames, factor=factor))


# --- The Kalman filter ---


def textbook_step(state, covariance, dt, tau, acceleration, measured=None, noise=None):
    """One predict and correct of a 2-state filter in matrices; the discretisation is Van Loan's (1978)."""
    system = np.array([[0, 1], [0, -1 / tau]])
    blocks = np.block([[-system, np.diag([0, acceleration**2])], [np.zeros((2, 2)), system.T]]) * dt
    exponential = scipy.linalg.expm(blocks)
    transition = exponential[2:, 2:].T
    state = transition @ state
    covariance = transition @ covariance @ transition.T + transition @ exponential[:2, 2:]
    if measured is not None:
        gain = covariance[:, 0] / (covariance[0, 0] + noise**2)
        state = state + gain * (measured - state[0])
        covariance = covariance - np.outer(gain, covariance[0])
    return state, covariance


def test_the_filter_agrees_with_the_textbook():
    rng = np.random.default_rng(1)
    height, motion = 100.0, module._Motion()
    motion.add(np.array([[0.0, 0.0, 40.0, height]]))
    deviation = module._MEASUREMENT_STD * height
    state = np.array([20.0, 0.0])
    covariance = np.diag([deviation**2, (module._FIRST_VELOCITY_STD[0] * height) ** 2])
    for dt in [0.033, 0.2, 1.5, 0.01, 0.1]:
        x = 20 + rng.normal(0, 30)
        height_now = motion.position[0, 3]
        acceleration = module._ACCELERATION_STD[0] * height_now
        state, covariance = textbook_step(state, covariance, dt, module._VELOCITY_MEMORY[0], acceleration, x, deviation)
        motion.predict(dt)
        motion.correct(np.array([0]), np.array([[x - 20, 0.0, x + 20, height]]))
        got = [motion.position, motion.velocity, motion.position_variance, motion.covariance, motion.velocity_variance]
        expected = [*state, covariance[0, 0], covariance[0, 1], covariance[1, 1]]
        np.testing.assert_allclose([each[0, 0] for each in got], expected, rtol=1e-7)


def test_the_filter_stays_stable_from_a_nanosecond_to_minutes():
    rng = np.random.default_rng(2)
    motion = module._Motion()
    motion.add(np.array([[0.0, 0, 40, 100], [5, 5, 5, 5]]))
    for dt in 10.0 ** rng.uniform(-9, 2, 3000):
        motion.predict(float(dt))
        if rng.random() < 0.7:
            corner = rng.uniform(0, 2000, (2, 2))
            motion.correct(np.arange(2), np.concatenate([corner, corner + rng.uniform(0, 500, (2, 2))], axis=1))
        assert (motion.position_variance > 0).all()
        assert (motion.velocity_variance > 0).all()
        correlation = motion.covariance**2 / (motion.position_variance * motion.velocity_variance)
        assert (correlation <= 1 + 1e-6).all()
        assert np.isfinite(motion.boxes()).all()
        assert (motion.position[:, 2:] >= 0).all()
