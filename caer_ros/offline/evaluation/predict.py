"""Images of a data set in, the table of predictions out; persons come from the very predictor that the node runs.

Beside the persons that the model finds, emotions are read in the annotated boxes (ER) off the same run, as the bundle's
``pooling`` says: box_mean, box_attention and centre off the maps, query off the person that overlaps the box most.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit, softmax

from caer_ros import taxonomy
from caer_ros.offline import systems
from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions, header_of, stacked
from caer_ros.offline.evaluation import pooling_numpy
from caer_ros.perception.bundle.bundle import Bundle, Provenance, Thresholds
from caer_ros.perception.calibration import calibrated
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.imaging.resizing import place, plan
from caer_ros.perception.person import ScoreType
from caer_ros.perception.prediction import Prediction, Stopwatch
from caer_ros.perception.predictors import predictor
from caer_ros.perception.predictors.single_shot import SingleShot, persons_of
from caer_ros.recordings.annotations import image_files
from caer_ros.recordings.annotations.sample import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.offline.data.predictions import Tracked
    from caer_ros.offline.export.graph import SingleShotGraph
    from caer_ros.offline.systems.system import Refine
    from caer_ros.offline.training.checkpoint_card import CheckpointCard
    from caer_ros.perception.imaging.resizing import Fit
    from caer_ros.perception.person import Array
    from caer_ros.perception.predictors.predictor import Predictor
    from caer_ros.recordings.annotations.sample import Dataset, Sample

    Image = NDArray[np.uint8]
    Pair = tuple[Sample, Image]
    Watch = Callable[[Iterable[Pair]], Iterable[Pair]]
    Ready = Callable[[PredictionHeader], None]
    Run = Callable[[Image], dict[str, Array]]
    """Images [1,H,W,3] of the input's size to the graph's outputs."""
    Predict = Callable[[Sample, Image, float, float | None], tuple[Prediction, Array | None]]
    """A sample, its image, and ``min_confidence`` and ``emotion_confidence`` of ``predictor.Predictor``, to what the
    model found, and the scores [N,E] that it gives in the annotated boxes."""

KEPT = 0.01
"""Lowest detection score in a table. Ours: below it COCO's mean precision does not change in the third digit."""
MAPS, ATTENTION = "emotion_maps", "attention"
_EPS = 1e-6
"""Keeps the logits finite that probabilities become: they are clamped to between this and 1 less this."""
_READ_AHEAD = 8


class EvaluationError(Exception):
    """A model that cannot be measured on a data set; says why, and the remedy."""


def predict_bundle(
    bundle: Bundle,
    samples: Sequence[Sample],
    settings: EngineSettings | None = None,
    source: str = "",
    kept: float = KEPT,
    watch: Watch = iter,
    ready: Ready | None = None,
) -> Predictions:
    """What a bundle says about every sample, in their order.

    Args:
        bundle: single-shot or composed; only the former can have emotions read in annotated boxes (``pooled``), and
            where its ``pooling`` is not "query" only with emotion maps.
        samples: annotated images of any sizes.
        settings: device and threads of ONNX Runtime.
        source: what the samples are, such as "emotic test".
        kept: lowest detection score that the table shall hold.
        watch: wraps the loop over images, to show progress.
        ready: called before the first image, with what is known by then; may raise what would make the rest useless.

    Raises:
        EngineError: the bundle does not run.
        DatasetError: an image cannot be read, or is not of the size that was annotated.
    """
    _, predict = load(bundle, settings or EngineSettings())
    return _predict(bundle, predict, samples, source, kept, watch, ready)


def load(bundle: Bundle, settings: EngineSettings) -> tuple[Predictor, Predict]:
    """A bundle's predictor, and how to ask it about one image and its annotated boxes in one run of the network.

    Raises:
        EngineError, BundleError: as ``predictor.load``.
    """
    model = predictor.load(bundle, settings, maps=True)
    return model, _single_shot(bundle, model.run) if isinstance(model, SingleShot) else _any_other(model)


