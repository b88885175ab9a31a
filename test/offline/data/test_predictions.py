from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from offline.metrics.tables import NAN, prediction, table

from caer_ros.offline.data.predictions import (
    PredictionsError,
    Timing,
    Tracked,
    iterate,
    read,
    read_header,
    write,
    write_images,
)

PROBABILITIES = st.floats(0, 1, width=32) | st.just(NAN)
STAMPS = st.integers(0, 2**63 - 1)
SECONDS = st.floats(0, 10) | st.just(NAN)


def same(a, b):
    for field in dataclasses.fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if dataclasses.is_dataclass(left):
            same(left, right)
        elif isinstance(left, np.ndarray):
            assert right.dtype == left.dtype
            assert left.shape == right.shape
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right or (left != left and right != right)


def tracked(persons):
    return st.builds(
        Tracked,
        ids=st.tuples(*[st.text(max_size=5)] * persons),
        coasted=arrays.arrays(bool, persons),
        smoothed=arrays.arrays(np.float32, (persons, 2), elements=PROBABILITIES),
        top=arrays.arrays(np.intp, persons, elements=st.integers(-1, 1)),
    )


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_there_and_back_to_the_last_bit(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("table") / "predictions.jsonl"
    found, annotated = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    draw = {
        "boxes": arrays.arrays(np.float32, (found, 4), elements=st.floats(-1e4, 1e4, width=32)),
        "scores": arrays.arrays(np.float32, (found,), elements=st.floats(0, 1, width=32)),
        "emotions": arrays.arrays(np.float32, (found, 2), elements=PROBABILITIES),
        "pooled": st.none() | arrays.arrays(np.float32, (annotated, 2), elements=PROBABILITIES),
        "vad": st.none() | arrays.arrays(np.float32, (found, 3), elements=st.floats(-1, 1, width=32)),
        "stamp": st.none() | st.integers(0, 2**63 - 1),
        "saturated": st.booleans(),
        "tracked": st.none() | tracked(found),
        "timing": st.none() | st.builds(Timing, STAMPS, STAMPS, SECONDS, SECONDS, st.integers(0, 2**32 - 1)),
    }
    image = prediction("böse/ \n.png", **{name: data.draw(strategy) for name, strategy in draw.items()})
    written = table([image])
    write(path, written)
    (back,) = read(path).images
    same(image, back)
    assert read(path).header == written.header == read_header(path)


def test_a_line_an_image_in_order(tmp_path):
    path = tmp_path / "runs" / "predictions.jsonl"
    predictions = table([prediction(str(number)) for number in range(3)])
    write_images(path, predictions.header, iter(predictions.images))
    assert len(path.read_text().splitlines()) == 4
    assert [image.image_id for image in iterate(path)] == ["0", "1", "2"]
    assert json.loads(path.read_text().splitlines()[0]) == {
        "format": "caer_predictions",
        "format_version": 1,
        "caer_ros": predictions.header.caer_ros,
        "model": "model",
        "model_version": "0123456789abcdef",
        "label_set": "own",
        "labels": ["label 0", "label 1"],
        "score_type": "sigmoid",
        "box_kind": "body",
        "source": "own test",
        "max_persons": 20,
        "thresholds": {"person": 0.3, "kept": 0.0},
        "pooling": [],
    }


def test_a_run_that_fails_leaves_no_table(tmp_path):
    def images():
        yield prediction("a")
        raise RuntimeError("camera unplugged")

    path = tmp_path / "predictions.jsonl"
    with pytest.raises(RuntimeError, match="unplugged"):
        write_images(path, table([]).header, images())
    assert not path.exists()


def changed(tmp_path, line, **changes):
    path = tmp_path / "predictions.jsonl"
    write(path, table([prediction("a", [[0, 0, 5, 5]], [0.5], [[0.1, NAN]], pooled=[[0.2, 0.3]])]))
    lines = path.read_text().splitlines()
    fields = json.loads(lines[line])
    for name, value in changes.items():
        fields[name] = value
        if value is ...:
            del fields[name]
    lines[line] = json.dumps(fields)
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("line", "changes", "says"),
    [
        (0, {"format": "coco"}, r'jsonl:1: no header of format "caer_predictions", version 1'),
        (0, {"format_version": 2}, r"jsonl:1: no header"),
        (0, {"labels": ...}, r"jsonl:1: header field missing .*labels"),
        (0, {"score_type": "logit"}, r"jsonl:1: header field .*LOGIT"),
        (1, {"boxes": [[0, 0, 5]]}, r'jsonl:2: field "boxes" has shape \[1, 3\], expected \[any, 4\]'),
        (1, {"boxes": [[0, 0, 5, 5], [0]]}, r'jsonl:2: field "boxes" is no array of numbers'),
        (1, {"boxes": [[0, 0, 5, None]]}, r"jsonl:2: a box or a detection score that is no finite number"),
        (1, {"scores": []}, r'jsonl:2: field "scores" has shape \[0\], expected \[1\]'),
        (1, {"scores": [None]}, r"jsonl:2: a box or a detection score"),
        (1, {"emotions": [[0.1]]}, r'jsonl:2: field "emotions" has shape \[1, 1\], expected \[1, 2\]'),
        (1, {"pooled": [["happy", 1]]}, r'jsonl:2: field "pooled" is no array of numbers'),
        (1, {"image_id": ...}, r"jsonl:2: no field 'image_id'"),
        (1, {"size": [3]}, r"jsonl:2: "),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path, line, changes, says):
    with pytest.raises(PredictionsError, match=says):
        read(changed(tmp_path, line, **changes))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1, 2]\n", b"{\n"])
def test_what_is_no_table(tmp_path, content):
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(content)
    with pytest.raises(PredictionsError, match=r"jsonl:1: "):
        read(path)


def test_a_file_that_was_cut_off(tmp_path):
    path = changed(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(PredictionsError, match=r"jsonl:2: not JSON .* cut off"):
        read(path)


def test_no_file(tmp_path):
    with pytest.raises(PredictionsError, match="cannot be read"):
        read(tmp_path / "nothing.jsonl")
