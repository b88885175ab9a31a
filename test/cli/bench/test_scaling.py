"""`caer bench scaling`: a small graph for the student, two branches made by hand, and the real bootstrap."""

import argparse
import json
import subprocess

import cv2
import numpy as np
import onnx
import pytest
from graphs import write_bundle
from hypothesis import given
from hypothesis import strategies as st

from caer_ros.cli.bench import figures, scaling, scaling_plot
from caer_ros.cli.bench.crowd import SIZE, crowd
from caer_ros.cli.bench.scaling import PEERS, STAGES, STUDENT, BenchError, Best, ahead
from caer_ros.cli.bench.scaling_plot import PlotError
from caer_ros.cli.demo import scenes
from caer_ros.perception.boxes import iou
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.predictors import predictor

CPU = EngineSettings("cpu", threads=1)
PLACES = np.array([[c / 4, r / 3, (c + 1) / 4, (r + 1) / 3] for r in range(3) for c in range(4)])
TWO_BRANCH = """
<ir_version: 8, opset_import: ["" : 17]>
two_branch (uint8[N,32,32,3] bodies, uint8[1,48,48,3] scene) => (float[N,3] emotion_scores)
{
    pixels = Cast <to = 1> (bodies)
    mean = ReduceMean <axes = [1, 2], keepdims = 0> (pixels)
    scene_pixels = Cast <to = 1> (scene)
    scene_mean = ReduceMean <axes = [1, 2], keepdims = 0> (scene_pixels)
    both = Add (mean, scene_mean)
    most = Constant <value_float = 510.0> ()
    emotion_scores = Div (both, most)
}
"""


def write_student(folder, scores=None, shift=PLACES - (0, 0, 1, 1)):
    """Boxes 12 places of any bright picture."""
    scores = np.linspace(0.9, 0.1, len(shift)) if scores is None else scores
    graph = {"scores": tuple(scores), "emotions": np.full((len(scores), 3), 1 / 3), "shift": shift}
    return write_bundle(folder, graph, max_persons=len(scores))


def write_networks(folder, student):
    """Instead of torch's."""
    onnx.save(onnx.parser.parse_model(TWO_BRANCH), str(folder / "two_branch.onnx"))
    (folder / "labels.json").write_text('["red", "green", "blue"]')


def arguments(*words):
    parser = argparse.ArgumentParser()
    scaling.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling")
    words = ["--student", str(write_student(folder / "finder")), "--persons", "3,0,1", "--rounds", "2"]
    out, plot = folder / "scaling.json", folder / "scaling.svg"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "write_networks", write_networks)
        args = arguments(*words, "--device", "cpu", "--threads", "1", "--out", str(out), "--plot", str(plot))
        assert scaling.run(args) == 0
    return json.loads(out.read_text()) | {"plot": plot.read_text()}


# --- The whole ---


def test_the_report_has_the_promised_shape(report):
    assert set(report) - {"plot"} == {
        *("format", "format_version", "date", "machine", "versions", "settings", "models"),
        *("results", "ahead_from", "goals"),
    }
    assert (report["format"], report["format_version"]) == ("caer bench scaling", 1)
    assert report["settings"]["persons"] == [0, 1, 3]
    assert report["models"][STUDENT]["id"] == "finder"
    assert {model["provider"] for model in report["models"].values()} == {"CPUExecutionProvider"}
    assert set(report["ahead_from"]) == set(PEERS)
    assert not any(result["saturated"] for result in report["results"])


def test_exactly_so_many_persons_were_carried_through_and_the_bootstrap_found_them(report):
    found = {(r["model"], r["persons"]): (r["found"], r["read"]) for r in report["results"]}
    for number in (0, 1, 3):
        assert found["student", number] == found["two_stage", number] == (number, number)
        assert found["bootstrap", number][0] == number  # few people, well to be seen
    assert found["bootstrap", 3][1] >= 1


