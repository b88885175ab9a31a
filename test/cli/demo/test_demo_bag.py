from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from caer_ros.cli.demo import demo_bag, scenes
from caer_ros.cli.demo import demo_truth as demo_truth

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.cli.demo.demo_truth import Truth


def messages(bag: Path, topic: str) -> list[tuple[int, Any]]:
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        connections = [connection for connection in reader.connections if connection.topic == topic]
        return [(time, reader.deserialize(raw, of.msgtype)) for of, time, raw in reader.messages(connections)]


def stamp_ns(message: Any) -> int:
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def read(bag: Path) -> Truth:
    truth = demo_truth.read(bag, demo_bag.IMAGE_TOPIC)
    assert truth is not None
    return truth


@pytest.fixture(scope="module")
def truth() -> Truth:
    return read(demo_bag.committed().bag)


@pytest.fixture(scope="module")
def pictures() -> list[tuple[int, Any]]:
    return messages(demo_bag.committed().bag, demo_bag.IMAGE_TOPIC)


@pytest.fixture(scope="module")
def scene() -> scenes.Scene:
    return scenes.Scene(scenes.story(0))


# --- The committed bag ---


def test_committed_bag_is_the_one_the_ground_truth_is_about(truth: Truth) -> None:
    bag = demo_bag.committed().bag
    data = (bag / f"{demo_bag.BAG}.mcap").read_bytes()
    assert hashlib.sha256(data).hexdigest() == truth.info["bag_sha256"]
    assert sum(file.stat().st_size for file in bag.iterdir()) <= 4_000_000
    assert truth.info["seed"] == 0
    assert truth.info["bag"] == bag.name


def test_committed_bag_is_what_a_camera_driver_would_record(truth: Truth, pictures: list[tuple[int, Any]]) -> None:
    assert len(pictures) >= 150
    assert [stamp_ns(picture) for _, picture in pictures] == [image.stamp_ns for image in truth.images]
    for time, picture in pictures:
        assert picture.header.frame_id == "camera_optical_frame"
        assert 0 < time - stamp_ns(picture) < 10_000_000
    intervals = np.diff([stamp_ns(picture) for _, picture in pictures])
    assert np.all(np.abs(intervals - 100_000_000) < 4_000_000)
    assert len(set(intervals.tolist())) > 100  # a real camera jitters
    infos = messages(demo_bag.committed().bag, demo_bag.CAMERA_INFO_TOPIC)
    assert [stamp_ns(info) for _, info in infos] == [image.stamp_ns for image in truth.images]
    for _, info in infos:
        assert (info.width, info.height) == (640, 480)
        assert info.k[0] == info.k[4] == info.p[0] > 300
        assert (info.k[2], info.k[5]) == (320, 240)


def test_committed_ground_truth_is_the_geometry_of_the_story(truth: Truth, scene: scenes.Scene) -> None:
    named = demo_bag.identities([scene.persons(index) for index in range(scene.story.length)])
    assert len(named) == len(truth.images)
    for here, image in zip(named, truth.images, strict=True):
        # Another OpenCV may round a pixel differently; then a sliver of a person may come or go.
        expected = {identity: placed for placed, identity in here if placed.visible > 0.01}
        written = {person.identity: person for person in image.persons if person.visible > 0.01}
        assert expected.keys() == written.keys()
        for identity, placed in expected.items():
            person = written[identity]
            assert person.person == placed.actor
            assert person.visible == pytest.approx(placed.visible, abs=0.02)
            if not placed.ignore:
                np.testing.assert_allclose(person.box, placed.box, atol=2.0)


@pytest.mark.parametrize("index", [5, 30, 55, 80, 110, 122, 142, 160])
def test_committed_pictures_are_the_rendered_ones(
    index: int, pictures: list[tuple[int, Any]], scene: scenes.Scene
) -> None:
    picture = cv2.imdecode(np.asarray(pictures[index][1].data), cv2.IMREAD_COLOR)[..., ::-1]
    assert picture.shape == (480, 640, 3)
    difference = np.abs(picture.astype(int) - scene.image(index)).mean()
    assert difference < (30.0 if index in scene.story.noise else 4.0)


def test_committed_story_has_everything_a_tracker_meets(truth: Truth, scene: scenes.Scene) -> None:
    demanded = [{person.identity for person in image.persons if not person.ignore} for image in truth.images]
    assert sum(image.noise for image in truth.images) == 1
    assert sum(not image.persons and not image.noise for image in truth.images) >= 10  # an empty scene
    assert sum(len(here) == 3 for here in demanded) >= 20  # side by side
    assert set().union(*demanded) == {"astronaut/1", "grace_hopper/1", "cameraman/1", "cameraman/2"}
    zooms = [scene.view(index).zoom for index in range(len(truth.images))]
    assert max(zooms) / min(zooms) > 1.6
    absences = []
    for who in ("grace_hopper/1", "astronaut/1"):
        there = [index for index, here in enumerate(demanded) if who in here]
        absences += [(who, b - a) for a, b in itertools.pairwise(there) if b - a > 5]
    # Ducks, then is passed in front of: both shorter than the track buffer of 20 pictures.
    assert [who for who, _ in absences] == ["grace_hopper/1"] * 2
    assert all(length < 20 for _, length in absences)
    before = max(index for index, here in enumerate(demanded) if "cameraman/1" in here)
    after = min(index for index, here in enumerate(demanded) if "cameraman/2" in here)
    assert after - before > 24
    # All at once, somebody is partly hidden and yet demanded.
    assert any(not person.ignore and person.visible < 0.7 for image in truth.images for person in image.persons)


