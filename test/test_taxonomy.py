from __future__ import annotations

import pytest

from caer_ros.taxonomy import AFFECTNET, CAER_S, COUNTERPARTS, EMOSET, EMOTIC, HECO, LABEL_SETS, counterparts, name_of


def test_sizes_and_no_label_twice():
    assert {name: len(labels) for name, labels in LABEL_SETS.items()} == {
        "emotic": 26,
        "heco": 8,
        "caer_s": 7,
        "affectnet": 8,
        "emoset": 8,
    }
    assert all(len(set(labels)) == len(labels) for labels in LABEL_SETS.values())


def test_orders_of_the_releases():
    """Where a data set numbers its labels, the number is the index."""
    assert [AFFECTNET.index(label) for label in ("Neutral", "Happy", "Sad", "Surprise")] == [0, 1, 2, 3]
    assert [AFFECTNET.index(label) for label in ("Fear", "Disgust", "Anger", "Contempt")] == [4, 5, 6, 7]
    assert list(EMOTIC) == sorted(EMOTIC)
    assert list(HECO) == sorted(HECO)
    assert list(CAER_S) == sorted(CAER_S)
    assert EMOSET == ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")


def test_a_set_is_known_by_its_labels_in_their_order():
    assert {name_of(labels): labels for labels in LABEL_SETS.values()} == LABEL_SETS
    assert name_of(HECO[::-1]) is name_of(HECO[:-1]) is name_of(()) is None


def test_counterparts_name_labels_that_exist():
    for row in COUNTERPARTS:
        for name, label in row.items():
            assert label in LABEL_SETS[name]


@pytest.mark.parametrize("source", LABEL_SETS)
@pytest.mark.parametrize("target", LABEL_SETS)
def test_maps_keep_labels_apart_and_come_back(source, target):
    there, back = counterparts(source, target), counterparts(target, source)
    assert len(set(there.values())) == len(there)
    assert {b: a for a, b in there.items()} == back


def test_seven_expressions_under_other_label_sets():
    heco = counterparts("caer_s", "heco")
    assert heco["Neutral"] == "Peace"
    assert set(HECO) - set(heco.values()) == {"Excitement"}
    assert counterparts("caer_s", "emotic") == {
        "Anger": "Anger",
        "Disgust": "Aversion",
        "Fear": "Fear",
        "Happy": "Happiness",
        "Sad": "Sadness",
        "Surprise": "Surprise",
    }
    assert counterparts("emoset", "emotic")["contentment"] == "Peace"
    assert "amusement" not in counterparts("emoset", "heco")


@pytest.mark.parametrize("names", [("nobody", "heco"), ("heco", "nobody")])
def test_unknown_label_set(names):
    with pytest.raises(KeyError, match="nobody"):
        counterparts(*names)
