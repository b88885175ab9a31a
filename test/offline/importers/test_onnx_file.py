from __future__ import annotations

import hashlib
import zipfile

import numpy as np
import onnx
import pytest
from face_networks import network, weights
from onnx import helper

from caer_ros.offline.importers import onnx_file
from caer_ros.offline.importers.refused import ImporterError


@pytest.fixture
def path(tmp_path):
    return network(tmp_path / "faces.onnx")


def changed(path, change):
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())


def test_what_stands_in_a_file(path):
    file = onnx_file.read(path)
    assert (file.opset, file.ir_version) == (17, 9)
    assert file.content == path.read_bytes()
    assert (file.input.name, file.input.shape, file.input.type) == ("input", (None, 3, 32, 32), "tensor(float)")
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_name_that_git_gives_a_file(tmp_path):
    """Known: git hash-object of a file with these words."""
    file = onnx_file.OnnxFile(tmp_path, b"what is up, doc?", None, 17, 9)
    assert file.blob == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


def test_answers_one_face_at_a_time(path):
    pixels = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    found = onnx_file.answers(onnx_file.read(path), pixels)
    np.testing.assert_allclose(found["output"], pixels.mean(axis=(2, 3)) @ weights(3), atol=1e-5)


def test_an_input_that_the_network_does_not_take(path):
    with pytest.raises(ImporterError, match=r"faces\.onnx: on an input of \[1, 3, 16, 16\]"):
        onnx_file.answers(onnx_file.read(path), np.zeros((1, 3, 16, 16), np.float32))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; download it again"),
        (b"<!DOCTYPE html><title>Sign in</title>", "is a web page, not a .onnx file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"\x1f\x8b" + bytes(600), "is an archive; unpack it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "no ONNX file but an HDF5 file, such as Keras's"),
        (b"\x80\x02}q\x00.", "no ONNX file but a pickle, such as PyTorch's"),
        (b"neither this nor that", "truncated, or no ONNX file|there is no graph in it"),
        (b"\x08\x09", "no ONNX file: there is no graph in it"),
    ],
)
def test_what_is_no_onnx_file(tmp_path, content, says):
    path = tmp_path / "faces.onnx"
    path.write_bytes(content)
    with pytest.raises(ImporterError, match=f"faces.onnx.* ?({says})"):
        onnx_file.read(path)


def test_a_truncated_file(path):
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImporterError, match="truncated, or no ONNX file; download or export it again"):
        onnx_file.read(path)


def test_a_zip_archive(tmp_path):
    path = tmp_path / "faces.onnx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    with pytest.raises(ImporterError, match=r"a zip archive, such as PyTorch's; export the network with torch\.onnx"):
        onnx_file.read(path)


@pytest.mark.parametrize(("name", "says"), [("nowhere.onnx", "no such file"), (".", "is a folder")])
def test_no_file(tmp_path, name, says):
    with pytest.raises(ImporterError, match=says):
        onnx_file.read(tmp_path / name)


def test_weights_in_another_file(path):
    onnx.save(
        onnx.load(path),
        path,
        save_as_external_data=True,
        location="faces.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    with pytest.raises(ImporterError, match=r"2 of its weights, such as b_output, lie in another file .external data"):
        onnx_file.read(path)


def test_two_inputs(tmp_path):
    with pytest.raises(ImporterError, match=r"2 inputs \(input, pose\); a network of one input, a face, is expected"):
        onnx_file.read(network(tmp_path / "faces.onnx", second_input=True))


def test_a_graph_against_the_rules(path):
    changed(path, lambda model: model.graph.node[2].input.__setitem__(0, "nothing"))
    with pytest.raises(ImporterError, match=r"faces\.onnx: not by ONNX's rules"):
        onnx_file.read(path)


def test_an_operator_of_somebody(path):
    def change(model):
        model.opset_import.append(helper.make_opsetid("somebody", 1))
        model.graph.node[0].op_type, model.graph.node[0].domain = "Feel", "somebody"

    changed(path, change)
    with pytest.raises(ImporterError, match=r"cannot be loaded for cpu.*export it again, with standard operators only"):
        onnx_file.read(path)
