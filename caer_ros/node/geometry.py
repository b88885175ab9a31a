"""From a pixel to a direction in the camera's optical frame, by sensor_msgs/CameraInfo (REP-103, REP-104)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FISHEYE_MODELS = frozenset({"equidistant", "fisheye"})


@dataclass(frozen=True)
class Camera:
    """A calibrated pinhole or fisheye camera, for images of ``width`` × ``height`` pixels.

    ``matrix`` is K [3,3] (of P's left part for rectified images), ``distortion`` is D [n], empty for rectified images.
    """

    width: int
    height: int
    matrix: NDArray[np.float64]
    distortion: NDArray[np.float64]
    fisheye: bool = False

    def directions(self, pixels: NDArray[np.floating], width: int, height: int) -> NDArray[np.float64]:
        """Unit vectors [N,3] (x right, y down, z forward) for pixels [N,2] of an image of ``width`` × ``height``.

        Pixel coordinates have their origin at the corner of the first pixel; calibrations have it at that
        pixel's centre, hence the half. An image scaled as a whole is allowed.

        Raises:
            ValueError: the image has another aspect ratio than the calibration.
        """
        scale = np.array([self.width / width, self.height / height])
        if abs(scale[0] / scale[1] - 1) > 0.01:
            raise ValueError(
                f"camera_info is for {self.width}×{self.height}, the image has {width}×{height}: "
                "another aspect ratio, so directions are not known; calibrate at the image's resolution"
            )
        points = (np.asarray(pixels, np.float64).reshape(-1, 1, 2) * scale) - 0.5
        if not len(points):
            return np.empty((0, 3))
        if self.fisheye:
            rays = cv2.fisheye.undistortPoints(points, self.matrix, self.distortion)
        else:
            rays = cv2.undistortPoints(points, self.matrix, self.distortion)
        rays = np.concatenate([rays.reshape(-1, 2), np.ones((len(points), 1))], axis=1)
        unit: NDArray[np.float64] = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return unit


def camera(
    width: int,
    height: int,
    k: Sequence[float],
    d: Sequence[float],
    p: Sequence[float],
    distortion_model: str,
    *,
    rectified: bool,
    roi: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Camera | None:
    """A camera from the fields of sensor_msgs/CameraInfo; None when it is not calibrated (K[0] is 0).

    ``rectified``: the images are (topic ``image_rect…``), so P applies and no distortion is left.
    ``roi``: x_offset, y_offset, width, height of the part of the sensor that the images show; all of it when 0.

    Raises:
        ValueError: the number of distortion coefficients fits no model.
    """
    if not (width and height and k[0] and k[4] and np.isfinite(k).all()):
        return None
    x, y, roi_width, roi_height = roi
    offset = np.array([[0, 0, x], [0, 0, y], [0, 0, 0]], np.float64)  # K and P count from the whole sensor's corner
    width, height = roi_width or width, roi_height or height
    if rectified and p[0]:
        return Camera(width, height, np.asarray(p, np.float64).reshape(3, 4)[:, :3] - offset, np.empty(0))
    fisheye = distortion_model in FISHEYE_MODELS
    distortion = np.asarray(d, np.float64)
    if fisheye and not distortion.size:
        distortion = np.zeros(4)
    if distortion.size not in ((4,) if fisheye else (0, 4, 5, 8, 12, 14)):
        raise ValueError(
            f"camera_info: distortion model {distortion_model!r} with {distortion.size} coefficients in `d` cannot "
            "be used, so directions are not known; calibrate with plumb_bob (5), rational_polynomial (8) or "
            "equidistant (4)"
        )
    return Camera(width, height, np.asarray(k, np.float64).reshape(3, 3) - offset, distortion, fisheye)
