"""`caer models` as a process, on small bundles and on the one that is shipped."""

import json
import shutil
import subprocess

import pytest
from graphs import LABELS, write_bundle
from ros_process import CAER, ROOT, environment


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder on the search path with the bundles good and damaged: right card, one byte of the model flipped."""
    folder = tmp_path / "models"
    write_bundle(
        folder / "good",
        name="good",
        commercial_use="unknown",
        predictable=list(LABELS[:2]),
        provenance={
            "data": "made up",
            "recipe": "none",
            "commit": "abc",
            "metrics": [{"name": "mAP", "value": 30.5, "protocol": "by hand"}],
        },
    )
    shutil.copytree(folder / "good", folder / "damaged")
    model = folder / "damaged" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    return folder


def caer_models(models, *arguments):
    env = environment(models.parent) | {"CAER_MODEL_PATH": str(models)}
    return subprocess.run(
        [*CAER, "models", *arguments], capture_output=True, text=True, timeout=60, check=False, env=env, cwd=ROOT
    )


def test_list_shows_what_decides_whether_a_model_can_be_used(models):
    done = caer_models(models, "list", "--json")
    assert done.returncode == 0, done.stderr
    entry = next(entry for entry in json.loads(done.stdout) if entry["path"] == str(models / "good"))
    size = (models / "good" / "model.onnx").stat().st_size
    assert entry.pop("model_version")
    assert entry == {
        "name": "good",
        "kind": "single_shot",
        "version": "1.0.0",
        "label_set": "moods",
        "labels": 3,
        "box_kind": "body",
        "licence": "Apache-2.0",
        "commercial_use": None,
        "size": size,
        "path": str(models / "good"),
    }
    table = caer_models(models, "list").stdout
    row = next(line for line in table.splitlines() if "good" in line)
    for part in ("single_shot", "1.0.0", "3 (moods)", "body", "Apache-2.0", "unknown", "MB"):
        assert part in row
    assert "bootstrap" in table


def test_list_shows_a_bundle_with_a_wrong_card_and_goes_on(models):
    (models / "damaged" / "model.yaml").write_text("kind: nonsense")
    done = caer_models(models, "list")
    assert done.returncode == 0
    assert "good" in done.stdout
    assert "damaged: broken:" in done.stdout
    entries = {entry["name"]: entry for entry in json.loads(caer_models(models, "list", "--json").stdout)}
    assert "kind" in entries["damaged"]["error"]


def test_info_is_the_model_card(models):
    text = caer_models(models, "info", "good").stdout
    for part in ("good 1.0.0", "single_shot", "cannot predict  glad", "commercial use: unknown", "mAP 30.5 (by hand)"):
        assert part in text
    card = json.loads(caer_models(models, "info", str(models / "good"), "--json").stdout)
    assert card["labels"] == {"calm": True, "cross": True, "glad": False}
    assert card["provenance"]["data"] == "made up"
    assert len(card["files"]["model"]["sha256"]) == 64


def test_info_on_nothing_names_what_there_is(models):
    done = caer_models(models, "info", "nope")
    assert done.returncode == 1
    assert done.stderr.startswith('caer models info: no model bundle named "nope"; there are:')
    assert "good" in done.stderr
    assert done.stderr.count("\n") == 1


def test_verify_tells_the_good_from_the_damaged(models):
    assert caer_models(models, "verify", "good").returncode == 0
    done = caer_models(models, "verify", "good", "damaged")
    assert done.returncode == 1
    assert "good: ok, " in done.stdout
    assert "damaged: " in done.stdout
    assert "sha256" in done.stdout
    results = json.loads(caer_models(models, "verify", "damaged", "nope", "--json").stdout)
    assert [bool(result["error"]) for result in results] == [True, True]
    assert caer_models(models, "verify").returncode == 1  # all, the damaged one too


def test_verify_can_load_and_says_on_what(models):
    done = caer_models(models, "verify", "good", "--load", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "runs on CPUExecutionProvider" in done.stdout
    assert caer_models(models, "verify", "good", "--load", "--device", "nonsense").returncode == 1


def test_verify_names_the_inputs(models):
    write_bundle(
        models / "keeping",
        name="keeping",
        resize={"mode": "short_side", "short": 512, "max": 4096, "multiple": 64, "interpolation": "linear"},
    )
    said = caer_models(models, "verify", "good", "keeping", "--load", "--device", "cpu").stdout
    assert said.count("model: input images tensor(uint8) [any, any, any, 3]") == 2
    assert "704x512 pixels from 640x480" in said
    assert "input           64x64 pixels (stretch)" in caer_models(models, "info", "good").stdout
    card = caer_models(models, "info", "keeping").stdout
    assert "704x512 from 640x480, 896x512 from 1280x720, 896x512 from 1920x1080 pixels (short_side)" in card
    assert "each network has its own" in caer_models(models, "info", "bootstrap").stdout


def test_verify_strict_says_what_ran_where(models):
    done = caer_models(models, "verify", "good", "--strict", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert " on CPUExecutionProvider; the run took " in done.stdout
    assert " ReduceMax (" in done.stdout
    (result,) = json.loads(caer_models(models, "verify", "good", "--strict", "--device", "cpu", "--json").stdout)
    placed = result["placement"]["model"]
    assert list(placed["nodes"]) == ["CPUExecutionProvider"]
    assert sum(operators["nodes"] for operators in placed["on_cpu"]) == placed["nodes"]["CPUExecutionProvider"]
    assert placed["astray"] == []


def test_verify_strict_fails_where_nodes_ran_elsewhere(models, monkeypatch, capsys):
    """A network on CUDA, of which an operator fell back, by hand: there is no GPU here."""
    from types import SimpleNamespace

    from caer_ros.cli import main
    from caer_ros.perception import placement
    from caer_ros.perception.engine import CPU
    from caer_ros.perception.placement import Node, Placement

    cuda = "CUDAExecutionProvider"
    nodes = [Node("Conv", cuda, 0.001, 9e5), Node("Gather", CPU, 0.002, 4)]
    bad = [*nodes, Node("GridSample", CPU, 0.01, 9e5), Node("MemcpyToHost", cuda, 0.003, 9e5)]
    model = SimpleNamespace(provider=cuda, engines={})
    for found, code in ((nodes, 0), (bad, 1)):
        placed = {"model": Placement(tuple(found), 0.1)}
        monkeypatch.setattr(placement, "measure", lambda *_, placed=placed: (model, placed))
        assert main(["models", "verify", str(models / "good"), "--strict", "--device", "cuda:0"]) == code
    said = capsys.readouterr().out
    assert f"nodes: 1 on {cuda}, 1 on CPUExecutionProvider; the run took 100.0 ms" in said
    assert "1 Gather (2.0%, small)" in said
    assert f"good: not all that matters ran on {cuda}" in said
    assert "of model: 1 GridSample (10.0%). " in said
    assert "1 of them copies between device and CPU" in said


def test_verify_load_finds_what_hashes_cannot(models):
    """A file that is what the card says, and is no model."""
    import hashlib

    import yaml

    card = models / "good" / "model.yaml"
    content = b"not an ONNX file"
    (models / "good" / "model.onnx").write_bytes(content)
    fields = yaml.safe_load(card.read_text())
    fields["files"]["model"] |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    card.write_text(yaml.safe_dump(fields))
    assert caer_models(models, "verify", "good").returncode == 0
    done = caer_models(models, "verify", "good", "--load")
    assert done.returncode == 1
    assert "model.onnx" in done.stdout


def test_the_shipped_bundle_is_intact_and_runs(models):
    done = caer_models(models, "verify", "bootstrap", "--load", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)[0]["provider"]
