"""Annotations into a copy of their bag, and out of it again."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bag_files import compressed, image, picture, write_bag
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from std_msgs.msg import String

from caer_ros.msg import PersonEmotion
from caer_ros.recordings.annotations import truth
from caer_ros.recordings.annotations.merge import merge
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.recordings.annotations.truth_message import prefilled_by
from caer_ros.recordings.bags import raw
from caer_ros.recordings.definitions import PERSONS, TRUTH_TOPIC, files
from caer_ros.recordings.sources import SourceError

S = 10**9
FIRST = 1_600_000_000 * S
CAMERA = "/front/image_raw"
LABELS = ["calm", "tense", "sad"]
WIDTH, HEIGHT = 640, 480
STORAGES = (StoragePlugin.MCAP, StoragePlugin.SQLITE3)


def camera(folder, frames=3, storage=StoragePlugin.MCAP):
    """Pictures a second apart, and something that is said between them."""
    shown = [(CAMERA, (10 + i) * S, compressed(picture(i), FIRST + i * S)) for i in range(frames)]
    said = [("/talk", (10 + i) * S + 7, String(data=f"number {i}")) for i in range(frames)]
    return write_bag(folder / "bag", sorted(shown + said, key=lambda message: message[1]), storage)


def annotate(folder, images, **info):
    """A json: for each stamp the fields of its annotations."""
    content = {
        "info": {"label_set": "own", "labels": LABELS, "exhaustive": True, **info},
        "images": [
            {"id": i, "file_name": f"{CAMERA[1:]}/{stamp}.jpg", "width": WIDTH, "height": HEIGHT}
            for i, stamp in enumerate(images)
        ],
        "annotations": [
            {"id": f"{i}.{j}", "image_id": i, "bbox": [1, 2, 30, 40], **fields}
            for i, entries in enumerate(images.values())
            for j, fields in enumerate(entries)
        ],
    }
    file = folder / "annotations.json"
    file.write_text(json.dumps(content))
    return file


def messages(bag):
    """Topic, time and bytes of everything in a bag."""
    with raw.opened(bag) as reader, closing(raw.messages(bag, reader)) as recorded:
        return [(connection.topic, time, data) for connection, time, data in recorded]


def connections(bag):
    with Reader(bag) as reader:
        return {c.topic: (c.msgtype, c.msgdef, c.digest, c.ext, c.msgcount) for c in reader.connections}


def same(one, other):
    assert (one.image_id, one.stamp, one.size) == (other.image_id, other.stamp, other.size)
    assert (one.exhaustive, one.track_ids) == (other.exhaustive, other.track_ids)
    for field in ("boxes", "emotions", "vad", "ignore"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), field)


# --- There and back ---

edge = st.floats(0, 1, width=32)


@st.composite
def boxes(draw):
    left, upper = draw(edge) * (WIDTH - 2), draw(edge) * (HEIGHT - 2)
    return [left, upper, 1 + draw(edge) * (WIDTH - left - 1), 1 + draw(edge) * (HEIGHT - upper - 1)]


beliefs = st.dictionaries(st.sampled_from(LABELS), st.floats(0.01, 1), min_size=1)
single = st.one_of(st.none(), st.sampled_from(LABELS).map(lambda label: [label]), beliefs)
several = st.one_of(st.none(), st.lists(st.sampled_from(LABELS), unique=True), beliefs)
vads = st.one_of(st.none(), st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=3, max_size=3))


def people(emotions):
    person = st.fixed_dictionaries(
        {"bbox": boxes(), "emotions": emotions, "vad": vads},
        optional={"track_id": st.one_of(st.integers(0, 99), st.text("abc-1", min_size=1))},
    )
    crowd = st.fixed_dictionaries({"bbox": boxes(), "iscrowd": st.just(1)})
    return st.lists(st.one_of(person, crowd), max_size=4)


@settings(max_examples=25)
@given(
    st.booleans().flatmap(
        lambda multi: st.tuples(st.just(multi), st.lists(people(several if multi else single), min_size=1, max_size=3))
    ),
    st.booleans(),
    st.sampled_from(["body", "head", "face"]),
    st.sampled_from(STORAGES),
)
def test_what_is_merged_is_read_again(annotated, exhaustive, box_kind, storage):
    multi_label, images = annotated
    with tempfile.TemporaryDirectory() as folder:
        bag = camera(Path(folder), storage=storage)
        said = {FIRST + i * S: entries for i, entries in enumerate(images)}
        file = annotate(Path(folder), said, multi_label=multi_label, exhaustive=exhaustive, box_kind=box_kind)
        before = truth.from_json(file, bag)
        assert merge(bag, before, Path(folder) / "merged") == len(images)
        after = truth.from_topic(Path(folder) / "merged")
    assert (after.labels, after.multi_label, after.label_set) == (before.labels, multi_label, "own")
    assert len(after.samples) == len(before.samples)
    for one, other in zip(before.samples, after.samples, strict=True):
        same(one, other)
        if any(map(len, before.samples)):
            assert one.box_kind == other.box_kind


def test_who_pre_filled_is_not_forgotten(tmp_path):
    model = {"name": "painter", "version": "0123456789abcdef", "boxes": True, "emotions": False}
    bag = camera(tmp_path)
    merge(bag, truth.from_json(annotate(tmp_path, {FIRST: [{}]}, prefilled_by=model), bag), tmp_path / "merged")
    assert truth.from_topic(tmp_path / "merged").prefilled_by == model
    several = annotate(tmp_path, {FIRST: [{}]}, prefilled_by=[model, model | {"name": "other"}])
    merge(bag, truth.from_json(several, bag), tmp_path / "several")
    assert [draft["name"] for draft in truth.from_topic(tmp_path / "several").drafts] == ["painter", "other"]
    merge(bag, truth.from_json(annotate(tmp_path, {FIRST: [{}]}), bag), tmp_path / "again")
    assert truth.from_topic(tmp_path / "again").prefilled_by is None
    for other in ("ground_truth", "", "x prefilled_by=nonsense", "x prefilled_by=3", 'x prefilled_by={"name": ""}'):
        assert prefilled_by(other) is None


# --- The copy ---


@pytest.mark.parametrize("storage", STORAGES)
def test_the_copy_has_everything_as_it_was(tmp_path, storage):
    bag = camera(tmp_path, storage=storage)
    file = annotate(tmp_path, {FIRST + S: [{"emotions": ["tense"], "track_id": 4}], FIRST + 2 * S: []})
    assert merge(bag, truth.from_json(file, bag), tmp_path / "merged") == 2
    before, after = messages(bag), messages(tmp_path / "merged")
    assert [message for message in after if message[0] != TRUTH_TOPIC] == before
    assert [(topic, time) for topic, time, _ in after][1:] == [
        ("/talk", 10 * S + 7),
        (CAMERA, 11 * S),
        (TRUTH_TOPIC, 11 * S),
        ("/talk", 11 * S + 7),
        (CAMERA, 12 * S),
        (TRUTH_TOPIC, 12 * S),
        ("/talk", 12 * S + 7),
    ]
    kept = connections(tmp_path / "merged")
    assert kept.pop(TRUTH_TOPIC)[0] == PERSONS
    assert kept == connections(bag)
    assert raw.storage(tmp_path / "merged") == storage
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.json", "bag", "merged"]
    with AnyReader([tmp_path / "merged"]) as reader:  # compares the hash of every definition
        ((_, _, data),) = reader.messages([c for c in reader.connections if c.topic == TRUTH_TOPIC], stop=12 * S)
        message = reader.deserialize(data, PERSONS)
    assert (message.header.frame_id, message.header.stamp.sec) == ("camera", 1_600_000_001)
    assert (message.image_width, message.image_height, message.model_id) == (WIDTH, HEIGHT, "ground_truth")
    (person,) = message.persons
    assert (person.top_label, person.top_index, person.emotion_status) == ("tense", 1, PersonEmotion.EMOTION_OK)
    assert (person.track_id, person.track_state) == ("4", PersonEmotion.TRACK_TRACKED)


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE])
def test_qualities_of_service_compression_and_custom_data_stay(tmp_path, mode):
    qos = Qos(
        QosHistory.KEEP_LAST, 7, QosReliability.BEST_EFFORT, QosDurability.TRANSIENT_LOCAL, QosTime(1, 2),
        QosTime(0, 0), QosLiveliness.AUTOMATIC, QosTime(0, 0), False,
    )  # fmt: skip
    types = get_typestore(Stores.ROS2_JAZZY)
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    writer.set_custom_data("robot", "number five")
    with writer:
        shown = writer.add_connection(
            CAMERA, "sensor_msgs/msg/CompressedImage", typestore=types, offered_qos_profiles=[qos]
        )
        header = types.types["std_msgs/msg/Header"](
            types.types["builtin_interfaces/msg/Time"](FIRST // S, 0), "a camera"
        )
        message = types.types["sensor_msgs/msg/CompressedImage"](header, "jpeg", np.zeros(999, np.uint8))
        writer.write(shown, S, types.serialize_cdr(message, "sensor_msgs/msg/CompressedImage"))
    bag = tmp_path / "bag"
    merge(bag, truth.from_json(annotate(tmp_path, {FIRST: [{}]}), bag), tmp_path / "merged")
    assert connections(tmp_path / "merged")[CAMERA] == connections(bag)[CAMERA]
    with Reader(tmp_path / "merged") as reader:
        compression = "storage" if raw.chunk_compressions(reader) == {"zstd"} else reader.compression_mode
        assert compression == mode.name.lower()
        assert reader.storage.metadata.custom == {"robot": "number five"}


@pytest.mark.parametrize("storage", STORAGES)
def test_a_single_file_without_metadata(tmp_path, storage):
    bag = camera(tmp_path, storage=storage)
    (file,) = (path for path in bag.iterdir() if path.suffix != ".yaml")
    merge(file, truth.from_json(annotate(tmp_path, {FIRST: [{}]}), file), tmp_path / "merged")
    kept = connections(tmp_path / "merged")
    assert {topic: entry for topic, entry in kept.items() if topic != TRUTH_TOPIC} == connections(bag)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_recording_in_two_files_becomes_one(tmp_path, storage):
    bag, rest = camera(tmp_path, storage=storage), tmp_path / "rest"
    with Reader(bag) as reader, Writer(rest, version=9, storage_plugin=storage) as writer:
        copies = {
            c.id: writer.add_connection(c.topic, c.msgtype, msgdef=c.msgdef.data, rihs01=c.digest)
            for c in reader.connections
        }
        for connection, time, data in reader.messages():
            writer.write(copies[connection.id], time + 100 * S, data)
    (second,) = (path for path in rest.iterdir() if path.suffix != ".yaml")
    second.rename(bag / second.name)
    metadata = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(
        metadata.replace("relative_file_paths:\n", f"relative_file_paths:\n  - {second.name}\n")
    )
    assert len(messages(bag)) == 12
    merge(bag, truth.from_json(annotate(tmp_path, {FIRST: [{}]}), bag), tmp_path / "merged")
    assert sorted(m for m in messages(tmp_path / "merged") if m[0] != TRUTH_TOPIC) == sorted(messages(bag))
    assert len(raw.files(tmp_path / "merged")) == 2  # with metadata.yaml


@pytest.mark.parametrize("storage", STORAGES)
def test_types_that_nobody_knows_are_copied_too(tmp_path, storage):
    """As of bags of old, which carry no definitions."""
    bag = camera(tmp_path, storage=storage)
    second = tmp_path / "second"
    with Reader(bag) as reader, Writer(second, version=9, storage_plugin=storage) as writer:
        (shown, *_) = (c for c in reader.connections if c.topic == CAMERA)
        copy = writer.add_connection(CAMERA, shown.msgtype, msgdef=shown.msgdef.data, rihs01=shown.digest)
        own = writer.add_connection("/own", "own_msgs/msg/Thing", msgdef="", rihs01="RIHS01_0")
        for _, time, data in reader.messages([shown]):
            writer.write(copy, time, data)
            writer.write(own, time, b"\0\1\0\0\7")
    merge(second, truth.from_json(annotate(tmp_path, {FIRST: [{}]}), second), tmp_path / "merged")
    assert [m for m in messages(tmp_path / "merged") if m[0] == "/own"] == [
        ("/own", (10 + i) * S, b"\0\1\0\0\7") for i in range(3)
    ]


def old_types():
    """Our messages as they might have been once: without some fields, and with one that is gone."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for file in files():
        lines = file.read_text().splitlines()
        if file.stem == "PersonEmotionArray":
            lines = [line for line in lines if "predictable" not in line and "saturated" not in line]
        if file.stem == "PersonEmotion":
            lines = [line for line in lines if not line.startswith("float32 face_")] + ["float64[2] gaze"]
        types.register(get_types_from_msg("\n".join(lines), f"caer_ros/msg/{file.stem}"))
    return types


