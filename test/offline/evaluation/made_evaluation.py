"""Evaluations of a synthetic recording with planted errors, by the real functions; quick, as no model runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions, Timing, Tracked
from caer_ros.offline.data.synthetic import bags, plans
from caer_ros.offline.evaluation.bags import as_recorded, bag_measures
from caer_ros.offline.evaluation.bags.bag_summary import BagEvaluation, BagFacts
from caer_ros.offline.evaluation.identity import identify
from caer_ros.offline.metrics import summary
from caer_ros.offline.metrics.over_time.timing import timing
from caer_ros.offline.reports.bag.bag_pictures import of_bags
from caer_ros.perception.person import ScoreType
from caer_ros.recordings.annotations import truth

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.metrics.joined import Joined
    from caer_ros.offline.reports.bag.bag_pictures import Pictures
    from caer_ros.recordings.annotations.sample import Dataset

DELAY_NS = 60_000_000
DEADLINE = 0.2


@dataclass(frozen=True)
class Recording:
    """A bag on disk, its truth, and what a node would have said about every image."""

    bag: Path
    dataset: Dataset
    answers: Predictions


@dataclass(frozen=True)
class Made:
    """What a report is made of."""

    result: BagEvaluation
    joined: Joined
    pictures: Pictures


def record(folder, images=60, people=3, seed=2, **changes):
    """A recording of 10 Hz in a new folder.

    The first person's emotion changes half-way, and what is said follows six images later; the second one's label
    flickers; the third is missed for ten images; and five images have a box around nobody.
    """
    written = bags.write(folder, plans.Settings(people=(0,) * people + (1,), **changes), seed, images)
    dataset = truth.from_topic(written.bag)
    dataset = replace(dataset, samples=tuple(_changed(dataset.samples)))
    header = PredictionHeader(
        "made",
        "0123456789abcdef",
        dataset.label_set,
        dataset.labels,
        ScoreType.SIGMOID,
        dataset.samples[0].box_kind,
        "made",
        20,
        {"person": 0.3, "kept": 0.1},
    )
    random = np.random.default_rng(seed)
    answers = [_answer(random, number, sample, images) for number, sample in enumerate(dataset.samples)]
    return Recording(written.bag, dataset, Predictions(header, answers))


def offline(recording, replicates=0):
    """Every image's own answer."""
    measured = bag_measures.measure(recording.dataset, recording.answers, replicates)
    return made(recording, measured, "offline")


def recorded(recording):
    """Some images dropped, some lost, some late: see ``_published``."""
    samples, published = recording.dataset.samples, _published(recording.answers)
    judged = as_recorded.streaming(published, samples, DEADLINE)
    account = as_recorded.account(published, samples, [sample.stamp for sample in samples], DEADLINE)
    table, kept = as_recorded.strict(published, samples, DEADLINE)
    return made(
        recording,
        bag_measures.measure(recording.dataset, judged),
        "as recorded",
        strict=summary.evaluate(replace(recording.dataset, samples=tuple(kept)), table),
        deadline=DEADLINE,
        curve=tuple(
            as_recorded.point(deadline, as_recorded.streaming(published, samples, deadline), recording.dataset)
            for deadline in as_recorded.DEADLINES
        ),
        account=account,
        timing=timing(published.images),
        known_age=bag_measures.known_age(judged, recording.dataset, DEADLINE),
    )


def made(recording, measured, manner, **changes):
    """What a report is made of, from what was measured; ``changes`` of the result."""
    samples = recording.dataset.samples
    bag = BagFacts(
        path=recording.bag,
        name=recording.bag.name,
        image_topic=bags.IMAGE_TOPIC,
        emotion_topic="" if manner == "offline" else "/emotion/emotions",
        sha256=hashlib.sha256(b"bag").hexdigest(),
        images=len(samples),
        annotated=len(samples),
        seconds=(samples[-1].stamp - samples[0].stamp) / 1e9,
        first_stamp=samples[0].stamp,
    )
    none = {"strict": None, "deadline": None, "curve": (), "account": None, "timing": None, "known_age": None}
    result = BagEvaluation(
        manner=manner,
        identity=identify(
            ["caer", "evaluate", "bag", "bag", *(["--model", "made"] if manner == "offline" else ["--recorded"])],
            {bag.name: bag.sha256},
            hashlib.sha256(b"truth").hexdigest(),
            "made",
            "0123456789abcdef" * 4,
            "CPUExecutionProvider" if manner == "offline" else "",
            "auto",
            1,
            {"manner": manner},
        ),
        bags=(bag,),
        model=recording.answers.header,
        evaluation=measured.evaluation,
        false_persons=measured.false_persons,
        reliability_of_found=measured.reliability_of_found,
        tracking=measured.tracking,
        stability=measured.stability,
        left_out=(),
        notes=measured.notes,
        **(none | changes),
    )
    return Made(result, measured.joined, of_bags([bag], samples))


def _changed(samples):
    for number, sample in enumerate(samples):
        emotions = sample.emotions.copy()
        if 2 * number >= len(samples):
            emotions[0] = np.roll(emotions[0], 1)
        yield replace(sample, emotions=emotions)


def _published(answers):
    """Every seventh image is dropped, which the next message tells; of every 29th nothing is heard; some are late."""
    kept, drops = [], 0
    for number, answer in enumerate(answers.images):
        if number % 7 == 3:
            drops += 1
        elif number % 29 != 11:
            late = 250_000_000 if number % 23 == 5 else 0
            told = replace(answer.timing, published=answer.timing.published + late, drops=drops)
            kept.append(replace(answer, timing=told))
            drops = 0
    return replace(answers, images=kept)


def _answer(random, number, sample, images):
    count, labels = sample.emotions.shape
    boxes = sample.boxes + random.normal(0, 1.5, sample.boxes.shape).astype(np.float32)
    tops = np.nan_to_num(sample.emotions).argmax(axis=1)
    half = images // 2
    if half <= number < half + 6:  # not noticed yet
        tops[0] = (tops[0] - 1) % labels
    if count > 1 and number % 16 in (5, 6, 7):  # flickers
        tops[1] = (tops[1] + 2) % labels
    scores = random.uniform(0.55, 0.95, count).astype(np.float32)
    told = np.ones(count, bool)
    if count > 2 and half // 2 <= number < half // 2 + 10:  # missed
        told[2] = False
    boxes, tops, scores = boxes[told], tops[told], scores[told]
    ids = [f"run-{1 + row}" for row in np.flatnonzero(told)]
    if half + 12 <= number < half + 17:  # nobody is there
        height, width = sample.size
        boxes = np.vstack([boxes, np.float32([[0.02 * width, 0.1 * height, 0.2 * width, 0.5 * height]])])
        tops, scores, ids = np.append(tops, 0), np.append(scores, np.float32(0.45)), [*ids, "run-99"]
    emotions = random.uniform(0.02, 0.3, (len(ids), labels)).astype(np.float32)
    emotions[np.arange(len(ids)), tops] = random.uniform(0.5, 0.95, len(ids))
    uncertain = random.random(len(ids)) < 0.04
    published = sample.stamp + DELAY_NS + int(random.gamma(2.0, 12e6))
    return ImagePrediction(
        image_id=sample.image_id,
        size=sample.size,
        boxes=boxes.astype(np.float32),
        scores=scores.astype(np.float32),
        emotions=emotions,
        stamp=sample.stamp,
        tracked=Tracked(tuple(ids), np.zeros(len(ids), bool), emotions, np.where(uncertain, -1, tops).astype(np.intp)),
        timing=Timing(sample.stamp + 15_000_000, published, 0.06, 0.045, 0),
    )
