from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.webp"])
def test_size_and_pixels_agree(tmp_path, picture, name):
    path = picture(tmp_path / name, 37, 53)
    pixels = image_files.read(path)
    assert image_files.size(path) == pixels.shape[:2] == (37, 53)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, cv2.imread(str(path))[..., ::-1])


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(np.full((20, 30), 99, np.uint8)).convert(mode).save(path)
    assert image_files.read(path).shape == (20, 30, 3)
    assert image_files.size(path) == (20, 30)


def test_sixteen_bits_become_eight(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 30), 0x8000, np.uint16))
    assert image_files.size(tmp_path / "a.png") == (20, 30)
    assert (image_files.read(tmp_path / "a.png") == 0x80).all()


def test_exif_orientation_is_ignored_by_both(tmp_path):
    """Boxes refer to the stored pixels; OpenCV's imread would turn this picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert cv2.imread(str(tmp_path / "turned.jpg")).shape[:2] == (40, 20)
    assert image_files.size(tmp_path / "turned.jpg") == image_files.read(tmp_path / "turned.jpg").shape[:2] == (20, 40)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("size", [60, 400], ids=["small", "large"])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99])
def test_a_file_cut_short_is_found_by_both(tmp_path, picture, name, size, part):
    path = picture(tmp_path / name, size, size)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    for function in (image_files.size, image_files.read):
        with pytest.raises(DatasetError, match=name):
            function(path)


def test_a_thumbnail_does_not_pass_for_the_end_of_the_picture(tmp_path, picture):
    """Cut right after the thumbnail in the header, which ends with an end mark of its own."""
    thumbnail = picture(tmp_path / "thumbnail.jpg", 16, 16).read_bytes()
    whole = picture(tmp_path / "a.jpg", 300, 300).read_bytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[:2] + segment + whole[2:])
    assert image_files.size(path) == (300, 300)
    path.write_bytes((whole[:2] + segment + whole[2:])[: len(segment) + 1000])
    with pytest.raises(DatasetError, match=r"a\.jpg.*truncated"):
        image_files.size(path)


def test_what_a_camera_writes_after_the_picture_does_no_harm(tmp_path, picture):
    path = picture(tmp_path / "a.jpg", 300, 300)
    path.write_bytes(path.read_bytes() + bytes(10_000))
    assert image_files.size(path) == (300, 300)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_no_image(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    for function in (image_files.size, image_files.read):
        with pytest.raises(DatasetError, match=r"a\.jpg"):
            function(tmp_path / "a.jpg")


def test_a_missing_file(tmp_path):
    for function in (image_files.size, image_files.read):
        with pytest.raises(DatasetError, match=r"gone\.jpg: No such file"):
            function(tmp_path / "gone.jpg")


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored, by EXIF's orientation (CIPA DC-008, table 4)."""


@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_that_is_no_robots_is_turned_as_its_exif_says(tmp_path, orientation):
    upright = np.zeros((60, 40, 3), np.uint8)
    upright[:30, :20] = (250, 20, 20)
    stored, turn = Image.fromarray(upright), STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    (stored if turn is None else stored.transpose(turn)).save(tmp_path / "one.jpg", exif=exif, quality=95)
    pixels, turned = image_files.upright(tmp_path / "one.jpg")
    assert np.abs(pixels.astype(int) - upright).mean() < 3
    assert turned == (orientation != 1)


def test_pictures_of_a_folder_are_found_by_their_suffix(tmp_path, picture):
    picture(tmp_path / "b.PNG", 4, 4)
    (tmp_path / "deep").mkdir()
    picture(tmp_path / "deep" / "a.jpg", 4, 4)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [path.name for path in image_files.pictures_in(tmp_path)] == ["b.PNG", "a.jpg"]
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="none: no picture in it"):
        image_files.pictures_in(tmp_path / "none")
    with pytest.raises(DatasetError, match="missing: no such folder"):
        image_files.pictures_in(tmp_path / "missing")
