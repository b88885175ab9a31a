from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from caer_ros.offline.data import emotic, load
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import EMOTIC

IMAGE = "mscoco/images/COCO_1.jpg"


def structs(*rows):
    """A Matlab struct array, as EMOTIC's file has them: 1xN, also where there is one."""
    fields = [(name, object) for name in rows[0]]
    return np.array([tuple(row.values()) for row in rows], dtype=fields).reshape(1, -1)


def cell(*words):
    array = np.empty((1, len(words)), object)
    array[0] = words
    return array


def vad(valence, arousal=5.0, dominance=6.0):
    return structs({"valence": valence, "arousal": arousal, "dominance": dominance})


def train_person(box=(10, 10, 40, 50), labels=("Peace",), affect=None, gender="Male", age="Adult"):
    return {
        "body_bbox": np.array([box], float),
        "annotations_categories": structs({"categories": cell(*labels)}),
        "annotations_continuous": vad(5.0) if affect is None else affect,
        "gender": gender,
        "age": age,
    }


def judged_person(choices, box=(10, 10, 40, 50)):
    """A person of val or test: what each annotator chose, and what the release makes of it."""
    union = sorted({label for chosen in choices for label in chosen})
    return {
        "body_bbox": np.array([box], float),
        "annotations_categories": structs(*({"categories": cell(*chosen)} for chosen in choices)),
        "annotations_continuous": structs(*({"valence": 3.0, "arousal": 4.0, "dominance": 5.0} for _ in choices)),
        "gender": "Female",
        "age": "Kid",
        "combined_categories": cell(*union),
        "combined_continuous": vad(3.25, 4.0, 10.0),
    }


def entry(*persons, name="COCO_1.jpg", folder="mscoco/images"):
    info = structs({"image_id": 562243.0, "annotations_id": 208214.0})
    return {
        "filename": name,
        "folder": folder,
        "image_size": structs({"n_col": 80.0, "n_row": 60.0}),
        "original_database": structs({"name": folder.split("/")[0], "info": info}),
        "person": structs(*persons),
    }


@pytest.fixture
def write(tmp_path, picture):
    """Writes Annotations.mat, and an image of 80x60 for each entry."""

    def write(train=(), val=(), test=()):
        parts = {"train": train, "val": val, "test": test}
        for row in (*train, *val, *test):
            picture(tmp_path / "emotic" / row["folder"] / row["filename"])
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        savemat(
            tmp_path / "Annotations" / "Annotations.mat", {name: structs(*rows) for name, rows in parts.items() if rows}
        )
        return tmp_path

    return write


def chosen(row):
    return {EMOTIC[index] for index in np.flatnonzero(row == 1)}


def test_the_fixture_is_squeezed_as_the_release_is(write):
    """What scripts for the real file rely on: single structs and strings where there is one, arrays where several."""
    root = write(
        train=[entry(train_person(labels=["Peace"])), entry(train_person(labels=["Peace", "Pain"]), train_person())],
        val=[entry(judged_person([["Peace"], ["Pain", "Fear"]]), judged_person([["Peace"]]))],
    )
    mat = loadmat(root / "Annotations" / "Annotations.mat", struct_as_record=False, squeeze_me=True)
    first, second = mat["train"]
    assert type(first.person).__name__ == "mat_struct"
    assert first.person.annotations_categories.categories == "Peace"
    assert list(second.person[0].annotations_categories.categories) == ["Peace", "Pain"]
    assert first.image_size.n_row == 60
    assert first.original_database.info.image_id == 562243
    several, alone = mat["val"].person
    assert [type(choice.categories) for choice in several.annotations_categories] == [str, np.ndarray]
    assert alone.annotations_categories.categories == "Peace"
    assert several.combined_continuous.valence == 3.25


def test_train(write):
    affect = vad(1.0, 10.0, 5.5)
    root = write(
        train=[
            entry(
                train_person((10, 10, 40, 50), ["Doubt/Confusion", "Yearning"], affect), train_person(gender="Female")
            ),
            entry(train_person(age="Teenager"), name="b.jpg", folder="ade20k/images"),
        ]
    )
    dataset = load("emotic", root, "train")
    assert (dataset.label_set, dataset.labels, dataset.multi_label) == ("emotic", EMOTIC, True)
    first, second = dataset.samples
    assert (first.image_id, second.image_id) == (IMAGE, "ade20k/images/b.jpg")
    assert first.path == root / "emotic" / IMAGE
    assert first.size == (60, 80)
    assert first.box_kind == BoxKind.BODY
    assert not first.exhaustive
    np.testing.assert_array_equal(first.boxes, [[10, 10, 40, 50]] * 2)
    assert [chosen(row) for row in first.emotions] == [{"Doubt/Confusion", "Yearning"}, {"Peace"}]
    np.testing.assert_allclose(first.vad[0], [-1, 1, 0])
    np.testing.assert_array_equal(first.votes, first.emotions)  # one annotator
    assert first.gender == ("male", "female")
    assert second.age == ("teenager",)