def test_the_truth_is_written_by_the_bags_own_definition(tmp_path):
    """A bag has but one definition of a type: ours would not be that of the messages already in it."""
    types = old_types()
    bag = tmp_path / "bag"
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/emotion/emotions", PERSONS, typestore=types)
        shown = writer.add_connection(CAMERA, "sensor_msgs/msg/CompressedImage", typestore=types)
        for data in (data for topic, _, data in messages(camera(tmp_path / "new")) if topic == CAMERA):
            writer.write(shown, S, data)
    before = truth.from_json(annotate(tmp_path, {FIRST: [{"emotions": ["sad"]}, {"iscrowd": 1}]}), bag)
    merge(bag, before, tmp_path / "merged")
    same(before.samples[0], truth.from_topic(tmp_path / "merged").samples[0])


def test_two_cameras_with_the_same_stamps(tmp_path):
    both = [(side, 10 * S, image(picture(1), FIRST)) for side in ("/left", "/right")]
    bag = write_bag(tmp_path / "bag", both)
    file = annotate(tmp_path, {FIRST: [{}]})
    file.write_text(file.read_text().replace(CAMERA[1:], "right"))
    with pytest.raises(SourceError, match="several image topics; name one: /left, /right"):
        truth.from_json(file, bag)
    assert merge(bag, truth.from_json(file, bag, "/right"), tmp_path / "merged") == 1
    assert [topic for topic, _, _ in messages(tmp_path / "merged")][-1] == TRUTH_TOPIC
    assert truth.from_topic(tmp_path / "merged", "/right").samples[0].image_id == f"right/{FIRST}"


