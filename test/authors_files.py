"""Files as the authors of BENet and DSCT save them: names and shapes are theirs, values are made up.

``offline/importers/dsct_*_entries.txt.gz`` list the entries of DSCT's networks, a line each: name, dtype, and shape as
4x3x2. They were measured on the authors' public code by building its network (EMOTIC, four queries) and printing
names, dtypes and shapes of its ``state_dict``. BENet's are in ``benet_checkpoint``.
"""

from __future__ import annotations

import argparse
import gzip
from math import prod
from pathlib import Path

import torch
from torch import Tensor

LISTINGS = Path(__file__).parent / "offline/systems/dsct"


def dsct(backbone: str = "resnet50", dataset: str = "emotic", seed: int = 0) -> dict[str, Tensor]:
    """What stands under "model": noise, and normalisations about the identity. All layers share their heads."""
    text = gzip.decompress((LISTINGS / f"dsct_{backbone}_entries.txt.gz").read_bytes()).decode()
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, Tensor] = {}
    for line in text.splitlines():
        name, _, shape = line.split(" ")
        sizes = [int(length) for length in shape.split("x")]
        noise = torch.randn(sizes, generator=generator)
        if len(sizes) == 1:
            made[name] = name.endswith(("weight", "running_var")) + 0.02 * noise.clamp(-3, 3)
        else:
            made[name] = noise * prod(sizes[1:]) ** -0.5
    for name in made:
        kind, _, rest = name.partition(".")
        if kind in ("class_embed_dsct", "bbox_embed_dsct"):
            made[name] = made[f"{kind}.0.{rest.partition('.')[2]}"]
    if dataset == "caers":
        made |= {name: value[:8] for name, value in made.items() if name.startswith("class_embed_dsct.")}
        made["query_embed_dsct.weight"] = torch.randn(9, 512, generator=generator)
    return made


def dsct_file(made: dict[str, Tensor], dataset: str = "emotic", **settings: object) -> dict[str, object]:
    """The training dictionary around it, as their ``main.py`` saves it."""
    fused = (100, 50) if dataset == "emotic" else (0, 0)
    known = {"dataset_file": {"caers": "caer"}.get(dataset, dataset), "dec_n_sp": fused[0], "dec_n_sm": fused[1]}
    given = known | {"lr": 2e-4, "lr_backbone_names": ["backbone.0"], "lr_drop_epochs": None, "aux_loss": True}
    optimiser = {
        "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}},
        "param_groups": [{"lr": 2e-5, "betas": (0.9, 0.999), "amsgrad": False, "params": [0]}],
    }
    return {
        "model": made,
        "optimizer": optimiser,
        "lr_scheduler": {"step_size": 40, "gamma": 0.1, "base_lrs": [2e-4], "last_epoch": 50, "_last_lr": [2e-5]},
        "epoch": 49,
        "args": argparse.Namespace(**given | settings),
    }


def benet_file(made: dict[str, Tensor]) -> dict[str, object]:
    """``checkpoint.pth.tar``: the training dictionary around it, with the names that DataParallel gives."""
    return {
        "epoch": 249,
        "best_epoch": 80,
        "model": "BENet",
        "state_dict": {f"module.{name}": value for name, value in made.items()},
        "best_state_dict": made,
        "perf": 3.25,
        "best_perf": 3.0,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
    }


def untrained(made: dict[str, Tensor], *heads: str) -> dict[str, Tensor]:
    """With normalisations of those heads as they are before training."""
    result = dict(made)
    for name, value in made.items():
        if name.startswith(heads) and f"{name.rpartition('.')[0]}.running_var" in made:
            if name.endswith(".weight"):
                result[name] = torch.ones_like(value)
            elif name.endswith(".bias"):
                result[name] = torch.zeros_like(value)
    return result
