from __future__ import annotations

import json

import numpy as np
import pytest

from caer_ros.offline.data import NAMES, SPLITS, load
from caer_ros.offline.data.contents import prevalence, summary
from caer_ros.recordings.annotations.sample import DatasetError


def test_names():
    assert NAMES == ("emotic", "heco", "caer_s", "affectnet", "emoset", "coco", "own")
    assert set(SPLITS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_not_there(tmp_path, name):
    with pytest.raises(DatasetError, match="nowhere: no such file or folder"):
        load(name, tmp_path / "nowhere", "train")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_folder_is_an_error_that_names_it(tmp_path, name, split):
    with pytest.raises(DatasetError, match=str(tmp_path) if split in SPLITS[name] else "has no split"):
        load(name, tmp_path, split)


def test_another_name(tmp_path):
    with pytest.raises(DatasetError, match="no data set is called 'imagenet'; there are emotic, heco"):
        load("imagenet", tmp_path, "train")


def test_prevalence_counts_soft_labels_as_evaluation_does(tmp_path, picture):
    """Else the chance that is told of distilled data would not be that of its scores."""
    picture(tmp_path / "a.png")
    beliefs = [{"low": 0.9, "mid": 0.1}, {"low": 0.4, "mid": 0.8}, {"low": 0.3, "mid": 0.3}, {"mid": 0.5}]
    content = {
        "info": {"labels": ["low", "mid"], "multi_label": True},
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [
            {"id": n, "image_id": 1, "bbox": [0, 0, 9, 9], "emotions": given} for n, given in enumerate(beliefs)
        ],
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    np.testing.assert_allclose(prevalence(load("own", tmp_path, "train")), [1 / 3, 2 / 4])


def test_summary(tmp_path, picture):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    emotions = [["low"], ["low", "mid"], [], None]
    annotations = [
        {"id": n, "image_id": 1, "bbox": [0, 0, 9, 99], "emotions": chosen} for n, chosen in enumerate(emotions)
    ]
    content = {
        "info": {"labels": ["low", "mid", "high"], "multi_label": True},
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": annotations,
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    dataset = load("own", tmp_path, "train")
    np.testing.assert_allclose(prevalence(dataset), [2 / 3, 1 / 3, 0])
    numbers = summary(dataset)
    assert (numbers["images"], numbers["persons"], numbers["with_emotions"], numbers["with_vad"]) == (2, 4, 3, 0)
    assert numbers["persons_per_image"] == {"0": 1, "4": 1}
    assert numbers["chance_map"] == pytest.approx(1 / 3)
    assert len(numbers["findings"]["repaired"]) == 4
