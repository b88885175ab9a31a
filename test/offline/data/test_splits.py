from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caer_ros.offline.data import splits
from caer_ros.recordings.annotations.sample import DatasetError

PERSONS = {f"{number}.jpg": 1 + number % 3 for number in range(300)}


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 3)), st.integers(0, 5))
@settings(max_examples=50)
def test_each_image_is_in_exactly_one_part(persons, seed):
    split = splits.by_persons(persons, seed)
    assert list(split) == ["train", "val", "test"]
    assert sorted(image for images in split.values() for image in images) == sorted(persons)


def test_single_and_several_persons_are_split_apart():
    split = splits.by_persons(PERSONS)
    for alone, expected in ((True, (70, 10, 20)), (False, (140, 20, 40))):
        assert tuple(sum((PERSONS[i] == 1) == alone for i in images) for images in split.values()) == expected


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_rows():
    rows = list(PERSONS.items())
    random.Random(1).shuffle(rows)
    assert splits.by_persons(dict(rows)) == splits.by_persons(PERSONS)
    assert splits.by_persons(PERSONS, seed=1) != splits.by_persons(PERSONS)


def test_the_split_never_changes():
    """In the order of `printf "0 NAME" | sha256sum`, cut after 7 and 8 of 10; another split is another experiment."""
    split = splits.by_persons({f"{letter}.jpg": 1 for letter in "abcdefghij"})
    assert split == {
        "train": ["c.jpg", "e.jpg", "f.jpg", "g.jpg", "h.jpg", "i.jpg", "j.jpg"],
        "val": ["d.jpg"],
        "test": ["a.jpg", "b.jpg"],
    }


def test_a_given_test_list():
    test = [f"{number}.jpg" for number in range(0, 300, 3)]
    split = splits.by_test_list(PERSONS, test)
    assert split["test"] == sorted(test)
    assert (len(split["train"]), len(split["val"])) == (175, 25)
    assert not set(split["train"]) & set(split["val"])
    with pytest.raises(DatasetError, match=r"1 images .* nobody\.jpg"):
        splits.by_test_list(PERSONS, [*test, "nobody.jpg"])


def test_lists_come_back(tmp_path):
    split = splits.by_persons(PERSONS)
    assert splits.read(tmp_path, "x_", PERSONS) is None
    splits.write(split, tmp_path / "new", "x_")
    assert splits.read(tmp_path / "new", "x_", PERSONS) == split
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["x_test.txt", "x_train.txt", "x_val.txt"]


@pytest.mark.parametrize("change", ["one more", "one less", "twice"])
def test_lists_of_other_images_are_refused(tmp_path, change):
    split = splits.by_persons(PERSONS)
    splits.write(split, tmp_path)
    persons = dict(PERSONS)
    if change == "one more":
        persons["new.jpg"] = 1
    elif change == "one less":
        del persons["0.jpg"]
    else:
        with (tmp_path / "test.txt").open("a") as file:
            file.write(f"{split['train'][0]}\n")
    with pytest.raises(DatasetError, match="not a split"):
        splits.read(tmp_path, "", persons)


def test_a_list_may_have_comments(tmp_path):
    (tmp_path / "test.txt").write_text("# from the authors\n\n a.jpg \nb.jpg\n")
    assert splits.read_list(tmp_path / "test.txt") == ["a.jpg", "b.jpg"]
    with pytest.raises(DatasetError, match=r"other\.txt"):
        splits.read_list(tmp_path / "other.txt")


def test_a_list_of_another_editor(tmp_path):
    file = tmp_path / "test.txt"
    file.write_text("a.jpg\nb.jpg\n", "utf-8-sig")  # with a byte order mark
    assert splits.read_list(file) == ["a.jpg", "b.jpg"]
    file.write_text("a.jpg\n", "utf-16")
    with pytest.raises(DatasetError, match=r"test\.txt: .*utf-8"):
        splits.read_list(file)