def predict_checkpoint(
    path: Path,
    samples: Sequence[Sample],
    device: str = "auto",
    source: str = "",
    kept: float = KEPT,
    watch: Watch = iter,
    max_persons: int | None = None,
    ready: Ready | None = None,
    manners: tuple[str, ...] = (),
) -> Predictions:
    """As ``predict_bundle``, of a network that is not exported yet, run by PyTorch.

    A network without a detection head finds nobody: its table holds scores in annotated boxes only, and
    ``max_persons`` 0.

    Args:
        path: the file.
        samples, source, kept, watch, ready: as above.
        device: "auto", "cpu" or "cuda:N".
        max_persons: the longest list of persons; None: what suits the network.
        manners: ways of evaluating that the network's system has (``System.MANNERS``), such as ("flip",).

    Raises:
        CheckpointError: the file is no checkpoint of ours.
        ExportError: it is of a network that finds no persons' emotions.
        EvaluationError: the network's system has no such manner, or the network not what it needs.
        DatasetError: as above.
    """
    from caer_ros.offline.export.loading import load_graph

    graph, card = load_graph(path, max_persons)
    bundle = _as_bundle(path, card, graph)
    graph, refine = _in_manner(path, card, graph.to(_torch_device(device)), manners)
    found = _predict(bundle, _single_shot(bundle, _network(graph)), samples, source, kept, watch, ready, manners)
    return refine(found, samples, watch) if refine else found


def relabel(predictions: Predictions, dataset: Dataset) -> tuple[Predictions, str]:
    """The predictions with the data set's labels, where the model has others.

    Returns:
        The table, with NaN for labels that the model has no counterpart of, and a sentence that says what was done;
        "" where the labels are the same. Of a set without labels, such as COCO, scores are left without columns.

    Raises:
        EvaluationError: no label has a counterpart.
    """
    header = predictions.header
    if header.labels == dataset.labels:
        return predictions, ""
    if not dataset.labels:
        header = replace(header, label_set=dataset.label_set, labels=())
        bare = [
            replace(image, emotions=image.emotions[:, :0], pooled=None, tracked=_relabelled(image.tracked, []))
            for image in predictions.images
        ]
        return Predictions(header, bare), "The set has no emotions: PD only."
    meaning = counterparts(dataset, header)
    missing = [label for label in dataset.labels if label not in meaning]
    if not meaning:
        raise EvaluationError(
            f'{header.model} predicts "{header.label_set}" ({", ".join(header.labels)}), and none of these means a '
            f'label of {dataset.name}, "{dataset.label_set}" ({", ".join(dataset.labels)})'
        )
    columns = [header.labels.index(meaning[label]) if label in meaning else -1 for label in dataset.labels]

    changed = [
        replace(
            image,
            emotions=_columns(image.emotions, columns),
            pooled=None if image.pooled is None else _columns(image.pooled, columns),
            tracked=_relabelled(image.tracked, columns),
        )
        for image in predictions.images
    ]
    renamed = [f"{meaning[label]} as {label}" for label in dataset.labels if meaning.get(label, label) != label]
    parts = [f'The model has the labels of "{header.label_set}", the annotations those of "{dataset.label_set}".']
    if renamed:
        parts.append(f"Taken for one another: {', '.join(renamed)}.")
    if missing:
        parts.append(f"Never predicted, so at chance: {', '.join(missing)}.")
    header = replace(header, label_set=dataset.label_set, labels=dataset.labels)
    return Predictions(header, changed), " ".join(parts)


def _columns(scores: Array, columns: list[int]) -> Array:
    """[P,E] scores as other columns of them; -1 gives NaN."""
    # One more column of NaN, which the index -1 takes.
    return np.hstack([scores, np.full((len(scores), 1), np.nan, np.float32)])[:, columns]


def _relabelled(tracked: Tracked | None, columns: list[int]) -> Tracked | None:
    """The same for what is known of tracks; a reported label without a counterpart is none."""
    if tracked is None:
        return None
    top = [columns.index(label) if label >= 0 and label in columns else -1 for label in tracked.top.tolist()]
    return replace(tracked, smoothed=_columns(tracked.smoothed, columns), top=np.array(top, np.intp))


def counterparts(dataset: Dataset, header: PredictionHeader) -> dict[str, str]:
    """Which label of the model means which of the data set's: by the taxonomy, or by name for sets of one's own."""
    if {dataset.label_set, header.label_set} <= taxonomy.LABEL_SETS.keys():
        return taxonomy.counterparts(dataset.label_set, header.label_set)
    by_name = {label.casefold(): label for label in header.labels}
    return {label: by_name[label.casefold()] for label in dataset.labels if label.casefold() in by_name}


# --- One image after the other -------------------------------------------------------------------------------------


