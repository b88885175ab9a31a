from __future__ import annotations

import argparse
import gzip
import os
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from caer_ros.offline.importers.entries import ImporterError, read

TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.num_batches_tracked": torch.tensor(4)}
OPTIMISER = {
    "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3)}},
    "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0]}],
}
ARGUMENTS = {"lr": 2e-4, "dataset_file": "emotic", "dec_n_sp": 100, "resume": None, "aux_loss": True}
DSCT = {
    "model": TENSORS,
    "optimizer": OPTIMISER,
    "lr_scheduler": {"gamma": 0.1, "_last_lr": [2e-5]},
    "epoch": 49,
    "args": argparse.Namespace(**ARGUMENTS, names=["backbone.0"], score=np.float64(0.5)),
}
BENET = {
    "epoch": 249,
    "best_epoch": 80,
    "model": "BENet",
    "state_dict": OrderedDict((f"module.{name}", value) for name, value in TENSORS.items()),
    "best_state_dict": TENSORS,
    "perf": np.float64(2.5),
    "best_perf": np.float32(2.5),
    "optimizer": OPTIMISER,
}


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def saved(request, tmp_path):
    """Saves as torch does since version 1.6, and as it did before."""

    def save(content, name="model_best.pth.tar"):
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=request.param)
        return tmp_path / name

    return save


def same(tensors):
    assert tensors.keys() == TENSORS.keys()
    return all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


class Bomb:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, path, call=os.system):
        self.call = call
        self.argument = f"touch {path}" if call is os.system else f"open({str(path)!r}, 'w')"

    def __reduce__(self):
        return self.call, (self.argument,)


# --- What is taken -------------------------------------------------------------------------------------------------


def test_a_plain_state_dict(saved):
    entries = read(saved(TENSORS))
    assert same(entries.tensors)
    assert (entries.remarks, entries.settings, entries.epoch) == ((), {}, None)


