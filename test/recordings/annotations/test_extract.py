"""Pictures out of a bag: which, named how, and what the json beside them says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from bag_files import compressed, image, picture, picture_index, write_bag
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from caer_ros.offline import data
from caer_ros.offline.data.synthetic import bags, plans
from caer_ros.perception.person import BoxKind, EmotionStatus, Person, ScoreType
from caer_ros.recordings.annotations import extract, image_files, own, truth
from caer_ros.recordings.annotations.extract import Sampling
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.sources import SourceError

S = 10**9
FIRST = 1_600_000_000 * S
LABELS = ("calm", "tense")
BLANK = extract.blank("own", LABELS, False, BoxKind.HEAD)
ALL = Sampling()


def stamps_of(*tenths):
    return [FIRST + round(tenth * S / 10) for tenth in tenths]


def camera(folder, stamps, topic="/front/image_raw"):
    shown = [(topic, S + i, compressed(picture(i % 12), stamp)) for i, stamp in enumerate(stamps)]
    return write_bag(folder / "bag", shown)


def pictures(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three seconds of a synthetic camera, with its truth."""
    return bags.write(tmp_path_factory.mktemp("s") / "out", plans.Settings(width=160, height=120), 1, 15, rate=5)


# --- Which pictures ---


EVERY = st.floats(0.1, 500).map(lambda seconds: Sampling(every=seconds))
COUNT = st.integers(1, 60).map(lambda count: Sampling(count=count))


@given(st.lists(st.integers(0, 100 * S), min_size=1, max_size=30, unique=True), st.one_of(EVERY, COUNT))
def test_the_chosen_are_those_nearest_to_an_even_grid(offsets, sampling):
    offsets = np.sort(offsets) - min(offsets)
    last = offsets[-1]
    if sampling.count == 1:
        points = np.array([last / 2])
    elif sampling.count:
        points = np.arange(sampling.count) * (last / (sampling.count - 1))
    else:
        points = np.arange(int(last / (sampling.every * S) + 1e-6) + 1) * sampling.every * S
    chosen = np.isin(offsets + FIRST, list(extract.choose(offsets + FIRST, sampling)))
    distances = np.abs(offsets[:, None] - points)
    nearest = distances <= distances.min(0) + 1  # in a tie within a nanosecond either will do
    assert nearest[chosen].any(0).all(), "each point has its picture"
    assert nearest[chosen].any(1).all(), "each picture is there for a point"
    assert chosen.sum() <= len(points)


def test_a_grid_does_not_drift():
    """Of 30 Hz, every 0.1 s and every second: "at least so long since the last" would take every fourth of 0.133 s."""
    stamps = np.array([FIRST + round(i * S / 30) for i in range(3001)])
    tenths = np.array(sorted(extract.choose(stamps, Sampling(every=0.1))))
    assert (len(tenths), tenths[-1] - tenths[0]) == (1001, 100 * S)
    assert np.diff(tenths) == pytest.approx(0.1 * S, abs=2)
    odd = np.array(sorted(extract.choose(stamps, Sampling(every=0.11))))
    assert len(odd) == 910
    assert np.abs(odd - FIRST - np.arange(910) * 0.11 * S).max() <= S / 60 + 1


def test_by_hand():
    stamps = np.array(stamps_of(0, 1, 2, 3, 4, 9, 10))
    assert sorted(extract.choose(stamps, Sampling(every=0.5))) == stamps_of(0, 4, 10)
    assert sorted(extract.choose(stamps, Sampling(count=3))) == stamps_of(0, 4, 10)
    assert sorted(extract.choose(stamps, Sampling(count=2))) == stamps_of(0, 10)
    assert sorted(extract.choose(stamps, Sampling(count=1))) == stamps_of(4)
    assert sorted(extract.choose(stamps, Sampling(count=50))) == stamps.tolist()
    assert sorted(extract.choose(stamps, Sampling(every=1e-9))) == stamps.tolist()
    assert sorted(extract.choose(stamps, ALL)) == stamps.tolist()
    assert extract.choose(stamps[:0], Sampling(count=3)) == {}


