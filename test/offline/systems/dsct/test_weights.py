"""The authors' entries as ours: all of them, at full size. That they mean the same is tested in test_network.py."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path

import authors_dsct
import pytest
import torch
from torch import nn

from caer_ros.offline.importers.entries import Entries, ImporterError
from caer_ros.offline.systems.dsct import weights
from caer_ros.offline.systems.dsct.config import DsctConfig

EMOTIC = DsctConfig()
CAER_S = DsctConfig(subjects=9, spatial=0, semantic=0)
PATH = Path("checkpoint.pth")


def entries(config=EMOTIC, labels=26, **changes):
    """At full size; a change of None leaves the entry out."""
    tensors = authors_dsct.hollow(authors_dsct.shapes(config, labels)) | changes.pop("tensors", {})
    return Entries(PATH, {name: value for name, value in tensors.items() if value is not None}, "", **changes)


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_the_made_up_names_are_the_authors(backbone):
    text = gzip.decompress((Path(__file__).parent / f"dsct_{backbone}_entries.txt.gz").read_bytes()).decode()
    listed = {}
    for line in text.splitlines():
        name, _, shape = line.split(" ")
        listed[name] = tuple(int(length) for length in shape.split("x"))
    assert authors_dsct.shapes(dataclasses.replace(EMOTIC, backbone=backbone), 26) == listed


@pytest.mark.parametrize(
    ("dataset", "config", "labels"),
    [
        ("emotic", EMOTIC, 26),
        ("emotic", dataclasses.replace(EMOTIC, backbone="resnet101"), 26),
        ("emotic", dataclasses.replace(EMOTIC, subjects=6), 26),
        ("caers", CAER_S, 7),
    ],
)
def test_every_entry_is_mapped(dataset, config, labels):
    converted = weights.convert(entries(config, labels), config.backbone, dataset)
    assert converted.config == config
    assert converted.left_over == []
    assert converted.tensors["class_head.weight"].shape == (labels + 1, 256)
    assert converted.tensors["subjects"].shape == (config.subjects, 512)


def test_the_rest_is_left_over():
    converted = weights.convert(entries(tensors={"total_ops": torch.zeros(1)}), "resnet50", "emotic")
    assert converted.left_over == ["total_ops"]


def test_torchs_attention_is_split_into_its_parts():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2)
    name = "transformer.decoder.layers.3.self_attn."
    found, left_over = weights.renamed({name + key: value for key, value in attention.state_dict().items()}, PATH)
    assert left_over == []
    parts = [found[f"decoder.3.self_attention.{part}_proj.weight"] for part in "qkv"]
    assert torch.equal(torch.cat(parts), attention.in_proj_weight)
    assert torch.equal(found["decoder.3.self_attention.o_proj.weight"], attention.out_proj.weight)


def test_a_file_says_what_it_fuses():
    found = weights.convert(entries(settings={"dec_n_sp": 30, "dec_n_sm": 20, "nheads": 8}), "resnet50", "emotic")
    assert (found.config.spatial, found.config.semantic) == (30, 20)
    found = weights.convert(entries(settings={"dec_n_sp": 30, "dec_n_sm": 0}), "resnet50", "emotic")
    assert (found.config.spatial, found.config.semantic) == (0, 0)  # so the authors' code reads it


@pytest.mark.parametrize(("dataset", "config", "labels"), [("emotic", EMOTIC, 26), ("caers", CAER_S, 7)])
def test_settings_that_do_not_tell_what_is_fused_leave_it_to_the_data_set(dataset, config, labels):
    file = entries(config, labels, settings={"dec_n_sp": None, "dec_n_sm": None})
    assert weights.convert(file, "resnet50", dataset).config == config


NORM = "transformer.encoder.layers.0.norm1.weight"


@pytest.mark.parametrize(
    ("changes", "backbone", "dataset", "says"),
    [
        ({}, "resnet101", "emotic", "has the backbone of a resnet50, not of a resnet101; give --backbone resnet50"),
        ({}, "resnet50", "caers", "has 27 classes, and CAER-S 7 and the subject; give --dataset emotic"),
        ({"settings": {"dataset_file": "caer"}}, "resnet50", "emotic", "give --dataset caers"),
        ({"settings": {"dec_n_sp": "100"}}, "resnet50", "emotic", "has dec_n_sp '100' in its settings, .*an integer"),
        ({"settings": {"nheads": 4}}, "resnet50", "emotic", "nheads 4; the published checkpoints have 8"),
        (
            {"tensors": {NORM: None}},
            "resnet50",
            "emotic",
            "lacks 1 of the 546 .* encoder.0.self_attn_layer_norm.weight",
        ),
        ({"tensors": {NORM: torch.zeros(128)}}, "resnet50", "emotic", r"is \[128\] where the network has \[256\]"),
        ({"tensors": {"transformer.level_embed": None}}, "resnet50", "emotic", "is no DSCT"),
        ({"tensors": {"query_embed_dsct.weight": None}}, "resnet50", "emotic", "such as COCO's"),
        ({"tensors": {"transformer.enc_output.bias": torch.zeros(256)}}, "resnet50", "emotic", "two stages"),
        (
            {"tensors": {"class_embed_dsct.4.bias": torch.ones(27)}},
            *("resnet50", "emotic"),
            r"class_embed_dsct.4.bias differs from the first layer's",
        ),
    ],
)
def test_another_network(changes, backbone, dataset, says):
    with pytest.raises(ImporterError, match=f"^checkpoint.pth.*{says}"):
        weights.convert(entries(**changes), backbone, dataset)
