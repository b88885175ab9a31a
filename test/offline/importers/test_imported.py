from __future__ import annotations

import benet_checkpoint
import pytest
import torch
from authors_files import benet_file, dsct, dsct_file, untrained

from caer_ros.offline.importers import imported
from caer_ros.offline.importers.entries import ImporterError
from caer_ros.offline.systems.benet import published as benets
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.dsct import published as dscts
from caer_ros.offline.systems.dsct.config import DsctConfig
from caer_ros.offline.training import checkpoint
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind
from caer_ros.taxonomy import CAER_S, EMOTIC

DETECTION = ("hm_", "hw_")
FUSION = {f"fusion.mlp.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")}


@pytest.fixture(scope="module")
def benet_entries():
    return benet_checkpoint.entries(extra=8)


@pytest.fixture(scope="module")
def dsct_entries():
    return dsct()


@pytest.fixture
def saved(tmp_path):
    def save(content, name="model_best.pth.tar"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def read_back(found, tmp_path):
    """Through a file, as export and `caer evaluate` do."""
    checkpoint.save(found.content, tmp_path / "ours.ckpt")
    return checkpoint.load_network(tmp_path / "ours.ckpt")


# --- Files of full size --------------------------------------------------------------------------------------------


def test_benet(benet_entries, saved, tmp_path):
    path = saved(benet_entries)
    found = benets.load(path)
    network, card = read_back(found, tmp_path)
    assert network.config == BenetConfig(extra_labels=8)
    assert torch.equal(network.heatmap_head.up[0].weight, benet_entries["hm_deconv_layers.0.0.0.weight"])
    assert torch.equal(network.body.conv1.weight, benet_entries["conv1.weight"])
    assert set(found.left_over) == FUSION | {"fusion_mixed.weight", "fusion_mixed.bias"}
    assert imported.grouped(found.left_over) == "fusion (4), fusion_mixed (2)"
    assert found.remarks == ()
    assert (card.task, card.labels, card.known, card.label_set) == ("benet", EMOTIC, EMOTIC, "emotic")
    assert (card.multi_label, card.box_kind) == (True, BoxKind.BODY)
    assert card.resize == Resize("short_side", short=512, longest=2048, multiple=64)
    assert (card.epoch, card.metrics) == (0, {})
    assert "HECO" in card.data
    assert "model_best.pth.tar, sha256 " in card.recipe
    settings = found.settings
    assert (settings.licence, settings.commercial_use) == ("LicenseRef-unknown", None)
    assert (settings.person, settings.uncertain) == (0.1, 0.4)
    assert [score["value"] for score in settings.published] == [28.75, 51.71, 24.73]
    assert all("not measured here" in score["protocol"] for score in settings.published)
    assert "ask them" in settings.note


def test_heads_that_were_never_trained_are_left_out(benet_entries, saved, tmp_path):
    plain = {name: value for name, value in benet_entries.items() if "_mixed" not in name}
    found = benets.load(saved(untrained(plain, "incre_", "downsamp_", "final_layer.", "pc_")))
    network, card = read_back(found, tmp_path)
    assert network.config == BenetConfig(background=False, person_centric=False)
    assert [score["value"] for score in found.settings.published] == [27.22, 49.66, 23.67]
    titles = ("person-centric", "background")
    assert found.remarks == tuple(f"its {title} head was never trained, so it is left out" for title in titles)
    assert "HECO" not in card.data


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (BenetConfig(person_centric=False, background=False), [27.22, 49.66, 23.67]),
        (BenetConfig(background=False), [27.49, 49.16, 24.15]),
        (BenetConfig(), [27.73, 51.49, 24.10]),
        (BenetConfig(extra_labels=8), [28.75, 51.71, 24.73]),
        (BenetConfig(person_centric=False), []),
    ],
)
def test_the_scores_of_the_papers_tables(config, values):
    assert [score["value"] for score in benets.published(config).scores] == values


@pytest.mark.parametrize("head", DETECTION)
def test_a_benet_without_detection_finds_nobody(benet_entries, saved, head):
    with pytest.raises(ImporterError, match=r"detection head was never trained \(the paper's variant BU\)"):
        benets.load(saved(untrained(benet_entries, head)))


def test_benets_training_dictionary(benet_entries, saved):
    found = benets.load(saved(benet_file(benet_entries), "checkpoint.pth.tar"), short=256)
    assert found.card.epoch == 250
    assert found.card.resize == Resize("short_side", short=256, longest=1024, multiple=64)
    assert ['took "state_dict"' in found.remarks[0], "module." in found.remarks[1]] == [True, True]
    entries = found.content["state_dict"]
    assert torch.equal(entries["network.body.conv1.weight"], benet_entries["conv1.weight"])