def test_ground_truth_names_what_to_expect_of_whom(truth: Truth) -> None:
    assert truth.info["track_buffer"] == 2.0
    assert truth.info["persons"]["astronaut"] == {"status": "OK", "emotion": "Happy"}
    assert truth.info["persons"]["cameraman"] == {"status": "PROFILE_OR_OCCLUDED", "emotion": ""}


# --- Identities ---


def placed(visible: float) -> scenes.Placed:
    return scenes.Placed("astronaut", (100.0, 100.0, 300.0, 400.0), (100.0, 100.0, 300.0, 400.0), visible)


def told(*runs: tuple[float, int]) -> list[str]:
    """The identities (as digits, "-" for nobody) of somebody who shows so much of themselves in so many pictures."""
    pictures = [[placed(visible)] if visible else [] for visible, length in runs for _ in range(length)]
    return ["".join(name[-1] for _, name in here) or "-" for here in demo_bag.identities(pictures)]


def test_back_within_the_buffer_is_the_same_identity() -> None:
    assert told((1.0, 3), (0.0, 14), (1.0, 2)) == ["1"] * 3 + ["-"] * 14 + ["1"] * 2


def test_back_after_the_buffer_is_the_next_identity() -> None:
    assert told((1.0, 3), (0.0, 24), (1.0, 2), (0.0, 40), (1.0, 1))[-43:] == ["2"] * 2 + ["-"] * 40 + ["3"]


def test_a_glimpse_that_is_ignored_belongs_to_the_identity_before() -> None:
    assert told((1.0, 3), (0.05, 30), (1.0, 2)) == ["1"] * 33 + ["2"] * 2


@pytest.mark.parametrize("away", [[(0.0, 20)], [(0.3, 25)], [(0.0, 15), (0.3, 1), (0.0, 15)]])
def test_an_absence_that_may_or_may_not_be_forgotten_is_refused(away: list[tuple[float, int]]) -> None:
    with pytest.raises(scenes.SceneError, match="astronaut is away from picture 2"):
        told((1.0, 3), *away, (1.0, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0]).flatmap(lambda v: st.tuples(st.just(v), st.integers(1, 35)))))
def test_a_new_identity_always_follows_a_time_unseen_longer_than_the_buffer(runs: list[tuple[float, int]]) -> None:
    try:
        names = told(*runs)
    except scenes.SceneError:
        return
    seen = [visible for visible, length in runs for _ in range(length)]
    numbers = [int(name) for name, visible in zip(names, seen, strict=True) if visible == 1.0]
    assert numbers == sorted(numbers)
    demanded = [index for index, visible in enumerate(seen) if visible == 1.0]
    for number, (last, first) in zip(numbers[1:], itertools.pairwise(demanded), strict=True):
        between = "".join("x" if visible < 0.1 else "|" for visible in seen[last + 1 : first])
        unseen = max(map(len, between.split("|")))
        assert (number > int(names[last])) == (unseen > demo_bag.TRACK_BUFFER * scenes.RATE)


# --- Other bags ---


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    story = scenes.Story(
        seed=3,
        seconds=1.0,
        parts=(scenes.Part("astronaut", 0, (scenes.Pose(0.0, 700.0), scenes.Pose(1.0, 900.0))),),
        views=(scenes.View(0.0, 850.0, 400.0, 0.8), scenes.View(1.0, 900.0, 400.0, 1.0)),
        noise=(4,),
    )
    made = [demo_bag.DemoBag(tmp_path / name / demo_bag.BAG, tmp_path / name / demo_bag.TRUTH) for name in ("a", "b")]
    for bag in made:
        scene = scenes.Scene(story)
        demo_bag.write_scene(scene, [scene.persons(index) for index in range(10)], bag)
    for name in ("demo_bag.mcap", "metadata.yaml"):
        assert (made[0].bag / name).read_bytes() == (made[1].bag / name).read_bytes()
    assert made[0].truth.read_bytes() == made[1].truth.read_bytes()
    truth = read(made[0].bag)
    assert [image.noise for image in truth.images] == [index == 4 for index in range(10)]
    assert [len(image.persons) for image in truth.images] == [0 if index == 4 else 1 for index in range(10)]
    assert len(messages(made[0].bag, demo_bag.IMAGE_TOPIC)) == 10
    infos = messages(made[0].bag, demo_bag.CAMERA_INFO_TOPIC)
    assert infos[9][1].k[0] > 1.1 * infos[0][1].k[0]  # the camera zooms in


def test_another_seed_tells_another_story_with_clear_identities() -> None:
    scene, persons = demo_bag.tell(5)
    names = {name for here in demo_bag.identities(persons) for _, name in here}
    assert {name.split("/")[0] for name in names} == set(scenes.ACTORS)
    demanded = sum(not person.ignore for here in persons for person in here)
    assert demanded >= 100
    assert scene.story.seed == 5


def test_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        demo_bag.main(["--seed", "-1", "--out", str(tmp_path)])
    assert exit_.value.code == 2
    (tmp_path / "demo_bag").mkdir()
    assert demo_bag.main(["--seed", "0", "--out", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
