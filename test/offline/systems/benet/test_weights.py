from __future__ import annotations

import json
import zlib

import benet_checkpoint
import pytest
import torch
from timm.models.hrnet import HighResolutionNet

from caer_ros.offline.importers.entries import ImporterError
from caer_ros.offline.systems.benet import weights
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.benet.network import Benet, _layout

TINY = {"width": 8, "modules": 1, "blocks": 1, "labels": 4}


@pytest.fixture
def tiny():
    return benet_checkpoint.entries(**TINY)


@pytest.mark.parametrize(("extra", "expected"), [(0, 2947481070), (8, 2460175594)])
def test_the_made_up_names_are_those_of_the_authors(extra, expected):
    """CRC-32 of the JSON list of [name, shape], sorted, of their network's state_dict() as the paper's runs make it."""
    listed = sorted([name, list(shape)] for name, shape in benet_checkpoint.shapes(extra=extra).items())
    assert zlib.crc32(json.dumps(listed).encode()) == expected


@pytest.mark.parametrize("extra", [0, 8])
def test_a_checkpoint_of_full_size(extra):
    entries = benet_checkpoint.entries(extra=extra)
    config, state, left = weights.convert(entries)
    assert config == BenetConfig(extra_labels=extra)
    assert weights.labels_of(state) == 26
    fusion = {f"fusion.mlp.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")}
    assert set(left) == fusion | ({"fusion_mixed.weight", "fusion_mixed.bias"} if extra else set())
    assert len(state) + len(left) == len(entries)
    with torch.device("meta"):
        network = Benet(config, 26)
    network.load_state_dict(state, assign=True)
    # One entry of each kind, by hand.
    for theirs, ours in (
        ("stage3.1.fuse_layers.2.0.1.0.weight", "body.stage3.1.fuse_layers.2.0.1.0.weight"),
        ("stage2.0.branches.1.2.attention_block.mlp.2.bias", "body.stage2.0.branches.1.2.se.mlp.2.bias"),
        ("hm_final_layers.0.2.0.bn2.weight", "heatmap_head.coarse_blocks.2.bn2.weight"),
        ("bu_final_layers.0.3.3.weight", "emotion_head.coarse_tail.3.weight"),
        ("hw_deconv_layers.0.0.1.running_mean", "sizes_head.up.1.running_mean"),
        ("hw_deconv_layers.0.1.0.attention_block.conv2d.weight", "sizes_head.fine_blocks.0.se.place.weight"),
        ("bu_final_layers.1.0.bias", "emotion_head.fine_tail.0.bias"),
        ("pc_incre_modules.3.0.conv2.weight", "person_head.blocks.3.conv2.weight"),
        ("downsamp_modules.1.0.weight", "background_head.down.1.0.weight"),
        ("final_layer.0.weight", "background_head.last.0.weight"),
        ("pc_classifier.2.bias", "person_head.classifier.2.bias"),
    ):
        assert torch.equal(state[ours], entries[theirs])
    if extra:
        assert torch.equal(state["map_adaptors.1.weight"], entries["bu_mixed.1.weight"])
        assert torch.equal(state["background_adaptor.bias"], entries["context_mixed.bias"])


def test_every_entry_has_one_place(tiny):
    _, state, left = weights.convert(tiny)
    places = [value.data_ptr() for value in state.values()]
    assert len(set(places)) == len(places)
    assert {value.data_ptr() for value in tiny.values()} - set(places) == {tiny[name].data_ptr() for name in left}


def test_counters_of_batches_may_be_missing(tiny):
    older = {name: value for name, value in tiny.items() if "num_batches" not in name}
    config, state, _ = weights.convert(older)
    Benet(config, 4).load_state_dict(state)


def test_a_network_with_fewer_heads(tiny):
    alone = {name: value for name, value in tiny.items() if not name.startswith(("hm_", "hw_", "pc_"))}
    assert weights.convert(alone).config == BenetConfig(8, 1, 1, detection=False, person_centric=False)


def test_unknown_entries_are_left_over(tiny):
    assert "something.weight" in weights.convert(tiny | {"something.weight": torch.zeros(1)}).left_over


def test_a_pose_networks_file_is_told():
    with torch.device("meta"):
        entries = HighResolutionNet(_layout(BenetConfig()), head="").state_dict()
    with pytest.raises(ImporterError, match=r"an HRNet or HigherHRNet, not a trained BENet; it can initialise"):
        weights.convert(entries)
    with pytest.raises(ImporterError, match="another network, not a trained BENet"):
        weights.convert({"fc.weight": torch.zeros(2)})


def test_what_is_missing_is_named(tiny):
    del tiny["pc_downsamp_modules.2.0.bias"]
    with pytest.raises(ImporterError, match=r"lacks 1 of the \d+ entries of a BENet, such as 'pc_downsamp_modules.2"):
        weights.convert(tiny)
    del tiny["bu_final_layers.1.3.bias"]
    with pytest.raises(ImporterError, match=r"lacks the entry 'bu_final_layers.1.3.bias': truncated"):
        weights.convert(tiny)


def test_another_variant_is_refused(tiny):
    name = "incre_modules.0.0.conv3.weight"
    wider = tiny | {name: torch.zeros(32, 8, 1, 1)}  # as with an expansion of 4
    with pytest.raises(ImporterError, match=r"'incre_modules.0.0.conv3.weight' is \[32, 8, .* where .* \[8, 8, 1, 1\]"):
        weights.convert(wider)
    deeper = tiny | {"bu_deconv_layers.1.0.0.weight": torch.zeros(12, 8, 4, 4)}
    with pytest.raises(ImporterError, match=r"1 entries beyond the published BENet's, such as 'bu_deconv_layers.1.0.0"):
        weights.convert(deeper)
