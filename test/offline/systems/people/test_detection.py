from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from caer_ros.offline.export.export import demo_pictures
from caer_ros.offline.systems.components.centre import NO_PEAK
from caer_ros.offline.systems.people import detection, nanodet
from caer_ros.perception.boxes import suppress
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.imaging.resizing import Resize, place, plan
from caer_ros.perception.predictors.composed import nanodet as composed

HEIGHT, WIDTH = 96, 128


def detections(seed, images=1):
    """Cells of random scores and distances."""
    random = torch.Generator().manual_seed(seed)
    cells = len(detection.cells(HEIGHT, WIDTH, torch.device("cpu"))[0])
    logits = torch.randn(images, cells, generator=random) * 3
    return nanodet.Detections(logits, torch.randn(images, cells, 44, generator=random) * 4)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_keeps_whom_the_greedy_suppression_keeps(seed):
    """The robot's own ``suppress`` is the reference: one box after the other, best first."""
    found = detections(seed)
    boxes, logits = detection.decode(found, HEIGHT, WIDTH, 40)
    places, strides = detection.cells(HEIGHT, WIDTH, torch.device("cpu"))
    distances = found.sides[0].unflatten(-1, (4, 11)).softmax(-1) @ torch.arange(11.0) * strides
    every = torch.cat([places - distances[:, :2], places + distances[:, 2:]], -1).numpy()
    scores = found.logits[0].numpy()
    best = np.argsort(-scores, kind="stable")[: detection.CANDIDATES]
    keep = best[suppress(every[best], scores[best], detection.OVERLAP)][:40]
    np.testing.assert_allclose(logits[0, : len(keep)], scores[keep], rtol=1e-6)
    np.testing.assert_allclose(boxes[0, : len(keep)], every[keep], atol=1e-3)
    assert (logits[0, len(keep) :] == NO_PEAK).all()


def test_finds_whom_the_composed_bundle_finds():
    network = nanodet.load(find_bundle("bootstrap") / "nanodet_f16.onnx").eval()
    picture = demo_pictures()[0]
    fit = plan(Resize("letterbox", (composed.SIZE, composed.SIZE)), *picture.shape[:2])
    pixels = torch.from_numpy(place(picture, fit)).permute(2, 0, 1)[None].float()
    mean = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
    std = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    with torch.inference_mode():
        found = network((pixels - mean) / std)
        boxes, logits = detection.decode(found, composed.SIZE, composed.SIZE, 20)
    scores, sides = found.logits.sigmoid().numpy(), found.sides.numpy()
    expected, confidence = composed.decode(scores, sides, fit, 0.3, detection.OVERLAP)
    assert len(expected)
    np.testing.assert_allclose(expit(logits[0, : len(expected)].numpy()), confidence, atol=1e-5)
    np.testing.assert_allclose(fit.to_source(boxes[0, : len(expected)].numpy()), expected, atol=0.01)


def test_each_image_of_a_batch_is_its_own():
    both = detections(3, images=2)
    boxes, logits = detection.decode(both, HEIGHT, WIDTH, 10)
    alone = detection.decode(nanodet.Detections(both.logits[1:], both.sides[1:]), HEIGHT, WIDTH, 10)
    torch.testing.assert_close(boxes[1:], alone[0])
    torch.testing.assert_close(logits[1:], alone[1])