def test_an_image_that_comes_twice_has_one_truth(tmp_path):
    bag = write_bag(tmp_path / "bag", [(CAMERA, (10 + i) * S, compressed(picture(i), FIRST)) for i in range(2)])
    merge(bag, truth.from_json(annotate(tmp_path, {FIRST: [{}]}), bag), tmp_path / "merged")
    assert [topic for topic, _, _ in messages(tmp_path / "merged")] == [CAMERA, TRUTH_TOPIC, CAMERA]


def test_nothing_is_overwritten(tmp_path):
    bag = camera(tmp_path)
    dataset = truth.from_json(annotate(tmp_path, {FIRST: [{}]}), bag)
    with pytest.raises(DatasetError, match="exists already"):
        merge(bag, dataset, bag)
    merge(bag, dataset, tmp_path / "merged")
    with pytest.raises(DatasetError, match=f"has a topic {TRUTH_TOPIC}"):
        merge(tmp_path / "merged", dataset, tmp_path / "again")
    merge(tmp_path / "merged", dataset, tmp_path / "again", "/second_opinion")
    assert {TRUTH_TOPIC, "/second_opinion"} <= connections(tmp_path / "again").keys()


def test_a_copy_that_breaks_off_leaves_nothing(tmp_path):
    bag = camera(tmp_path)
    dataset = truth.from_json(annotate(tmp_path, {FIRST: [{}]}), bag)

    def broken_off(recorded, count):
        yield next(iter(recorded))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(bag, dataset, tmp_path / "merged", watch=broken_off)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.json", "bag"]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_truncated_bag(tmp_path, storage):
    bag = camera(tmp_path, 12, storage)
    dataset = truth.from_json(annotate(tmp_path, {FIRST: [{}]}), bag)
    (file,) = (path for path in bag.iterdir() if path.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(SourceError, match="broken bag"):
        merge(bag, replace(dataset), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
