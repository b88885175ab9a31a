from __future__ import annotations

import cv2
import numpy as np
import pytest


def write_picture(path, height=60, width=80):
    """A picture with some structure, so that a JPEG of it is more than its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(noise, (width, height)))
    return path


@pytest.fixture(scope="session")
def picture():
    return write_picture
