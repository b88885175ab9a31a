from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest

from caer_ros.offline.data.people.people_splits import SPLITS, split_of


def test_the_hash_of_the_stem_decides():
    for number in range(300):
        place = sha256(f"{number:04}".encode()).digest()[0] % 10
        assert split_of(f"{number:04}.jpg") == ("test" if place == 0 else "val" if place == 1 else "train")


def test_about_a_tenth_is_for_test_and_for_val():
    counted = Counter(split_of(f"{number}.png") for number in range(5000))
    assert set(counted) == set(SPLITS)
    assert 400 < counted["test"] < 600
    assert 400 < counted["val"] < 600


@pytest.mark.parametrize("name", ["0001.jpg", "0001.png", "elsewhere/0001.jpg", "0001"])
def test_folder_and_suffix_do_not_count(name):
    assert split_of(name) == split_of("0001.jpg")
