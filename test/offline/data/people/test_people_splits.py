from __future__ import annotations

from collections import Counter

from caer_ros.offline.data.people.people_splits import split_of

GOLDEN = ["train", "train", "train", "train", "test", "train", "val", "val", "train", "val"]


def test_a_name_is_always_of_the_same_split():
    """Golden: a model on disk was judged on these, so they must never be learnt from."""
    assert [split_of(f"{number:04}") for number in range(1, 11)] == GOLDEN


def test_eight_of_ten_are_to_learn_from():
    counts = Counter(split_of(f"picture {number}") for number in range(4000))
    assert 0.77 < counts["train"] / 4000 < 0.83
    assert counts["val"] > 300
    assert counts["test"] > 300
