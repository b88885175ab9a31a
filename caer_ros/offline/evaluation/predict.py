"""Images of a data set in, the table of predictions out; persons come from the very predictor that the node runs.

Beside the persons that the model finds, emotions are read in the annotated boxes (ER) off the same run's emotion maps.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros import taxonomy
from caer_ros.offline.datasets import images
from caer_ros.offline.predictions import ImagePrediction, PredictionHeader, Predictions
from caer_ros.offline.sample import DatasetError
from caer_ros.perception import predictor
from caer_ros.perception.bundle import Bundle, Provenance, Thresholds
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.person import ScoreType
from caer_ros.perception.resizing import plan
from caer_ros.perception.single_shot import SingleShot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.offline.export import SingleShotGraph
    from caer_ros.offline.sample import Dataset, Sample
    from caer_ros.offline.training.checkpoint import CheckpointCard
    from caer_ros.perception.person import Array, Person
    from caer_ros.perception.predictor import Predictor
    from caer_ros.perception.resizing import Fit

    Image = NDArray[np.uint8]
    Pair = tuple[Sample, Image]
    Watch = Callable[[Iterable[Pair]], Iterable[Pair]]
    Ready = Callable[[PredictionHeader], None]

KEPT = 0.01
"""Lowest detection score in a table. Ours: below it COCO's mean precision does not change in the third digit."""
CHECKPOINT_PERSONS = 100
MAPS = "emotion_maps"
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
        bundle: single-shot or composed; only the former can have emotions read in annotated boxes (``pooled``).
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
    settings = settings or EngineSettings()
    model = _WithMaps(bundle, settings) if bundle.kind == "single_shot" else predictor.load(bundle, settings)
    return _predict(model, samples, source, kept, watch, ready)


