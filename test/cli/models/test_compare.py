"""`caer models compare` on models whose answers are known, and on the two that are shipped."""

import argparse
import json
import re

import cv2
import numpy as np
import pytest
from bag_files import START_NS, compressed, image, picture, picture_index, write_bag
from graphs import write_bundle
from std_msgs.msg import String

from caer_ros import share
from caer_ros.cli.console.output_folder import OutputError
from caer_ros.cli.models import compare as models_compare
from caer_ros.cli.models.compare_frames import Chosen, spread
from caer_ros.cli.models.compare_pictures import numbered, side_by_side
from caer_ros.cli.models.compare_run import distinct
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.engine import EngineError
from caer_ros.recordings.sources import SourceError
from caer_ros.taxonomy import CAER_S, HECO

SIZE = {"resize": {"mode": "stretch", "size": [120, 160], "interpolation": "nearest"}}


def scores(labels, **chosen):
    rest = (1 - sum(chosen.values())) / (len(labels) - len(chosen))
    return np.tile([chosen.get(label, rest) for label in labels], (2, 1))


def finder(folder, name, labels, label_set, shift=0.0, slots=(0.9, 0.2), **chosen):
    """Boxes what is bright, moved by ``shift`` of the image, and says the chosen emotions."""
    known = {"label_set": label_set, "labels": list(labels), "predictable": list(labels)}
    graph = {"emotions": scores(labels, **chosen), "shift": shift, "scores": slots}
    return str(write_bundle(folder / name, graph, name=name, **known, **SIZE))


@pytest.fixture
def models(tmp_path):
    """Same boxes, and another label; the third sees people beside those of the others."""
    return [
        finder(tmp_path, "happy", CAER_S, "caer_s", Happy=0.7, slots=(0.9, 0.8)),
        finder(tmp_path, "sad", HECO, "heco", Sadness=0.5, Happiness=0.2),
        finder(tmp_path, "beside", HECO, "heco", shift=0.4, Happiness=0.6),
    ]


