from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from caer_ros.offline.data import load
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations import own
from caer_ros.recordings.annotations.own import stamp
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import HECO

FRAME = "front_camera/image_raw/1718000000123456789.jpg"


def content(annotations=None, info=None, **more):
    annotation = {"id": 5, "image_id": 1, "bbox": [10, 10, 30, 40], "emotions": ["Peace"]}
    return {
        "info": {"label_set": "heco"} if info is None else info,
        "images": [{"id": 1, "file_name": FRAME, "width": 80, "height": 60}, {"id": 2, "file_name": "b.png"}],
        "annotations": [annotation] if annotations is None else [annotation | change for change in annotations],
        **more,
    }


@pytest.fixture
def write(tmp_path, picture):
    picture(tmp_path / FRAME)
    picture(tmp_path / "b.png")

    def write(data, name="train.json"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(data))
        return tmp_path

    return write


def test_all_that_can_be_said(write):
    info = {"label_set": "heco", "box_kind": "head", "exhaustive": True}
    more = {"vad": [0.5, None, -1], "track_id": 7, "gender": "Male", "age": "kid", "weight": 0.5}
    more |= {"face": "hidden", "face_box": [12, 14, 8, 9]}
    root = write(content([more, {"emotions": None}, {"bbox": [70, 0, 30, 10], "iscrowd": 1}], info))
    dataset = load("own", root, "train")
    assert (dataset.name, dataset.label_set, dataset.labels, dataset.multi_label) == ("own", "heco", HECO, False)
    frame, empty = dataset.samples
    assert (frame.image_id, frame.stamp, frame.path) == (FRAME, 1718000000123456789, root / FRAME)
    np.testing.assert_array_equal(frame.boxes, [[10, 10, 40, 50]] * 2)
    assert HECO[np.nanargmax(frame.emotions[0])] == "Peace"
    assert np.isnan(frame.emotions[1]).all()
    np.testing.assert_array_equal(frame.vad[0], np.array([0.5, np.nan, -1], np.float32))
    assert (frame.track_ids, frame.gender, frame.age) == (("7", ""), ("male", ""), ("kid", ""))
    np.testing.assert_array_equal(frame.weights, [0.5, 1])
    np.testing.assert_array_equal(frame.ignore, [[70, 0, 80, 10]])
    assert frame.faces == ("hidden", "")
    np.testing.assert_array_equal(frame.face_boxes, [[12, 14, 20, 23], [np.nan] * 4])
    assert empty.faces == ()
    assert frame.box_kind == BoxKind.HEAD
    assert frame.exhaustive
    assert (len(empty), empty.stamp) == (0, None)


def test_labels_of_ones_own(write):
    info = {"label_set": "mood", "labels": ["low", "high"], "multi_label": True}
    dataset = load("own", write(content([{"emotions": ["high", "low"]}, {"emotions": []}], info)), "train")
    assert (dataset.label_set, dataset.labels, dataset.multi_label) == ("mood", ("low", "high"), True)
    np.testing.assert_array_equal(dataset.samples[0].emotions, [[1, 1], [0, 0]])