def test_pictures_are_named_by_topic_and_stamp(tmp_path):
    stamps = stamps_of(*range(6))
    done = extract.extract(camera(tmp_path, stamps), tmp_path / "out", BLANK, Sampling(count=3), png=True)
    assert (done.pictures, done.persons) == (3, 0)
    names = [f"front/image_raw/{stamps[index]}.png" for index in (0, 2, 5)]
    assert pictures(tmp_path / "out") == ["annotations.json", *names]
    for name, index in zip(names, (0, 2, 5), strict=True):
        assert picture_index(image_files.read(tmp_path / "out" / name)) == index
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [entry["file_name"] for entry in content["images"]] == names
    assert content["info"] == {
        "label_set": "own",
        "labels": list(LABELS),
        "multi_label": False,
        "box_kind": "head",
        "exhaustive": False,
    }
    dataset = data.load("own", tmp_path / "out" / "annotations.json", "test")
    assert [sample.stamp for sample in dataset.samples] == [stamps[index] for index in (0, 2, 5)]


def test_two_cameras_with_the_same_stamps_do_not_meet(tmp_path):
    both = [
        (topic, S, image(picture(index), FIRST)) for index, topic in enumerate(("/left/image_raw", "/right/image_raw"))
    ]
    bag = write_bag(tmp_path / "bag", both)
    with pytest.raises(SourceError, match="several image topics; name one: /left/image_raw, /right/image_raw"):
        extract.extract(bag, tmp_path / "out", BLANK, ALL)
    with pytest.raises(SourceError, match="no images on /nowhere"):
        extract.extract(bag, tmp_path / "out", BLANK, ALL, ["/nowhere"])
    done = extract.extract(bag, tmp_path / "out", BLANK, ALL, ["/left/image_raw", "/right/image_raw"], png=True)
    assert done.pictures == 2
    for index, side in enumerate(("left", "right")):
        assert picture_index(image_files.read(tmp_path / "out" / side / "image_raw" / f"{FIRST}.png")) == index


def test_what_cannot_be_named_is_told(tmp_path):
    bag = camera(tmp_path, [0, *stamps_of(0, 1, 1), 0])
    done = extract.extract(bag, tmp_path / "out", BLANK, Sampling(count=2))
    zero, twice = done.left_out
    assert "2 of 5 images of /front/image_raw have a stamp of zero" in zero
    assert "1 images of /front/image_raw have the stamp of another one" in twice
    assert done.pictures == 2
    with pytest.raises(SourceError, match=r"no picture to extract; .* stamp of zero"):
        extract.extract(camera(tmp_path / "zero", [0, 0]), tmp_path / "none", BLANK, Sampling(count=2))
    assert not (tmp_path / "none").exists()


def with_broken(folder, stamps, broken):
    shown = []
    for i, stamp in enumerate(stamps):
        message = compressed(picture(i % 12), stamp)
        if stamp in broken:
            message.data = message.data[:100]
        shown.append(("/front/image_raw", S + i, message))
    return write_bag(folder / "bag", shown)


def test_in_the_place_of_a_broken_picture_comes_the_next_nearest(tmp_path):
    stamps = stamps_of(*range(11))
    bag = with_broken(tmp_path, stamps, {stamps[5], stamps[10], stamps[9], stamps[8]})
    done = extract.extract(bag, tmp_path / "out", BLANK, Sampling(count=3))
    # In the place of 5 comes 4, the earlier of two; of 10 nothing: after 9 and 8 the search is given up.
    assert [int(name.split("/")[-1][:-4]) for name in pictures(tmp_path / "out")[1:]] == [stamps[0], stamps[4]]
    assert len(done.left_out) == 4
    assert all(str(stamps[index]) in "\n".join(done.left_out) for index in (5, 8, 9, 10))


