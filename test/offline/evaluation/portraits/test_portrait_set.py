from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_portraits import TABLE, write, write_portraits
from PIL import Image

from caer_ros.offline.evaluation.portraits import portrait_set
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError


def test_persons_and_their_pictures(portraits):
    first, second = portrait_set.read(portraits)
    assert (first.name, first.age, first.gender, first.ethnicity) == ("01", 48, "female", "white")
    assert first.pictures == {name: portraits / f"01_{name}.png" for name in portrait_set.EXPRESSIONS}
    assert (second.age, second.ethnicity) == (None, "not said")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.replace("gender", "sex"), r"known\.csv: no column gender; the first line has id, age, sex, ethnicity"),
        ("", r"no column id and no column age .* has nothing"),
        (TABLE.split("\n")[0], r"known\.csv: no person"),
        (TABLE + "03,20,male,black\n", r"known\.csv, line 4: no picture .*03_neutral\.jpg; put it there"),
        (TABLE + "01,20,male,black\n", r"line 4: id 01 is there twice"),
        (TABLE + ",20,male,black\n", r"line 4: id ''"),
        (TABLE.replace("48", "old"), r"line 2: age 'old': must be years"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, table, said):
    folder = write_portraits(tmp_path / "known")
    (tmp_path / "known.csv").write_text(table)
    with pytest.raises(DatasetError, match=said):
        portrait_set.read(folder)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        portrait_set.read(tmp_path / "nowhere")
    (tmp_path / "known").mkdir()
    with pytest.raises(DatasetError, match=r"known\.csv: is missing; it has a row"):
        portrait_set.read(tmp_path / "known")
    with pytest.raises(DatasetError, match="known: no picture in it"):
        image_files.pictures_in(tmp_path / "known")


def test_a_picture_that_was_turned_is_noted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(tmp_path / "one.jpg", exif=exif)
    notes: dict[str, list[str]] = {}
    assert portrait_set.upright(tmp_path / "one.jpg", notes).shape == (40, 20, 3)
    assert notes == {"turned by EXIF": ["one.jpg"]}


def test_grey_and_broken_pictures_are_counted(tmp_path):
    write(tmp_path / "grey.png", np.full((40, 40, 3), 90, np.uint8))
    write(tmp_path / "deep" / "colour.png", np.full((40, 40, 3), (90, 20, 20), np.uint8))
    whole = cv2.imencode(".jpg", np.full((40, 40, 3), 90, np.uint8))[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:-20])
    (tmp_path / "text.txt").write_text("no picture")
    notes: dict[str, list[str]] = {}
    found = [path.name for path, _ in portrait_set.readable(image_files.pictures_in(tmp_path), notes)]
    assert found == ["colour.png", "grey.png"]
    assert notes == {"unreadable": ["cut.jpg"], "grey": ["grey.png"]}
