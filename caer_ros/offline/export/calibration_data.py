"""From the folders that ``caer evaluate`` writes to what a calibration is fitted on, and every reason not to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from caer_ros.offline.data import predictions as prediction_table
from caer_ros.offline.data.predictions import ImagePrediction, Predictions
from caer_ros.offline.evaluation.results import PREDICTIONS
from caer_ros.offline.export.calibration_fit import CalibrationError, Candidates, folds
from caer_ros.offline.metrics.intervals import image_groups
from caer_ros.offline.metrics.joined import join
from caer_ros.offline.metrics.matching import match
from caer_ros.recordings.annotations import own

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.offline.metrics.joined import Floats, Joined
    from caer_ros.offline.metrics.reliability import Against
    from caer_ros.perception.bundle.bundle import Bundle
    from caer_ros.recordings.annotations.sample import Dataset

    Indices = NDArray[np.intp]

IOU = 0.5
Split = Literal["result folder", "track or recording", "track"]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One folder of ``caer evaluate``: the frames that are both annotated and predicted."""

    folder: Path
    dataset: Dataset
    joined: Joined
    floor: float
    """Detection score from which on the table holds every detection: below a pipeline's own threshold it holds only
    those that keep a track alive."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """N persons with raw scores and a known truth, and the detections of the frames that are annotated in full."""

    scores: Floats
    """[N,E] raw probabilities; NaN where not predicted."""
    labels: Floats
    """[N,E] 1, 0, NaN."""
    votes: Floats | None
    """[N,E] part of the annotators; None where no single votes or shares are annotated."""
    fold: Indices
    """[N] the part that a person is judged with."""
    detections: Candidates | None
    """None where the person threshold cannot be fitted."""
    floor: float
    """Detection score from which on every table holds every detection."""
    split: Split
    """What stays together when what is fitted is split from what is judged."""
    notes: tuple[str, ...]

    def truth(self, against: Against) -> Floats:
        """[N,E] Raises CalibrationError where nothing of it is known of anybody with a score."""
        truth = self.labels if against == "labels" else self.votes
        if truth is not None and (~np.isnan(truth) & ~np.isnan(self.scores)).any():
            return truth
        if against == "votes":
            raise CalibrationError(
                "--against votes: the annotations hold no single votes, nor shares of annotators such as "
                '"emotions": {"Happiness": 0.7, "Peace": 0.3}; take --against labels'
            )
        raise CalibrationError(
            "--against labels: of no person with a score a label is decided on, as none has a share of half or more; "
            "take --against votes"
        )


# --- Reading and refusing ------------------------------------------------------------------------------------------


def read(folders: Sequence[Path], bundle: Bundle) -> list[Result]:
    """The results of this very bundle.

    Raises:
        CalibrationError: the bundle is calibrated already, or a result is of another model, another label set, of
            frames that another result holds too, or of none that is annotated.
        DatasetError, PredictionsError, MetricsError: a file is missing or not as it should be.
    """
    if bundle.calibration is not None:
        raise CalibrationError(
            f"{bundle.path} is calibrated already, and is fitted on raw scores; evaluate and calibrate the bundle that "
            "it was made from (see provenance.recipe), or a copy of the folder without calibration in model.yaml"
        )
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise CalibrationError("the same result folder is given twice; what is judged must not be what is fitted")
    results = [_read(folder, bundle) for folder in folders]
    seen: dict[tuple[str, int, bytes], Path] = {}
    for result in results:
        for sample in result.joined.samples:
            if sample.stamp is None or not len(sample):
                continue
            # Bags in simulated time share names and stamps, but not the people in their frames.
            other = seen.setdefault((sample.image_id, sample.stamp, sample.boxes.tobytes()), result.folder)
            if other is not result.folder:
                raise CalibrationError(
                    f"{sample.image_id} is in {other} and in {result.folder}; give each frame once, as what is judged "
                    "must not be what is fitted"
                )
    return results


def _read(folder: Path, bundle: Bundle) -> Result:
    for name in (PREDICTIONS, own.WHOLE):
        if not (folder / name).is_file():
            raise CalibrationError(
                f"{folder}: no {name}; give a folder that `caer evaluate bag` or `caer evaluate dataset` wrote with "
                "--output"
            )
    header = prediction_table.read_header(folder / PREDICTIONS)
    if header.model_version != bundle.model_version:
        raise CalibrationError(
            f"{folder}: predicted by {header.model} {header.model_version[:16]}, not by {bundle.name} "
            f"{bundle.model_version}; evaluate that bundle, or give --model the one that was evaluated"
        )
    dataset = own.read(folder / own.WHOLE)
    for what, label_set, labels in (
        ("predictions", header.label_set, header.labels),
        ("annotations", dataset.label_set, dataset.labels),
    ):
        if labels != bundle.labels:
            raise CalibrationError(
                f'{folder}: the {what} have the labels of "{label_set}" ({", ".join(labels) or "none"}), '
                f'{bundle.name} those of "{bundle.label_set}" ({", ".join(bundle.labels)}); annotate with the labels '
                "of the bundle"
            )
    table = prediction_table.read(folder / PREDICTIONS)
    predicted = {image.image_id: _detected(image) for image in table.images}
    samples = [sample for sample in dataset.samples if sample.image_id in predicted]
    if not samples:
        raise CalibrationError(
            f"{folder}: no annotated frame has a prediction of its own; of messages recorded in the field evaluate the "
            "bag offline (`caer evaluate bag --model`)"
        )
    chosen = Predictions(header, tuple(predicted[sample.image_id] for sample in samples))
    thresholds = [header.thresholds.get("kept", 0.0)]
    if any(image.tracked is not None for image in table.images):
        thresholds.append(header.thresholds.get("person", bundle.thresholds.person))
    return Result(folder, dataset, join(samples, chosen), max(thresholds))


def _detected(image: ImagePrediction) -> ImagePrediction:
    """Without the persons whom only the tracker saw."""
    if image.tracked is None or not image.tracked.coasted.any():
        return image
    seen = ~image.tracked.coasted
    return replace(
        image,
        boxes=image.boxes[seen],
        scores=image.scores[seen],
        emotions=image.emotions[seen],
        vad=None if image.vad is None else image.vad[seen],
        tracked=None,
    )


def own_opinion(results: Iterable[Result], bundle: Bundle) -> list[Path]:
    """The folders in which this very model wrote the first draft of the emotions."""
    return [result.folder for result in results if _drafted(result, bundle, "emotions")]


def _drafted(result: Result, bundle: Bundle, what: str) -> bool:
    return any(draft.get(what) and _is_of(draft, bundle) for draft in result.dataset.drafts)


def _is_of(draft: dict[str, Any], bundle: Bundle) -> bool:
    return str(draft["version"])[:16] == bundle.model_version


# --- Arrays --------------------------------------------------------------------------------------------------------


def gather(results: Sequence[Result], bundle: Bundle, seed: int = 0) -> Evidence:
    """Everything that a calibration of this bundle is fitted and judged on.

    Args:
        results: as ``read`` gives them.
        seed: of the split.

    Raises:
        CalibrationError: no annotated emotion, none with a score, or nothing to split.
    """
    scores = np.concatenate([_scores(result.joined) for result in results])
    labels = np.concatenate([result.joined.targets for result in results])
    votes = _votes(results)
    annotated = ~np.isnan(labels) if votes is None else ~np.isnan(labels) | ~np.isnan(votes)
    if not annotated.any():
        raise CalibrationError(
            f"{_named(results)}: no emotion is annotated; annotate some (`caer bag label-studio`), then evaluate again"
        )
    used = (annotated & ~np.isnan(scores)).any(axis=1)
    if not used.any():
        raise CalibrationError(
            f"{_named(results)}: none of the {annotated.any(axis=1).sum():,} persons with annotated emotions has a "
            "score: the model found none of them at IoU 0.5, or said nothing about their emotions"
        )
    of_images = _image_groups(results)
    groups, split = _person_groups(results, of_images, used)
    fold = folds(groups[used], seed)
    floor = max(result.floor for result in results)
    detections, notes = _detections(results, of_images, bundle, floor, seed)
    return Evidence(
        scores=scores[used],
        labels=labels[used],
        votes=None if votes is None else votes[used],
        fold=fold,
        detections=detections,
        floor=floor,
        split=split,
        notes=(*_origin(results, bundle), *notes),
    )


def _named(results: Sequence[Result]) -> str:
    return ", ".join(str(result.folder) for result in results)


def _scores(joined: Joined) -> Floats:
    """[N,E] raw scores, read in the annotated boxes where the model can, else those with which persons were found."""
    if joined.has_pooled:
        return joined.pooled()
    return match(joined, joined.header.thresholds.get("person", 0.0), thresholds=[IOU]).scores_of_persons()


def _votes(results: Sequence[Result]) -> Floats | None:
    """[N,E] single votes where there are any, else the shares that the labels are annotated with; None: neither."""
    samples = [sample for result in results for sample in result.joined.samples]
    votes = np.concatenate([sample.votes for sample in samples]).astype(np.float64)
    shares = np.concatenate([sample.emotions for sample in samples]).astype(np.float64)
    if not np.isnan(votes).all():
        return votes
    return shares if ((shares > 0) & (shares < 1)).any() else None


def _image_groups(results: Sequence[Result]) -> list[Indices]:
    """Return for each result [I] the group of each of its images: the result where there are several."""
    if len(results) > 1:
        return [np.full(len(result.joined.samples), number, np.intp) for number, result in enumerate(results)]
    return [np.array(image_groups(results[0].joined.samples), np.intp)]


def _person_groups(
    results: Sequence[Result], of_images: list[Indices], used: NDArray[np.bool_]
) -> tuple[Indices, Split]:
    """[N] the group of each person, and of what kind it is."""
    groups = np.concatenate(
        [group[result.joined.image_index] for result, group in zip(results, of_images, strict=True)]
    )
    if len(results) > 1:
        return groups, "result folder"
    if len(np.unique(groups[used])) > 1:
        return groups, "track or recording"
    # Persons who are always seen together are one group of images, but still different persons.
    tracks = [track for sample in results[0].joined.samples for track in sample.track_ids]
    numbers = {track: number for number, track in enumerate(dict.fromkeys(tracks))}
    return np.array([numbers[track] for track in tracks], np.intp), "track"


def _detections(
    results: Sequence[Result], of_images: list[Indices], bundle: Bundle, floor: float, seed: int
) -> tuple[Candidates | None, list[str]]:
    """Detections of a score of ``floor`` and more, at IoU 0.5, of frames annotated in full; and what to know."""
    if any(_drafted(result, bundle, "boxes") for result in results):
        return None, ["The person threshold is left: this model drew the first draft of the boxes itself."]
    full = np.concatenate([[sample.exhaustive for sample in result.joined.samples] for result in results])
    if not full.any():
        return None, ["The person threshold is left: no frame is annotated in full, so no detection is known as false."]
    groups = np.concatenate(of_images)[full]
    part = folds(groups, seed) if len(np.unique(groups)) > 1 else np.zeros(len(groups), np.intp)
    found, first = [], 0
    for result in results:
        if not any(sample.exhaustive for sample in result.joined.samples):
            continue
        joined = result.joined.exhaustive()
        matches = match(joined, floor, thresholds=[IOU])
        mine = part[first : first + len(joined.samples)]
        first += len(joined.samples)
        counted, right = ~matches.ignored[0], matches.person[0] >= 0
        found.append((matches.scores[counted], right[counted], mine[matches.image[counted]], mine[joined.image_index]))
    scores, is_right, parts, wanted = (np.concatenate(values) for values in zip(*found, strict=True))
    return Candidates(scores, is_right, parts, wanted), []


def _origin(results: Sequence[Result], bundle: Bundle) -> list[str]:
    """Where scores and labels come from, one sentence each."""
    read_in_boxes = [result.joined.has_pooled for result in results]
    where = "those of detections at IoU 0.5, as no result has scores read in the annotated boxes"
    if any(read_in_boxes):
        where = "read in the annotated boxes" + ("" if all(read_in_boxes) else ", or those of detections at IoU 0.5")
    notes = [f"Scores are {where}."]
    for result in results:
        for draft in result.dataset.drafts:
            if draft.get("emotions"):
                by = "this very model" if _is_of(draft, bundle) else draft["name"]
                notes.append(f"{result.folder}: {by} wrote the first draft of the emotions.")
        left = len(result.dataset.samples) - len(result.joined.samples)
        if left:
            notes.append(f"{result.folder}: {left:,} annotated frames have no prediction, and are left out.")
    return notes
