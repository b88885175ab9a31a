"""A bundle over the annotated frames of a bag, offline: each frame once, in the order of stamps, without a clock.

The frames go through the node's own pipeline, so that tracks, smoothing and thresholds are those of a robot that saw
just these frames. The same bag, annotations, bundle, provider and threads give the same table to the last bit; a run
that was stopped goes on where it was when it is given the file in which it keeps what the network said.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.data.predictions import (
    ImagePrediction,
    PredictionHeader,
    Predictions,
    Tracked,
    header_of,
    stacked,
)
from caer_ros.offline.evaluation import predict
from caer_ros.offline.evaluation.bags.bag_store import Store, origin_of
from caer_ros.perception.calibration import calibrated
from caer_ros.perception.person import TrackState
from caer_ros.perception.pipeline import LOW_SCORE_FRACTION, Pipeline, PipelineSettings
from caer_ros.recordings import frames
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import Array
    from caer_ros.offline.evaluation.predict import Predict
    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.pipeline import Frame
    from caer_ros.perception.prediction import Prediction
    from caer_ros.perception.predictors.predictor import Predictor
    from caer_ros.recordings.annotations.sample import Dataset, Sample
    from caer_ros.recordings.sources import Bag

    Pixels = NDArray[np.uint8]
    Watch = Callable[[Iterable[Sample]], Iterable[Sample]]

RUN = "offline"
"""Prefix of the track ids. A node draws one at random for each run; here the same run gives the same ids."""
_READ_AHEAD = 4


@dataclass(frozen=True, slots=True, eq=False)
class BagRun:
    """What a bundle says about the annotated frames of a bag."""

    predictions: Predictions
    """Predictions in the order of stamps, with the thresholds of the pipeline, which publishes nothing below "kept"."""
    left_out: list[str]
    """Annotated frames without a prediction, one line each: without a stamp, not in the bag, not decodable, or of
    another size than was annotated. ``judged`` leaves them out of the dataset."""
    seconds: dict[str, float]
    """Steady-clock seconds, summed over frames: "resize", "inference", "post" and "track" of the pipeline; "decode", in
    a thread of its own meanwhile; "read", once through the bag before the first frame; "total", this call, but for
    loading the networks. Frames out of the store bring along what they took when they ran; "total" does not."""
    provider: str
    """ONNX Runtime's execution provider that ran the networks."""
    resumed: int
    """Frames that came out of the store."""
    images: str
    """sha256 over the messages of the annotated frames, in the order of the recording."""


@dataclass(frozen=True, slots=True, eq=False)
class BagJob:
    """The arguments of a ``run_bag``."""

    bundle: Bundle
    bag: Path
    dataset: Dataset
    topic: str
    settings: EngineSettings
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    store: Path | None = None


def run_bag(
    bundle: Bundle,
    bag: Path,
    dataset: Dataset,
    topic: str,
    settings: EngineSettings,
    pipeline: PipelineSettings | None = None,
    store: Path | None = None,
    watch: Watch = iter,
) -> BagRun:
    """Runs a bundle over the annotated frames of one camera.

    Where the bundle has emotion maps, emotions are read in the annotated boxes too (``pooled``), off the same run of
    the network and calibrated like the others.

    Args:
        bundle: single-shot or composed.
        bag: a rosbag2.
        dataset: its samples are frames of ``topic``, found by their stamps.
        topic: of images.
        settings: device and threads.
        pipeline: thresholds and times; None: the node's defaults.
        store: keeps what the network said of each frame. Frames that are in it already are taken out of it, the others
            are added. None: a run that was stopped starts anew.
        watch: wraps the loop over the samples, to show progress.

    Raises:
        SourceError: the bag cannot be read, or has no images on the topic.
        DatasetError: two samples have one stamp, or none is left.
        EvaluationError: the store is of another run, or damaged.
        EngineError, BundleError: the bundle does not run.
    """
    left_out: list[str] = []
    samples = _stamped(dataset.samples, left_out)
    # Before the networks, which take longer to load than a mistake to be told.
    camera = frames.open_bag(bag)
    frames.image_topic(camera, topic)
    model, ask = predict.load(bundle, settings)
    source = _Source(model, ask)
    follow = Pipeline(source, pipeline or PipelineSettings(), RUN)
    started = perf_counter()
    recorded = _look_through(camera, topic, {_stamp(sample) for sample in samples})
    seconds = defaultdict(float, read=perf_counter() - started)
    left_out += [f"{sample.image_id}: not in {bag}" for sample in samples if _stamp(sample) not in recorded.first]
    samples = [sample for sample in samples if _stamp(sample) in recorded.first]
    images: list[ImagePrediction] = []
    header = _header(bundle, f"{bag}: {topic}, offline", follow)
    with Store(store, origin_of(bundle, topic, settings, header, model.provider, samples, recorded.sha256)) as kept:
        source.store = kept
        with closing(_pictures(bag, topic, watch(samples), samples, recorded, kept, left_out)) as pictures:
            for sample, picture in pictures:
                source.sample, source.decoding = sample, picture.seconds
                frame = follow(picture.pixels, _stamp(sample))
                images.append(image_of(bundle, sample, frame, source.pooled))
                for stage, spent in frame.seconds.items():
                    seconds[stage] += spent
    if not images:
        raise DatasetError(
            f"{bag}: none of {len(dataset.samples)} annotated frames can be taken from {topic}: "
            f"{'; '.join(left_out[:3]) or 'there is none'}"
        )
    seconds["total"] = perf_counter() - started
    return BagRun(Predictions(header, images), left_out, dict(seconds), model.provider, len(kept), recorded.sha256)


