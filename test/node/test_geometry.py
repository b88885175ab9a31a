"""Directions to persons from calibrations, both ways."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.node.geometry import Camera, camera

K = [500.0, 0, 320.0, 0, 520.0, 240.0, 0, 0, 1]
P = [450.0, 0, 310.0, 0, 0, 460.0, 250.0, 0, 0, 0, 1, 0]
PLUMB_BOB = [-0.2, 0.05, 0.001, -0.001, 0.0]


def make(d: list[float], model: str, *, rectified: bool = False) -> Camera:
    made = camera(640, 480, K, d, P, model, rectified=rectified)
    assert made is not None
    return made


def test_the_principal_point_looks_straight_ahead() -> None:
    """Calibrations count from the first pixel's centre, boxes from its corner."""
    (direction,) = make([], "plumb_bob").directions([[320.5, 240.5]], 640, 480)
    np.testing.assert_allclose(direction, [0, 0, 1], atol=1e-12)


def test_right_and_down_are_positive() -> None:
    (direction,) = make([], "plumb_bob").directions([[320.5 + 500, 240.5 + 520]], 640, 480)
    np.testing.assert_allclose(direction, np.array([1, 1, 1]) / np.sqrt(3))


def test_rectified_images_use_the_projection_matrix() -> None:
    (direction,) = make(PLUMB_BOB, "plumb_bob", rectified=True).directions([[310.5, 250.5]], 640, 480)
    np.testing.assert_allclose(direction, [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("model", "d"),
    [("plumb_bob", PLUMB_BOB), ("rational_polynomial", [*PLUMB_BOB, 0.01, 0.0, 0.0]), ("equidistant", [0.01, 0, 0, 0])],
)
@given(x=st.floats(-0.35, 0.35), y=st.floats(-0.25, 0.25))
def test_projecting_and_coming_back(model: str, d: list[float], x: float, y: float) -> None:
    ray = np.array([[[x, y, 1.0]]])
    k = np.array(K).reshape(3, 3)
    zero = np.zeros(3)
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    pixel = project(ray, zero, zero, k, np.array(d))[0].reshape(1, 2) + 0.5
    (direction,) = make(d, model).directions(pixel, 640, 480)
    np.testing.assert_allclose(direction, ray[0, 0] / np.linalg.norm(ray), atol=1e-3)


def test_a_scaled_image_has_the_same_directions() -> None:
    calibrated = make(PLUMB_BOB, "plumb_bob")
    np.testing.assert_allclose(
        calibrated.directions([[100, 50]], 640, 480), calibrated.directions([[50, 25]], 320, 240)
    )


def test_another_aspect_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match=r"640×480.*640×360"):
        make([], "plumb_bob").directions([[1, 1]], 640, 360)


def test_distortion_that_fits_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="'plumb_bob' with 3 coefficients"):
        make([0.1, 0.1, 0.1], "plumb_bob")


def test_a_region_of_interest_looks_where_that_part_of_the_sensor_does() -> None:
    part = camera(640, 480, K, PLUMB_BOB, P, "plumb_bob", rectified=False, roi=(100, 60, 320, 240))
    assert part is not None
    whole = make(PLUMB_BOB, "plumb_bob").directions([[150.0, 90.0]], 640, 480)
    np.testing.assert_allclose(part.directions([[50.0, 30.0]], 320, 240), whole)


@pytest.mark.parametrize("k", [[500.0, 0, 320.0, 0, 0, 240.0, 0, 0, 1], [500.0, 0, float("nan"), 0, 520.0, 0, 0, 0, 1]])
def test_a_broken_calibration_gives_no_directions(k: list[float]) -> None:
    assert camera(640, 480, k, [], P, "plumb_bob", rectified=False) is None


def test_an_uncalibrated_camera_has_no_directions() -> None:
    assert camera(640, 480, [0.0] * 9, [], [0.0] * 12, "", rectified=False) is None


def test_nobody_is_nowhere() -> None:
    assert make([], "plumb_bob").directions(np.empty((0, 2)), 640, 480).shape == (0, 3)
