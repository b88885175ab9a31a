from __future__ import annotations

from dataclasses import replace

import numpy as np
import people_pictures
import pytest

from caer_ros.offline.data import load
from caer_ros.offline.data.people import people_set
from caer_ros.offline.evaluation.reading_thresholds import GRID, Allowed, Chosen, Reading, choose, judge, read
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.predictors.single_shot import SingleShot
from caer_ros.recordings.annotations.sample import DatasetError

BOTH = Reading(0, "readable", "Happy", 0.9, "Happy", 0.9)


def on_both_halves(*readings):
    """The same on an image of even and on one of odd number."""
    return [replace(reading, image=number) for number in (0, 1) for reading in readings]


def test_as_low_as_the_allowed_errors_let_them_be():
    hidden = [replace(BOTH, face="hidden", told="", readable=value) for value in np.linspace(0.005, 0.995, 100)]
    sure = [replace(BOTH, score=value) for value in np.linspace(0.6, 0.99, 30)]
    unsure = [replace(BOTH, label="Neutral", score=value) for value in np.linspace(0.3, 0.59, 30)]
    covered = replace(BOTH, label="Neutral", readable=0.2, score=0.95)  # does not pass: its label costs nothing
    readings = on_both_halves(*hidden, *sure, *unsure, covered)
    assert choose(readings, Allowed(hidden=0.2, wrong=0.0)) == Chosen(0.8, 0.6)
    assert choose(readings, Allowed(hidden=0.1, wrong=0.25)) == Chosen(0.9, pytest.approx(0.5, abs=0.02))


def test_where_too_much_is_wrong_the_thresholds_are_the_highest():
    wrong = on_both_halves(replace(BOTH, label="Neutral", score=1.0), replace(BOTH, face="none", told="", readable=1.0))
    assert choose(wrong, Allowed()) == Chosen(GRID[-1], GRID[-1])


def test_chosen_on_one_half_judged_on_the_other():
    seen = [replace(BOTH, image=0), replace(BOTH, image=0, face="hidden", told="", readable=0.3)]
    assert choose(seen, Allowed()).readable == 0.31
    unseen = [
        replace(BOTH, image=1, readable=0.5),
        replace(BOTH, image=1, readable=0.2),
        replace(BOTH, image=3, label="Neutral"),
        replace(BOTH, image=3, score=0.4),
        replace(BOTH, image=3, told="Anger"),
        replace(BOTH, image=3, told="Anger", score=0.4),
        replace(BOTH, image=3, told=""),
        replace(BOTH, image=5, face="hidden", told="", readable=0.8),
        replace(BOTH, image=5, face="none", told="", readable=0.1),
    ]
    judged = judge([*seen, *unseen], Chosen(0.31, 0.5), ["Happy", "Neutral"])
    assert (judged.readable.hits, judged.readable.cases) == (6, 7)
    assert {face: (of.hits, of.cases) for face, of in judged.unreadable.items()} == {"hidden": (1, 1), "none": (0, 1)}
    assert (judged.certain.hits, judged.certain.cases) == (2, 4)
    assert (judged.right.hits, judged.right.cases) == (1, 3)
    assert (judged.others.hits, judged.others.cases) == (1, 2)


@pytest.fixture(scope="module")
def canvases(tmp_path_factory):
    root = tmp_path_factory.mktemp("readability")
    people_set.make(root / "set", people_pictures.write(root / "pictures"), {"train": 1, "val": 3}, (480, 640), seed=1)
    return root / "set"


@pytest.fixture(scope="module")
def people():
    return SingleShot(read_bundle(find_bundle("people")), EngineSettings("cpu", threads=1))


def test_reads_the_annotated_persons_whom_the_real_model_finds(people, canvases):
    dataset = load("own", canvases, "val")
    readings = read(people, dataset)
    known = [face for sample in dataset.samples for face in sample.faces if face]
    assert 0 < len(readings) <= len(known)
    assert {reading.label for reading in readings} <= {"Happy", "Neutral"}
    assert all(0 <= reading.readable <= 1 and 0 <= reading.score <= 1 for reading in readings)
    assert {reading.told for reading in readings if reading.face != "readable"} <= {""}
    nobody = tuple(replace(sample, faces=("",) * len(sample)) for sample in dataset.samples)
    with pytest.raises(DatasetError, match="says of nobody what can be seen of the face"):
        read(people, replace(dataset, samples=nobody))
    with pytest.raises(DatasetError, match="has no label 'Happy', which people gives"):
        read(people, replace(dataset, labels=("calm",)))
