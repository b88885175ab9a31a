"""The authors' checkpoints of BENet as our network's entries (repository TristanCladiere/BENet, class BENet)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from caer_ros.offline.importers.refused import ImporterError
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.benet.network import Benet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOWERS = {"emotion_head": "bu", "heatmap_head": "hm", "sizes_head": "hw"}
_CLASSIFIERS = {"person_head": "pc_", "background_head": ""}
_PARTS = {"blocks": "incre_modules", "down": "downsamp_modules", "last": "final_layer", "classifier": "classifier"}
_ADAPTORS = {"map_adaptors": "bu_mixed", "person_adaptor": "pc_mixed", "background_adaptor": "context_mixed"}
_COUNTER = "num_batches_tracked"


class Converted(NamedTuple):
    """A checkpoint of the authors as one of ours."""

    config: BenetConfig
    """Read from names and shapes."""
    state: dict[str, Tensor]
    """Every entry of ``Benet.state_dict()``."""
    left_over: list[str]
    """Entries that our network has no place for: those of the head that fuses the others, which no run uses."""


def convert(entries: Mapping[str, Tensor]) -> Converted:
    """Maps every entry; see ``labels_of`` for E.

    Args:
        entries: the network's tensors by name, without a training dictionary around them or "module." before them.

    Raises:
        ImporterError: no BENet, one of another variant, or incomplete; names the first entry that tells.
    """
    config, labels = _config(entries)
    with torch.device("meta"):  # shapes alone
        expected = Benet(config, labels).state_dict()
    theirs = {name: _theirs(name, config.blocks) for name in expected}
    missing = [theirs[name] for name in expected if theirs[name] not in entries and not name.endswith(_COUNTER)]
    if missing:
        raise ImporterError(
            f"lacks {len(missing)} of the {len(expected)} entries of a BENet, such as {missing[0]!r}: truncated, or "
            "another variant; only those of the paper's Table 1 can be imported"
        )
    state = {}
    for name, like in expected.items():
        value = entries.get(theirs[name], torch.zeros(like.shape, dtype=like.dtype))
        if value.shape != like.shape:
            raise ImporterError(
                f"entry {theirs[name]!r} is {list(value.shape)} where the published BENet has {list(like.shape)}: "
                "another variant; only those of the paper's Table 1 can be imported"
            )
        state[name] = value
    left = sorted(set(entries) - set(theirs.values()))
    parts = {name.partition(".")[0] for name in theirs.values()}
    if surplus := [name for name in left if name.partition(".")[0] in parts]:
        raise ImporterError(
            f"has {len(surplus)} entries beyond the published BENet's, such as {surplus[0]!r}: another variant; only "
            "those of the paper's Table 1 can be imported"
        )
    return Converted(config, state, left)


def labels_of(state: Mapping[str, Tensor]) -> int:
    """E, of converted entries."""
    return len(state["emotion_head.fine_tail.3.bias"])


def _config(entries: Mapping[str, Tensor]) -> tuple[BenetConfig, int]:
    """What the names and shapes say, and E."""
    if not any(".attention_block." in name for name in entries):
        what = "an HRNet or HigherHRNet" if "stage4.0.branches.0.0.conv1.weight" in entries else "another network"
        raise ImporterError(
            f"no entry of attention: this is {what}, not a trained BENet"
            + ("; it can initialise the training of one" if "HRNet" in what else "")
        )
    width = _entry(entries, "stage2.0.branches.0.0.conv1.weight").shape[0]
    labels = _entry(entries, "bu_final_layers.1.3.bias").shape[0]
    adaptor = entries.get("bu_mixed.0.bias")
    config = BenetConfig(
        width=width,
        modules=_count(r"stage4\.(\d+)\.", entries),
        blocks=_count(r"stage4\.0\.branches\.0\.(\d+)\.", entries),
        detection=any(name.startswith("hm_") for name in entries),
        person_centric=any(name.startswith("pc_classifier.") for name in entries),
        background=any(name.startswith("classifier.") for name in entries),
        extra_labels=0 if adaptor is None else adaptor.shape[0],
    )
    return config, labels


def _entry(entries: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in entries or not entries[name].ndim:
        raise ImporterError(f"lacks the entry {name!r}: truncated, or not a BENet")
    return entries[name]


def _count(pattern: str, names: Iterable[str]) -> int:
    return 1 + max((int(match[1]) for name in names if (match := re.match(pattern, name))), default=-1)


def _theirs(name: str, blocks: int) -> str:
    """The authors' name of an entry of ours."""
    head, _, rest = (
        name.replace(".se.mlp.", ".attention_block.mlp.")
        .replace(".se.place.", ".attention_block.conv2d.")
        .partition(".")
    )
    if head == "body":
        return rest
    if head in _ADAPTORS:
        return f"{_ADAPTORS[head]}.{rest}"
    if head in _CLASSIFIERS:
        part, _, rest = rest.partition(".")
        # Their blocks are lists of one.
        rest = re.sub(r"^(\d+)\.", r"\1.0.", rest) if part == "blocks" else rest
        return f"{_CLASSIFIERS[head]}{_PARTS[part]}.{rest}"
    return _in_tower(_TOWERS[head], rest, blocks)


def _in_tower(prefix: str, name: str, blocks: int) -> str:
    """Blocks and tail are one list there, as are deconvolution and the blocks behind it; a block is a list of one."""
    part, _, rest = name.partition(".")
    if part == "coarse_blocks":
        index, _, rest = rest.partition(".")
        return f"{prefix}_final_layers.0.{index}.0.{rest}"
    if part == "fine_blocks":
        index, _, rest = rest.partition(".")
        return f"{prefix}_deconv_layers.0.{int(index) + 1}.0.{rest}"
    place = {"coarse_tail": f"final_layers.0.{blocks}", "up": "deconv_layers.0.0", "fine_tail": "final_layers.1"}
    return f"{prefix}_{place[part]}.{rest}"
