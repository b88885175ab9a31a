from __future__ import annotations

import dataclasses

import authors_dsct
import pytest
import torch

from caer_ros.offline.importers.entries import ImporterError
from caer_ros.offline.systems.dsct.coco_weights import load
from caer_ros.offline.systems.dsct.config import DsctConfig
from caer_ros.offline.systems.dsct.network import Dsct

CONFIG = DsctConfig("resnet18", subjects=3, spatial=40, semantic=20, width=32, layers=2, heads=2, feedforward=48)
NO_FUSION = dataclasses.replace(CONFIG, spatial=0, semantic=0)
LABELS = 5


def saved(path, entries):
    torch.save({"model": entries, "epoch": 49}, path)
    return path


@pytest.fixture
def coco(tmp_path):
    shapes = authors_dsct.coco_shapes(CONFIG)
    return saved(tmp_path / "coco.pth", {name: torch.full(shape, 0.5) for name, shape in shapes.items()})


def test_coco_gives_all_but_subjects_and_heads(coco):
    network = Dsct(CONFIG, LABELS)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = load(network, coco)
    kept = {"subjects", *(name for name in before if name.startswith(("class_head.", "box_head.")))}
    assert set(found.random) == kept
    assert set(found.taken) == set(before) - kept
    assert all(name.startswith(("class_embed.", "bbox_embed.")) for name in found.left)
    assert len(found.left) == 2 * (2 + 6)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name] if name in kept else torch.full_like(value, 0.5)), name


def test_coco_into_a_network_without_contexts(coco):
    network = Dsct(dataclasses.replace(NO_FUSION, contexts=0), LABELS)
    assert "contexts" in load(network, coco).left


def test_coco_of_another_size(coco):
    with pytest.raises(ImporterError, match=r"coco.pth: .* another backbone or size"):
        load(Dsct(dataclasses.replace(CONFIG, feedforward=64), LABELS), coco)


def test_what_is_no_deformable_detr(tmp_path):
    path = saved(tmp_path / "other.pth", {"fc.weight": torch.zeros(3, 3)})
    with pytest.raises(ImporterError, match=r"other.pth is no Deformable DETR"):
        load(Dsct(CONFIG, LABELS), path)