def predict_checkpoint(
    path: Path,
    samples: Sequence[Sample],
    device: str = "auto",
    source: str = "",
    kept: float = KEPT,
    watch: Watch = iter,
    max_persons: int = CHECKPOINT_PERSONS,
    ready: Ready | None = None,
) -> Predictions:
    """As ``predict_bundle``, of a student that is not exported yet, run by PyTorch.

    A student without a detection head finds nobody: its table holds scores in annotated boxes only, and
    ``max_persons`` 0.

    Args:
        path: the file.
        samples, source, kept, watch, ready: as above.
        device: "auto", "cpu" or "cuda:N".
        max_persons: the longest list of persons.

    Raises:
        CheckpointError: the file is no checkpoint of ours.
        ExportError: it is no student's.
        DatasetError: as above.
    """
    from caer_ros.offline import export

    graph, card = export.load_graph(path, max_persons)
    engine = _NetworkEngine(graph.to(_torch_device(device)), path)
    model = _WithMaps(_as_bundle(path, card, graph.max_persons), EngineSettings(), engine)
    return _predict(model, samples, source, kept, watch, ready)


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
        bare = [replace(image, emotions=image.emotions[:, :0], pooled=None) for image in predictions.images]
        return Predictions(header, bare), "The set has no emotions: PD only."
    meaning = counterparts(dataset, header)
    missing = [label for label in dataset.labels if label not in meaning]
    if not meaning:
        raise EvaluationError(
            f'{header.model} predicts "{header.label_set}" ({", ".join(header.labels)}), and none of these means a '
            f'label of {dataset.name}, "{dataset.label_set}" ({", ".join(dataset.labels)})'
        )
    columns = [header.labels.index(meaning[label]) if label in meaning else -1 for label in dataset.labels]

    def mapped(scores: Array) -> Array:
        # One more column of NaN, which the index -1 takes.
        return np.hstack([scores, np.full((len(scores), 1), np.nan, np.float32)])[:, columns]

    changed = [
        replace(image, emotions=mapped(image.emotions), pooled=None if image.pooled is None else mapped(image.pooled))
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


def counterparts(dataset: Dataset, header: PredictionHeader) -> dict[str, str]:
    """Which label of the model means which of the data set's: by the taxonomy, or by name for sets of one's own."""
    if {dataset.label_set, header.label_set} <= taxonomy.LABEL_SETS.keys():
        return taxonomy.counterparts(dataset.label_set, header.label_set)
    by_name = {label.casefold(): label for label in header.labels}
    return {label: by_name[label.casefold()] for label in dataset.labels if label.casefold() in by_name}


# --- One image after the other -------------------------------------------------------------------------------------


def _predict(
    model: Predictor | _WithMaps,
    samples: Sequence[Sample],
    source: str,
    kept: float,
    watch: Watch,
    ready: Ready | None,
) -> Predictions:
    bundle = model.bundle
    header = PredictionHeader(
        model=bundle.name,
        model_version=bundle.model_version,
        label_set=bundle.label_set,
        labels=bundle.labels,
        score_type=bundle.score_type,
        box_kind=bundle.box_kind,
        source=source,
        max_persons=bundle.max_persons,
        thresholds={"person": bundle.thresholds.person, "uncertain": bundle.thresholds.uncertain, "kept": kept},
    )
    if ready is not None:
        ready(header)
    pairs = watch(read_ahead(samples))
    return Predictions(header, tuple(_image(model, sample, image, kept) for sample, image in pairs))


def _image(model: Predictor | _WithMaps, sample: Sample, image: Image, kept: float) -> ImagePrediction:
    (prediction,) = model([image], kept)
    persons, bundle = prediction.persons, model.bundle
    vads = [person.vad for person in persons if person.vad is not None]
    return ImagePrediction(
        image_id=sample.image_id,
        size=sample.size,
        boxes=_stacked([person.box for person in persons], 4),
        scores=np.array([person.confidence for person in persons], np.float32),
        emotions=_stacked([person.scores for person in persons], len(bundle.labels)),
        pooled=model.read(sample) if isinstance(model, _WithMaps) else None,
        vad=np.stack(vads) if vads and len(vads) == len(persons) else None,
        stamp=sample.stamp,
        # The list is full at the lowest score kept; a robot asks from the bundle's threshold on.
        saturated=prediction.saturated and all(p.confidence >= bundle.thresholds.person for p in persons),
    )


def _stacked(rows: Sequence[Array], width: int) -> Array:
    return np.stack(rows).astype(np.float32) if rows else np.empty((0, width), np.float32)


def read_ahead(samples: Sequence[Sample]) -> Iterator[Pair]:
    """Each sample with its pixels, RGB; the next few images are decoded meanwhile.

    Raises:
        DatasetError: an image cannot be read, or is not of the size that was annotated.
    """
    with ThreadPoolExecutor(2) as pool:
        rest = iter(samples)
        waiting = deque((sample, pool.submit(images.read, sample.path)) for sample in islice(rest, _READ_AHEAD))
        while waiting:
            sample, image = waiting.popleft()
            waiting.extend((later, pool.submit(images.read, later.path)) for later in islice(rest, 1))
            pixels = image.result()
            if pixels.shape[:2] != tuple(sample.size):
                found, expected = "×".join(map(str, pixels.shape[:2])), "×".join(map(str, sample.size))
                raise DatasetError(f"{sample.path}: {found} pixels (height×width), but annotated as {expected}")
            yield sample, pixels


class _WithMaps(SingleShot):
    """The node's predictor, which also fetches the emotion maps and keeps those of the last image.

    Args:
        bundle, settings: as ``SingleShot`` takes them.
        engine: what runs in place of the bundle's file.
    """

    def __init__(self, bundle: Bundle, settings: EngineSettings, engine: _NetworkEngine | None = None) -> None:
        self._maps: Array | None = None
        if engine is None:
            super().__init__(bundle, settings)
            return
        assert bundle.resize is not None
        self.bundle, self._rule = bundle, bundle.resize
        self._engine, self.provider = engine, engine.provider  # type: ignore[assignment]
        self._shapes = self._expected_outputs()
        self._batches = True

    def _expected_outputs(self) -> dict[str, tuple[int | None, ...]]:
        maps: dict[str, tuple[int | None, ...]] = {MAPS: (None, len(self.bundle.labels), None, None)}
        return super()._expected_outputs() | (maps if MAPS in self._engine.outputs else {})

    def _run(self, batch: Image) -> dict[str, Array]:
        outputs = super()._run(batch)
        self._maps = outputs[MAPS][-1] if MAPS in outputs else None
        return outputs

    def _persons(self, slots: dict[str, Array], fit: Fit, threshold: float) -> tuple[list[Person], bool]:
        # A student without a detection head has no slots, which in a robot's bundle would be an error.
        return super()._persons(slots, fit, threshold) if self.bundle.max_persons else ([], False)

    def read(self, sample: Sample) -> Array | None:
        """[N,E] probabilities in the annotated boxes of the image that was predicted last; None without maps."""
        from caer_ros.offline.codecs.pooling import pool_numpy

        if self._maps is None:
            return None
        fit = plan(self._rule, *sample.size)
        height, width = self._maps.shape[-2:]
        to_map = np.array(
            [
                fit.resized[1] / fit.source[1] * width / fit.canvas[1],
                fit.resized[0] / fit.source[0] * height / fit.canvas[0],
            ],
            np.float32,
        )
        logits = pool_numpy(self._maps, sample.boxes * np.tile(to_map, 2))
        predictable = np.array(self.bundle.predictable)
        activation = _sigmoid if self.bundle.score_type == ScoreType.SIGMOID else _softmax
        scores = np.full(logits.shape, np.nan, np.float32)
        scores[:, predictable] = activation(logits[:, predictable])  # others take no part in a softmax
        return scores


def _sigmoid(logits: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)), np.float32)


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


# --- A checkpoint in the place of a bundle -------------------------------------------------------------------------


class _NetworkEngine:
    """A network of PyTorch that answers as ``engine.Engine`` does."""

    def __init__(self, graph: SingleShotGraph, path: Path) -> None:
        from caer_ros.offline.export import SingleShotOutput

        self.path = path
        self.provider = f"PyTorch on {graph.mean.device}"
        self.outputs = dict.fromkeys(SingleShotOutput._fields)
        self._graph = graph

    def run(self, feeds: Mapping[str, Image], outputs: Sequence[str]) -> list[Array]:
        import torch

        from caer_ros.offline import export

        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # in float32, as ONNX Runtime computes
            result = export.run(self._graph, feeds[export.INPUT])
        return [getattr(result, name).numpy() for name in outputs]


def _as_bundle(path: Path, card: CheckpointCard, max_persons: int) -> Bundle:
    """What a checkpoint's bundle would say of itself."""
    from caer_ros.offline.export import ExportSettings

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
        max_persons=max_persons,
        thresholds=Thresholds(defaults.person, defaults.uncertain),
        calibration=None,
        provenance=Provenance(card.data, card.recipe, card.commit, ()),
        licence=defaults.licence,
        commercial_use=None,
        files={},
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        person_score="logit",
        pooling="box_mean",
        resize=card.resize,
    )


def _torch_device(name: str) -> Any:
    import torch

    if name != "auto":
        return torch.device(name)
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
