from __future__ import annotations

import logging
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from caer_ros.offline.systems.components import backbone as backbones
from caer_ros.offline.systems.components.backbone import Backbone, BackboneError

TINY = "mobilenetv4_conv_small_050"


@pytest.fixture(scope="module")
def tiny():
    return Backbone(TINY).eval()


def saved(path, module, prefix="", **others):
    entries = {prefix + name: value for name, value in module.state_dict().items()}
    torch.save(entries | others, path)
    return path


def same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("hrnet_w32", (32, 64, 128, 256)),
        ("hrnet_w18_small_v2", (18, 36, 72, 144)),
        (TINY, (16, 32, 48, 480)),
        ("mobilenetv4_conv_medium", (48, 80, 160, 960)),
        ("resnet18", (64, 128, 256, 512)),
    ],
)
def test_the_four_levels_become_one_map_at_a_quarter(name, widths):
    with torch.device("meta"):  # shapes alone
        backbone = Backbone(name)
        images = torch.empty(2, 3, 64, 96)
        levels = backbone.pyramid(images)
        features = backbone(images)
    assert backbone.widths == widths
    assert [level.shape for level in levels] == [
        (2, width, 64 // stride, 96 // stride) for width, stride in zip(widths, (4, 8, 16, 32), strict=True)
    ]
    assert backbone.stride == 4
    assert backbone.channels == sum(widths)
    assert features.shape == (2, sum(widths), 16, 24)


def test_hrnet_gives_its_raw_streams():
    """As a whole HRNet computes them before its classification head, and at least 0, because a ReLU ends them."""
    torch.manual_seed(0)
    backbone, whole = Backbone("hrnet_w18_small").eval(), timm.create_model("hrnet_w18_small").eval()
    whole.load_state_dict(backbone.body.state_dict(), strict=False)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        streams = whole.stages(whole.act2(whole.bn2(whole.conv2(whole.act1(whole.bn1(whole.conv1(images)))))))
        levels = backbone.pyramid(images)
    for level, stream in zip(levels, streams, strict=True):
        torch.testing.assert_close(level, stream)
        assert (level >= 0).all()


def test_levels_are_upsampled_about_their_own_place(tiny):
    """A coarse pixel lies in the middle of the fine pixels that it covers, and the finest level is untouched."""
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        levels, features = tiny.pyramid(images), tiny(images)
    torch.testing.assert_close(features[:, :16], levels[0])
    middle = features[:, 16:48, 1:-1, 1:-1].unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))
    around = torch.nn.functional.avg_pool2d(
        torch.nn.functional.interpolate(levels[1], scale_factor=2, mode="bilinear")[:, :, 1:-1, 1:-1], 2
    )
    torch.testing.assert_close(middle, around)


@pytest.mark.parametrize(
    ("name", "said"),
    [("vit_tiny_patch16_224", "strides .16.; 4, 8, 16 and 32 are needed"), ("hrnet_w33", 'no backbone "hrnet_w33"')],
)
def test_a_backbone_that_will_not_do(name, said):
    with pytest.raises(BackboneError, match=said):
        Backbone(name)


def test_without_a_network_the_remedy_is_named(monkeypatch):
    def unreachable(*args, pretrained, **options):
        raise OSError("cannot resolve the host")

    monkeypatch.setattr(backbones.timm, "create_model", unreachable)
    with pytest.raises(BackboneError, match="connect to the Internet, or name a file"):
        Backbone(TINY, "imagenet")


def test_imagenet_weights_are_those_of_timm(monkeypatch):
    asked = {}
    create = timm.create_model

    def spy(name, pretrained, **options):
        asked[name] = pretrained
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(backbones.timm, "create_model", spy)
    Backbone(TINY, "imagenet")
    assert asked == {TINY: True}
    Backbone(TINY)
    assert asked == {TINY: False}


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.", "network.backbone.body."])
def test_weights_by_file(tiny, tmp_path, prefix):
    loaded = Backbone(TINY, saved(tmp_path / "w.pth", tiny.body, prefix))
    assert same(loaded, tiny)


def test_weights_by_safetensors_and_inside_a_checkpoint(tiny, tmp_path):
    save_file(tiny.body.state_dict(), tmp_path / "w.safetensors")
    assert same(Backbone(TINY, str(tmp_path / "w.safetensors")), tiny)
    entries = {f"network.{name}": value for name, value in tiny.state_dict(prefix="backbone.").items()}
    torch.save({"state_dict": entries, "epoch": 3, "caer": {"format": 1}}, tmp_path / "w.ckpt")
    assert same(Backbone(TINY, tmp_path / "w.ckpt"), tiny)


def test_a_detectors_file_of_mmdetection_is_taken_and_its_head_reported(tmp_path, caplog):
    """Its names, such as "backbone.stage4.2.fuse_layers.0.1.0.weight", are timm's with a prefix."""
    backbone = Backbone("hrnet_w18_small")
    assert "stage4.0.fuse_layers.0.1.0.weight" in backbone.body.state_dict()
    entries = {f"backbone.{name}": value for name, value in backbone.body.state_dict().items()}
    head = {
        "neck.fpn.weight": torch.zeros(1),
        "bbox_head.cls.weight": torch.zeros(1),
        "bbox_head.cls.bias": torch.ones(1),
    }
    torch.save({"state_dict": entries | head, "meta": {"epoch": 24}}, tmp_path / "coco.pth")
    with caplog.at_level(logging.INFO):
        left = backbones.load_weights(backbone.body, tmp_path / "coco.pth")
    assert left == sorted(head)
    assert "3 entries left over: bbox_head 2, neck 1" in caplog.text


def test_counters_of_batches_may_be_missing(tiny, tmp_path):
    old = {name: value for name, value in tiny.body.state_dict().items() if "num_batches" not in name}
    torch.save(old, tmp_path / "old.pth")
    assert same(Backbone(TINY, tmp_path / "old.pth"), tiny)


def test_weights_of_another_architecture_or_width(tiny, tmp_path):
    with pytest.raises(BackboneError, match=r"w\.pth lacks \d+ of the \d+ entries of this backbone, such as"):
        Backbone("resnet18", saved(tmp_path / "w.pth", tiny.body))
    name, value = next(iter(tiny.body.state_dict().items()))
    wider = {name: torch.zeros(2 * len(value), *value.shape[1:])}
    with pytest.raises(BackboneError, match=f"entry '{name}' is .* where this backbone has .*another width"):
        Backbone(TINY, saved(tmp_path / "wide.pth", tiny.body, **wider))


def test_a_file_that_holds_code_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"conv1.weight": Trap()}, protocol=2))
    torch.save({"conv1.weight": Trap()}, tmp_path / "zip.pth")
    for name in ("trap.pth", "zip.pth"):
        with pytest.raises(BackboneError, match="cannot be read as weights alone"):
            Backbone(TINY, tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_no_weights(tmp_path):
    with pytest.raises(BackboneError, match="no such file"):
        Backbone(TINY, tmp_path / "absent.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BackboneError, match="expected a state_dict, got list"):
        Backbone(TINY, tmp_path / "list.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"abc")
    with pytest.raises(BackboneError, match="cannot be read"):
        Backbone(TINY, tmp_path / "cut.safetensors")
