from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from caer_ros.offline.systems.components.backbone import Backbone
from caer_ros.offline.systems.ka.amalgamation import Amalgamation, feature_loss, reconstruction_loss
from caer_ros.offline.systems.ka.network import Student, StudentConfig
from caer_ros.offline.systems.ka.teachers import Classifier, Detector, Teachers

TINY = "mobilenetv4_conv_small_050"


def test_the_classification_head_is_that_of_hrnet():
    """With HRNet's own last width it computes what timm's whole network does."""
    torch.manual_seed(0)
    ours, theirs = (
        Classifier("hrnet_w18_small", 6, last_width=2048),
        timm.create_model("hrnet_w18_small", num_classes=6),
    )
    names = {
        "incre_modules": "increase",
        "downsamp_modules": "downsample",
        "final_layer": "last",
        "classifier": "classes",
    }
    entries = {}
    for name, value in theirs.state_dict().items():
        first, _, rest = name.partition(".")
        if first == "incre_modules":
            rest = rest.replace(".0.", ".", 1)
        if first in ("downsamp_modules", "final_layer") and name.endswith("0.bias"):
            value.zero_()  # before a batch normalisation it changes nothing, so ours has none
            continue
        entries[f"{names[first]}.{rest}" if first in names else f"backbone.body.{name}"] = value
    ours.load_state_dict(entries)
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_its_last_width_is_1024():
    with torch.device("meta"):
        classifier = Classifier(TINY, 8)
        assert classifier(torch.empty(2, 3, 64, 64)).shape == (2, 8)
    assert (classifier.classes.in_features, classifier.classes.out_features) == (1024, 8)
    assert classifier.last[0].in_channels == 1024


def test_the_detector():
    detector = Detector(TINY, head_width=8).eval()
    with torch.no_grad():
        heatmap, sizes = detector(torch.randn(1, 3, 64, 96))
    assert heatmap.shape == (1, 1, 16, 24)
    assert sizes.shape == (1, 2, 16, 24)
    assert isinstance(detector.backbone, Backbone)


class Lesson(nn.Module):
    """A student and what teaches it in one module, as a training loop holds them."""

    def __init__(self):
        super().__init__()
        self.student = Student(StudentConfig(3, TINY, 8, detection=False))
        self.teachers = Teachers([Backbone(TINY), Detector("mobilenetv4_conv_small_035", head_width=8).backbone])
        self.amalgamation = Amalgamation(self.student.channels, self.teachers.channels, channels=8)

    def forward(self, images):
        features, taught = self.student(images).features, self.teachers(images)
        projection = self.amalgamation(features, taught)
        return feature_loss(projection.teachers, projection.student) + reconstruction_loss(
            taught, projection.reconstructions
        )


def test_nothing_of_a_teacher_ever_moves():
    torch.manual_seed(0)
    lesson = Lesson()
    before = copy.deepcopy(lesson.teachers.state_dict())
    student = copy.deepcopy(lesson.student.backbone.state_dict())
    optimiser = torch.optim.Adam(lesson.parameters(), 1e-2, weight_decay=0.1)
    for mode in (True, False, True):
        lesson.train(mode)
        lesson.requires_grad_(True).teachers.requires_grad_(False)
        assert not any(module.training for module in lesson.teachers.modules())
        optimiser.zero_grad()
        lesson(torch.randn(2, 3, 32, 32)).backward()
        optimiser.step()
    assert all(parameter.grad is None for parameter in lesson.teachers.parameters())
    assert not any(parameter.requires_grad for parameter in lesson.teachers.parameters())
    after = lesson.teachers.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    moved = lesson.student.backbone.state_dict()
    assert any(not torch.equal(value, moved[name]) for name, value in student.items() if "running_mean" in name)


@pytest.mark.parametrize("grad", [True, False])
def test_features_of_teachers_carry_no_gradient(grad):
    teachers = Teachers([Backbone(TINY)])
    with torch.set_grad_enabled(grad):
        (features,) = teachers(torch.randn(1, 3, 32, 32, requires_grad=True))
    assert not features.requires_grad
    assert teachers.channels == (features.shape[1],)
