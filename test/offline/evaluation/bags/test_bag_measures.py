from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from offline.metrics.tables import prediction, sample, table

from caer_ros.offline.data.predictions import Tracked
from caer_ros.offline.evaluation.bags.as_recorded import WARNING
from caer_ros.offline.evaluation.bags.bag_measures import drafted, measure
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.sample import Dataset, Findings

LABELS = ("calm", "cross")
BOX = [[0, 0, 10, 10]]
SECOND = 10**9


def dataset(samples, **changes):
    return Dataset("bag", Path("bag"), "test", "own", LABELS, False, tuple(samples), Findings(), **changes)


def recording(**changes):
    """A person who is calm for three seconds; the robot says calm, cross, calm."""
    samples = [sample(f"camera/{n}", BOX, [[1, 0]], stamp=n * SECOND, track_ids=("7",), **changes) for n in range(1, 5)]
    images = [
        prediction(
            f"camera/{n}",
            BOX,
            [0.9],
            [[0.8, 0.2]],
            tracked=Tracked(("r-1",), np.zeros(1, bool), np.float32([[0.8, 0.2]]), np.array([n == 2], np.intp)),
        )
        for n in range(1, 5)
    ]
    return dataset(samples), table(images, LABELS)


def test_what_a_recording_with_tracks_gives():
    found = measure(*recording())
    assert found.evaluation.pd.ap == pytest.approx(1)
    assert found.evaluation.er is None
    assert found.tracking.hota == pytest.approx(1)
    assert found.stability.flickers == 2  # calm to cross and back
    assert found.false_persons.per_minute == 0
    assert found.reliability_of_found.mean_ece == pytest.approx(0.2)
    assert not any(note.startswith("No ") for note in found.notes)


def test_what_does_not_apply_is_none_and_said():
    samples, answers = recording(exhaustive=False)
    samples = replace(samples, samples=tuple(replace(one, track_ids=("",)) for one in samples.samples))
    found = measure(samples, replace(answers, images=[replace(image, tracked=None) for image in answers.images]))
    assert (found.tracking, found.stability, found.false_persons) == (None, None, None)
    for what in ("No false persons: no image is annotated exhaustively", "No HOTA: ", "No stability over tracks: "):
        assert any(note.startswith(what) for note in found.notes), what


def test_boxes_of_another_kind_only_when_asked_for():
    samples, answers = recording(box_kind=BoxKind.HEAD)
    with pytest.raises(MetricsError, match="annotated are head boxes, predicted body boxes"):
        measure(samples, answers)
    assert "Predicted are body boxes, annotated head boxes." in measure(samples, answers, any_box_kind=True).notes


def test_a_model_that_is_judged_by_its_own_draft_is_warned_of():
    samples, answers = recording()
    version = answers.header.model_version
    models = ["other ffff", f"model {version}"]  # of a robot whose model was exchanged on the way
    own = {"name": "model", "version": version, "boxes": True, "emotions": True}
    (said,) = drafted([replace(samples, prefilled_by=own)], models)
    assert said.startswith(f"{WARNING}: model {version} wrote the first draft of these annotations (boxes and emo")
    (said,) = drafted([replace(samples, prefilled_by=own | {"emotions": False})] * 2, models)
    assert "(boxes)" in said
    foreign = own | {"version": "e" * 16}
    (said,) = drafted([replace(samples, prefilled_by=foreign)], models)
    assert said == f"The first draft of the annotations (boxes and emotions) was written by model {'e' * 16}."
    first, second = drafted([replace(samples, prefilled_by=[foreign, own])], models)
    assert (first, second.partition(":")[0]) == (said, WARNING)
    assert drafted([samples], models) == []