def test_val_is_the_union_and_keeps_the_votes(write):
    root = write(
        val=[entry(judged_person([["Peace"], ["Peace", "Pain"], ["Fear"], ["Peace"]]), judged_person([["Pain"]]))]
    )
    (sample,) = load("emotic", root, "val").samples
    assert [chosen(row) for row in sample.emotions] == [{"Peace", "Pain", "Fear"}, {"Pain"}]
    votes = dict(zip(EMOTIC, sample.votes[0], strict=True))
    assert (votes["Peace"], votes["Pain"], votes["Fear"], votes["Anger"]) == (0.75, 0.25, 0.25, 0)
    np.testing.assert_allclose(sample.vad[0], [-0.5, -1 / 3, 1], rtol=1e-6)


def test_one_image_is_one_sample(write):
    dataset = load("emotic", write(train=[entry(train_person()), entry(train_person())]), "train")
    assert [len(sample) for sample in dataset.samples] == [2]


def test_boxes_are_clipped_to_the_file_and_not_to_what_the_annotations_say(write, picture):
    root = write(train=[entry(train_person((-7, -3, 300, 30)), train_person((10, 10, 20, 20)))])
    picture(root / "emotic" / IMAGE, 40, 50)
    dataset = load("emotic", root, "train")
    np.testing.assert_array_equal(dataset.samples[0].boxes, [[0, 0, 50, 30], [10, 10, 20, 20]])
    assert len(dataset.findings.repaired) == 1
    assert "train(1).person(1)" in dataset.findings.repaired[0]


