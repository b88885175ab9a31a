"""``golden/benet.json`` was made with the authors' own code (TristanCladiere/BENet, July 2023; torch 2.14, float64).

Their network was built as in the paper's last column, but with ``width`` 8, 2 blocks, 5 labels and 3 extra labels (the
numbers 32, 64, 128 and 256 of its classifiers scaled down likewise), loaded with ``benet_checkpoint.entries``, brought
to batch statistics by one pass in training mode over the three images (momentum 1), and run in eval mode: "network" are
25 values, evenly over each flattened output. The three adaptors' outputs of vectors were computed with their layers by
hand, because their forward pass leaves these layers out. "evaluation" is their ``get_outputs`` of the three images as
raw image, person and background, with flip, brought to the input's size; "persons" and "whole_boxes" are what their
decoder answers, the former with its positions cast to floats, the latter as it stands.
"""

from __future__ import annotations

import json
from pathlib import Path

import benet_checkpoint
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck

from caer_ros.offline.systems.benet import codec as codec
from caer_ros.offline.systems.benet import weights as importer
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.benet.network import Attention, Benet, load_pose
from caer_ros.offline.systems.components.backbone import Backbone, BackboneError

GOLDEN = json.loads((Path(__file__).with_name("golden.json")).read_text())
SIZE = {"width": 8, "modules": 2, "blocks": 2, "labels": 5, "extra": 3}
TINY = BenetConfig(width=8, modules=1, blocks=1)


def images():
    random = np.random.Generator(np.random.PCG64(5))
    coarse = random.standard_normal((3, 3, 8, 12)).repeat(8, 2).repeat(8, 3)
    return torch.from_numpy(coarse + 0.3 * random.standard_normal((3, 3, 64, 96)))


@pytest.fixture(scope="module")
def golden_network():
    """With the weights of the golden file, and the statistics of the images' batch."""
    config, state, _ = importer.convert(benet_checkpoint.entries(torch.float64, **SIZE))
    network = Benet(config, 5).double()
    network.load_state_dict(state)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        outputs(network.train())
    return network.eval()


def outputs(network):
    features = network.features(images())
    maps, person, scene = network.maps(features), network.person_centric(features), network.background(features)
    return {
        **maps._asdict(),
        "person_centric": [person],
        "background": [scene],
        "extra_maps": network.extra_maps(maps.emotion_maps),
        "extra_person_centric": [network.extra_person_centric(person)],
        "extra_background": [network.extra_background(scene)],
    }


def sample(values):
    flat = values.flatten()
    return flat[torch.linspace(0, len(flat) - 1, min(len(flat), 25)).long()].numpy()


def differences(network):
    """Of each output: the largest difference over the largest value."""
    with torch.no_grad():
        found = outputs(network)
    assert found.keys() == GOLDEN["network"].keys()
    return {name: max(map(difference, values, GOLDEN["network"][name])) for name, values in found.items()}


def difference(values, golden):
    return np.abs(sample(values) - golden).max() / np.abs(golden).max()


def test_it_is_the_authors_network(golden_network):
    assert max(differences(golden_network).values()) < 1e-9


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ("stage4.1.branches.3.1.se", lambda features: features),
        ("layer1.3.se", lambda features: features),
        ("stage4.0.fuse_layers.0.3", lambda features: 0),
    ],
)
def test_the_comparison_sees_a_part_that_is_left_out(golden_network, monkeypatch, part, instead):
    monkeypatch.setattr(golden_network.body.get_submodule(part), "forward", instead)
    assert min(differences(golden_network).values()) > 1e-4


def evaluation(network, flip=True):
    """The authors' evaluation of a raw image, a person's crop and a masked image of one size."""

    def once(pictures):
        features = network.features(pictures)
        raw, person, scene = ([stream[i : i + 1] for stream in features] for i in range(3))
        return (
            codec.merge(network.maps(raw)),
            network.person_centric(person).sigmoid(),
            network.background(scene).sigmoid(),
        )

    with torch.no_grad():
        maps, person, scene = once(images())
        if flip:
            mirrored = once(images().flip(3))
            maps = codec.merge_flipped(maps, mirrored[0])
            person, scene = (person + mirrored[1]) / 2, (scene + mirrored[2]) / 2
    return maps, person, scene


def double(maps):
    return F.interpolate(maps, scale_factor=2, mode="bilinear")


def test_the_evaluation_is_the_authors(golden_network):
    maps, person, scene = evaluation(golden_network)
    found = {
        "heatmap": double(maps.heatmap),
        "sizes": 2 * double(maps.sizes),
        "emotion_maps": double(maps.emotion_maps),
        "person_centric": person,
        "background": scene,
    }
    for name, values in found.items():
        np.testing.assert_allclose(sample(values), GOLDEN["evaluation"][name], rtol=1e-9, err_msg=name)


def test_without_the_mirrored_image_it_is_not(golden_network):
    maps, *_ = evaluation(golden_network, flip=False)
    assert np.abs(sample(double(maps.heatmap)) - GOLDEN["evaluation"]["heatmap"]).max() > 1e-3


def test_the_persons_are_the_authors(golden_network):
    maps, *_ = evaluation(golden_network)
    boxes, scores, emotions = (values[0].numpy() for values in codec.decode(maps))
    found = np.column_stack([boxes, scores, emotions])[scores > codec.THRESHOLD]
    np.testing.assert_allclose(found, GOLDEN["persons"], rtol=1e-9)
    whole = codec.decode(maps, whole_pixels=True).boxes[0].numpy()
    np.testing.assert_array_equal(whole[scores > codec.THRESHOLD], GOLDEN["whole_boxes"])


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return Benet(TINY, 4).eval()