def test_the_hash_is_the_files(tmp_path, saved):
    import hashlib

    path = saved(TENSORS)
    assert read(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_dscts_training_dictionary_with_its_command_line(saved):
    entries = read(saved(DSCT, "checkpoint0049.pth"))
    assert same(entries.tensors)
    assert entries.settings == ARGUMENTS  # plain values alone: neither the list nor NumPy's number
    assert entries.epoch == 49
    assert entries.remarks == ('a training dictionary after epoch 49 (the first is 0): took "model"',)


def test_benets_training_dictionary_and_its_prefix(saved):
    entries = read(saved(BENET, "checkpoint.pth.tar"))
    assert same(entries.tensors)
    assert entries.remarks == (
        'a training dictionary after epoch 249 (the first is 0): took "state_dict"',
        'took "module." off each name',
    )


def test_a_prefix_of_some_names_belongs_to_the_names(saved):
    entries = read(saved({"module.a": torch.ones(1), "b": torch.ones(1)}))
    assert list(entries.tensors) == ["module.a", "b"]
    assert not entries.remarks


def test_safetensors(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    assert same(read(tmp_path / "model.safetensors").tensors)


@given(names=st.lists(st.text("abc._0", min_size=1), min_size=1, unique=True), wrapped=st.booleans())
def test_names_and_values_come_back(tmp_path_factory, names, wrapped):
    path = tmp_path_factory.mktemp("any") / "weights.pth"
    tensors = {name: torch.full((number % 3,), float(number)) for number, name in enumerate(names)}
    torch.save({f"module.{name}": value for name, value in tensors.items()} if wrapped else tensors, path)
    found = read(path).tensors
    assert list(found) == names
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


# --- Code ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [os.system, eval, exec])
@pytest.mark.parametrize("place", ["model", "args", "whole"])
def test_code_is_refused_and_not_run(tmp_path, saved, call, place):
    left = tmp_path / "left_behind"
    bomb = Bomb(left, call)
    path = saved(bomb if place == "whole" else DSCT | {place: bomb})
    name = {os.system: "posix.system", eval: "eval", exec: "exec"}[call]
    with pytest.raises(ImporterError, match=rf"holds code \({name}\), not tensors alone; it was not run"):
        read(path)
    assert not left.exists()
    torch.load(path, weights_only=False)  # the file would have done it
    assert left.exists()


def test_a_whole_network_is_code(saved):
    with pytest.raises(ImporterError, match=r"holds code \(torch\.nn\.modules\.linear\.Linear\)"):
        read(saved({"model": nn.Linear(2, 2)}))


def test_torchscript_is_code(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"model/{name}", "")
    with pytest.raises(ImporterError, match="TorchScript archive, which is code"):
        read(path)


def test_what_is_allowed_here_stays_refused_elsewhere(saved):
    path = saved(DSCT)
    read(path)
    with pytest.raises(Exception, match="Namespace"):
        torch.load(path, weights_only=True)


# --- What is no file of weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(saved, part):
    path = saved({"a": torch.zeros(5000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ImporterError, match=f"^{path}: truncated, or no file of weights; download it again$"):
        read(path)


def test_a_truncated_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ImporterError, match=r"truncated, or no \.safetensors file"):
        read(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n <!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title>", "is a web page.*Download"),
        (b"<html><body>404</body></html>", "is a web page"),
        (b"Rar!\x1a\x07\x01\x00" + bytes(100), "is an archive; unpack it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "is an archive; unpack it"),
        (gzip.compress(b"weights", mtime=0), "is an archive; unpack it"),
        (bytes(257) + b"ustar" + bytes(250), "is an archive; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "git lfs pull"),
        (b"weights" * 100, "truncated, or no file of weights"),
        (bytes(1000), "truncated, or no file of weights"),
    ],
    ids=["empty", "Drive's page", "page", "rar", "7z", "gzip", "tar", "Git LFS", "text", "zeros"],
)
def test_something_else(tmp_path, content, says):
    path = tmp_path / "model_best.pth.tar"
    path.write_bytes(content)
    with pytest.raises(ImporterError, match=says) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_zip_of_files_names_those_to_take(tmp_path):
    path = tmp_path / "BENet.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("output/results.json", "{}")
        archive.writestr("output/bu_det/model_best.pth.tar", "")
    with pytest.raises(ImporterError, match=r"is an archive; unpack it.*such as output/bu_det/model_best\.pth\.tar$"):
        read(path)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(ImporterError, match="no such file"):
        read(tmp_path / "model_best.pth.tar")
    (tmp_path / "final_state0.pth.tar").touch()
    with pytest.raises(ImporterError, match=r"is a folder; name the file.*such as final_state0\.pth\.tar$"):
        read(tmp_path)


# --- What is no network's weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (torch.zeros(3), "holds a Tensor, not tensors by name"),
        ({}, r"holds no tensors by name \(nothing\)"),
        ({"epoch": 3, "best": 0.5}, r"holds no tensors by name \(epoch, best\)"),
        ({"a": torch.zeros(2), "b": 3}, "b is of type int, no tensor"),
        ({"a": torch.tensor([1.0, float("nan")])}, "a holds NaN or infinity"),
        ({"model": {"a": torch.tensor(float("inf")).half()}}, "a holds NaN or infinity"),
        ({"a": torch.tensor(1e300, dtype=torch.float64)}, "a holds NaN or infinity"),
        ({"a": torch.eye(3).to_sparse()}, "a is sparse or quantised"),
        ({"caer": {"format": 1}, "state_dict": TENSORS}, "is a checkpoint of caer_ros already.*`caer export`"),
    ],
)
def test_another_content(tmp_path, content, says):
    path = tmp_path / "model_best.pth.tar"
    torch.save(content, path)
    with pytest.raises(ImporterError, match=f"^{path}:? .*{says}|^{path}:? {says}"):
        read(path)