def judged(dataset: Dataset, predictions: Predictions) -> Dataset:
    """The dataset without the samples that have no prediction."""
    predicted = {image.image_id for image in predictions.images}
    return replace(dataset, samples=tuple(sample for sample in dataset.samples if sample.image_id in predicted))


def _header(bundle: Bundle, source: str, follow: Pipeline) -> PredictionHeader:
    high = follow.person_threshold
    thresholds = {"person": high, "uncertain": follow.uncertain_below, "kept": high * LOW_SCORE_FRACTION}
    return header_of(bundle, source, thresholds)


def image_of(bundle: Bundle, sample: Sample, frame: Frame, pooled: Array | None = None) -> ImagePrediction:
    """What the pipeline said of a sample's image, as an entry of the table.

    Args:
        bundle: that runs.
        sample: of the image.
        frame: that the pipeline gave.
        pooled: scores [N,E] read in the annotated boxes, not calibrated; None: not computed.
    """
    persons, labels = frame.persons, len(bundle.labels)
    unknown = np.full(3, np.nan, np.float32)  # of those who coast
    vads = [unknown if person.vad is None else person.vad for person in persons]
    if pooled is not None:
        pooled = stacked([calibrated(row, bundle.calibration, bundle.score_type) for row in pooled], labels)
    return ImagePrediction(
        image_id=sample.image_id,
        size=sample.size,
        boxes=stacked([person.box for person in persons], 4),
        scores=np.array([person.confidence for person in persons], np.float32),
        emotions=stacked([person.scores for person in persons], labels),
        pooled=pooled,
        vad=stacked(vads, 3) if any(person.vad is not None for person in persons) else None,
        stamp=sample.stamp,
        saturated=frame.saturated,
        tracked=Tracked(
            ids=tuple(person.track_id for person in persons),
            coasted=np.array([person.track_state == TrackState.COASTED for person in persons], bool),
            smoothed=stacked([person.smoothed_scores for person in persons], labels),
            top=np.array([person.top_index for person in persons], np.intp),
        ),
    )


class _Source:
    """The predictor that the pipeline sees: the network, or what it said before it was stopped."""

    def __init__(self, model: Predictor, ask: Predict) -> None:
        self.bundle = model.bundle
        self.provider = model.provider
        self._ask = ask
        self.store = Store(None, {})
        self.sample: Sample
        """Sample whose image comes next."""
        self.decoding = 0.0
        """Seconds that it took."""
        self.pooled: Array | None = None
        """Scores [N,E] in the annotated boxes of the last image, not calibrated."""

    def __call__(
        self, images: Sequence[Pixels], min_confidence: float | None = None, emotion_confidence: float | None = None
    ) -> list[Prediction]:
        """See ``predictor.Predictor``; of one image."""
        stamp = _stamp(self.sample)
        if stamp in self.store:
            prediction, self.pooled = self.store.answer(stamp, len(self.bundle.labels))
            return [prediction]
        (image,) = images
        lowest = self.bundle.thresholds.person if min_confidence is None else min_confidence
        prediction, self.pooled = self._ask(self.sample, image, lowest, emotion_confidence)
        prediction.seconds = {**prediction.seconds, "decode": self.decoding}
        self.store.add(stamp, prediction, self.pooled)  # before the pipeline, which changes the persons
        return [prediction]


