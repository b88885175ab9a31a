"""The pipeline: thresholds, stamps, swaps; on a real ONNX Runtime session that boxes bright pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from graphs import LABELS, write_bundle

from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.person import EmotionStatus, TrackState
from caer_ros.perception.pipeline import Pipeline, PipelineSettings
from caer_ros.perception.predictors import predictor as predictors
from caer_ros.perception.tracking.timeline import Order

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.perception.predictors.predictor import Predictor

SECOND = 1_000_000_000


def image(left: int = 10, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[20:60, left : left + 20] = 255
    return pixels


NOBODY = np.zeros((64, 64, 3), np.uint8)


def predictor(folder: Path, score: float = 0.9, glad: float = 0.8, **changes: object) -> Predictor:
    """Finds one person, who is glad."""
    emotions = np.array([[(1 - glad) / 2, (1 - glad) / 2, glad]])
    bundle = write_bundle(folder, {"scores": (score,), "emotions": emotions}, max_persons=1, **changes)
    return predictors.load(read_bundle(bundle), EngineSettings(device="cpu", threads=1))


def pipeline(folder: Path, settings: PipelineSettings | None = None, **changes: float) -> Pipeline:
    return Pipeline(predictor(folder / "model", **changes), settings or PipelineSettings(), run="r")


def test_a_person_is_tracked_and_smoothed(tmp_path: Path) -> None:
    run = pipeline(tmp_path)
    frames = [run(image(10 + i), SECOND + i * SECOND // 10) for i in range(5)]
    people = [frame.persons[0] for frame in frames]
    assert {person.track_id for person in people} == {"r-1"}
    assert [person.track_state for person in people] == [TrackState.NEW] + [TrackState.TRACKED] * 4
    assert people[-1].track_age == pytest.approx(0.4)
    np.testing.assert_allclose(people[-1].smoothed_scores, [0.1, 0.1, 0.8], atol=1e-6)
    np.testing.assert_allclose(people[-1].box, [14, 20, 34, 60], atol=1e-4)
    assert people[-1].status == EmotionStatus.OK
    assert LABELS[people[-1].top_index] == "glad"
    assert set(frames[0].seconds) == {"resize", "inference", "post", "track"}
    assert run.alive == {"r-1"}


def test_the_bundles_thresholds_hold_unless_the_settings_have_their_own(tmp_path: Path) -> None:
    run = pipeline(tmp_path, score=0.55, glad=0.45)  # the bundle: person 0.5, uncertain 0.4
    assert run(image(), SECOND).persons[0].status == EmotionStatus.OK
    run.settings = PipelineSettings(uncertain_below=0.5)
    assert run(image(), 2 * SECOND).persons[0].status == EmotionStatus.UNCERTAIN
    run.reset()
    run.settings = PipelineSettings(person_threshold=0.6)
    assert run(image(), 3 * SECOND).persons == []


def test_a_weak_detection_keeps_a_track_and_starts_none(tmp_path: Path) -> None:
    run = pipeline(tmp_path)
    weak = predictor(tmp_path / "weak", score=0.3)
    assert len(run(image(), SECOND).persons) == 1
    run.predictor = weak
    (person,) = run(image(), SECOND + SECOND // 10).persons
    assert (person.track_id, person.track_state) == ("r-1", TrackState.TRACKED)
    assert person.confidence == pytest.approx(0.3)
    run.reset()
    assert run(image(), 2 * SECOND).persons == []


def test_without_a_stamp_nobody_is_tracked(tmp_path: Path) -> None:
    run = pipeline(tmp_path)
    frame = run(image(), 0)
    (person,) = frame.persons
    assert frame.order is Order.UNSTAMPED
    assert (person.track_id, person.track_state) == ("", TrackState.UNTRACKED)
    np.testing.assert_array_equal(person.smoothed_scores, person.scores)
    run.predictor = predictor(tmp_path / "weak", score=0.3)
    assert run(image(), 0).persons == [], "weak detections are for tracks alone"


def test_a_late_image_is_not_processed(tmp_path: Path) -> None:
    run = pipeline(tmp_path)
    run(image(), 5 * SECOND)
    late = run(image(), 5 * SECOND - SECOND // 2)
    assert (late.order, late.persons, late.seconds) == (Order.LATE, [], {})
    assert run.behind(5 * SECOND - SECOND // 2) == pytest.approx(0.5)


@pytest.mark.parametrize("why", ["time jumped back", "resolution changed"])
def test_a_new_beginning_gives_new_ids(tmp_path: Path, why: str) -> None:
    run = pipeline(tmp_path)
    for i in range(3):
        run(image(), 10 * SECOND + i * SECOND // 10)
    if why == "time jumped back":
        frame = run(image(), SECOND)
        assert frame.order is Order.JUMPED_BACK
    else:
        frame = run(image(size=(80, 64)), 10 * SECOND + SECOND // 2)
    assert [person.track_id for person in frame.persons] == ["r-2"]
    assert run.alive == {"r-2"}


def test_a_swap_keeps_ids_and_everybody_has_the_new_models_labels(tmp_path: Path) -> None:
    run = pipeline(tmp_path)
    for i in range(3):
        run(image(), SECOND + i * SECOND // 10)
    labels = ["one", "two"]
    two = write_bundle(
        tmp_path / "two",
        {"scores": (0.9,), "emotions": np.array([[0.3, 0.7]])},
        max_persons=1,
        labels=labels,
        predictable=labels,
    )
    run.predictor = predictors.load(read_bundle(two), EngineSettings(device="cpu", threads=1))
    (coasting,) = run(NOBODY, SECOND + 3 * SECOND // 10).persons
    assert (coasting.track_id, coasting.track_state) == ("r-1", TrackState.COASTED)
    assert len(coasting.scores) == len(coasting.smoothed_scores) == 2
    assert coasting.status == EmotionStatus.NOT_PREDICTED
    (back,) = run(image(), SECOND + 4 * SECOND // 10).persons
    assert back.track_id == "r-1"
    np.testing.assert_allclose(back.smoothed_scores, [0.3, 0.7], atol=1e-6)


def test_a_swap_to_another_kind_of_box_starts_anew(tmp_path: Path) -> None:
    run = pipeline(tmp_path)
    run(image(), SECOND)
    run.predictor = predictor(tmp_path / "heads", box_kind="head")
    assert run(image(), SECOND + SECOND // 10).persons[0].track_id == "r-2"


def test_calibration_applies_before_anything_is_judged(tmp_path: Path) -> None:
    cold = {"temperature": [1.0, 1.0, 1.0], "bias": [0.0, 3.0, 0.0]}
    run = Pipeline(predictor(tmp_path / "model", calibration=cold), PipelineSettings(), run="r")
    (person,) = run(image(), SECOND).persons
    assert LABELS[person.top_index] == "cross"
    assert person.scores.sum() == pytest.approx(1)


def test_the_same_images_give_the_same_answer(tmp_path: Path) -> None:
    model = predictor(tmp_path / "model")
    runs = []
    for _ in range(2):
        run = Pipeline(model, PipelineSettings(), run="r")
        frames = [run(image(5 + 3 * i) if i % 4 else NOBODY, SECOND + i * SECOND // 7) for i in range(12)]
        runs.append([(p.track_id, p.track_state, *p.box, *p.smoothed_scores) for f in frames for p in f.persons])
    np.testing.assert_array_equal(runs[0], runs[1])
