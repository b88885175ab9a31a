from __future__ import annotations

import numpy as np
import pytest
import torch

from caer_ros.offline.systems.ka.amalgamation import Amalgamation, AmalgamationError, feature_loss, reconstruction_loss


def features(*shape):
    return torch.rand(*shape).requires_grad_()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("teachers", [1, 2, 3])
def test_any_number_of_teachers_of_any_width_and_stride(teachers):
    student = features(2, 10, 8, 6)
    taught = [torch.rand(2, 7, 8, 6), torch.rand(2, 12, 4, 3), torch.rand(2, 5, 16, 12)][:teachers]
    network = Amalgamation(10, [t.shape[1] for t in taught], channels=12)
    projection = network(student, taught)
    assert projection.student.shape == projection.teachers.shape == (2, 12, 8, 6)
    assert [r.shape for r in projection.reconstructions] == [t.shape for t in taught]
    for values in (projection.student, projection.teachers, *projection.reconstructions):
        assert (values >= 0).all()
        assert (values > 0).any()


def test_a_single_teacher_is_neither_reduced_nor_concatenated():
    network = Amalgamation(4, [4], channels=6).eval()
    network.align_teachers[0].load_state_dict(network.align_student.state_dict())
    student = torch.rand(1, 4, 5, 5)
    projection = network(student, [student])
    torch.testing.assert_close(projection.student, projection.teachers)  # the same extractor
    assert not list(network.reduce.parameters())


def test_several_teachers_share_the_reducing_convolution_and_lie_side_by_side():
    network = Amalgamation(4, [4, 4], channels=6).eval()
    one, other = torch.rand(1, 4, 5, 5), torch.rand(1, 4, 5, 5)
    for align in network.align_teachers:
        align.load_state_dict(network.align_student.state_dict())
    together = network(one, [one, other]).teachers
    swapped = network(one, [other, one]).teachers
    torch.testing.assert_close(together[:, :3], swapped[:, 3:])
    torch.testing.assert_close(together[:, 3:], swapped[:, :3])


def test_the_layers_are_those_of_the_paper():
    network = Amalgamation(10, [7, 9, 8], channels=12)
    assert network.align_student.kernel_size == network.align_teachers[2].kernel_size == (1, 1)
    assert len(network.extractor) == 3
    reduce, relu = network.reduce
    assert (reduce.in_channels, reduce.out_channels, reduce.kernel_size) == (12, 4, (1, 1))
    assert isinstance(relu, torch.nn.ReLU)
    first, blocks, last, relu = network.decoders[1]
    assert first.in_channels == 12
    assert len(blocks) == 3
    assert (last.out_channels, last.kernel_size) == (9, (1, 1))
    assert isinstance(relu, torch.nn.ReLU)
    assert Amalgamation(4, [9], channels=6, decoder_width=9).decoders[0][1][0].conv1.in_channels == 9


def test_channels_must_be_a_multiple_of_the_teachers():
    with pytest.raises(AmalgamationError, match=r"100 channels cannot be shared by 3 teachers.*such as 102"):
        Amalgamation(8, [8, 8, 8], channels=100)
    with pytest.raises(AmalgamationError, match="at least one teacher"):
        Amalgamation(8, [])


def test_each_teacher_must_be_given():
    with pytest.raises(ValueError, match="zip"):
        Amalgamation(4, [4, 4], channels=4)(torch.rand(1, 4, 4, 4), [torch.rand(1, 4, 4, 4)])


def test_gradients_reach_the_student_and_stop_at_the_target_when_asked():
    for detach in (False, True):
        network = Amalgamation(4, [5, 6], channels=6, detach_target=detach)
        student, taught = features(2, 4, 6, 6), [torch.rand(2, 5, 6, 6), torch.rand(2, 6, 6, 6)]
        projection = network(student, taught)
        feature_loss(projection.teachers, projection.student).backward(retain_graph=True)
        assert student.grad.abs().sum() > 0
        reduced = network.reduce[0].weight.grad
        assert (reduced is None or not reduced.any()) is detach
        reconstruction_loss(taught, projection.reconstructions).backward()
        assert network.reduce[0].weight.grad.any()  # from the reconstruction it learns either way


def test_eq_7_looks_where_the_teachers_are_positive():
    teachers = torch.tensor([0.0, 2.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    student = torch.tensor([9.0, 0.5, 3.0, 0.0]).reshape(1, 1, 2, 2).requires_grad_()
    loss = feature_loss(teachers, student)
    assert loss.item() == pytest.approx((1.5**2 + 2**2) / 2)
    loss.backward()
    np.testing.assert_allclose(student.grad.flatten(), [0, -1.5, 2, 0])
    # The student's own mask would give another number.
    assert feature_loss(student, teachers).item() == pytest.approx((81 + 1.5**2 + 2**2) / 3)


def test_eq_7_without_a_positive_pixel_is_zero():
    student = features(1, 2, 2, 2)
    loss = feature_loss(torch.zeros(1, 2, 2, 2), student)
    loss.backward()
    assert loss.item() == 0
    assert not student.grad.any()


def test_eq_8_sums_over_teachers_each_with_its_own_mask():
    taught = [torch.tensor([[[[1.0, 0.0], [2.0, -3.0]]]]), torch.full((1, 1, 1, 3), 2.0)]
    rebuilt = [torch.tensor([[[[0.0, 7.0], [2.5, 7.0]]]]), torch.tensor([[[[2.0, 1.0, 5.0]]]])]
    assert reconstruction_loss(taught, rebuilt).item() == pytest.approx((1 + 0.25) / 2 + (0 + 1 + 9) / 3)
    with pytest.raises(ValueError, match="zip"):
        reconstruction_loss(taught, rebuilt[:1])


def test_half_precision_sums_do_not_overflow():
    teachers, student = torch.full((1, 64, 32, 32), 300.0).half(), torch.zeros(1, 64, 32, 32).half()
    assert feature_loss(teachers, student).item() == pytest.approx(300.0**2)
    assert reconstruction_loss([teachers], [student]).item() == pytest.approx(300.0**2)


def test_it_runs_under_autocast():
    network = Amalgamation(4, [5, 6], channels=6)
    taught = [torch.rand(2, 5, 6, 6).bfloat16(), torch.rand(2, 6, 3, 3)]
    with torch.autocast("cpu", torch.bfloat16):
        projection = network(torch.rand(2, 4, 6, 6), taught)
        loss = feature_loss(projection.teachers, projection.student)
        loss = loss + reconstruction_loss(taught, projection.reconstructions)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_training_brings_the_student_towards_the_teachers():
    network, taught = Amalgamation(4, [4], channels=8), [torch.rand(2, 4, 6, 6)]
    student = features(2, 4, 6, 6)
    optimiser = torch.optim.Adam([student, *network.parameters()], 3e-2)
    history = []
    for _ in range(15):
        projection = network(student, taught)
        loss = feature_loss(projection.teachers, projection.student)
        loss = loss + reconstruction_loss(taught, projection.reconstructions)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < 0.7 * history[0]
