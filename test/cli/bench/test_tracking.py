"""`caer bench tracking`: one bag for real, with few images, and the sums over several."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_process import CAER, environment, run

from caer_ros.cli.bench import figures, tracking
from caer_ros.cli.demo.accuracy import Accuracy
from caer_ros.recordings.frames import Frame


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("bench")
    out = tmp_path / "tracking.json"
    command = [*CAER, "bench", "tracking", "--bags", "1", "--rate", "1", "--workers", "1", "--out", str(out)]
    ended = run([*command, "--markdown"], environment(tmp_path), tmp_path / "bench", limit=110)
    assert ended.popen.returncode == 0, ended.output()
    report = json.loads(out.read_text())
    assert ended.stdout == figures.as_markdown(tracking.tables(report))
    return report


def test_the_report_has_the_promised_shape(report):
    assert set(report) == {
        *("format", "format_version", "date", "machine", "versions", "settings", "model", "bags", "pooled"),
        *("over_bags", "persons"),
    }
    assert (report["format"], report["format_version"]) == ("caer bench tracking", 1)
    assert report["settings"] == {"first_seed": 1, "bags": 1, "rate": 1.0}
    assert set(report["persons"]) == {"astronaut", "cameraman", "grace_hopper"}


def test_one_image_a_second_was_judged_and_people_were_found(report):
    (bag,) = report["bags"]
    assert bag["seed"] == 1
    assert 17 <= bag["images"] <= 19
    assert bag["images"] + bag["unprocessed"] == 180
    assert bag["precision"] > 0.5
    assert bag["recall"] > 0.5
    assert report["pooled"] == {name: value for name, value in bag.items() if name != "seed"}
    assert sum(person["found"] for person in report["persons"].values()) == bag["true_positives"]


def result(true_positives, switches, false_positives=0):
    return Accuracy(
        images=10,
        unprocessed=0,
        demanded=10,
        true_positives=true_positives,
        false_positives=false_positives,
        switches=switches,
        fragmentations=0,
        id_true_positives=true_positives,
        identities=1,
        tracks=1,
    )


EXPECTED = {"ann": {"status": "OK", "emotion": "Happy"}, "bob": {"status": "PROFILE_OR_OCCLUDED", "emotion": ""}}


def bag_result(seed, score, statuses, labels):
    return tracking.BagResult(seed, score, Counter(statuses), Counter(labels), EXPECTED)


def test_bags_are_pooled_by_their_counts_and_spread_by_their_ratios():
    one = bag_result(1, result(10, 0), {("ann", "OK"): 3}, {("ann", "Happy"): 3})
    two = bag_result(2, result(5, 4, false_positives=5), {("ann", "NO_FACE"): 1}, {})
    found = tracking.summary([one, two])
    assert found["pooled"]["recall"] == 0.75
    assert found["pooled"]["precision"] == 0.75
    assert found["pooled"]["switches"] == 4
    assert found["over_bags"]["precision"] == {"mean": 0.75, "sd": pytest.approx(0.5 / 2**0.5)}
    assert found["over_bags"]["switches"]["mean"] == 2
    assert [bag["seed"] for bag in found["bags"]] == [1, 2]


def test_status_and_label_agree_with_what_is_expected():
    one = bag_result(1, result(10, 0), {("ann", "OK"): 3}, {("ann", "Happy"): 2, ("ann", "Sad"): 1})
    two = bag_result(2, result(5, 4), {("ann", "NO_FACE"): 1, ("bob", "OK"): 2}, {("bob", "Sad"): 2})
    persons = tracking.summary([one, two])["persons"]
    assert persons["ann"]["found"] == 4
    assert persons["ann"]["status_agreement"] == 0.75
    assert persons["ann"]["label_agreement"] == pytest.approx(2 / 3)
    assert persons["ann"]["statuses"] == {"OK": 3, "NO_FACE": 1}
    assert persons["bob"]["status_agreement"] == 0
    assert persons["bob"]["label_agreement"] is None


def test_somebody_who_was_never_found_has_no_agreement():
    persons = tracking.summary([bag_result(1, result(0, 0), {}, {})])["persons"]
    assert persons["ann"] | {"expected": None} == {
        **{"expected": None, "found": 0, "status_agreement": None, "label_agreement": None},
        **{"statuses": {}, "labels": {}},
    }


PIXELS = np.zeros((1, 1, 3), np.uint8)


def stamps(rate, count=50, period_ms=100):
    frames = [Frame(str(i), 1_000_000_000 + i * period_ms * 1_000_000, PIXELS) for i in range(count)]
    return [int(frame.name) for frame in tracking.taken(frames, rate)]


def test_without_a_rate_every_image_is_taken():
    assert stamps(None) == list(range(50))


def test_a_fast_model_takes_every_image():
    assert stamps(10.0) == stamps(100.0) == list(range(50))


def test_a_slow_model_takes_the_newest_image_whenever_it_is_free():
    # 4 a second: free at 0.25 s, when image 2 (0.2 s) waits; at 0.5 s image 5 has just come.
    assert stamps(4.0, count=11) == [0, 2, 5, 7, 10]


@given(st.floats(0.5, 12), st.integers(20, 60))
def test_a_model_of_any_speed_takes_so_many_images(rate, count):
    taken = stamps(rate, count)
    assert taken == sorted(set(taken))
    assert len(taken) == pytest.approx(min(count, 0.1 * (count - 1) * rate), abs=2)
