from __future__ import annotations

import torch
from torch import nn

from caer_ros.offline.systems.components.description import describe


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.heads = nn.ModuleList([nn.Linear(8, 5), nn.Linear(8, 2)])

    def forward(self, images):
        features = self.body(images).mean((-2, -1))
        return [head(features) for head in self.heads]


def test_parameters_and_operations_are_those_counted_by_hand():
    network = Network().train()
    body, heads, total = describe(network, torch.randn(1, 3, 16, 32))
    assert network.training
    assert (body.name, heads.name, total.name) == ("body", "heads", "total")
    assert body.parameters == 3 * 8 * 9 + 2 * 8
    assert heads.parameters == 9 * 5 + 9 * 2
    assert total.parameters == body.parameters + heads.parameters
    multiply_adds = 3 * 8 * 9 * 16 * 32
    assert round(body.gflops * 1e9) == 2 * multiply_adds
    assert round(heads.gflops * 1e9) == 2 * 8 * (5 + 2)  # a list that is never called itself
    assert round(total.gflops * 1e9) == 2 * multiply_adds + 2 * 8 * 7


def test_the_running_statistics_are_left_alone():
    network = Network().train()
    describe(network, torch.randn(1, 3, 8, 8))
    assert network.body[1].num_batches_tracked == 0