def test_categories_as_labels(write):
    """What labelling tools export: a category for each emotion; "person" is somebody without one."""
    categories = [{"id": 9, "name": "calm"}, {"id": 1, "name": "person"}, {"id": 4, "name": "cross"}]
    rows = [{"emotions": None, "category_id": number} for number in (9, 4, 1)]
    dataset = load("own", write(content(rows, {}, categories=categories)), "train")
    assert dataset.labels == ("cross", "calm")
    np.testing.assert_array_equal(dataset.samples[0].emotions, [[0, 1], [1, 0], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"emotions": ["Joy"]}, "'Joy' is no label; there are Anger"),
        ({"emotions": "Peace"}, "emotions should be a list"),
        ({"emotions": ["Peace", "Fear"]}, "2 emotions; 1 is expected"),
        ({"emotions": []}, "0 emotions; 1 is expected"),
        ({"vad": [float("nan"), 0, 0]}, "vad is .*nan.* three numbers"),
        ({"vad": [2, 0, 0]}, "three numbers -1..1"),
        ({"vad": [0, 0]}, "three numbers"),
        ({"vad": 0.5}, "three numbers"),
        ({"bbox": [10, 10, 0, 5]}, "no area"),
        ({"bbox": [100, 10, 20, 5]}, "no area"),
        ({"bbox": [10, float("nan"), 20, 5]}, "bbox should be"),
        ({"bbox": [10, 10, float("inf"), 5]}, "bbox should be"),
        ({"bbox": [10, 10, 20]}, "bbox should be"),
        ({"weight": 2}, "weight is 2; 0 to 1"),
        ({"face": "smiling"}, "face is 'smiling'; one of none, hidden, readable"),
        ({"face": 1}, "face is 1; one of none"),
        ({"face_box": [1, 2, 3]}, "face_box should be"),
        ({"category_id": [1]}, r"category_id is \[1\]"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_file_and_annotation(write, change, says):
    root = write(content([change]))
    with pytest.raises(DatasetError, match=says) as error:
        load("own", root, "train")
    assert "train.json" in str(error.value)
    assert f"annotation 5 of {FRAME}" in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"info": {}}, "no labels"),
        ({"info": {"labels": ["a", "a"]}}, "different names"),
        ({"info": {"label_set": "heco", "labels": ["a"]}}, "not those of heco"),
        ({"info": {"label_set": "heco", "box_kind": "hand"}}, "box_kind is 'hand'"),
        ({"info": "mine"}, "info should be a mapping"),
        (
            {"images": [{"id": 1, "file_name": "b.png", "width": 60, "height": 80}]},
            "80x60 pixels.*says 60x80; is it turned",
        ),
        ({"images": [{"id": 1, "file_name": "b.png", "width": 60, "height": 60}]}, "80x60 pixels.*says 60x60$"),
        ({"images": [{"id": 1, "file_name": "b.png"}, {"id": 1, "file_name": FRAME}]}, "the same id"),
        ({"images": [{"id": 1, "file_name": "b.png"}, {"id": 2, "file_name": "b.png"}]}, "the same file_name"),
        ({"images": [{"id": 1}]}, "not in COCO's form"),
        ({"images": [{"id": 1, "file_name": "b.png", "stamp": "noon"}]}, r"train\.json: b\.png: stamp is 'noon'"),
        ({"images": [{"id": 1, "file_name": "b.png", "stamp": 1.5}]}, r"train\.json: b\.png: stamp is 1\.5"),
        ({"info": {}, "categories": [{"name": "calm"}]}, r"train\.json: each of categories should have an id"),
        ({"info": {}, "categories": [{"id": [1], "name": "calm"}]}, "each of categories should have an id"),
        ({"images": []}, "no image has the id 1"),
        ({"images": [], "annotations": []}, "has no usable image"),
    ],
)
def test_a_file_that_is_wrong(write, change, says):
    with pytest.raises(DatasetError, match=says):
        load("own", write(content() | change), "train")


def test_an_image_that_cannot_be_read_is_counted(write):
    root = write(content())
    (root / "b.png").unlink()
    dataset = load("own", root, "train")
    assert len(dataset.samples) == 1
    assert "b.png" in dataset.findings.unreadable[0]


def test_one_file_for_all_splits(write):
    data = content()
    file = write(data, "labels.json") / "labels.json"
    dataset = load("own", file, "test")
    assert len(dataset.samples) == 2
    assert "all are taken as test" in dataset.findings.warnings[0]
    data["images"][0]["split"] = "train"
    data["images"][1]["split"] = "test"
    write(data, "labels.json")
    assert [s.image_id for s in load("own", file, "train").samples] == [FRAME]
    assert [s.image_id for s in load("own", file, "test").samples] == ["b.png"]
    with pytest.raises(DatasetError, match="split 'val' of own has no usable image"):
        load("own", file, "val")


def test_annotations_in_their_own_folder(write):
    assert len(load("own", write(content(), "annotations/train.json"), "train").samples) == 2
    with pytest.raises(DatasetError, match=r"no val\.json"):
        load("own", write(content(), "annotations/train.json"), "val")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"file_name": "cam/1718000000123456789.png"}, 1718000000123456789),
        ({"file_name": "front_camera-1718000000123456789.jpg"}, 1718000000123456789),
        ({"file_name": "cam2_1718000000123456789.jpg"}, 1718000000123456789),
        ({"file_name": "000000397133.jpg"}, None),
        ({"file_name": "cam.jpg", "stamp": 1_500_000_000}, 1_500_000_000),
        ({"file_name": "cam/1718000000123456789.png", "stamp": 5}, 5),
    ],
)
def test_stamps(image, expected):
    assert stamp(image) == expected


# --- Without the images, and back to a file ---


