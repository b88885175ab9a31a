from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from caer_ros.offline.data.predictions import ImagePrediction, Predictions
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.offline.systems.benet import person_centric
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.benet.network import Benet
from caer_ros.offline.systems.benet.person_centric import place_crop, place_image, refined, score

if TYPE_CHECKING:
    from collections.abc import Iterator

BOXES = np.array([[10, 12, 40, 90], [60, 5, 99, 60]], np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Of torch: several are slower for tensors this small, and by far where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network() -> Benet:
    """With weights that are large enough for scores to differ."""
    torch.manual_seed(0)
    network = Benet(BenetConfig(width=8, modules=1, blocks=1), 3)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0  # the statistics of this one pass
    with torch.no_grad():
        features = network.train().features(torch.randn(4, 3, 64, 64))
        network.maps(features)
        network.person_centric(features)
    return network.eval()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (128, 96))


@pytest.mark.parametrize(
    ("size", "canvas", "matrix", "crop", "placed"),
    [
        ((480, 640), (512, 704), (1.0667, 10.6667, 0.0), (100, 300), (5.12, -416.0, 0.0)),
        ((480, 640), (512, 704), (1.0667, 10.6667, 0.0), (300, 100), (1.7067, 266.6667, 0.0)),
        ((480, 640), (512, 704), (1.0667, 10.6667, 0.0), (57, 57), (8.9825, 91.5088, -4.4912)),
        ((640, 480), (704, 512), (1.0667, 0.0, 10.6667), (100, 300), (1.7067, 0.0, 10.6667)),
        ((640, 480), (704, 512), (1.0667, 0.0, 10.6667), (211, 39), (13.1282, -6.5641, 16.4103)),
        ((333, 333), (512, 512), (1.5375, -0.7688, -0.7688), (211, 39), (2.4265, 207.4692, -1.2133)),
        ((401, 277), (768, 512), (1.8484, -0.9242, 12.4765), (300, 100), (5.12, 0.0, 0.0)),
        ((513, 512), (576, 512), (1.0, 0.0, 31.0), (100, 300), (1.7067, 0.0, 10.6667)),
    ],
)
def test_inputs_are_those_of_the_authors_test(
    size: tuple[int, int],
    canvas: tuple[int, int],
    matrix: tuple[float, float, float],
    crop: tuple[int, int],
    placed: tuple[float, float, float],
) -> None:
    """Golden: scale and shift in x and y from their resizing functions, of the image and of a crop of it.

    Made beside: pixels were equal too, on 6 sizes of image and 4 of crop.
    """
    whole = place_image(np.zeros((*size, 3), np.uint8))
    cropped = place_crop(np.zeros((*crop, 3), np.uint8), canvas)
    for result, (scale, x, y) in ((whole, matrix), (cropped, placed)):
        assert result.pixels.shape == (*canvas, 3)
        np.testing.assert_allclose(result.matrix, [[scale, 0, x], [0, scale, y]], atol=6e-5)


def normalised(pixels: np.ndarray) -> torch.Tensor:
    values = (pixels / 255 - np.array(IMAGENET_DEFAULT_MEAN)) / np.array(IMAGENET_DEFAULT_STD)
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]


def bottom_up(network: Benet, images: torch.Tensor) -> torch.Tensor:
    """[E,H,W] as the authors' test does it: logits to the finer maps, mean of probabilities, up to the input."""
    coarse, fine = network(images).emotion_maps
    coarse = F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)
    mean = (coarse.sigmoid() + fine.sigmoid()) / 2
    return F.interpolate(mean, images.shape[2:], mode="bilinear", align_corners=False)[0]


@torch.no_grad()
@pytest.mark.parametrize("flip", [False, True])
def test_scores_are_those_of_both_heads(network: Benet, image: np.ndarray, flip: bool) -> None:
    scores = score(network, image, BOXES, flip, short=64)
    whole = place_image(image, 64)
    assert whole.pixels.shape == (64, 128, 3)
    maps = bottom_up(network, normalised(whole.pixels))
    if flip:
        maps = (maps + bottom_up(network, normalised(whole.pixels).flip(3)).flip(2)) / 2
    for row, (left, top, right, bottom) in enumerate(BOXES.astype(int).tolist()):
        x, y = whole.matrix @ ((left + right) // 2, (top + bottom) // 2, 1)
        np.testing.assert_allclose(scores.bottom_up[row], maps[:, int(y), int(x)], atol=1e-5)
        crop = normalised(place_crop(image[top:bottom, left:right], (64, 128), 64).pixels)
        expected = network.person_centric(network.features(crop)).sigmoid()
        if flip:
            expected = (expected + network.person_centric(network.features(crop.flip(3))).sigmoid()) / 2
        np.testing.assert_allclose(scores.person_centric[row], expected[0], atol=1e-5)
    np.testing.assert_allclose(scores.mean, (scores.bottom_up + scores.person_centric) / 2)
    assert np.ptp(scores.person_centric, axis=0).max() > 1e-4


def test_many_crops_run_in_parts(network: Benet, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    together = score(network, image, BOXES, short=64)
    monkeypatch.setattr(person_centric, "_CROPS", 1)
    np.testing.assert_allclose(score(network, image, BOXES, short=64).mean, together.mean, atol=1e-5)
    assert score(network, image, BOXES[:0], short=64).mean.shape == (0, 3)


def test_a_table_is_refined(network: Benet, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person_centric, "read_ahead", lambda samples: ((sample, image) for sample in samples))
    samples = [SimpleNamespace(image_id=str(index), boxes=BOXES[:index]) for index in range(3)]
    nobody = np.empty((0, 4), np.float32)
    table = Predictions(
        SimpleNamespace(labels=("a", "b", "c")),  # type: ignore[arg-type]
        [ImagePrediction(str(index), image.shape[:2], nobody, nobody[:, 0], nobody[:, :3]) for index in range(3)],
    )
    result = refined(network, table, samples, short=64)  # type: ignore[arg-type]
    assert [prediction.pooled.shape for prediction in result.images] == [(0, 3), (1, 3), (2, 3)]
    np.testing.assert_allclose(result.images[2].pooled, score(network, image, BOXES, short=64).mean, atol=1e-6)
    with pytest.raises(EvaluationError, match="other images"):
        refined(network, table, samples[::-1])  # type: ignore[arg-type]
    monkeypatch.setattr(network, "config", replace(network.config, person_centric=False))
    with pytest.raises(EvaluationError, match="no person-centric head"):
        refined(network, table, samples)  # type: ignore[arg-type]