def test_stages_make_up_the_whole(report):
    for result in report["results"]:
        assert set(result["stages_ms"]) == set(STAGES)
        assert all(value >= 0 for value in result["stages_ms"].values())
        assert result["ms"]["q1"] <= result["ms"]["median"] <= result["ms"]["q3"]
    two_stage = next(r for r in report["results"] if (r["model"], r["persons"]) == ("two_stage", 3))
    assert all(two_stage["stages_ms"][stage] > 0 for stage in STAGES)


def test_ratios_are_those_of_the_medians(report):
    medians = {(r["model"], r["persons"]): r["ms"]["median"] for r in report["results"]}
    for result in report["results"]:
        key = result["model"], result["persons"]
        assert result["to_one"] == pytest.approx(medians[key] / medians[key[0], 1], rel=0.01)
        assert result["to_student"] == pytest.approx(medians[key] / medians[STUDENT, key[1]], rel=0.01)
    (goal,) = report["goals"]
    assert goal["value"] == pytest.approx(medians[STUDENT, 3] / medians[STUDENT, 1], rel=0.01)
    assert goal["met"] == (goal["value"] <= 1.05)


def test_tables_say_it_all(report):
    text = figures.as_markdown(scaling.tables(report))
    for number in (0, 1, 3):
        assert f"\n| {number} | " in text
    assert "student: cost with 3 persons over cost with 1" in text
    assert report["machine"]["cpu"] in text


def test_the_plot_names_every_curve(report):
    assert report["plot"].startswith("<?xml")
    assert report["plot"].count('id="FillBetweenPolyCollection_') == 3  # a band for each


def test_a_list_too_short_for_the_persons_is_said_to_be_saturated(tmp_path, monkeypatch):
    """Four slots, as DSCT's."""
    monkeypatch.setattr(scaling, "write_networks", write_networks)
    four = write_student(tmp_path / "four", shift=(PLACES - (0, 0, 1, 1))[:4])
    plot = tmp_path / "scaling.svg"
    args = arguments("--student", str(four), "--persons", "1,4,6", "--rounds", "2", "--device", "cpu", "--threads", "1")
    report = scaling.measure(args)
    said = {(r["model"], r["persons"]): (r["found"], r["saturated"]) for r in report["results"]}
    assert [said[STUDENT, number] for number in (1, 4, 6)] == [(1, False), (4, False), (4, True)]
    assert [said["two_stage", number] for number in (1, 4, 6)] == [(1, False), (4, False), (6, False)]
    assert report["models"][STUDENT]["max_persons"] == 4
    text = figures.as_markdown(scaling.tables(report))
    assert ", saturated: 4 of 6 | " in text
    assert "| student is saturated | from 6 persons on: its list has room for 4, and the others are missed |" in text
    scaling_plot.draw(report, plot)
    plain = tmp_path / "plain.svg"
    for result in report["results"]:
        result["saturated"] = False
    scaling_plot.draw(report, plain)
    assert plot.read_text().count('<g id="line2d_') > plain.read_text().count('<g id="line2d_')


# --- Parts ---


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1, max_size=6))
def test_ahead_is_where_the_student_stays_ahead(costs):
    numbered = [(number, ours, theirs) for number, (ours, theirs) in enumerate(costs)]
    first = ahead(numbered)
    wins = [ours < theirs for ours, theirs in costs]
    expected = next((number for number in range(len(wins)) if all(wins[number:])), None)
    assert first == expected


@pytest.mark.parametrize(("text", "expected"), [("1", (1,)), ("0,1,50", (0, 1, 50)), ("5, 1,5", (1, 5))])
def test_numbers_of_persons(text, expected):
    assert arguments("--persons", text).persons == expected


@pytest.mark.parametrize("text", ["", "0,2", "1,x", "1,-2", "1;2", "1,,2"])
def test_wrong_numbers_of_persons_are_refused(text, capsys):
    with pytest.raises(SystemExit):
        arguments("--persons", text)
    assert "must be whole numbers, 1 among them" in capsys.readouterr().err