def _predict(
    bundle: Bundle,
    predict: Predict,
    samples: Sequence[Sample],
    source: str,
    kept: float,
    watch: Watch,
    ready: Ready | None,
    manner: tuple[str, ...] = (),
) -> Predictions:
    """``manner``: of the header's ``pooling``."""
    thresholds = {"person": bundle.thresholds.person, "uncertain": bundle.thresholds.uncertain, "kept": kept}
    header = header_of(bundle, source, thresholds, manner)
    if ready is not None:
        ready(header)
    pairs = watch(read_ahead(samples))
    found = (_image(bundle, sample, *predict(sample, image, kept, None)) for sample, image in pairs)
    return Predictions(header, tuple(found))


def _image(bundle: Bundle, sample: Sample, prediction: Prediction, pooled: Array | None) -> ImagePrediction:
    persons = prediction.persons

    def honest(rows: Iterable[Array]) -> Array:
        """Calibrated, as the node's pipeline does it."""
        calibration, score_type = bundle.calibration, bundle.score_type
        return stacked([calibrated(row, calibration, score_type) for row in rows], len(bundle.labels))

    unknown = np.full(3, np.nan, np.float32)
    vads = [unknown if person.vad is None else person.vad for person in persons]
    return ImagePrediction(
        image_id=sample.image_id,
        size=sample.size,
        boxes=stacked([person.box for person in persons], 4),
        scores=np.array([person.confidence for person in persons], np.float32),
        emotions=honest(person.scores for person in persons),
        pooled=None if pooled is None else honest(pooled),
        vad=np.stack(vads) if any(person.vad is not None for person in persons) else None,
        stamp=sample.stamp,
        # The list is full at the lowest score kept; a robot asks from the bundle's threshold on.
        saturated=prediction.saturated and all(person.confidence >= bundle.thresholds.person for person in persons),
    )


def read_ahead(samples: Sequence[Sample]) -> Iterator[Pair]:
    """Each sample with its pixels, RGB; the next few images are decoded meanwhile.

    Raises:
        DatasetError: an image cannot be read, or is not of the size that was annotated.
    """
    with ThreadPoolExecutor(2) as pool:
        rest = iter(samples)
        waiting = deque((sample, pool.submit(image_files.read, sample.path)) for sample in islice(rest, _READ_AHEAD))
        while waiting:
            sample, image = waiting.popleft()
            waiting.extend((later, pool.submit(image_files.read, later.path)) for later in islice(rest, 1))
            pixels = image.result()
            if pixels.shape[:2] != tuple(sample.size):
                found, expected = "×".join(map(str, pixels.shape[:2])), "×".join(map(str, sample.size))
                raise DatasetError(f"{sample.path}: {found} pixels (height×width), but annotated as {expected}")
            yield sample, pixels


def _any_other(model: Predictor) -> Predict:
    """What any other bundle says."""

    def predict(sample: Sample, image: Image, kept: float, readable: float | None) -> tuple[Prediction, None]:
        (prediction,) = model([image], kept, readable)
        return prediction, None

    return predict


def _single_shot(bundle: Bundle, run: Run) -> Predict:
    """What a single-shot network says, read as the node does, and its emotions read in the annotated boxes too."""
    assert bundle.resize is not None
    rule = bundle.resize

    def predict(sample: Sample, image: Image, kept: float, _: float | None) -> tuple[Prediction, Array | None]:
        watch = Stopwatch()
        fit = plan(rule, *image.shape[:2])
        batch = place(image, fit)[None]
        watch.done("resize")
        slots = {name: values[0] for name, values in run(batch).items()}
        watch.done("inference")
        # A network without a detection head has no slots, which in a robot's bundle would be an error.
        persons, saturated = persons_of(bundle, slots, fit, kept) if bundle.max_persons else ([], False)
        pooled = _pooled(bundle, slots, fit, sample.boxes)
        watch.done("post")
        return Prediction(persons, saturated, watch.seconds), pooled

    return predict