@pytest.fixture
def folder(tmp_path):
    """Somebody in each second of six pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(6):
        pixels = np.zeros((120, 160, 3), np.uint8)
        if index % 2:
            pixels[10:60, 10 : 50 + index] = 255
        cv2.imwrite(str(folder / f"{index}.png"), pixels)
    return folder


def compare(*words):
    parser = argparse.ArgumentParser()
    models_compare.add_arguments(parser)
    return models_compare.run(parser.parse_args([*map(str, words), "--device", "cpu", "--threads", "1"]))


def reported(capsys, *words):
    assert compare(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


# --- What it says ---


def test_the_report_of_three_models(models, folder, capsys):
    report = reported(capsys, *models, "--on", folder)
    assert (report["format"], report["source"]["looked_at"], report["source"]["available"]) == (
        "caer models compare",
        6,
        6,
    )
    assert "agreement, not accuracy" in report["caveat"]
    happy, sad, beside = report["models"]
    assert [m["name"] for m in report["models"]] == ["happy", "sad", "beside"]
    assert happy["persons"] == {"total": 6, "mean": 1.0, "most": 2, "read": 6, "uncertain": 0}
    assert (happy["frames_without_persons"], happy["frames_saturated"]) == (3, 3)  # both slots are taken
    assert (sad["persons"]["total"], sad["frames_saturated"], sad["inputs"]) == (3, 0, [[120, 160]])
    for model in report["models"]:
        assert model["provider"] == "CPUExecutionProvider"
        assert model["load_s"] > 0
        assert 0 < model["ms"]["inference"]["median"] <= model["ms"]["whole"]["median"] <= model["ms"]["whole"]["p90"]
    assert happy["to_first"] == 1
    assert beside["to_first"] == pytest.approx(
        beside["ms"]["whole"]["median"] / happy["ms"]["whole"]["median"], rel=0.02
    )

    other_label, other_place = report["agreement"]
    assert other_label["second"] == "sad"
    assert other_label["shared_labels"] == [
        ["Anger", "Anger"],
        ["Disgust", "Disgust"],
        ["Fear", "Fear"],
        ["Happy", "Happiness"],
        ["Neutral", "Peace"],
        ["Sad", "Sadness"],
        ["Surprise", "Surprise"],
    ]
    counts = ("pairs", "only_first", "only_second", "read", "same_top")
    assert [other_label[name] for name in counts] == [3, 3, 0, 3, 0]
    assert (other_label["only_one_share"], other_label["same_top_share"]) == (0.5, 0.0)
    # Happy .7 and .05 six times, against .2, .5 and .05: |.7 - .2| + |.05 - .5| over seven labels.
    assert other_label["difference"] == pytest.approx((0.5 + 0.45) / 7, abs=1e-3)
    assert [other_place[name] for name in counts] == [0, 6, 3, 0, 0]
    assert (other_place["same_top_share"], other_place["correlation"]) == (None, None)


def test_the_images_with_most_disagreement_come_first(models, folder, capsys):
    frames = reported(capsys, *models[:2], "--on", folder)["frames"]
    assert [(frame["name"], frame["disagreements"]) for frame in frames] == [
        *((f"{index}.png", 2) for index in (1, 3, 5)),
        *((f"{index}.png", 0) for index in (0, 2, 4)),
    ]
    assert frames[0]["persons"] == [2, 1]
    assert frames[0]["with_first"][0]["another_top"] == 1


def test_tables_say_that_it_is_no_accuracy(models, folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    assert compare(*models, "--on", folder) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "agreement, not accuracy",
        "6 of 6 images",
        "Happy = Happiness",
        "IoU of at least 0.5",
        "happy was full",
    ):
        assert part in said
    assert list(folder.parent.glob("**/*.jpg")) == []


def test_heads_are_found_in_bodies(models, folder, tmp_path, capsys):
    """The head's box is the body's upper left quarter: an IoU of 0.25."""
    half = np.array([[0, 0, -0.15, -0.2]] * 2)
    heads = write_bundle(tmp_path / "heads", {"shift": half}, name="heads", box_kind="head", **SIZE)
    report = reported(capsys, models[1], heads, "--on", folder)
    (agreement,) = report["agreement"]
    assert agreement["matched_by"] == "at least 50% of the head inside the body, its centre in the body's upper half"
    assert (agreement["pairs"], agreement["shared_labels"]) == (3, [])


def test_a_model_against_itself(models, folder, capsys):
    report = reported(capsys, models[1], models[1], "--on", folder)
    assert [model["name"] for model in report["models"]] == ["sad (1)", "sad (2)"]
    (agreement,) = report["agreement"]
    assert (agreement["only_one_share"], agreement["same_top_share"], agreement["difference"]) == (0, 1, 0)
    assert distinct(["a", "b", "a"]) == ["a (1)", "b", "a (2)"]


@pytest.mark.timeout(120)
def test_the_shipped_models_on_the_demo_photographs(tmp_path, capsys):
    photos = share.find("resource/demo/photos")
    report = reported(capsys, "bootstrap", "student_synth", "--on", photos / "astronaut.png")
    bootstrap, student = report["models"]
    assert (bootstrap["persons"]["read"], bootstrap["inputs"], student["inputs"]) == (1, [[416, 416]], [[128, 160]])
    assert bootstrap["size"] > student["size"] > 1e6
    assert len(report["agreement"][0]["shared_labels"]) == 7


# --- What it writes ---


def test_the_output_folder(models, folder, tmp_path, capsys):
    out = tmp_path / "out"
    for _ in range(2):  # it fills its own folder anew
        report = reported(capsys, *models, "--on", folder, "--output", out, "--pictures", "2")
    assert {file.name for file in out.iterdir()} == {".caer_models_compare", "compare.html", "compare.json", "pictures"}
    assert json.loads((out / "compare.json").read_text()) == report
    assert sorted(file.name for file in (out / "pictures").iterdir()) == ["001.jpg", "002.jpg"]
    page = (out / "compare.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "agreement, not accuracy" in page
    assert page.index("1.png: ") < page.index("3.png: ")
    assert not re.search(r'(?:src|href)="https?:', page)
    # Three pictures of 400 by 300 side by side, each with its caption.
    assert cv2.imread(str(out / "pictures" / "001.jpg")).shape == (300 + 34, 3 * 400 + 2 * 6, 3)


def test_names_are_escaped(folder, tmp_path, capsys):
    evil = [finder(tmp_path, f"b{i}", HECO, "heco") for i in range(2)]
    for path in evil:
        card = f"{path}/model.yaml"
        with open(card) as file:
            text = file.read()
        with open(card, "w") as file:
            file.write(re.sub(r"^name: .*", "name: '[red]<b>&'", text, count=1))
    assert compare(*evil, "--on", folder, "--output", tmp_path / "out") == 0
    assert "[red]<b>&" in capsys.readouterr().out
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "[red]&lt;b&gt;&amp; (1)" in page
    assert "<b>&" not in page


def test_whom_both_found_has_one_number(models, folder):
    from caer_ros.cli.models.compare_run import compare as run
    from caer_ros.cli.models.compare_run import load
    from caer_ros.perception.engine import EngineSettings

    chosen = Chosen.of(folder / "1.png", None, None)
    contenders = load(models, EngineSettings("cpu", threads=1))
    comparison = run(contenders, chosen, keep=1)
    (look,) = comparison.looks
    assert numbered(look) in ([[1, 2], [1], [3]], [[1, 2], [2], [3]])
    before = [person.box.copy() for persons in look.persons for person in persons]
    (shown,) = comparison.shown
    labels = [contender.bundle.labels for contender in contenders]
    jpeg = cv2.imdecode(np.frombuffer(side_by_side(look, shown.pixels, ["a", "b", "c"], labels), np.uint8), 1)
    first, second = jpeg[34:, :400], jpeg[34:, 406:806]
    assert np.abs(first.astype(int) - second).mean() > 3  # not the same is said
    after = [person.box for persons in look.persons for person in persons]
    np.testing.assert_array_equal(before, after)


def test_four_models_make_two_rows(models, folder, tmp_path, capsys):
    compare(*models, models[0], "--on", folder, "--output", tmp_path / "out", "--pictures", "1")
    picture = cv2.imread(str(tmp_path / "out" / "pictures" / "001.jpg"))
    assert picture.shape == (2 * 334 + 6, 2 * 400 + 6, 3)


# --- What it looks at ---


def camera(topic, kind, count=10):
    stamps = [START_NS + index * 10**8 for index in range(count)]
    return [(topic, stamp, kind(picture(index), stamp)) for index, stamp in enumerate(stamps)]


def test_frames_are_spread_evenly():
    assert spread(5, None) == spread(5, 9) == (0, 1, 2, 3, 4)
    assert spread(101, 5) == (0, 25, 50, 75, 100)
    assert spread(7, 1) == (0,)


@pytest.mark.parametrize("kind", [image, compressed])
def test_frames_of_a_bag(kind, tmp_path):
    bag = write_bag(tmp_path / "bag", [*camera("/camera", kind), ("/said", START_NS, String(data="hello"))])
    chosen = Chosen.of(bag, None, 4)
    assert (chosen.available, chosen.topic) == (10, "/camera")
    found = list(chosen)
    assert [picture_index(frame.pixels) for frame in found] == [0, 3, 6, 9]
    assert found[1].name == f"0.30 s, stamp {START_NS + 3 * 10**8}"


def test_a_bag_of_two_cameras_needs_a_topic(tmp_path):
    bag = write_bag(tmp_path / "bag", [*camera("/left", image), *camera("/right", compressed, 3)])
    with pytest.raises(SourceError, match="several image topics; name one: /left, /right"):
        Chosen.of(bag, None, 4)
    with pytest.raises(SourceError, match="no images on /up: /left, /right"):
        Chosen.of(bag, "/up", 4)
    assert [picture_index(frame.pixels) for frame in Chosen.of(bag, "/right", None)] == [0, 1, 2]


def test_a_damaged_image_of_a_bag_is_left_out(tmp_path):
    messages = camera("/camera", compressed, 3)
    messages[1][2].data = messages[1][2].data[:50]
    chosen = Chosen.of(write_bag(tmp_path / "bag", messages), None, None)
    assert [picture_index(frame.pixels) for frame in chosen] == [0, 2]
    (problem,) = chosen.source.problems
    assert "image 1 of /camera" in problem


def test_frames_of_a_video(tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for index in range(10):
        writer.write(picture(index))
    writer.release()
    assert [picture_index(frame.pixels) for frame in Chosen.of(path, None, 4)] == [0, 3, 6, 9]


def test_frames_of_a_folder(folder):
    (folder / "4.png").write_bytes(b"no picture")
    chosen = Chosen.of(folder, None, None)
    assert [frame.name for frame in chosen] == ["0.png", "1.png", "2.png", "3.png", "5.png"]
    assert len(chosen.source.problems) == 1
    for file in folder.iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(SourceError, match="none of 6 frames can be decoded"):
        list(Chosen.of(folder, None, None))


# --- What it refuses ---


def test_bad_input_is_refused_and_nothing_written(models, folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    with pytest.raises(argparse.ArgumentTypeError, match="name two models or more"):
        compare(models[0], "--on", folder, "--output", out)
    with pytest.raises(BundleError, match='no model bundle named "nonsense"'):
        compare(models[0], "nonsense", "--on", folder, "--output", out)
    with pytest.raises(SourceError, match="no picture in this folder"):
        compare(*models, "--on", empty, "--output", out)
    with pytest.raises(SourceError, match="no such file"):
        compare(*models, "--on", tmp_path / "nowhere", "--output", out)
    with pytest.raises(SourceError, match="--topic /camera: not a bag"):
        compare(*models, "--on", folder, "--topic", "/camera", "--output", out)
    assert not out.exists()
    (empty / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match=r"holds mine\.txt"):
        compare(*models, "--on", folder, "--output", empty)
    assert (empty / "mine.txt").exists()


def test_a_model_that_cannot_run_is_named(models, folder, tmp_path):
    broken = finder(tmp_path, "broken", HECO, "heco")
    with open(f"{broken}/model.yaml") as file:
        text = file.read()
    with open(f"{broken}/model.yaml", "w") as file:
        file.write(text.replace("max_persons: 2", "max_persons: 5"))
    with pytest.raises(EngineError, match="broken"):
        compare(models[0], broken, "--on", folder)
    parser = argparse.ArgumentParser()
    models_compare.add_arguments(parser)
    with pytest.raises(EngineError, match=r"cuda:7"):
        models_compare.run(parser.parse_args([*models, "--on", str(folder), "--device", "cuda:7"]))
