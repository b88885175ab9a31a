from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from offline.metrics.tables import prediction, sample, table

from caer_ros.offline.data.predictions import Tracked
from caer_ros.offline.evaluation.bags import bag_sets
from caer_ros.offline.metrics.intervals import image_groups
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings

BOX = [[0, 0, 10, 10]]


def dataset(*samples, labels=("calm", "cross"), **changes):
    fields = {"prefilled_by": None} | changes
    return Dataset(
        "bag", Path("bag"), "test", "own", labels, False, samples, Findings(**fields.pop("findings", {})), **fields
    )


def test_bags_are_named_by_their_folder_or_file(tmp_path):
    (tmp_path / "monday").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "monday").mkdir()
    file = tmp_path / "tuesday_0.mcap"
    file.write_bytes(b"")
    assert bag_sets.names([tmp_path / "monday", file]) == ("monday", "tuesday_0")
    assert bag_sets.names([tmp_path / "monday", file, tmp_path / "b" / "monday"]) == (
        "monday_1",
        "tuesday_0",
        "monday_2",
    )


def test_a_number_is_not_another_bags_name(tmp_path):
    bags = [tmp_path / "1" / "x", tmp_path / "2" / "x", tmp_path / "x_1"]
    assert bag_sets.names(bags) == ("x_2", "x_3", "x_1")


def test_one_bag_stays_as_it_is():
    one, answers = dataset(sample("camera/1", BOX, [[1, 0]])), table([prediction("camera/1")])
    assert bag_sets.samples_of([one], ["a"]) is one
    assert bag_sets.tables_of([answers], ["a"]) is answers


def test_the_same_topic_stamp_and_track_of_two_bags_are_two():
    one = sample("camera/1", BOX, [[1, 0]], stamp=1, track_ids=("7",))
    whole = bag_sets.samples_of(
        [
            dataset(one, findings={"skipped": ["x"]}),
            dataset(one, sample("camera/2", BOX, [[0, 1]], stamp=2), findings={"skipped": ["y"], "warnings": ["z"]}),
        ],
        ["a", "b"],
    )
    assert [one.image_id for one in whole.samples] == ["a/camera/1", "b/camera/1", "b/camera/2"]
    assert [one.track_ids for one in whole.samples] == [("a/7",), ("b/7",), ("",)]
    assert len(set(image_groups(whole.samples))) == 3
    assert (whole.findings.skipped, whole.findings.warnings) == (["x", "y"], ["z"])


def test_every_first_draft_is_kept():
    drafts = [{"name": name, "version": name, "emotions": True} for name in ("a", "b", "a")]
    parts = [dataset(sample("camera/1"), prefilled_by=draft) for draft in (*drafts, None)]
    assert bag_sets.samples_of(parts, "wxyz").prefilled_by == drafts[:2]
    assert bag_sets.samples_of([parts[0], parts[2], parts[3]], "xyz").prefilled_by == drafts[0]
    assert bag_sets.samples_of(parts[3:] * 2, "yz").prefilled_by is None


def test_bags_of_other_labels_are_not_one_set():
    first, other = dataset(sample("a")), dataset(sample("a"), labels=("x", "y"))
    with pytest.raises(DatasetError, match=r"monday is annotated with one of calm, cross, tuesday .* x, y; .*apart"):
        bag_sets.samples_of([first, other], ["monday", "tuesday"])


def test_tables_become_one_and_come_apart_again():
    tracked = Tracked(("r-1", ""), np.zeros(2, bool), np.zeros((2, 2), np.float32), np.zeros(2, np.intp))
    found = prediction("camera/1", BOX * 2, [0.9, 0.8], [[1, 0]] * 2, tracked=tracked)
    tables = [
        table([found], thresholds={"person": 0.4, "kept": 0.2}, source="x", max_persons=3),
        table([found, prediction("camera/2")], thresholds={"person": 0.3, "kept": 0.3}, source="y", max_persons=5),
    ]
    whole = bag_sets.tables_of(tables, ["a", "b"])
    assert [image.image_id for image in whole.images] == ["a/camera/1", "b/camera/1", "b/camera/2"]
    assert whole.images[1].tracked.ids == ("b/r-1", "")
    assert whole.images[2].tracked is None
    assert whole.header.thresholds == {"person": 0.3, "kept": 0.2}
    assert (whole.header.max_persons, whole.header.source) == (5, "x; y")
    samples = dataset(sample("a/camera/1"), sample("b/camera/1"), sample("b/camera/2"))
    parts = bag_sets.apart(whole, samples, ["a", "b"])
    assert [[image.image_id for image in part.images] for part, _ in parts] == [
        ["a/camera/1"],
        ["b/camera/1", "b/camera/2"],
    ]
    assert [[one.image_id for one in some] for _, some in parts] == [["a/camera/1"], ["b/camera/1", "b/camera/2"]]
    assert bag_sets.apart(tables[0], samples, ["a"]) == [(tables[0], list(samples.samples))]


def test_answers_of_other_models_are_not_one_table():
    with pytest.raises(DatasetError, match="a was answered by model 0123456789abcdef, b by other 0123456789abcdef"):
        bag_sets.tables_of([table([]), table([], model="other")], ["a", "b"])
