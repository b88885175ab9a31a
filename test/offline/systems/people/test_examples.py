from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caer_ros.offline.systems.people.examples import PeopleExamples, collate, face_map
from caer_ros.offline.training.config import AugmentationConfig, DataConfig
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings, Sample

NAN = np.nan
CONFIG = DataConfig(
    "own", ".", size=(64, 96), resize="letterbox", augmentation=AugmentationConfig(0, 0, flip_probability=1.0)
)


@pytest.fixture
def dataset(tmp_path):
    cv2 = pytest.importorskip("cv2")
    pixels = np.zeros((128, 192, 3), np.uint8)
    pixels[:, :96] = 200
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    sample = Sample(
        "a.png",
        tmp_path / "a.png",
        (128, 192),
        np.float32([[0, 0, 60, 128], [100, 0, 160, 128], [120, 20, 190, 128]]),
        BoxKind.BODY,
        np.float32([[1, 0], [NAN, NAN], [NAN, NAN]]),
        *(np.full((3, columns), NAN, np.float32) for columns in (3, 2)),
        np.float32([1, 1, 0.5]),
        ("",) * 3,
        ("",) * 3,
        True,
        ("",) * 3,
        faces=("readable", "none", ""),
        face_boxes=np.float32([[16, 16, 48, 48], [NAN] * 4, [NAN] * 4]),
    )
    return Dataset("own", tmp_path, "train", "moods", ("calm", "glad"), False, (sample,), Findings())


def test_what_is_known_of_faces_becomes_targets(dataset):
    example = PeopleExamples(dataset, CONFIG, None)[0, 0]
    np.testing.assert_allclose(example.boxes[0], [0, 0, 30, 64])
    np.testing.assert_array_equal(example.readable, np.float32([1, 0, NAN]))
    assert example.face.shape == (8, 12)
    assert example.face[1, 1] == example.face[2, 2] == 1
    assert example.face[0, 7] == 0  # somebody without a face
    assert np.isnan(example.face[4, 10])  # somebody of whom nothing is known


def test_faces_are_mirrored_with_the_image(dataset):
    example = PeopleExamples(dataset, CONFIG, seed=1)[0, 0]
    assert example.image[0, 10, 90] == 200
    assert example.face[1, 10] == example.face[2, 9] == 1
    assert example.face[1, 1] != 1
    np.testing.assert_allclose(example.boxes[0], [66, 0, 96, 64])


def test_a_batch_is_padded_with_what_is_unknown(dataset):
    example = PeopleExamples(dataset, CONFIG, None)[0, 0]
    alone = example._replace(
        boxes=example.boxes[:1], emotions=example.emotions[:1], weights=example.weights[:1],
        readable=example.readable[:1],
    )  # fmt: skip
    batch = collate([example, alone])
    assert batch.present.tolist() == [[True] * 3, [True, False, False]]
    assert batch.readable[1, 1:].isnan().all()
    assert batch.emotions[1, 1:].isnan().all()
    assert batch.face.shape == (2, 1, 8, 12)


def test_even_a_tiny_face_has_a_pixel():
    target = face_map(np.float32([[33, 33, 35, 35]]), np.empty((0, 4), np.float32), 8, 12)
    assert np.nansum(target) == 1
    assert target[4, 4] == 1


def test_of_two_faces_side_by_side_both_count():
    faces = np.float32([[0, 0, 32, 32], [32, 0, 64, 32]])
    target = face_map(faces, np.empty((0, 4), np.float32), 8, 12)
    assert target[1, 1] == target[1, 5] == 1


def test_a_set_that_says_nothing_of_faces_is_refused(dataset):
    without = replace(dataset, samples=tuple(replace(s, faces=("",) * 3) for s in dataset.samples))
    with pytest.raises(DatasetError, match="caer data people"):
        PeopleExamples(without, CONFIG, None)
