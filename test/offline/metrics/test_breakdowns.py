from __future__ import annotations

import numpy as np
import pytest
from offline.metrics.tables import joined, prediction, sample

from caer_ros.offline.metrics.breakdowns import BREAKDOWNS, breakdowns, group_names, label_shuffle
from caer_ros.offline.metrics.emotion_recognition import er


def test_the_group_of_a_person():
    """Images are 100 high and 200 wide."""
    inside, tall = [50, 10, 90, 22], [50, 10, 90, 98]
    samples = [
        sample("a", [inside], np.zeros((1, 2)), gender=("male",), age=("kid",)),
        sample("b", [tall, [0, 10, 20, 35]], np.zeros((2, 2)), gender=("", "female")),
        sample("c", [[150, 10, 199.5, 60], [1, 1.5, 20, 100], *[inside] * 2], np.zeros((4, 2))),
        sample("d"),
    ]
    names = {name: values.tolist() for name, values in group_names(samples).items()}
    assert tuple(names) == BREAKDOWNS
    assert names["persons in the image"] == ["1", "2", "2"] + ["4 and more"] * 4
    low, quarter, half, full = (
        f"{part} of the image" for part in ("0 to 0.125", "0.25 to 0.5", "0.5 to 0.75", "0.75 to 1")
    )
    assert names["box height"] == [low, full, quarter, half, full, low, low]
    touches = "touches the border"
    assert names["truncation"] == ["inside", "inside", touches, touches, touches, "inside", "inside"]
    assert names["gender"] == ["male", "", "female"] + [""] * 4
    assert names["age"] == ["kid"] + [""] * 6


def test_each_group_is_er_of_its_persons():
    generator = np.random.default_rng(0)
    samples, images = [], []
    for number in range(60):
        count = int(generator.integers(1, 4))
        boxes = [[10, 10, 50, 90]] * count
        samples.append(sample(str(number), boxes, generator.random((count, 2)) < 0.4, gender=("male",) * count))
        images.append(prediction(str(number), pooled=generator.random((count, 2))))
    result = breakdowns(joined(samples, images))
    assert set(result) == {"persons in the image", "box height", "truncation", "gender"}  # nobody's age is given
    alone, *_ = result["persons in the image"]
    chosen = [number for number, item in enumerate(samples) if len(item) == 1]
    expected = er(joined([samples[number] for number in chosen], [images[number] for number in chosen]))
    assert (alone.name, alone.persons) == ("1", len(chosen))
    assert alone.mean_average_precision == pytest.approx(expected.mean_average_precision)
    assert alone.chance == pytest.approx(expected.chance)
    everybody = er(joined(samples, images))
    for name in ("truncation", "gender"):
        (group,) = result[name]
        assert group.mean_average_precision == everybody.mean_average_precision
    assert sum(group.persons for group in result["persons in the image"]) == everybody.persons


def test_shuffled_labels_fall_to_chance():
    generator = np.random.default_rng(0)
    targets = generator.random((2000, 2)) < 0.3
    together = joined([sample("a", [[0, 0, 9, 9]] * 2000, targets)], [prediction("a", pooled=targets)])
    assert er(together).mean_average_precision == 1
    control = label_shuffle(together)
    assert control.mean_average_precision == pytest.approx(control.chance, abs=0.02)
    assert control.chance == pytest.approx(er(together).chance)
    assert label_shuffle(together) == control
    assert label_shuffle(together, seed=1) != control
