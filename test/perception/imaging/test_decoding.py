"""decoding.py against encoders written here by hand, from the definitions and without OpenCV."""

from __future__ import annotations

import array
import contextlib
import importlib.util
import struct
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.perception.imaging.decoding import ENCODINGS, ImageError, decode, decode_compressed

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
CHANNEL_ORDER = {
    "rgb8": [0, 1, 2],
    "bgr8": [2, 1, 0],
    "8UC3": [2, 1, 0],
    "rgba8": [0, 1, 2, 3],
    "bgra8": [2, 1, 0, 3],
    "8UC4": [2, 1, 0, 3],
}
MONO = ("mono8", "8UC1")
YUV422 = {"uyvy": "UYVZ", "yuv422": "UYVZ", "yuyv": "YUZV", "yuv422_yuy2": "YUZV"}  # Z: luma of the second pixel
YUV420 = {"nv12": "UV", "nv21": "VU"}
BAYER = ("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8")
YUV_ROUNDING = 3


def test_every_encoding_has_an_encoder_here():
    assert set(ENCODINGS) == {*CHANNEL_ORDER, *MONO, *YUV422, *YUV420, *BAYER}


def yuv(rgb):
    """Y, Cb, Cr [H,W,3] by ITU-R BT.601, limited range (Y 16..235, Cb and Cr 16..240)."""
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    return np.rint(rgb / 255.0 @ matrix.T + [16, 128, 128]).astype(np.uint8)