# --- Frames of the bag ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Where the annotated images stand in the recording: by stamp, the places of the first and the last that has it."""

    first: dict[int, int]
    last: dict[int, int]
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    stamp: int
    pixels: Pixels
    """RGB [H,W,3]."""
    seconds: float
    """Spent on reading and decoding it."""


def _stamp(sample: Sample) -> int:
    assert sample.stamp is not None
    return sample.stamp


def _stamped(samples: Iterable[Sample], left_out: list[str]) -> list[Sample]:
    """The samples with a stamp, in the order of stamps. Raises DatasetError where two have the same."""
    by_stamp: dict[int, Sample] = {}
    for sample in samples:
        if not sample.stamp:
            left_out.append(f"{sample.image_id}: has no stamp by which a bag's images are found")
        elif (other := by_stamp.setdefault(sample.stamp, sample)) is not sample:
            raise DatasetError(
                f"{sample.image_id}: has the stamp of {other.image_id}; evaluate one camera at a time, each image once"
            )
    return [by_stamp[stamp] for stamp in sorted(by_stamp)]


def _look_through(bag: Bag, topic: str, stamps: set[int]) -> _Recorded:
    """Which of the stamps a topic of a bag has, and where. Nothing is decoded."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    digest = hashlib.sha256()
    for place, message in enumerate(message for message in bag.frames() if message.topic == topic):
        data = bytes(message.data)
        stamp = frames.header_stamp(data)  # 0 is never asked for
        if stamp in stamps:
            first.setdefault(stamp, place)
            last[stamp] = place
            digest.update(f"{len(data)}\n".encode())
            digest.update(data)
    return _Recorded(first, last, digest.hexdigest())


def _pictures(
    bag: Path,
    topic: str,
    samples: Iterable[Sample],
    wanted: Sequence[Sample],
    recorded: _Recorded,
    store: Store,
    left_out: list[str],
) -> Generator[tuple[Sample, _Picture]]:
    """Each sample with its image, black where the store has it already; those that cannot be decoded are left out."""
    problems: list[str] = []
    missing = {_stamp(sample) for sample in wanted} - store.stamps
    with closing(_ahead(_in_order(frames.at(bag, topic, missing, problems), recorded), _READ_AHEAD)) as pictures:
        picture = next(pictures, None)
        for sample in samples:
            stamp = _stamp(sample)
            if stamp in store:
                black = np.broadcast_to(np.uint8(0), (*sample.size, 3))
                yield sample, _Picture(stamp, black, 0.0)
            elif picture is not None and picture.stamp == stamp:
                found, expected = picture.pixels.shape[:2], tuple(sample.size)
                if found == expected:
                    yield sample, picture
                else:
                    left_out.append(
                        f"{sample.image_id}: {'×'.join(map(str, found))} pixels (height×width) in {bag}, but annotated "
                        f"as {'×'.join(map(str, expected))}"
                    )
                picture = next(pictures, None)
            else:
                whys = (line.partition(f" at stamp {stamp}: ")[2] for line in problems)
                left_out.append(f"{sample.image_id}: cannot be decoded: {next(filter(None, whys), 'it is broken')}")


def _in_order(found: Iterator[frames.Frame], recorded: _Recorded) -> Generator[_Picture]:
    """Frames in the order of stamps; those recorded too early wait for the ones before them."""
    due = deque(sorted(recorded.first))
    waiting: dict[int, _Picture] = {}
    started = perf_counter()
    for frame in found:
        waiting[frame.stamp_ns] = _Picture(frame.stamp_ns, frame.pixels, perf_counter() - started)
        here = recorded.first[frame.stamp_ns]
        while due and (due[0] in waiting or recorded.last[due[0]] < here):  # the latter was not asked for, or is broken
            stamp = due.popleft()
            if stamp in waiting:
                yield waiting.pop(stamp)
        started = perf_counter()
    yield from (waiting[stamp] for stamp in sorted(waiting))


def _ahead(items: Generator[_Picture], count: int) -> Generator[_Picture]:
    """The items, the next few of which are made meanwhile in a thread of their own."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()
            pool.submit(items.close).result()  # sqlite is closed by the thread that opened it