def test_its_maps(tiny):
    with torch.no_grad():
        features = tiny.features(torch.randn(2, 3, 64, 96))
        maps = tiny.maps(features)
    assert [stream.shape for stream in features] == [(2, 8 << level, 16 >> level, 24 >> level) for level in range(4)]
    for kind, channels in ((maps.emotion_maps, 4), (maps.heatmaps, 1), (maps.sizes, 2)):
        assert [values.shape for values in kind] == [(2, channels, 16, 24), (2, channels, 32, 48)]
    assert tiny.person_centric(features).shape == tiny.background(features).shape == (2, 4)
    heatmaps, sizes = tiny.detection(features)
    torch.testing.assert_close([*heatmaps, *sizes], [*maps.heatmaps, *maps.sizes])
    torch.testing.assert_close(tiny.emotion_maps(features), maps.emotion_maps)


def test_every_column_of_table_1():
    for config in (
        BenetConfig(8, 1, 1, detection=False, person_centric=False, background=False),
        BenetConfig(8, 1, 1, person_centric=False, background=False),
        BenetConfig(8, 1, 1, background=False, extra_labels=8),
    ):
        network = Benet(config, 26).eval()
        with torch.no_grad():
            features = network.features(torch.randn(1, 3, 64, 64))
            maps = network.maps(features)
        assert (maps.heatmaps is None) == (maps.sizes is None) == (not config.detection)
        with pytest.raises(ValueError, match="built without background"):
            network.background(features)
        if config.extra_labels:
            assert [extra.shape for extra in network.extra_maps(maps.emotion_maps)] == [(1, 8, 16, 16), (1, 8, 32, 32)]
            assert network.extra_person_centric(network.person_centric(features)).shape == (1, 8)
        else:
            with pytest.raises(ValueError, match="built without extra_labels"):
                network.extra_maps(maps.emotion_maps)


def test_its_size_is_that_of_the_authors_network_less_the_fusion():
    with torch.device("meta"):
        published = Benet(BenetConfig(), 26)
    theirs = sum(
        int(np.prod(shape))
        for name, shape in benet_checkpoint.shapes().items()
        if "running" not in name and "batches" not in name and not name.startswith("fusion")
    )
    assert sum(parameter.numel() for parameter in published.parameters()) == theirs


def test_attention_is_in_every_block(tiny):
    blocks = [module for module in tiny.modules() if isinstance(module, BasicBlock | Bottleneck)]
    assert len(blocks) == 4 + (2 + 3 + 4) + 3 * 2 + 2 * 4
    assert all(isinstance(block.se, Attention) for block in blocks)


@pytest.mark.parametrize("shape", [(1, 6, 5, 7), (3, 2, 1, 1)])
def test_attention_in_words(shape):
    attention, features = Attention(shape[1]), torch.randn(shape)
    with torch.no_grad():
        first, _, second = attention.mlp

        def mlp(vector):
            return second(first(vector).relu())

        mean, largest = features.flatten(2).mean(2), features.flatten(2).max(2).values
        weighted = features * torch.sigmoid(mlp(mean) + mlp(largest)).reshape(*shape[:2], 1, 1)
        of_max, of_mean = attention.place.weight.flatten()
        place = torch.sigmoid(of_max * weighted.max(1, keepdim=True).values + of_mean * weighted.mean(1, keepdim=True))
        torch.testing.assert_close(attention(features), weighted * place)


def test_every_parameter_learns():
    network = Benet(BenetConfig(8, 1, 1, extra_labels=3), 4)
    features = network.features(torch.randn(2, 3, 64, 64))
    maps, person, scene = network.maps(features), network.person_centric(features), network.background(features)
    extra = [network.extra_person_centric(person), network.extra_background(scene)]
    every = [*maps.emotion_maps, *maps.heatmaps, *maps.sizes, *network.extra_maps(maps.emotion_maps), *extra]
    sum(values.square().sum() for values in every).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def pose_file(path, width=32, prefix="", **others):
    """HRNet's backbone as timm names it, which are HigherHRNet's names too."""
    body = Backbone(f"hrnet_w{width}").body
    torch.save({prefix + name: value for name, value in body.state_dict().items()} | others, path)
    return body.state_dict()


def test_pose_weights_initialise_the_part_that_both_have(tmp_path):
    given = pose_file(tmp_path / "pose.pth", prefix="module.", **{"module.final_layers.0.weight": torch.ones(2)})
    network = Benet(BenetConfig(), 26)
    loaded, missing, left = load_pose(network, tmp_path / "pose.pth")
    state = network.body.state_dict()
    assert all(torch.equal(state[name], given[name]) for name in loaded)
    assert {name.partition(".")[0] for name in loaded} >= {"conv1", "layer1", "transition3", "stage2", "stage4"}
    # HRNet-W32 has one module in stage 2 and four blocks in each, and no attention.
    assert "stage2.0.branches.0.2.conv1.weight" in loaded
    assert all(".se." in name or name.startswith("stage2.1.") for name in missing)
    assert any(".se." in name for name in missing)
    assert "module.final_layers.0.weight" in left
    assert "module.stage2.0.branches.0.3.conv1.weight" in left
    assert set(loaded) | set(missing) == {name for name in state if name in loaded or "num_batches" not in name}


def test_pose_weights_that_do_not_fit(tmp_path):
    pose_file(tmp_path / "narrow.pth", width=18)
    with pytest.raises(BackboneError, match=r"narrow\.pth: entry .* where this backbone has .*another width"):
        load_pose(Benet(TINY, 4), tmp_path / "narrow.pth")
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(BackboneError, match=r"other\.pth lacks 'conv1\.weight': expected .*HigherHRNet"):
        load_pose(Benet(TINY, 4), tmp_path / "other.pth")
