from __future__ import annotations

import numpy as np
import pytest

from caer_ros.offline.metrics.positives import ANY, HALF, positives, positives_of_labels

NAN = float("nan")


@pytest.mark.parametrize(("least", "expected"), [(HALF, [0, 0, 1, 1, 1, NAN]), (ANY, [0, 1, 1, 1, 1, NAN])])
def test_a_belief_is_a_positive_from_some_part_on(least: float, expected: list[float]) -> None:
    np.testing.assert_array_equal(positives(np.float32([0, 0.01, 0.5, 0.9, 1, NAN]), least), expected)


@pytest.mark.parametrize(
    ("beliefs", "expected"),
    [
        pytest.param([1, 0, 0], [1, 0, 0], id="decided by a person"),
        pytest.param([0.9, 0.08, 0.02], [1, 0, 0], id="decided by a teacher"),
        pytest.param([0.4, 0.3, 0.3], [NAN, NAN, NAN], id="sums to 1 and no half: not decided"),
        pytest.param([0.4, 0.3, 0.1], [0, 0, 0], id="several labels, none of which applies"),
        pytest.param([0.9, 0.8, NAN], [1, 1, NAN], id="several labels, one unknown"),
    ],
)
def test_a_persons_labels(beliefs: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(positives_of_labels(np.float32([beliefs])), [expected])
