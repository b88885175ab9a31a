from __future__ import annotations

import torch

from caer_ros.offline.reproduction.two_branch import TwoBranch


def test_persons_are_batched_and_scenes_shared():
    torch.manual_seed(0)
    network, runs = TwoBranch(5).eval(), []
    network.scene.register_forward_hook(lambda module, inputs, output: runs.append(output.shape))
    scenes, bodies = torch.randn(2, 3, 64, 64), torch.randn(3, 3, 64, 64)
    images = torch.tensor([1, 0, 1])
    with torch.no_grad():
        together = network(scenes, bodies, images)
        assert runs == [(2, 512)]
        for person in range(3):
            image = images[person]
            alone = network(scenes[image : image + 1], bodies[person : person + 1], torch.tensor([0]))
            torch.testing.assert_close(together[person : person + 1], alone, atol=1e-5, rtol=1e-4)
    assert together.shape == (3, 5)
    assert (network.fusion[0].in_features, network.fusion[0].out_features) == (1024, 256)