@pytest.mark.parametrize("number", [0, 1, 5, 12])
def test_the_best_so_many_pass(number, tmp_path):
    model = predictor.load(read_bundle(write_student(tmp_path)), CPU)
    image = crowd(1, 1).image
    best = Best.of(model, image, number)
    assert len(best([image], min_confidence=0.0)[0].persons) == number


def test_slots_of_one_person_count_once(tmp_path):
    """The second slot has the first one's box: it never gets a track, so a third has to pass for two persons."""
    shift = np.array([PLACES[0], PLACES[0], PLACES[5]]) - (0, 0, 1, 1)
    model = predictor.load(read_bundle(write_student(tmp_path, (0.9, 0.8, 0.7), shift)), CPU)
    image = crowd(1, 1).image
    assert len(Best.of(model, image, 2)([image])[0].persons) == 3
    with pytest.raises(BenchError, match="finder gives 2 different persons, and has room for 3: --persons up to 2, or"):
        Best.of(model, image, 3)


def test_only_a_single_shot_bundle_can_be_the_student(tmp_path):
    bootstrap = read_bundle(find_bundle("bootstrap"))
    with pytest.raises(BenchError, match="kind is composed; --student takes a single-shot bundle"):
        scaling.prepare(bootstrap, tmp_path, CPU, {})


def test_without_torch_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"torch, which is missing: pip install 'caer_ros\[offline\]'"):
        scaling.write_networks(tmp_path, student=True)


def test_torch_writes_the_networks_in_a_process_of_its_own(monkeypatch, tmp_path):
    called = []

    def started(command, **_):
        called.append(command[1:])
        return subprocess.CompletedProcess(command, len(called) - 1, "", "no such backbone\n")

    monkeypatch.setattr(subprocess, "run", started)
    scaling.write_networks(tmp_path, student=True)
    with pytest.raises(BenchError, match="could not be written:\nno such backbone"):
        scaling.write_networks(tmp_path, student=False)
    module = ["-m", "caer_ros.offline.reproduction.benchmark_networks", str(tmp_path)]
    assert called == [module, [*module, "--no-student"]]


def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_measured(monkeypatch, tmp_path):
    with pytest.raises(PlotError, match=r"must end in \.svg, \.png, \.pdf"):
        scaling_plot.check(tmp_path / "plot.bmp")
    with pytest.raises(PlotError, match="there is no folder"):
        scaling_plot.check(tmp_path / "nowhere" / "plot.svg")
    monkeypatch.setattr(scaling_plot, "find_spec", lambda name: None)
    with pytest.raises(PlotError, match=r"matplotlib: pip install 'caer_ros\[offline\]'"):
        scaling_plot.check(tmp_path / "plot.svg")


# --- Pictures ---


def test_a_crowd_has_so_many_people_in_different_places():
    none, few, many = (crowd(number, 20) for number in (0, 3, 20))
    assert (many.image.shape, many.image.dtype) == ((SIZE[1], SIZE[0], 3), np.uint8)
    assert [len(picture.boxes) for picture in (none, few, many)] == [0, 3, 20]
    assert (many.boxes[:, :2] >= 0).all()
    assert (many.boxes[:, 2:] <= SIZE).all()
    overlaps = iou(many.boxes, many.boxes) - np.eye(20)
    assert overlaps.max() < 0.5
    changed = np.abs(few.image.astype(int) - none.image).max(axis=2) > 20
    inside = np.zeros_like(changed)
    for x_min, y_min, x_max, y_max in few.boxes.astype(int):
        inside[y_min:y_max, x_min:x_max] = True
        assert changed[y_min:y_max, x_min:x_max].mean() > 0.3
    assert not changed[~inside].any()


def test_the_people_of_a_smaller_crowd_stand_in_the_larger_one_too():
    few, many = crowd(3, 20), crowd(20, 20)
    assert {tuple(box) for box in few.boxes.tolist()} <= {tuple(box) for box in many.boxes.tolist()}


def test_a_missing_photograph_is_a_scene_error(monkeypatch):
    monkeypatch.setattr(cv2, "imread", lambda *_: None)
    with pytest.raises(scenes.SceneError, match="is missing or is no picture"):
        crowd(1, 1)
