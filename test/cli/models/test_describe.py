from __future__ import annotations

import argparse
import json

import pytest
import torch
from face_networks import composed, network

from caer_ros.cli.models import describe
from caer_ros.offline.export.onnx_costs import CAMERA
from caer_ros.offline.systems.components.backbone import BackboneError
from caer_ros.perception.bundle.bundle import BundleError
from caer_ros.perception.imaging.resizing import plan

TINY = "--backbone=mobilenetv4_conv_small_050"


def caer(*arguments):
    parser = argparse.ArgumentParser(exit_on_error=False)
    describe.add_arguments(parser)
    return describe.run(parser.parse_args(arguments))


def test_the_student_of_the_paper(capsys):
    assert caer("student", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["multiply_add"] == 2
    (network,) = printed["networks"]
    assert (network["backbone"], network["size"]) == ("hrnet_w32", [512, 512])
    parts = {part["name"]: part for part in network["parts"]}
    assert list(parts) == ["backbone", "emotion_head", "detection_head", "total"]
    for quantity in ("parameters", "gflops"):
        assert parts["total"][quantity] == pytest.approx(sum(part[quantity] for part in network["parts"][:-1]))


def test_every_network_as_a_table(capsys):
    assert caer(TINY, "--size", "64", "96", "--labels", "8") == 0
    printed = capsys.readouterr().out
    for name in describe.networks():
        assert f"{name}, " in printed
    assert "student, mobilenetv4_conv_small_050, 64 x 96" in printed
    assert "two_branch, resnet18, 224 x 224" in printed
    assert "a multiply-add counts as 2" in printed
    assert "total" in printed


def test_four_times_the_pixels_are_four_times_the_work(capsys):
    work = []
    for size in ("64", "128"):
        caer("detector", TINY, "--size", size, "--json")
        work.append(json.loads(capsys.readouterr().out)["networks"][0]["parts"][-1]["gflops"])
    assert work[1] == pytest.approx(4 * work[0], rel=0.01)


@pytest.mark.parametrize(
    ("option", "value"), [("--size", "100"), ("--size", "x"), ("--labels", "0"), ("--labels", "-1")]
)
def test_a_wrong_number(option, value):
    with pytest.raises(argparse.ArgumentError, match="expected"):
        caer(option, value)


def test_three_sizes():
    with pytest.raises(argparse.ArgumentTypeError, match="one number, or height and width"):
        caer("student", TINY, "--size", "64", "64", "64")


def test_the_files_of_a_bundle(tmp_path, capsys):
    folder = composed(
        tmp_path / "faces", network(tmp_path / "net.onnx", outputs={"output": 3, "other": 5}, shape=(1, 3, "H", "W"))
    )
    assert caer(str(folder), "--json") == 0
    files = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["files"]}
    assert list(files) == ["detector", "face", "expression"]
    assert files["expression"]["parameters"] == 4 * 3 + 4 * 5
    assert files["expression"]["gflops"] == pytest.approx(2 * 3 * (3 + 5) / 1e9)
    assert files["expression"]["input"] == [1, 3, 32, 32]
    assert files["detector"]["gflops"] > 0.1
    assert {entry["unknown"] for entry in files.values()} == {0}
    assert caer(str(folder)) == 0
    assert "expression" in capsys.readouterr().out


@pytest.mark.timeout(300)  # the bundle is exported first
def test_a_bundle_and_the_network_that_it_is_of(student_checkpoint, student_bundle, capsys):
    """Of the same size both count alike; the graph's own constants, such as mean and std, are beside the parameters."""
    from caer_ros.offline.export.loading import load_graph
    from caer_ros.offline.systems.components.description import describe as described

    graph, card = load_graph(student_checkpoint, 8)
    whole = described(graph, torch.zeros(1, *plan(card.resize, *CAMERA).canvas, 3, dtype=torch.uint8))[-1]
    assert caer(str(student_bundle), "--json") == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["gflops"] == pytest.approx(whole.gflops, rel=0.02)
    assert file["parameters"] == pytest.approx(whole.parameters, rel=0.05)


def test_neither_a_network_nor_a_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"nowhere: no network \(.*student.*\), and no model bundle named"):
        caer("nowhere")
    with pytest.raises(argparse.ArgumentTypeError, match="--backbone x: a bundle's networks are as they are"):
        caer("bootstrap", "--backbone", "x")


def test_a_backbone_that_will_not_do():
    with pytest.raises(BackboneError, match="no backbone"):
        caer("student", "--backbone", "nonsense")


def test_a_backbone_that_a_network_has_not():
    with pytest.raises(argparse.ArgumentTypeError, match="a dsct has resnet18, resnet50, resnet101"):
        caer("dsct", "--backbone", "resnet34")
    with pytest.raises(argparse.ArgumentTypeError, match="a benet has no choice"):
        caer("benet", "--backbone", "resnet18")