def encode(encoding, rgb):
    """Rows of bytes [rows, bytes per row] without padding; subsampled colour is that of the even pixels."""
    height, width = rgb.shape[:2]
    if encoding in CHANNEL_ORDER:
        rgba = np.dstack([rgb, np.full((height, width), 77, np.uint8)])
        return rgba[..., CHANNEL_ORDER[encoding]].reshape(height, -1)
    if encoding in MONO:
        return rgb[..., 0].copy()
    if encoding in BAYER:
        pattern = encoding[len("bayer_") :]
        mosaic = np.empty((height, width), np.uint8)
        for i, letter in enumerate(pattern[:4]):
            mosaic[i // 2 :: 2, i % 2 :: 2] = rgb[i // 2 :: 2, i % 2 :: 2, "rgb".index(letter)]
        return mosaic
    y, cb, cr = np.moveaxis(yuv(rgb), -1, 0)
    if encoding in YUV422:
        planes = {"Y": y[:, ::2], "Z": y[:, 1::2], "U": cb[:, ::2], "V": cr[:, ::2]}
        return np.stack([planes[plane] for plane in YUV422[encoding]], axis=-1).reshape(height, -1)
    planes = {"U": cb[::2, ::2], "V": cr[::2, ::2]}
    chroma = np.stack([planes[plane] for plane in YUV420[encoding]], axis=-1)
    return np.vstack([y, chroma.reshape(height // 2, width)])


def padded(rows, padding, rng):
    return np.hstack([rows, rng.integers(0, 256, (len(rows), padding), np.uint8)])


def blocks(rng, height, width):
    """A random image of 2x2 blocks, so that subsampled colour loses nothing."""
    small = rng.integers(0, 256, ((height + 1) // 2, (width + 1) // 2, 3), np.uint8)
    return small.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


def assert_decodes(encoding, rgb, decoded):
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    if encoding in MONO:
        np.testing.assert_array_equal(decoded, rgb[..., :1].repeat(3, axis=-1))
    elif encoding in BAYER:
        # Bilinear demosaicing returns the sampled values themselves where they were sampled,
        # except at the border, which OpenCV copies from inside.
        for i, letter in enumerate(encoding[len("bayer_") :][:4]):
            sampled = slice(2 - i // 2, -1, 2), slice(2 - i % 2, -1, 2), "rgb".index(letter)
            np.testing.assert_array_equal(decoded[sampled], rgb[sampled])
    else:
        tolerance = 0 if encoding in CHANNEL_ORDER else YUV_ROUNDING
        np.testing.assert_allclose(decoded.astype(int), rgb, atol=tolerance)


@given(
    encoding=st.sampled_from(ENCODINGS),
    half_height=st.integers(2, 12),
    half_width=st.integers(2, 12),
    odd=st.tuples(st.booleans(), st.booleans()),
    padding=st.integers(0, 9),
    tail=st.integers(0, 5),
    is_bigendian=st.booleans(),
    container=st.sampled_from([bytes, bytearray, memoryview, lambda b: array.array("B", b), None]),
    seed=st.integers(0, 2**16),
)
def test_decode_inverts_encode(encoding, half_height, half_width, odd, padding, tail, is_bigendian, container, seed):
    rng = np.random.default_rng(seed)
    height = 2 * half_height + (odd[0] and encoding not in YUV420)
    width = 2 * half_width + (odd[1] and encoding not in (*YUV420, *YUV422))
    rgb = blocks(rng, height, width)
    rows = padded(encode(encoding, rgb), padding, rng)
    flat = np.concatenate([rows.ravel(), rng.integers(0, 256, tail, np.uint8)])
    data = flat if container is None else container(flat.tobytes())
    decoded = decode(encoding, height, width, rows.shape[1], is_bigendian, data)
    assert decoded.shape == (height, width, 3)
    assert_decodes(encoding, rgb, decoded)
    if container is None:
        np.testing.assert_array_equal(flat[: rows.size], rows.ravel())


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE, WHITE, BLACK, (200, 30, 90)])
@pytest.mark.parametrize("encoding", [e for e in ENCODINGS if e not in MONO])
def test_flat_colours_survive(encoding, colour):
    """Red stays red: a swapped channel, chroma order or mosaic shift shows here, borders included."""
    rgb = np.full((6, 8, 3), colour, np.uint8)
    rows = encode(encoding, rgb)
    decoded = decode(encoding, 6, 8, rows.shape[1], False, rows.tobytes())
    np.testing.assert_allclose(decoded.astype(int), rgb, atol=YUV_ROUNDING)


# 100 % colour bars of ITU-R BT.601: Y, Cb, Cr.
@pytest.mark.parametrize(
    ("colour", "y", "cb", "cr"),
    [(RED, 81, 90, 240), (GREEN, 145, 54, 34), (BLUE, 41, 240, 110), (WHITE, 235, 128, 128), (BLACK, 16, 128, 128)],
)
def test_bt601_colour_bars(colour, y, cb, cr):
    rows = {
        "yuv422": [cb, y, cr, y] * 2,
        "uyvy": [cb, y, cr, y] * 2,
        "yuv422_yuy2": [y, cb, y, cr] * 2,
        "yuyv": [y, cb, y, cr] * 2,
        "nv12": [y] * 4 + [cb, cr],
        "nv21": [y] * 4 + [cr, cb],
    }
    for encoding, data in rows.items():
        step = 2 if encoding in YUV420 else 4
        decoded = decode(encoding, 2, 2, step, False, bytes(data))
        np.testing.assert_allclose(decoded.astype(int), np.full((2, 2, 3), colour), atol=YUV_ROUNDING)


@pytest.mark.parametrize(
    ("encoding", "height", "data"),
    [
        ("yuv422", 1, [128, 50, 128, 200]),
        ("uyvy", 1, [128, 50, 128, 200]),
        ("yuv422_yuy2", 1, [50, 128, 200, 128]),
        ("yuyv", 1, [50, 128, 200, 128]),
        ("nv12", 2, [50, 200, 50, 200, 128, 128]),
        ("nv21", 2, [50, 200, 50, 200, 128, 128]),
    ],
)
def test_each_pixel_has_its_own_luma(encoding, height, data):
    """(Y - 16) * 255 / 219, by BT.601."""
    decoded = decode(encoding, height, 2, 2 if height == 2 else 4, False, bytes(data))
    np.testing.assert_allclose(decoded.astype(int), np.full((height, 2, 3), [[[40], [214]]]), atol=1)


@pytest.mark.parametrize(
    ("encoding", "red_at"),
    [("bayer_rggb8", (0, 0)), ("bayer_grbg8", (0, 1)), ("bayer_gbrg8", (1, 0)), ("bayer_bggr8", (1, 1))],
)
def test_bayer_name_says_where_red_is(encoding, red_at):
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[red_at[0] :: 2, red_at[1] :: 2] = 255
    np.testing.assert_array_equal(decode(encoding, 8, 8, 8, False, mosaic), np.full((8, 8, 3), RED))


def test_nv12_with_the_chroma_counted_into_step():
    rgb = blocks(np.random.default_rng(0), 8, 12)
    data = encode("nv12", rgb).tobytes()
    np.testing.assert_array_equal(decode("nv12", 8, 12, 18, False, data), decode("nv12", 8, 12, 12, False, data))


def test_unpadded_rgb8_is_a_read_only_view():
    data = array.array("B", range(2 * 4 * 3))
    decoded = decode("rgb8", 2, 4, 12, False, data)
    assert np.shares_memory(decoded, np.frombuffer(data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        decoded[0, 0, 0] = 1
    assert cv2.resize(decoded, (2, 1)).shape == (1, 2, 3)


@pytest.mark.parametrize("encoding", ["bgr8", "mono8", "uyvy", "nv12"])
def test_decoding_leaves_the_data_alone(encoding):
    rows = encode(encoding, blocks(np.random.default_rng(1), 4, 6))
    before = rows.copy()
    decode(encoding, 4, 6, rows.shape[1], False, rows)[:] = 0
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "mono16"])
@pytest.mark.parametrize(("height", "width", "size"), [(0, 640, 99), (480, 0, 99), (480, 640, 0)])
def test_empty_image(encoding, height, width, size):
    with pytest.raises(ImageError, match=rf"{encoding} image of {width}x{height} with {size} bytes of data is empty"):
        decode(encoding, height, width, width, False, bytes(size))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_byte_short(encoding):
    rows = encode(encoding, np.zeros((4, 6, 3), np.uint8))
    count, step = rows.shape[0], rows.shape[1] + 2
    size = count * step
    message = rf"{encoding} image of 6x4: {count} rows of {step} bytes are {size} bytes but data has {size - 1}"
    with pytest.raises(ImageError, match=message):
        decode(encoding, 4, 6, step, False, bytes(size - 1))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_step_shorter_than_a_row(encoding):
    row_bytes = encode(encoding, np.zeros((4, 6, 3), np.uint8)).shape[1]
    with pytest.raises(ImageError, match=rf"{encoding} .* step is {row_bytes - 1} bytes but a row takes {row_bytes}"):
        decode(encoding, 4, 6, row_bytes - 1, False, bytes(1000))


@pytest.mark.parametrize("encoding", [*YUV422, *YUV420])
def test_odd_width_of_shared_colour(encoding):
    with pytest.raises(ImageError, match=f"{encoding} image of 5x4: .* width must be even"):
        decode(encoding, 4, 5, 10, False, bytes(1000))


@pytest.mark.parametrize("encoding", YUV420)
def test_odd_height_of_shared_colour(encoding):
    with pytest.raises(ImageError, match=f"{encoding} image of 4x5: .* height must be even"):
        decode(encoding, 5, 4, 4, False, bytes(1000))


def test_mosaic_too_small_to_interpolate():
    with pytest.raises(ImageError, match="at least 3x3"):
        decode("bayer_rggb8", 2, 8, 8, False, bytes(16))


def test_sizes_of_a_corrupt_header_allocate_nothing():
    with pytest.raises(ImageError, match="data has 12"):
        decode("bgr8", 2**32 - 1, 2**30, 2**32 - 1, False, bytes(12))


# --- cv_bridge ---


@pytest.fixture
def no_cv_bridge(monkeypatch):
    if importlib.util.find_spec("cv_bridge"):
        monkeypatch.setitem(sys.modules, "cv_bridge", None)


@pytest.mark.usefixtures("no_cv_bridge")
@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bayer_rggb16", "32FC1", "RGB8", "nonsense", ""])
def test_without_cv_bridge_the_error_says_what_to_do(encoding):
    with pytest.raises(ImageError, match=rf"'{encoding}' is not decoded here.*install cv_bridge.*rgb8, bgr8"):
        decode(encoding, 2, 2, 8, False, bytes(16))


FAKE_CV_BRIDGE = '''
"""What cv_bridge does with mono16 (matFromImage and toCvCopyImpl of cv_bridge.cpp), in numpy."""
import numpy as np

class CvBridge:
    def imgmsg_to_cv2(self, message, desired_encoding):
        assert desired_encoding == "rgb8"
        if message.encoding != "mono16":
            raise RuntimeError(f"Unrecognized image encoding [{message.encoding}]")
        dtype = np.dtype("u2").newbyteorder(">" if message.is_bigendian else "<")
        grey = np.ndarray((message.height, message.step // 2), dtype, message.data)[:, : message.width]
        return np.rint(grey * (255 / 65535)).astype(np.uint8)[..., None].repeat(3, axis=-1)
'''


@pytest.fixture
def fake_cv_bridge(monkeypatch, tmp_path):
    (tmp_path / "cv_bridge.py").write_text(FAKE_CV_BRIDGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
    yield
    sys.modules.pop("cv_bridge", None)


@pytest.mark.usefixtures("fake_cv_bridge")
@pytest.mark.parametrize("is_bigendian", [False, True])
def test_sixteen_bits_through_cv_bridge(is_bigendian):
    grey = np.array([[0, 300, 65535], [1000, 40000, 32896]])
    rows = np.hstack([grey, [[9], [9]]]).astype(">u2" if is_bigendian else "<u2")
    decoded = decode("mono16", 2, 3, 8, is_bigendian, rows.tobytes())
    np.testing.assert_array_equal(decoded[..., 0], [[0, 1, 255], [4, 156, 128]])
    assert decoded.shape == (2, 3, 3)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous


@pytest.mark.usefixtures("fake_cv_bridge")
def test_cv_bridge_is_not_trusted():
    with pytest.raises(ImageError, match=r"'bogus'.*RuntimeError: Unrecognized image encoding \[bogus\]"):
        decode("bogus", 2, 2, 4, False, bytes(8))
    with pytest.raises(ImageError, match=r"mono16 image of 9x2 with step 4: cv_bridge made uint8 \(2, 2, 3\)"):
        decode("mono16", 2, 9, 4, False, bytes(8))
    with pytest.raises(ImageError, match=r"2 rows of 8 bytes are 16 bytes but data has 8"):
        decode("mono16", 2, 4, 8, False, bytes(8))


# --- another implementation ---


@pytest.mark.parametrize("encoding", [e for e in ENCODINGS if e not in ("8UC1", "8UC4", *YUV420)])
def test_agrees_with_rosbags(encoding):
    rosbags_image = pytest.importorskip("rosbags.image")
    rgb = blocks(np.random.default_rng(2), 12, 16)
    rows = encode(encoding, rgb)
    message = SimpleNamespace(
        encoding=encoding, height=12, width=16, step=rows.shape[1], is_bigendian=0, data=rows.ravel()
    )
    # rosbags leaves 8UC3 as it is.
    theirs = rosbags_image.message_to_cvimage(message, "bgr8")[..., ::-1]
    np.testing.assert_array_equal(decode(encoding, 12, 16, rows.shape[1], False, rows), theirs)


# --- compressed ---


@pytest.fixture(scope="module")
def colours():
    """Smooth, so that JPEG keeps it to a few grey levels, and different in each channel and corner."""
    y, x = np.mgrid[0:48, 0:64].astype(float)
    return np.stack([x * 4, y * 5, 255 - x * 2 - y * 2], axis=-1).clip(0, 255).astype(np.uint8)


def compressed(extension, rgb, *options):
    done, data = cv2.imencode(extension, rgb[..., ::-1], options)
    assert done
    return data.tobytes()


def exif(orientation, thumbnail=b""):
    """An APP1 segment with one little-endian IFD entry, Orientation (0x0112, SHORT), and bytes after it."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0) + thumbnail
    payload = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_jpeg(colours, container):
    decoded = decode_compressed(container(compressed(".jpg", colours, cv2.IMWRITE_JPEG_QUALITY, 98)))
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - colours).mean() < 2


@pytest.mark.parametrize("extension", [".png", ".bmp"])
def test_lossless(colours, extension):
    np.testing.assert_array_equal(decode_compressed(compressed(extension, colours)), colours)


def test_webp(colours):
    assert np.abs(decode_compressed(compressed(".webp", colours)).astype(int) - colours).mean() < 6


def test_grey_and_progressive_jpeg(colours):
    grey = decode_compressed(compressed(".jpg", colours[..., :1]))
    assert grey.shape == colours.shape
    assert np.abs(grey[..., 0].astype(int) - colours[..., 0]).mean() < 3
    progressive = compressed(".jpg", colours, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert np.abs(decode_compressed(progressive).astype(int) - colours).mean() < 3


def test_png_loses_alpha_and_the_low_byte(colours):
    alpha = np.full(colours.shape[:2], 9, np.uint8)
    done, data = cv2.imencode(".png", np.dstack([colours[..., ::-1], alpha]))
    assert done
    np.testing.assert_array_equal(decode_compressed(data.tobytes()), colours)
    done, data = cv2.imencode(".png", colours[..., ::-1].astype(np.uint16) * 257)
    assert done
    np.testing.assert_array_equal(decode_compressed(data.tobytes()), colours)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_ignored(colours, orientation):
    plain = compressed(".jpg", colours)
    turned = plain[:2] + exif(orientation) + plain[2:]
    if orientation == 6:  # the segment is well made: OpenCV obeys it when left alone
        assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (64, 48)
    np.testing.assert_array_equal(decode_compressed(turned), decode_compressed(plain))


@pytest.mark.parametrize(("extension", "kind", "end_marker"), [(".jpg", "JPEG", 2), (".png", "PNG", 12)])
def test_truncation_is_noticed(colours, extension, kind, end_marker):
    data = compressed(extension, colours)
    for size in (20, len(data) // 3, len(data) - 60, len(data) - end_marker):
        with pytest.raises(ImageError, match=rf"{kind} of {size} bytes is truncated"):
            decode_compressed(data[:size])


def test_truncation_is_noticed_despite_a_thumbnail(colours):
    """The thumbnail in EXIF is a JPEG of its own, and ends with the marker that the picture lacks."""
    plain = compressed(".jpg", colours)
    whole = plain[:2] + exif(1, thumbnail=compressed(".jpg", colours[::4, ::4])) + plain[2:]
    np.testing.assert_array_equal(decode_compressed(whole), decode_compressed(plain))
    with pytest.raises(ImageError, match="truncated"):
        decode_compressed(whole[:-200])


def test_bytes_after_the_picture_are_no_harm(colours):
    for extension in (".jpg", ".png"):
        data = compressed(extension, colours)
        np.testing.assert_array_equal(decode_compressed(data + bytes(50)), decode_compressed(data))


def test_what_is_no_picture(colours):
    with pytest.raises(ImageError, match="0 bytes of data is empty"):
        decode_compressed(b"")
    with pytest.raises(ImageError, match=r"5 bytes \(starts 68 65 6c 6c 6f\) is corrupt, or in a format"):
        decode_compressed(b"hello")
    png = bytearray(compressed(".png", colours))
    png[40:60] = bytes(20)
    with pytest.raises(ImageError, match="corrupt"):
        decode_compressed(png)


def test_compressed_depth_is_named(colours):
    done, png = cv2.imencode(".png", colours[..., 0].astype(np.uint16) * 20)
    assert done
    with pytest.raises(ImageError, match="compressedDepth"):
        decode_compressed(struct.pack("<iff", 0, 10.0, 100.0) + png.tobytes())


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF"])
)
def test_noise_raises_nothing_else(noise, start):
    with contextlib.suppress(ImageError):
        assert decode_compressed(start + noise).ndim == 3
