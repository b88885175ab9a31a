from __future__ import annotations

import cv2
import numpy as np
import pytest

from caer_ros.offline.evaluation.portraits.canvas import Picture
from caer_ros.offline.evaluation.portraits.contact_sheet import Sheet
from caer_ros.offline.evaluation.portraits.portrait_cases import Answer, Case


def picture(level):
    boxes = [np.array(box, np.float64) for box in ([100, 50, 200, 350], [125, 50, 175, 110], [135, 65, 165, 105])]
    return Picture(np.full((480, 640, 3), level, np.uint8), *boxes)


def test_a_few_of_each_view_and_size(tmp_path):
    sheet = Sheet()
    for person in range(12):
        for expression in ("neutral", "smiling"):
            for size in (24, 48):
                case = Case(f"{person:03}", expression, "body", size, "", "scene.jpg")
                sheet.show(case, picture(200), Answer(True, "OK", "Happy"))
    sheet.write(tmp_path / "sheet.jpg")
    pixels = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert pixels.shape == (256, 8 * 320, 3)  # four of each size
    assert (pixels[120, 160::320].mean(axis=1) > 180).all()


def test_a_sheet_that_cannot_be_written_is_an_error(tmp_path):
    sheet = Sheet()
    sheet.show(Case("a", "neutral", "body", 24, "", "s"), picture(90), Answer(False))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        sheet.write(tmp_path / "file" / "sheet.jpg")