def test_dsct_of_emotic(dsct_entries, saved, tmp_path):
    found = dscts.load(saved(dsct_file(dsct_entries), "checkpoint0049.pth"), "resnet50", "emotic")
    network, card = read_back(found, tmp_path)
    assert network.config == DsctConfig()
    assert found.left_over == ()
    assert (card.task, card.labels, card.multi_label, card.box_kind) == ("dsct", EMOTIC, True, BoxKind.HEAD)
    assert card.resize == Resize("short_side", short=800, longest=1333)
    assert card.epoch == 50
    assert found.settings.licence == "Apache-2.0"
    assert found.settings.commercial_use is None
    assert [score["value"] for score in found.settings.published] == [36.21]
    assert "head boxes" in found.settings.published[0]["protocol"]


def test_dsct_of_caer_s(saved, tmp_path):
    path = saved(dsct_file(dsct(dataset="caers"), "caers"), "checkpoint.pth")
    found = dscts.load(path, "resnet50", "caers", short=400)
    network, card = read_back(found, tmp_path)
    assert (network.config.subjects, network.config.spatial, network.config.semantic) == (9, 0, 0)
    assert (card.labels, card.multi_label, card.box_kind) == (CAER_S, False, BoxKind.FACE)
    assert card.resize == Resize("short_side", short=400, longest=666)
    assert [score["value"] for score in found.settings.published] == [89.19]


def test_a_dsct_of_resnet101_has_no_published_score(saved):
    """The README gives its scores for reruns without a backbone's name, and its commands train ResNet-50."""
    found = dscts.load(saved(dsct("resnet101"), "checkpoint.pth"), "resnet101", "emotic")
    assert found.card.config["dsct"]["backbone"] == "resnet101"
    assert found.settings.published == ()


def test_the_files_own_fusion_is_taken_and_told(dsct_entries, saved):
    found = dscts.load(saved(dsct_file(dsct_entries, dec_n_sp=30, dec_n_sm=20)), "resnet50", "emotic")
    assert (found.card.config["dsct"]["spatial"], found.card.config["dsct"]["semantic"]) == (30, 20)
    assert "fuse 30 near and 20 related" in found.remarks[-1]


# --- Other variants ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ({"width": 8}, "of 8 channels where the published ones have 32"),
        ({"width": 8, "modules": 1}, "of 8 channels"),
        ({"modules": 1}, "of 1 modules where the published ones have 2"),
        ({"blocks": 2}, "of 2 blocks where the published ones have 3"),
        ({"labels": 29}, "has 29 outputs where EMOTIC has 26"),
    ],
)
def test_another_benet(saved, size, says):
    path = saved(benet_checkpoint.entries(**size))
    with pytest.raises(ImporterError, match=f"^{path}: .*{says}"):
        benets.load(path)


def test_another_network_than_said(benet_entries, dsct_entries, saved):
    benet, other = saved(benet_entries, "benet.pth.tar"), saved(dsct_file(dsct_entries), "dsct.pth")
    coco = {name: value for name, value in dsct_entries.items() if "dsct" not in name}
    pose = {name: value for name, value in benet_entries.items() if "attention_block" not in name}
    for call, says in (
        (lambda: benets.load(other), f"^{other}: .*not a trained BENet"),
        (lambda: dscts.load(benet, "resnet50", "emotic"), f"^{benet} is no DSCT"),
        (lambda: dscts.load(other, "resnet50", "caers"), f"^{other} has 27 classes.*--dataset emotic"),
        (
            lambda: dscts.load(other, "resnet101", "emotic"),
            "resnet50, not of a resnet101; give --backbone resnet50",
        ),
        (
            lambda: dscts.load(saved({"model": coco}), "resnet50", "emotic"),
            "without subject queries",
        ),
        (lambda: benets.load(saved(pose)), "an HRNet or HigherHRNet, not a trained BENet"),
        (lambda: benets.load(benet, short=500), "--short 500: .*multiple of 64"),
        (lambda: dscts.load(other, "resnet50", "emotic", short=8), "--short 8: too few pixels"),
    ):
        with pytest.raises(ImporterError, match=says):
            call()


@pytest.mark.parametrize("name", ["stage4.1.branches.3.2.bn2.bias", "conv1.weight", "hw_final_layers.1.3.bias"])
def test_a_missing_entry_is_named(benet_entries, saved, name):
    lacking = {other: value for other, value in benet_entries.items() if other != name}
    with pytest.raises(ImporterError, match=name):
        benets.load(saved(lacking))


# --- What may be written -------------------------------------------------------------------------------------------


def test_where_it_may_be_written(tmp_path):
    free, taken = tmp_path / "models" / "benet", tmp_path / "taken.ckpt"
    taken.touch()
    imported.check_free(free, None, overwrite=False)
    imported.check_free(free, tmp_path / "new.ckpt", overwrite=False)
    imported.check_free(tmp_path, taken, overwrite=True)
    for output, kept, says in (
        (tmp_path, None, "exists; give another name, or --overwrite"),
        (free, taken, "taken.ckpt exists"),
        (free, tmp_path / "new.pth", "ends in .ckpt"),
    ):
        with pytest.raises(ImporterError, match=says):
            imported.check_free(output, kept, overwrite=False)
