from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import joined, prediction, random_set, sample
from scipy.stats import norm

from caer_ros.offline.metrics.detection import pd
from caer_ros.offline.metrics.emotion_recognition import er
from caer_ros.offline.metrics.intervals import (
    bootstrap,
    er_statistic,
    image_groups,
    oer_statistic,
    paired_difference,
    pd_statistic,
    reservation,
)
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.offline.metrics.on_the_field import oer


def mean_of(values):
    return lambda counts: float(counts @ values / counts.sum())


def test_the_interval_of_a_mean_is_that_of_the_central_limit():
    values = np.random.default_rng(0).normal(3, 2, 400)
    interval = bootstrap(mean_of(values), range(400))
    half = norm.ppf(0.975) * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert (interval.groups, interval.replicates, interval.confidence) == (400, 1000, 0.95)


def test_frames_of_a_track_are_one_observation():
    """A hundred copies of each value say no more than the value."""
    values = np.random.default_rng(0).normal(0, 1, 20)
    once = bootstrap(mean_of(values), range(20))
    copies = bootstrap(mean_of(np.repeat(values, 100)), [f"track {number // 100}" for number in range(2000)])
    assert (copies.low, copies.high, copies.groups) == pytest.approx((once.low, once.high, 20))
    as_frames = bootstrap(mean_of(np.repeat(values, 100)), range(2000))
    assert as_frames.high - as_frames.low < 0.2 * (once.high - once.low)


def test_a_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal(0, 1, 20)
    assert bootstrap(mean_of(values), range(20), 50) == bootstrap(mean_of(values), list("abcdefghijklmnopqrst"), 50)
    assert bootstrap(mean_of(values), range(20), 50) != bootstrap(mean_of(values), range(20), 50, seed=1)


def test_a_paired_difference_sees_what_two_intervals_do_not():
    generator = np.random.default_rng(0)
    first = generator.normal(0, 1, 100)
    second = first - 0.05 + generator.normal(0, 0.05, 100)
    difference = paired_difference(mean_of(first), mean_of(second), range(100))
    assert difference.value == pytest.approx((first - second).mean())
    assert difference.conclusive
    assert difference.low > 0
    a, b = bootstrap(mean_of(first), range(100)), bootstrap(mean_of(second), range(100))
    assert a.low < b.high
    assert not paired_difference(mean_of(first), mean_of(first), range(100)).conclusive


@pytest.mark.parametrize("groups", [[], ["one"] * 5])
def test_an_interval_needs_two_groups(groups):
    with pytest.raises(MetricsError, match="at least two"):
        bootstrap(mean_of(np.ones(len(groups))), groups)


@pytest.mark.parametrize("seed", range(3))
def test_statistics_are_the_metrics(seed):
    samples, images = random_set(seed, images=20)
    together, once = joined(samples, images), np.ones(20)
    assert er_statistic(together)(once) == pytest.approx(er(together).mean_average_precision)
    assert oer_statistic(together)(once) == pytest.approx(oer(together).mean_average_precision)
    assert pd_statistic(together)(once) == pytest.approx(pd(together).ap)
    # Images that are not drawn are not there.
    half = np.repeat([1.0, 0.0], 10)
    rest = joined(samples[:10], images[:10])
    assert er_statistic(together)(half) == pytest.approx(er(rest).mean_average_precision)
    assert oer_statistic(together)(half) == pytest.approx(oer(rest).mean_average_precision)
    assert pd_statistic(together)(half) == pytest.approx(pd(rest).ap)


def test_images_that_share_a_track_are_a_group():
    tracks = [("a",), ("b",), ("a", "c"), (), ("c", ""), ("",), ("b",)]
    boxes = [[[0, 0, 9, 9]] * len(ids) for ids in tracks]
    samples = [
        sample(str(number), boxes[number], np.zeros((len(ids), 2)), track_ids=ids) for number, ids in enumerate(tracks)
    ]
    groups = image_groups(samples)
    assert groups[0] == groups[2] == groups[4]
    assert groups[1] == groups[6]
    assert len(set(groups)) == 4  # the images without a track stand alone


def test_images_of_a_recording_are_a_group():
    names = ["front/1.jpg", "front/2.jpg", "rear/1.jpg", "front/3.jpg", "photo.jpg", "other.jpg", "front/4.jpg"]
    samples = [sample(name, stamp=None if "/" not in name else int(name[-5])) for name in names]
    samples[3] = sample(names[3], [[0, 0, 9, 9]], [[1, 0]], stamp=3, track_ids=("a",))
    groups = image_groups(samples)
    assert groups[0] == groups[1] == groups[6]
    assert len(set(groups)) == 5  # front, rear, the track, and two photographs


def test_a_better_model_is_conclusively_better():
    generator = np.random.default_rng(0)
    targets = (generator.random((200, 1)) < 0.5).astype(np.float32)
    samples = [sample(str(number), [[0, 0, 9, 9]], row, 1) for number, row in enumerate(targets)]

    def model(noise):
        scores = np.clip(targets + generator.normal(0, noise, targets.shape), 0, 1)
        return er_statistic(
            joined(samples, [prediction(str(number), labels=1, pooled=row) for number, row in enumerate(scores)])
        )

    good, bad = model(0.5), model(3)
    assert paired_difference(good, bad, image_groups(samples), 200).conclusive
    assert not paired_difference(bad, bad, image_groups(samples), 200).conclusive


def test_groups_in_which_nobody_is_annotated_are_nothing_to_draw_from():
    persons, nobody = sample("a", [(0, 0, 9, 9)], [(1, 0)]), sample("b")
    assert reservation([persons, persons, nobody], [0, 0, 1])[0] is False
    enough, said = reservation([persons, persons, nobody], [0, 1, 2])
    assert enough
    assert said.startswith("The intervals rest on 2 independent groups")
    assert reservation([persons] * 10, range(10)) == (True, "")
