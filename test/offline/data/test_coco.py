from __future__ import annotations

import json

import numpy as np
import pytest

from caer_ros.offline.data import load
from caer_ros.recordings.annotations.sample import DatasetError


def annotation(number, box=(10, 10, 30, 40), image=1, category=1, iscrowd=0):
    return {"id": number, "image_id": image, "bbox": box, "category_id": category, "iscrowd": iscrowd}


@pytest.fixture
def write(tmp_path, picture):
    def write(annotations, year=2017, split="val", categories=({"id": 1, "name": "person"}, {"id": 18, "name": "dog"})):
        images = [{"id": n, "file_name": f"{n:012d}.jpg", "height": 60, "width": 80} for n in (1, 2)]
        for image in images:
            picture(tmp_path / f"{split}{year}" / image["file_name"])
        (tmp_path / "annotations").mkdir(exist_ok=True)
        file = tmp_path / "annotations" / f"instances_{split}{year}.json"
        file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
        return tmp_path

    return write


def test_persons_crowds_and_empty_images(write):
    root = write(
        [
            annotation(1),
            annotation(2, category=18),
            annotation(3, (-5, 0, 200, 20), iscrowd=1),
            annotation(4, (40, 5, 9, 9)),
        ]
    )
    dataset = load("coco", root, "val")
    first, second = dataset.samples
    assert (dataset.label_set, dataset.labels) == ("coco", ())
    np.testing.assert_array_equal(first.boxes, [[10, 10, 40, 50], [40, 5, 49, 14]])
    np.testing.assert_array_equal(first.ignore, [[0, 0, 80, 20]])
    assert first.emotions.shape == (2, 0)
    assert np.isnan(first.vad).all()
    assert first.exhaustive
    assert second.exhaustive
    assert (len(second), second.boxes.shape, second.emotions.shape) == (0, (0, 4), (0, 0))


def test_a_box_without_area_is_counted(write):
    dataset = load("coco", write([annotation(1), annotation(2, (5, 5, 0, 9))]), "val")
    assert len(dataset.samples[0]) == 1
    assert "annotation 2: box [5, 5, 5, 14] has no area" in dataset.findings.skipped[0]


def test_the_newest_year_or_the_file_that_is_named(write):
    root = write([annotation(1)], 2014)
    write([annotation(1), annotation(2)], 2017)
    dataset = load("coco", root, "val")
    assert len(dataset.samples[0]) == 2
    (warning,) = dataset.findings.warnings
    assert "instances_val2014.json is not used, because there is" in warning
    assert len(load("coco", root / "annotations" / "instances_val2014.json", "val").samples[0]) == 1


def test_the_first_picture_may_be_missing(write):
    root = write([annotation(1), annotation(2, image=2)])
    (root / "val2017" / "000000000001.jpg").unlink()
    dataset = load("coco", root, "val")
    assert [sample.image_id for sample in dataset.samples] == ["000000000002.jpg"]
    assert len(dataset.findings.unreadable) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image_id": 9}, "annotation 1: no image has the id 9"),
        ({"bbox": [1, 2, 3]}, "annotation 1: bbox should be"),
        ({"bbox": None}, "annotation 1: bbox should be"),
        ({"bbox": [1, 2, float("inf"), 4]}, "annotation 1: bbox should be"),
    ],
)
def test_wrong_annotations(write, change, says):
    with pytest.raises(DatasetError, match=says):
        load("coco", write([annotation(1) | change]), "val")


def test_what_is_missing_is_said(tmp_path, write):
    with pytest.raises(DatasetError, match=r"no annotations/instances_val\*\.json"):
        load("coco", tmp_path, "val")
    with pytest.raises(DatasetError, match="coco has no split 'test'; it has train, val"):
        load("coco", tmp_path, "test")
    root = write([])
    (root / "val2017").rename(root / "elsewhere")
    with pytest.raises(DatasetError, match=r"none of its images, such as 000000000001\.jpg"):
        load("coco", root, "val")
    (root / "annotations" / "instances_val2017.json").write_text('{"images": [')
    with pytest.raises(DatasetError, match=r"instances_val2017\.json: no valid JSON"):
        load("coco", root, "val")
    (root / "annotations" / "instances_val2017.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"instances_val2017\.json: not in COCO's form"):
        load("coco", root, "val")