def everything():
    """A person of whom all is known, one of whom nothing is, one of beliefs, a region to ignore, an empty image."""
    more = {"vad": [0.5, None, -1], "track_id": "7", "gender": "male", "age": "kid", "weight": 0.5}
    more |= {"face": "readable", "face_box": [12, 14, 8, 9]}
    annotations = [
        more,
        {"emotions": None},
        {"emotions": {"Peace": 0.25, "Fear": 0.75}, "bbox": [0.1, 0.2, 33.3, 44.4]},
        {"bbox": [70, 0, 10, 10], "iscrowd": 1},
    ]
    made = content(annotations, {"label_set": "heco", "exhaustive": True})
    made["images"][1] |= {"width": 80, "height": 60, "exhaustive": False}
    return made


def equal(one, other):
    for field in dataclasses.fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(left, right, err_msg=field.name)


def test_a_file_is_read_without_its_images_just_as_with_them(write):
    root = write(everything(), "test.json")
    for with_images, without in zip(
        load("own", root, "test").samples, own.read(root / "test.json").samples, strict=True
    ):
        equal(with_images, without)


def test_what_is_read_is_written_and_read_again(tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps(everything()))
    dataset = own.read(first)
    assert [sample.exhaustive for sample in dataset.samples] == [True, False]
    second.write_text(json.dumps(own.content(dataset)))
    again = own.read(second)
    assert (again.label_set, again.labels, again.multi_label) == (dataset.label_set, dataset.labels, False)
    for one, other in zip(dataset.samples, again.samples, strict=True):
        equal(one, other)


def test_labels_of_ones_own_and_several_a_person_are_written_too(tmp_path):
    made = content([{"emotions": []}, {"emotions": ["b", "a"]}], {"labels": ["a", "b"], "multi_label": True})
    made["images"].pop()
    for name in ("first.json", "second.json"):
        (tmp_path / name).write_text(json.dumps(made))
        dataset = own.read(tmp_path / name)
        made = own.content(dataset)
    assert dataset.labels == ("a", "b")
    assert dataset.samples[0].emotions.tolist() == [[0, 0], [1, 1]]
    assert [entry["emotions"] for entry in made["annotations"]] == [[], ["a", "b"]]


def test_a_set_of_boxes_only_has_no_labels(tmp_path):
    made = content([{"emotions": None}], {"labels": []})
    made["images"].pop()
    (tmp_path / "boxes.json").write_text(json.dumps(made))
    dataset = own.read(tmp_path / "boxes.json")
    assert dataset.labels == ()
    assert dataset.samples[0].emotions.shape == (1, 0)


def test_without_images_the_file_has_to_say_their_size(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(content()))
    with pytest.raises(DatasetError, match=r"b\.png: width and height are None and None; pixels are expected"):
        own.read(tmp_path / "a.json")


def test_who_wrote_the_first_draft_is_kept(tmp_path):
    model = {"name": "bootstrap", "version": "abc", "boxes": True, "emotions": False}
    made = everything()
    made["info"]["prefilled_by"] = model
    (tmp_path / "a.json").write_text(json.dumps(made))
    assert own.read(tmp_path / "a.json").prefilled_by == model
    assert own.content(own.read(tmp_path / "a.json"))["info"]["prefilled_by"] == model
    for wrong in ("bootstrap", [model, "bootstrap"]):
        made["info"]["prefilled_by"] = wrong
        (tmp_path / "a.json").write_text(json.dumps(made))
        with pytest.raises(DatasetError, match=r"info\.prefilled_by is .*'bootstrap'\]?; name and version"):
            own.read(tmp_path / "a.json")


def test_several_models_may_have_written_first_drafts(tmp_path):
    drafts = [{"name": name, "version": name} for name in ("bootstrap", "student")]
    made = everything()
    made["info"]["prefilled_by"] = drafts
    (tmp_path / "a.json").write_text(json.dumps(made))
    dataset = own.read(tmp_path / "a.json")
    assert dataset.prefilled_by == dataset.drafts == drafts
    assert own.content(dataset)["info"]["prefilled_by"] == drafts
    assert dataclasses.replace(dataset, prefilled_by=drafts[0]).drafts == drafts[:1]
    assert dataclasses.replace(dataset, prefilled_by=None).drafts == []


def test_a_folder_may_have_one_file_for_all_splits(write):
    made = content([{}])
    made["images"][0]["split"], made["images"][1]["split"] = "train", "val"
    root = write(made, "annotations.json")
    assert [sample.image_id for sample in load("own", root, "train").samples] == [FRAME]
    assert [sample.image_id for sample in load("own", root, "val").samples] == ["b.png"]