def _pooled(bundle: Bundle, slots: dict[str, Array], fit: Fit, boxes: Array) -> Array | None:
    """[N,E] probabilities in boxes [N,4], in pixels of the source, of one image; None where they cannot be read."""
    if bundle.pooling == "query":
        return _of_queries(bundle, slots, fit, boxes)
    if MAPS not in slots:
        return None
    maps = slots[MAPS]
    to_input = np.asarray(np.array(fit.resized[::-1]) / np.array(fit.source[::-1]), np.float32)
    if bundle.pooling == "centre":
        pixels = pooling_numpy.centre_pixels(boxes, to_input, *fit.resized)
        read = pooling_numpy.read_enlarged(expit(maps), pixels, *fit.canvas)
        return _probabilities(bundle, logit(np.clip(read, _EPS, 1 - _EPS)))
    to_map = to_input * np.array(maps.shape[:0:-1], np.float32) / np.array(fit.canvas[::-1], np.float32)
    on_map = boxes * np.tile(to_map, 2)
    if bundle.pooling == "box_attention":
        if ATTENTION not in slots:
            return None
        read = pooling_numpy.pool_attention(maps, on_map, slots[ATTENTION][0])
    else:
        read = pooling_numpy.pool(maps, on_map)
    return _probabilities(bundle, read, slots["emotion_scores"])


def _probabilities(bundle: Bundle, logits: Array, slots: Array | None = None) -> Array:
    """[N,E], NaN where a label cannot be predicted.

    Labels that were taught but are not predictable take part in a softmax. Which these are is seen in ``slots`` [K,E],
    the graph's own probabilities: those of labels that were not taught are 0.
    """
    predictable = np.array(bundle.predictable)
    scores = np.full(logits.shape, np.nan, np.float32)
    if bundle.score_type == ScoreType.SIGMOID:
        scores[:, predictable] = expit(logits[:, predictable])
    elif predictable.any():
        taught = predictable | (np.nan_to_num(slots).any(axis=0) if slots is not None else False)
        scores[:, taught] = softmax(logits[:, taught], axis=1)
        scores[:, ~predictable] = np.nan
    return scores


def _of_queries(bundle: Bundle, slots: dict[str, Array], fit: Fit, boxes: Array) -> Array:
    """The scores [N,E] of the slots that overlap the boxes [N,4] most; slots are neither filtered nor clipped."""
    to_source = np.array(fit.source[::-1], np.float32) / np.array(fit.resized[::-1], np.float32)
    queries = slots["boxes"] * np.tile(np.array(fit.canvas[::-1], np.float32) * to_source, 2)
    scores = slots["emotion_scores"][pooling_numpy.best_queries(queries, boxes)]
    return np.where(np.array(bundle.predictable), scores, np.float32(np.nan))


# --- A checkpoint in the place of a bundle -------------------------------------------------------------------------


def _network(graph: SingleShotGraph) -> Run:
    """PyTorch in the place of ONNX Runtime."""
    import torch

    from caer_ros.offline.export import graph as single_shot

    def run(batch: Image) -> dict[str, Array]:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # in float32, as ONNX Runtime computes
            outputs = single_shot.run(graph, batch).present
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def _in_manner(
    path: Path, card: CheckpointCard, graph: SingleShotGraph, manners: Sequence[str]
) -> tuple[SingleShotGraph, Refine | None]:
    """The graph, and what is done with its predictions. Raises EvaluationError where it has no such manners."""
    system = systems.of(card.task)
    if missing := [name for name in manners if name not in system.MANNERS]:
        have = [f'"{task}"' for task in systems.TASKS if missing[0] in systems.of(task).MANNERS]
        option = f"--{missing[0].replace('_', '-')}"
        raise EvaluationError(
            f"{path}: holds a {card.task}, which is not evaluated with {option}: give the checkpoint of a "
            f"{' or '.join(have)}, or leave it out"
        )
    return system.in_manner(path, graph, manners)


def _as_bundle(path: Path, card: CheckpointCard, graph: SingleShotGraph) -> Bundle:
    """What a checkpoint's bundle would say of itself."""
    from caer_ros.offline.export.card import ExportSettings

    defaults = ExportSettings()
    return Bundle(
        path=path,
        name="/".join(path.parts[-3:]),
        version=card.version,
        kind="single_shot",
        label_set=card.label_set,
        labels=card.labels,
        predictable=card.predictable,
        score_type=ScoreType.SIGMOID if card.multi_label else ScoreType.SOFTMAX,
        box_kind=card.box_kind,
        max_persons=graph.max_persons,
        thresholds=Thresholds(defaults.person, defaults.uncertain),
        calibration=None,
        provenance=Provenance(card.data, card.recipe, card.commit, ()),
        licence=defaults.licence,
        commercial_use=None,
        files={},
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        person_score=graph.person_score,
        pooling=graph.pooling,
        resize=card.resize,
    )


def _torch_device(name: str) -> Any:
    import torch

    if name != "auto":
        return torch.device(name)
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
