from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from caer_ros.offline.data import heco, load, splits
from caer_ros.recordings.annotations.sample import DatasetError
from caer_ros.taxonomy import HECO

HEADER = "Image,xmin,ymin,xmax,ymax,Category,Label_SA,Label_CA,Valence,Arousal,Dominance"


def row(image, box="10.5,10,40,50.25", label="Peace", sa="Neutral", ca="Slightly-Ca", affect="1,5.5,10"):
    return f"{image},{box},{label},{sa},{ca},{affect}"


@pytest.fixture
def write(tmp_path, picture):
    def write(rows, folder="Data", root=tmp_path):
        for name in {line.split(",")[0] for line in rows}:
            picture(root / folder / name)
        (root / "Labels").mkdir(parents=True, exist_ok=True)
        (root / "Labels" / "HECO_Labels.csv").write_text("\n".join([HEADER, *rows, ""]))
        return root

    return write


def everything(root):
    """All samples, whichever split they fell into."""
    found = {}
    for split in heco.SPLITS:
        with suppress(DatasetError):  # too few images for three parts
            dataset = load("heco", root, split)
            found |= {sample.image_id: (split, sample, dataset.findings) for sample in dataset.samples}
    return found


@pytest.mark.parametrize("folder", ["Data", "Images"])
def test_rows_of_an_image_are_its_persons(write, folder):
    root = write([row("a.jpg"), row("b.jpg"), row("a.jpg", "50,5,70,30", "Surprise", affect="10,1,1")], folder)
    _, sample, _ = everything(root)["a.jpg"]
    np.testing.assert_array_equal(sample.boxes, np.array([[10.5, 10, 40, 50.25], [50, 5, 70, 30]], np.float32))
    assert [HECO[index] for index in sample.emotions.argmax(axis=1)] == ["Peace", "Surprise"]
    np.testing.assert_array_equal(sample.emotions.sum(axis=1), 1)
    np.testing.assert_allclose(sample.vad, [[-1, 0, 1], [1, -1, -1]])
    assert sample.path == root / folder / "a.jpg"
    assert not sample.exhaustive


def test_the_typo_is_accepted_and_named_by_its_line(write):
    root = write([row("a.jpg"), row("a.jpg", label="Happinesst")])
    _, sample, findings = everything(root)["a.jpg"]
    assert HECO[sample.emotions[1].argmax()] == "Happiness"
    assert findings.typos == ["HECO_Labels.csv:3 a.jpg: 'Happinesst' read as 'Happiness'"]


def test_dirt_is_counted(write):
    rows = [
        row("a.jpg"),
        row("a.jpg", "-3,-3,200,30"),
        row("a.jpg", "10,10,10,20"),
        row("a.jpg", "10,,10,20"),
        row("a.jpg", label="Joy"),
        row("a.jpg", affect="NaN,,0", sa="Very"),
    ]
    _, sample, findings = everything(write(rows))["a.jpg"]
    assert len(sample) == 3
    assert np.isnan(sample.vad[2]).all()
    assert [line.split()[0] for line in findings.skipped] == [f"HECO_Labels.csv:{n}" for n in (6, 4, 5)]
    assert [line.split()[0] for line in findings.repaired] == ["HECO_Labels.csv:3"]
    assert sorted(line.split(":")[2][1:9] for line in findings.unknown) == ["Label_SA", "valence,"]


@pytest.fixture
def hundred(write):
    """100 images of one person and 50 of two."""
    single = [row(f"s{n}.jpg") for n in range(100)]
    return write([*single, *(row(f"m{n}.jpg") for n in range(50) for _ in range(2))])


def test_the_split_of_the_paper_is_written_and_honoured(hundred):
    found = everything(hundred)
    assert len(found) == 150
    for kind, expected in (("s", (70, 10, 20)), ("m", (35, 5, 10))):
        parts = [split for image, (split, _, _) in found.items() if image.startswith(kind)]
        assert tuple(parts.count(split) for split in heco.SPLITS) == expected
    lists = {split: hundred / "splits" / f"ka_seed0_{split}.txt" for split in heco.SPLITS}
    train, val = (lists[split].read_text().split() for split in ("train", "val"))
    assert train == sorted(image for image, (split, _, _) in found.items() if split == "train")
    lists["val"].write_text("\n".join([*val[1:], train[0]]))
    lists["train"].write_text("\n".join([*train[1:], val[0]]))
    assert {s.image_id for s in load("heco", hundred, "val").samples} == {*val[1:], train[0]}


def test_lists_that_do_not_fit_are_refused(hundred):
    load("heco", hundred, "val")
    labels = hundred / "Labels" / "HECO_Labels.csv"
    labels.write_text("\n".join(labels.read_text().splitlines()[:-3]))
    with pytest.raises(DatasetError, match=r"ka_seed0_\*\.txt: these lists are not a split.*delete them"):
        load("heco", hundred, "val")


def test_a_folder_that_cannot_be_written(hundred, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(splits, "write", refuse)
    first = load("heco", hundred, "val")
    assert "cannot be written (Permission denied)" in first.findings.warnings[0]
    assert [s.image_id for s in first.samples] == [s.image_id for s in load("heco", hundred, "val").samples]


def test_a_given_test_list(hundred):
    given = [f"s{n}.jpg" for n in range(22)]
    (hundred / "splits").mkdir()
    (hundred / "splits" / "test.txt").write_text("\n".join(given))
    sizes = [len(load("heco", hundred, split).samples) for split in heco.SPLITS]
    assert sizes == [112, 16, 22]
    assert {s.image_id for s in load("heco", hundred, "test").samples} == set(given)
    (hundred / "splits" / "test.txt").write_text("other.jpg")
    with pytest.raises(DatasetError, match=r"test\.txt: 1 images .*other\.jpg"):
        load("heco", hundred, "test")


def test_what_is_missing_is_said(tmp_path, write):
    with pytest.raises(DatasetError, match="neither Data/ nor Images/"):
        load("heco", tmp_path, "train")
    root = write([row("a.jpg")])
    (root / "Labels" / "HECO_Labels.csv").write_text("Image,xmin\n")
    with pytest.raises(DatasetError, match=r"HECO_Labels\.csv: no column ymin"):
        load("heco", root, "train")
    (root / "Labels" / "HECO_Labels.csv").unlink()
    with pytest.raises(DatasetError, match=r"HECO_Labels\.csv: No such file"):
        load("heco", root, "train")


def test_the_folder_above_does_as_well(write, tmp_path):
    write([row("a.jpg")], root=tmp_path / "HECO")
    assert list(everything(tmp_path)) == ["a.jpg"]