def test_a_message_without_a_header_is_one_without_a_stamp(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        types = get_typestore(Stores.ROS2_JAZZY)
        shown = writer.add_connection("/front", "sensor_msgs/msg/CompressedImage", typestore=types)
        writer.write(shown, S, b"\0\1\0\0")
        writer.write(shown, 2 * S, serialize_message(compressed(picture(1), FIRST)))
    done = extract.extract(tmp_path / "bag", tmp_path / "out", BLANK, ALL)
    assert done.pictures == 1
    assert "1 of 2 images of /front have a stamp of zero" in done.left_out[0]


def test_nothing_stands_in_for_a_picture_from_half_a_step_away(tmp_path):
    stamps = stamps_of(0, 5, 10)
    bag = with_broken(tmp_path, stamps, {stamps[1]})
    assert extract.extract(bag, tmp_path / "out", BLANK, Sampling(every=0.5)).pictures == 2
    assert extract.extract(bag, tmp_path / "all", BLANK, ALL).pictures == 2


def test_gaps_leave_fewer_pictures_than_asked_for(tmp_path):
    done = extract.extract(camera(tmp_path, stamps_of(0, 1, 2, 100)), tmp_path / "out", BLANK, Sampling(count=4))
    assert done.pictures == 3
    assert "3 pictures of /front/image_raw where 4 were asked for" in done.left_out[0]


# --- The folder ---


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    bag, out = camera(tmp_path, stamps_of(0)), tmp_path / "out"
    out.mkdir()
    extract.extract(bag, out, BLANK, ALL)
    before = (out / "annotations.json").read_text()
    with pytest.raises(DatasetError, match="not empty"):
        extract.extract(bag, out, BLANK, ALL)
    assert (out / "annotations.json").read_text() == before
    with pytest.raises(DatasetError, match="not empty"):
        extract.extract(bag, bag / "metadata.yaml", BLANK, ALL)


def test_a_broken_off_run_leaves_no_json(tmp_path):
    def broken_off(found, count):
        yield next(iter(found))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract.extract(camera(tmp_path, stamps_of(0, 1)), tmp_path / "out", BLANK, ALL, watch=broken_off)
    assert len(pictures(tmp_path / "out")) == 1
    assert pictures(tmp_path / "out")[0].endswith(".jpg")


def test_a_topic_does_not_lead_out_of_the_folder(tmp_path):
    bag = camera(tmp_path, stamps_of(0), "/../../elsewhere")
    with pytest.raises(SourceError, match="no name of a folder"):
        extract.extract(bag, tmp_path / "in" / "out", BLANK, ALL)
    assert not (tmp_path / "elsewhere").exists()


def test_splits_are_blocks_of_time(tmp_path):
    stamps = stamps_of(*range(10))
    extract.extract(camera(tmp_path, stamps), tmp_path / "out", BLANK, ALL, splits=True)
    parts = [data.load("own", tmp_path / "out" / "annotations.json", s).samples for s in ("train", "val", "test")]
    assert [[stamps.index(sample.stamp) for sample in part] for part in parts] == [[*range(7)], [7], [8, 9]]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_a_block_of_time_is_of_one_split(stamps):
    split = dict(zip(stamps, extract.blocks(stamps), strict=True))
    assert extract.blocks(stamps) == [split[stamp] for stamp in stamps]
    order = [split[stamp] for stamp in sorted(split)]
    assert order == sorted(order, key=["train", "val", "test"].index)
    assert len(set(order)) == 3 or len(split) < 3


# --- What the json says ---


def model(score_type=ScoreType.SOFTMAX, persons=()):
    bundle = SimpleNamespace(
        name="painter",
        model_version="0123456789abcdef",
        label_set="own",
        labels=LABELS,
        score_type=score_type,
        box_kind=BoxKind.BODY,
    )
    asked = []

    def predict(frames, min_confidence=None, emotion_confidence=None):
        asked.append((min_confidence, emotion_confidence))
        return [SimpleNamespace(persons=[Person(*person) for person in persons], saturated=False) for _ in frames]

    predict.bundle, predict.asked = bundle, asked
    return predict


def found(box, scores):
    scores = np.array(scores, np.float32)
    return np.array(box, np.float32), 0.9, BoxKind.BODY, scores, EmotionStatus.OK


TWO = (found([-5, 4, 20, 40], [0.25, 0.75]), found([70, 4, 90, 40], [0.5, 0.5]), found([30, 4, 50, 40], [np.nan] * 2))


def test_a_model_draws_boxes_and_leaves_emotions_blank(tmp_path):
    painter = model(persons=TWO)
    done = extract.extract(
        camera(tmp_path, stamps_of(0)), tmp_path / "out", extract.prefilled(painter, None, False), ALL
    )
    assert done.persons == 2  # the picture is 64 wide: one box lies beside it, one is clipped
    assert painter.asked == [(None, 2.0)]  # the bundle's threshold, and no time for emotions
    dataset = own.read(tmp_path / "out" / "annotations.json")
    assert dataset.prefilled_by == {"name": "painter", "version": "0123456789abcdef", "boxes": True, "emotions": False}
    (sample,) = dataset.samples
    assert sample.boxes.tolist() == [[0, 4, 20, 40], [30, 4, 50, 40]]
    assert np.isnan(sample.emotions).all()
    assert (sample.track_ids, sample.exhaustive, dataset.labels) == (("", ""), False, LABELS)


def test_a_model_fills_in_beliefs_when_asked(tmp_path):
    painter = model(persons=TWO)
    extract.extract(camera(tmp_path, stamps_of(0)), tmp_path / "out", extract.prefilled(painter, None, True), ALL)
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [entry.get("emotions") for entry in content["annotations"]] == [{"calm": 0.25, "tense": 0.75}, None]
    assert painter.asked == [(None, None)]
    dataset = data.load("own", tmp_path / "out" / "annotations.json", "test")
    assert dataset.samples[0].emotions[0].tolist() == [0.25, 0.75]


def test_boxes_of_a_model_with_other_labels_but_not_its_emotions():
    wanted = extract.blank("own", ("happy",), True, BoxKind.BODY)
    assert extract.prefilled(model(), wanted, False).dataset.labels == ("happy",)
    with pytest.raises(DatasetError, match=r"painter predicts calm, tense .*: leave the emotions blank"):
        extract.prefilled(model(), wanted, True)
    assert extract.prefilled(model(ScoreType.SIGMOID), None, True).dataset.multi_label


def test_a_real_bundle(tmp_path, student_bundle, made):
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.predictors import predictor

    painter = predictor.load(read_bundle(student_bundle), EngineSettings("cpu"))
    draft = extract.prefilled(painter, None, True)
    extract.extract(made.bag, tmp_path / "out", draft, Sampling(count=2))
    dataset = data.load("own", tmp_path / "out" / "annotations.json", "test")
    assert dataset.labels == painter.bundle.labels
    assert dataset.prefilled_by["version"] == painter.bundle.model_version


def test_an_annotated_bag_becomes_a_data_set(tmp_path, made):
    known = truth.from_topic(made.bag)
    done = extract.extract(made.bag, tmp_path / "out", extract.true(known), ALL, splits=True)
    assert (done.pictures, done.left_out) == (15, ())
    for split, count in {"train": 10, "val": 2, "test": 3}.items():
        dataset = data.load("own", tmp_path / "out" / "annotations.json", split)
        assert len(dataset.samples) == count
        assert dataset.label_set == "heco"
        for sample in dataset.samples:
            same = next(other for other in known.samples if other.stamp == sample.stamp)
            assert sample.boxes == pytest.approx(same.boxes, abs=1e-4)
            assert np.array_equal(sample.emotions, same.emotions)
            assert (sample.track_ids, sample.exhaustive) == (same.track_ids, True)


def test_only_frames_with_a_truth_are_taken(tmp_path, made):
    from dataclasses import replace

    known = truth.from_topic(made.bag)
    wrong = replace(known.samples[3], size=(7, 9))
    done = extract.extract(
        made.bag, tmp_path / "out", extract.true(replace(known, samples=(*known.samples[:2], wrong))), ALL
    )
    assert done.pictures == 2
    assert "160x120 pixels, but annotated as 9x7" in done.left_out[0]
