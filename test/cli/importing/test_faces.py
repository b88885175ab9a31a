from __future__ import annotations

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from face_networks import IMAGENET, MOODS, composed, network
from variations import photo

from caer_ros.cli import main
from caer_ros.offline.data import distilled
from caer_ros.offline.importers import published_faces
from caer_ros.offline.importers.onnx_file import read
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.predictors import predictor
from caer_ros.recordings.frames import Frame
from caer_ros.taxonomy import AFFECTNET

MINE = ("--labels", ",".join(MOODS), *IMAGENET)
VA = "enet_b0_8_va_mtl"


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bundle of a file that has the name, shape and outputs of a published one."""
    folder = tmp_path_factory.mktemp("faces")
    file = network(folder / f"{VA}.onnx", outputs={"output": 10}, shape=("batch_size", 3, 224, 224), scale=0.3)
    assert main(["import", "faces", str(file), "--output", str(folder / "models" / "va")]) == 0
    return folder


class TestOfAPublishedName:
    def test_the_bundle(self, made):
        bundle = read_bundle(made / "models" / "va")
        carried = read_bundle(find_bundle("bootstrap"))
        assert (bundle.name, bundle.kind, bundle.label_set, bundle.labels) == (
            "va",
            "composed",
            "affectnet",
            AFFECTNET,
        )
        assert (bundle.thresholds, bundle.faces, bundle.max_persons) == (
            carried.thresholds,
            carried.faces,
            carried.max_persons,
        )
        assert (bundle.licence, bundle.commercial_use) == ("Apache-2.0", None)
        assert bundle.provenance.metrics == ()  # of the published file, which this is not
        assert bundle.provenance.commit == "unknown"
        assert bundle.files["expression"].path.read_bytes() == (made / f"{VA}.onnx").read_bytes()
        for name in ("detector", "face"):
            assert bundle.files[name].sha256 == carried.files[name].sha256
        assert written(made / "models") == ["va"] + [
            f"va/{name}"
            for name in sorted(
                [
                    "LICENSE-Apache-2.0.txt",
                    "README.md",
                    "blazeface_back_f16.onnx",
                    "expression.onnx",
                    "model.yaml",
                    "nanodet_f16.onnx",
                ]
            )
        ]

    def test_the_card(self, made):
        card = (made / "models" / "va" / "README.md").read_text()
        for said in (
            f"`{VA}.onnx`, sha256 {read(made / f'{VA}.onnx').sha256}",
            "but not the one of that commit",
            "224×224 pixels, rgb, NCHW, float32, pixels 0..1, less 0.485, 0.456, 0.406",
            "`output`, column 8 and `output`, column 9",
            "Commercial use: unknown.",
            "AffectNet, on which the weights were trained, is given out for research",
        ):
            assert said in card
        assert "{" not in card

    def test_the_other_commands_take_it(self, made, capsys, monkeypatch):
        monkeypatch.setenv("CAER_MODEL_PATH", str(made / "models"))
        assert main(["models", "verify", "va", "--load", "--device", "cpu"]) == 0
        assert "expression: input input tensor(float) [any, 3, 224, 224]" in capsys.readouterr().out
        assert main(["models", "info", "va"]) == 0
        assert "for expressions 224x224 pixels, rgb, of 1.2 times the face's box" in capsys.readouterr().out
        assert main(["models", "info", "va", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["expression"]["valence"] == {"output": "output", "index": 8}
        assert main(["models", "list", "--json"]) == 0
        assert "va" in [entry["name"] for entry in json.loads(capsys.readouterr().out)]

    def test_it_is_compared(self, made, tmp_path, capsys):
        cv2.imwrite(str(tmp_path / "a.png"), photo("astronaut")[..., ::-1])
        models = ["bootstrap", str(made / "models" / "va")]
        assert (
            main(["models", "compare", *models, "--on", str(tmp_path), "--device", "cpu", "--threads", "1", "--json"])
            == 0
        )
        (agreement,) = json.loads(capsys.readouterr().out)["agreement"]
        assert (agreement["pairs"], agreement["read"]) == (1, 1)

    def test_it_teaches(self, made, tmp_path):
        teacher = predictor.load(read_bundle(made / "models" / "va"), EngineSettings("cpu", threads=1))
        frames = [Frame(f"{index}", index, photo("astronaut")) for index in range(2)]
        found = distilled.label(teacher, frames, tmp_path / "frames")
        assert (found.persons, found.with_emotions) == (2, 2)
        content = json.loads((tmp_path / "frames" / "train.json").read_text())
        assert content["info"]["labels"] == list(AFFECTNET)
        assert sum(content["annotations"][0]["emotions"].values()) == pytest.approx(1, abs=1e-5)

    def test_the_very_file_brings_its_published_scores(self, made, tmp_path, capsys, monkeypatch):
        file = made / f"{VA}.onnx"
        known = replace(published_faces.PRESETS[VA], blob=read(file).blob)
        monkeypatch.setitem(published_faces.PRESETS, VA, known)
        shutil.copyfile(file, tmp_path / "renamed.onnx")
        arguments = ["import", "faces", str(tmp_path / "renamed.onnx"), "--preset", VA]
        assert main([*arguments, "--output", str(tmp_path / "made")]) == 0
        assert f"the published file, preset {VA}" in capsys.readouterr().out
        bundle = read_bundle(tmp_path / "made")
        assert [metric.value for metric in bundle.provenance.metrics] == [61.93, 64.94]
        assert bundle.provenance.commit == f"EmotiEffLib {published_faces.COMMIT}"


def test_a_network_of_ones_own(tmp_path, capsys):
    file = network(tmp_path / "mine.onnx")
    folder = tmp_path / "made"
    arguments = ["import", "faces", str(file), "--output", str(folder), *MINE, "--label-set", "moods"]
    arguments += ["--licence", "MIT OR CC0-1.0", "--commercial-use", "true", "--data", "our robots' faces"]
    arguments += ["--crop", "1.5", "--no-antialias", "--uncertain-threshold", "0.6", "--predictable", "calm,glad"]
    assert main([*arguments, "--name", "ours", "--model-version", "2.0.0"]) == 0
    bundle = read_bundle(folder)
    assert (bundle.name, bundle.version, bundle.label_set, bundle.labels) == ("ours", "2.0.0", "moods", MOODS)
    assert bundle.predictable == (True, False, True)
    assert (bundle.licence, bundle.commercial_use) == ("Apache-2.0 AND (MIT OR CC0-1.0)", True)
    assert (bundle.expression.crop, bundle.expression.antialias) == (1.5, False)
    assert bundle.thresholds.uncertain == 0.6
    assert "our robots' faces" in bundle.provenance.data
    out = capsys.readouterr().out
    for said in ("logits of calm, cross, glad", "camera.png         PROFILE_OR_OCCLUDED", "commercial use allowed"):
        assert said in out
    (person,) = predictor.load(bundle, EngineSettings("cpu", threads=1))([photo("astronaut")])[0].persons
    first = MOODS[int(np.nanargmax(person.scores))]
    assert f"astronaut.png      {first} {np.nanmax(person.scores):.2f}" in out

    # And again: not without being told to, and not over what is no bundle.
    assert main(arguments) == 1
    assert "made exists; give another name, or --overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
    assert read_bundle(folder).name == "made"
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").touch()
    assert main(["import", "faces", str(file), "--output", str(tmp_path / "precious"), *MINE, "--overwrite"]) == 1
    assert "precious is no bundle, so it is not replaced" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("of_network", "arguments", "code", "says"),
    [
        (None, MINE, 1, "faces.onnx: no such file"),
        ({}, (), 1, "faces.onnx: which emotions its output means does not stand in the file"),
        ({}, MINE[:2], 1, "how pixels are normalised does not stand in the file"),
        ({}, ("--labels", "caer_s", *IMAGENET), 1, "no output of 7 columns for 7 labels (Anger, Disgust"),
        ({"bias": np.nan}, MINE, 1, "is not finite on trial pictures"),
        ({"second_input": True}, MINE, 1, "2 inputs (input, pose)"),
        ({}, (*MINE, "--preset", "resnet"), 2, "--preset resnet: there are enet_b0_8_best_afew"),
        ({}, ("--labels", "calm,,glad"), 2, "--labels: must be names with commas between, not 'calm,,glad'"),
        ({}, (*MINE, "--mean", "a,b,c"), 2, "--mean: must be a number, or one a channel with commas between"),
        ({}, (*MINE, "--std", "nan"), 2, "--std: must be a number"),
        ({}, (*MINE, "--crop", "0.2"), 2, "--crop: must be a number from 0.5 to 4"),
        ({}, (*MINE, "--logits", "--probabilities"), 2, "not allowed with argument --logits"),
    ],
)
def test_bad_input_is_said_and_leaves_nothing(tmp_path, capsys, of_network, arguments, code, says):
    file = tmp_path / "faces.onnx"
    if of_network is not None:
        network(file, **of_network)
    before = written(tmp_path)
    assert main(["import", "faces", str(file), *arguments, "--output", str(tmp_path / "models" / "made")]) == code
    said = capsys.readouterr().err
    assert says in said
    assert code == 2 or (said.count("\n") == 1 and said.startswith(f"caer import faces: {file}"))
    assert written(tmp_path) == before


def test_another_bootstrap_in_the_way(tmp_path, capsys, monkeypatch):
    file = network(tmp_path / "faces.onnx")
    monkeypatch.chdir(tmp_path)
    composed(tmp_path / "bootstrap", file)
    assert main(["import", "faces", str(file), "--output", "made", *MINE]) == 1
    assert "bootstrap: not the bootstrap that comes with the package" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_a_preset_is_not_taken_where_it_is_none(tmp_path, capsys):
    file = network(tmp_path / f"{VA}.onnx")
    arguments = ["import", "faces", str(file), "--output", str(tmp_path / "made"), *MINE]
    assert main(arguments) == 1
    assert "not of 224 pixels; correct the preset; give --preset none" in capsys.readouterr().err
    assert main([*arguments, "--preset", "none"]) == 0
    assert yaml.safe_load((tmp_path / "made" / "model.yaml").read_text())["label_set"] == "made"
