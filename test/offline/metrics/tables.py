"""Small samples and predictions for the tests of metrics, by hand and at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions
from caer_ros.offline.metrics.joined import join
from caer_ros.perception.person import BoxKind, ScoreType
from caer_ros.recordings.annotations.sample import Sample

SIZE = (100, 200)
NAN = np.nan


def array(values, *shape):
    return np.asarray(values, np.float32).reshape(-1, *shape)


def sample(image_id, boxes=(), emotions=(), labels=2, **changes):
    boxes = array(boxes, 4)
    count = len(boxes)
    emotions = array(emotions, labels)
    fields = {
        "path": Path(image_id),
        "size": SIZE,
        "boxes": boxes,
        "box_kind": BoxKind.BODY,
        "emotions": emotions,
        "vad": np.full((count, 3), NAN, np.float32),
        "votes": np.full_like(emotions, NAN),
        "weights": np.ones(count, np.float32),
        "gender": ("",) * count,
        "age": ("",) * count,
        "exhaustive": True,
        "track_ids": ("",) * count,
        "faces": ("",) * count,
        "face_boxes": np.full((count, 4), NAN, np.float32),
    }
    return Sample(image_id, **(fields | changes))


def prediction(image_id, boxes=(), scores=(), emotions=(), labels=2, **changes):
    fields = {"size": SIZE, "boxes": array(boxes, 4), "scores": array(scores), "emotions": array(emotions, labels)}
    if "pooled" in changes and changes["pooled"] is not None:
        changes["pooled"] = array(changes["pooled"], labels)
    return ImagePrediction(image_id, **(fields | changes))


def table(images, labels=2, **changes):
    fields = {
        "model": "model",
        "model_version": "0123456789abcdef",
        "label_set": "own",
        "labels": tuple(f"label {number}" for number in range(labels)) if isinstance(labels, int) else labels,
        "score_type": ScoreType.SIGMOID,
        "box_kind": BoxKind.BODY,
        "source": "own test",
        "max_persons": 20,
        "thresholds": {"person": 0.3, "kept": 0.0},
    }
    return Predictions(PredictionHeader(**(fields | changes)), images)


def joined(samples, images, annotations="labels", **header):
    labels = header.pop("labels", samples[0].emotions.shape[1])
    return join(samples, table(images, labels, **header), annotations)


def random_boxes(generator, count):
    """On a grid of ten pixels, so that equal overlaps, and overlaps of exactly a threshold, do occur."""
    low = generator.integers(0, (15, 5), (count, 2))
    high = low + generator.integers(1, 5, (count, 2))
    return np.concatenate([low, high], axis=1).astype(np.float32) * 10


def random_set(seed, images=12, labels=3, exhaustive=True):
    """Samples, some of nobody, with ignored regions, unknown labels; predictions near and far, with tied scores."""
    generator = np.random.default_rng(seed)
    samples, predictions = [], []
    for number in range(images):
        name, count, found = f"{number}.png", int(generator.integers(0, 5)), int(generator.integers(0, 7))
        boxes = random_boxes(generator, count)
        targets = (generator.random((count, labels)) < 0.4).astype(np.float32)
        targets[generator.random(targets.shape) < 0.1] = NAN
        near = random_boxes(generator, found)
        close = generator.random(found) < 0.7
        if count:
            near[close] = boxes[generator.integers(0, count, close.sum())] + generator.integers(-1, 2, (close.sum(), 4))
        emotions = generator.integers(0, 11, (found, labels)) / 10
        emotions[generator.random(emotions.shape) < 0.05] = NAN
        pooled = generator.integers(0, 11, (count, labels)) / 10
        samples.append(
            sample(
                name,
                boxes,
                targets,
                labels,
                exhaustive=exhaustive,
                ignore=random_boxes(generator, int(generator.integers(0, 2))),
            )
        )
        scores = generator.integers(0, 21, found) / 20
        predictions.append(prediction(name, near, scores, emotions, labels, pooled=pooled))
    return samples, predictions