def test_dirt_is_counted_and_the_rest_is_used(write):
    root = write(
        train=[
            entry(
                train_person(affect=vad(np.nan, 11.0, 10.0)),
                train_person((90, 10, 95, 20)),
                train_person(labels=["Peace", "Joy"]),
                train_person(labels=[]),
            ),
            entry(train_person(), name="broken.jpg"),
            entry(train_person(), name="gone.jpg"),
        ]
    )
    (root / "emotic/mscoco/images/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (root / "emotic/mscoco/images/gone.jpg").unlink()
    dataset = load("emotic", root, "train")
    (sample,) = dataset.samples
    assert len(sample) == 1
    np.testing.assert_array_equal(sample.vad, np.array([[np.nan, np.nan, 1]], np.float32))
    assert [line.split(":")[0] for line in dataset.findings.unknown] == [f"Annotations.mat train(1).person(1) {IMAGE}"]
    skipped = sorted(dataset.findings.skipped)
    assert ["no area" in skipped[0], "'Joy' is no label" in skipped[1], "no label" in skipped[2]] == [True] * 3
    assert [line.split(":")[0].rsplit("/")[-1] for line in dataset.findings.unreadable] == ["broken.jpg", "gone.jpg"]


def test_an_image_of_nobody_is_counted(write, tmp_path):
    empty = entry(train_person(), name="empty.jpg") | {"person": np.zeros((0, 0))}
    dataset = load("emotic", write(train=[entry(train_person()), empty]), "train")
    assert [sample.image_id for sample in dataset.samples] == [IMAGE]
    assert dataset.findings.skipped == ["Annotations.mat train(2) mscoco/images/empty.jpg: nobody is annotated"]


def write_csv(root, rows, split="train"):
    columns = [
        "Index",
        "Folder",
        "Filename",
        "Image Size",
        "BBox",
        "Categorical_Labels",
        "Continuous_Labels",
        "Gender",
        "Age",
    ]
    with (root / f"{split}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([index, *row] for index, row in enumerate(rows))


def csv_row(box="[10, 10, 40, 50]", labels="['Peace', 'Doubt/Confusion']", affect="[5.5, 10.0, 1.0]"):
    return ["mscoco/images", "COCO_1.jpg", "[80, 60]", box, labels, affect, "Male", "Adult"]


def test_csv(tmp_path, picture):
    picture(tmp_path / "emotic" / IMAGE)
    rows = [
        csv_row(),
        csv_row("[-4, 0, 99, 60]", "['Pain']", "[nan, 5, 5]"),
        csv_row("[70, 10, 60, 20]"),
        csv_row(labels="?"),
    ]
    write_csv(tmp_path, rows)
    dataset = load("emotic", tmp_path, "train")
    (sample,) = dataset.samples
    np.testing.assert_array_equal(sample.boxes, [[10, 10, 40, 50], [0, 0, 80, 60]])
    assert [chosen(row) for row in sample.emotions] == [{"Peace", "Doubt/Confusion"}, {"Pain"}]
    np.testing.assert_allclose(sample.vad, [[0, 1, -1], [np.nan, -1 / 9, -1 / 9]], rtol=1e-6)
    assert np.isnan(sample.votes).all()
    assert "406 of 735" in dataset.findings.warnings[0]
    assert len(dataset.findings.repaired) == len(dataset.findings.unknown) == 1
    assert {line.split()[0] for line in dataset.findings.skipped} == {"train.csv:4", "train.csv:5"}


def test_csv_of_another_kind(tmp_path, picture):
    picture(tmp_path / "emotic" / IMAGE)
    (tmp_path / "train.csv").write_text("Folder,Filename,X1\n")
    with pytest.raises(DatasetError, match=r"train\.csv: no column BBox, Categorical_Labels"):
        load("emotic", tmp_path, "train")


def write_heads(root, annotations, split="train"):
    images = [{"height": 60, "width": 80, "id": 1, "file_name": IMAGE}]
    content = {"info": "EMOTIC-Detection", "images": images, "annotations": annotations, "categories": []}
    (root / f"emotic_{split}_bi.json").write_text(json.dumps(content))


def head(mask, box=(10, 20, 30, 15), number=0):
    return {"id": number, "image_id": 1, "category_id": mask, "bbox": box, "iscrowd": 0, "area": 450}


def test_heads_of_the_first_release(tmp_path, picture):
    """The mask is written as its authors do: the 26 labels as binary digits, the first label first."""
    picture(tmp_path / "images" / IMAGE)
    wanted = {"Affection", "Engagement", "Yearning"}
    mask = int("".join(str(int(label in wanted)) for label in EMOTIC), 2)
    write_heads(tmp_path, [head(mask), head(1 << 25), head(1), head(0), head(1 << 26)])
    dataset = load("emotic", tmp_path, "train")
    (sample,) = dataset.samples
    assert [chosen(row) for row in sample.emotions] == [wanted, {"Affection"}, {"Yearning"}]
    np.testing.assert_array_equal(sample.boxes, [[10, 20, 40, 35]] * 3)
    assert sample.box_kind == BoxKind.HEAD
    assert len(dataset.findings.skipped) == 2
    assert "heads" in dataset.findings.warnings[0]


def test_several_forms(write):
    """Annotations.mat wins and says so; a file that is named is read, and stands for those of the other splits."""
    root = write(train=[entry(train_person())], test=[entry(judged_person([["Pain"]]))])
    for split in ("train", "test"):
        write_csv(root, [csv_row(labels="['Fear']")], split)
        write_heads(root, [head(1 << 25)], split)
    dataset = load("emotic", root, "train")
    assert chosen(dataset.samples[0].emotions[0]) == {"Peace"}
    assert len(dataset.findings.warnings) == 2
    assert all("is not used" in warning for warning in dataset.findings.warnings)
    for file, split, label in (
        ("train.csv", "train", "Fear"),
        ("train.csv", "test", "Fear"),
        ("emotic_test_bi.json", "train", "Affection"),
        ("Annotations/Annotations.mat", "test", "Pain"),
    ):
        assert chosen(load("emotic", root / file, split).samples[0].emotions[0]) == {label}


def test_a_file_of_an_unknown_split_is_not_taken_for_any(write):
    root = write(train=[entry(train_person())])
    write_csv(root, [csv_row()], "all")
    with pytest.raises(DatasetError, match=r"all\.csv: the name should say which one of train, val, test"):
        load("emotic", root / "all.csv", "val")


def test_what_is_missing_is_said(tmp_path, write, picture):
    with pytest.raises(DatasetError, match="no EMOTIC annotations for split 'val'"):
        load("emotic", tmp_path, "val")
    root = write(train=[entry(train_person())])
    with pytest.raises(DatasetError, match="no array 'val'"):
        load("emotic", root, "val")
    (root / "emotic").rename(root / "elsewhere")
    with pytest.raises(DatasetError, match="no folder mscoco or"):
        load("emotic", root, "train")


def test_a_file_that_is_no_release(tmp_path, picture):
    picture(tmp_path / IMAGE)
    file = tmp_path / "Annotations.mat"
    file.write_bytes(b"no Matlab file" * 100)
    with pytest.raises(DatasetError, match="cannot be read as a Matlab file"):
        load("emotic", tmp_path, "train")
    savemat(file, {"train": structs({"filename": "a.jpg", "folder": "mscoco/images"})})
    with pytest.raises(DatasetError, match=r"train\(1\) is not as in EMOTIC's release.*person"):
        load("emotic", tmp_path, "train")
    savemat(file, {"train": np.zeros((0, 0))})
    with pytest.raises(DatasetError, match="split 'train' of emotic has no usable image: nothing is annotated"):
        load("emotic", tmp_path, "train")


def test_the_splits_are_those_of_the_loader():
    assert emotic.SPLITS == ("train", "val", "test")
