from dataclasses import replace

import cv2
import numpy as np
import pytest

from caer_ros.offline.data.synthetic import folders
from caer_ros.offline.data.synthetic.plans import Settings
from caer_ros.offline.reproduction import benet, dsct
from caer_ros.offline.reproduction.laboratory import Laboratory, ReproductionError
from caer_ros.offline.reproduction.scales import BENET, DSCT
from caer_ros.offline.systems.dsct.config import DsctConfig, DsctRecipe
from caer_ros.offline.training.configuration import read


def changed(number, row, network=None):
    return dsct.DEFINITIONS[number].rows[row][1](network or DsctConfig())


def laboratory(scale, tmp_path, start):
    roots = {"emotic": tmp_path, "heco": tmp_path, "caer_s": tmp_path}
    return Laboratory(scale, tmp_path, False, roots, start=tmp_path / start)


def test_the_rows_of_a_table_are_the_networks_of_the_paper():
    assert [changed(5, str(number)).subjects for number in (1, 10)] == [1, 10]
    components = [
        (network.contexts, network.spatial, network.semantic)
        for network in (changed(6, row) for row in dsct.DEFINITIONS[6].rows)
    ]
    assert components == [(0, 0, 0), (300, 300, 0), (300, 100, 0), (300, 0, 50), (300, 100, 50)]
    assert [changed(7, row).weighting for row in dsct.DEFINITIONS[7].rows] == list(dsct.WEIGHTINGS)
    small = DsctConfig(layers=2)
    assert [changed(8, row, small).first_fusion for row in dsct.DEFINITIONS[8].rows] == [1, 2, 4, 6]
    assert {changed(8, row, small).layers for row in dsct.DEFINITIONS[8].rows} == {6}
    assert [changed(9, row).backbone for row in dsct.DEFINITIONS[9].rows] == ["resnet18", "resnet50", "resnet101"]


def test_the_published_network_is_trained_once_for_all_tables():
    base = DsctConfig()
    same = [
        changed(number, row, base)
        for number, row in ((5, "4"), (6, "both"), (7, "semantic"), (8, "first_to_sixth"), (9, "r50"))
    ]
    assert same == [base] * 5


def test_a_full_training_is_that_of_the_configuration_files(tmp_path):
    place = laboratory(DSCT["full"], tmp_path, "coco.pth")
    for data in ("emotic", "caer_s"):
        ours, theirs = dsct.own(place, data), read(f"dsct_{data}")
        assert ours.dsct == theirs.dsct
        assert ours.dsct_recipe == replace(theirs.dsct_recipe, weights=str(tmp_path / "coco.pth"))
        assert ours.optimiser == theirs.optimiser
        assert ours.data.val == theirs.data.val
    assert dsct.own(place, "caer_s").dsct == DsctConfig(subjects=9, spatial=0, semantic=0)


def test_weights_of_a_larger_network_are_not_forced_on_a_resnet18(tmp_path):
    place = laboratory(DSCT["full"], tmp_path, "coco.pth")
    begin = [dsct.training(place, 9, row, "emotic").dsct_recipe.weights for row in ("r18", "r50", "r101")]
    assert begin == [None, str(tmp_path / "coco.pth"), str(tmp_path / "coco.pth")]


def test_a_full_training_of_benet_is_that_of_the_configuration_files(tmp_path):
    place = laboratory(BENET["full"], tmp_path, "pose.pth")
    for row in benet.ROWS:
        ours, theirs = benet.config(place, row, "emotic", 0, tmp_path), read(f"benet_{row}")
        assert (ours.benet, ours.optimiser, ours.data.size) == (theirs.benet, theirs.optimiser, theirs.data.size)
        assert (ours.data.batch, ours.trainer.epochs) == (theirs.data.batch, theirs.trainer.epochs)
        extra = theirs.benet_recipe.extra and replace(theirs.benet_recipe.extra, root=str(tmp_path))
        assert ours.benet_recipe == replace(theirs.benet_recipe, weights=str(tmp_path / "pose.pth"), extra=extra)


def test_sizes_of_images_are_in_proportion():
    recipe = DsctRecipe()
    assert dsct.sized(recipe, 800) == recipe
    small = dsct.sized(recipe, 80)
    assert small.short_sides == (48, 51, 54, 58, 61, 64, 67, 70, 74, 77, 80)
    assert (small.val_short, small.longest, small.crop_short_sides, small.crop) == (80, 133, (40, 50, 60), (38, 60))


def test_other_boxes_than_the_papers_are_refused(tmp_path):
    folders.write("emotic", tmp_path / "emotic", {"train": 1, "val": 1, "test": 4}, Settings(width=64, height=64))
    image = tmp_path / "caer_s" / "test" / "Anger" / "a.png"
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), np.zeros((40, 40, 3), np.uint8))
    roots = {name: tmp_path / name for name in ("emotic", "caer_s")}
    place = Laboratory(DSCT["smoke"], tmp_path / "out", False, roots)
    with pytest.raises(ReproductionError, match=r"body boxes, .* head boxes: .*CVPR'17"):
        dsct.scores(place, 9, "r18", "emotic", 0)
    with pytest.raises(ReproductionError, match=r"unknown boxes, .* face boxes: .*lists of faces"):
        dsct.scores(place, 9, "r18", "caer_s", 0)
    assert not (tmp_path / "out").exists()
