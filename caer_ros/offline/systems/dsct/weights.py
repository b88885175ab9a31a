"""The entries of DSCT's authors' checkpoints as those of ``dsct.network``; they build on Deformable DETR's names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from caer_ros.offline.importers.refused import ImporterError
from caer_ros.offline.systems.dsct.config import DsctConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from caer_ros.offline.importers.entries import Entries

BackboneName = Literal["resnet50", "resnet101"]
DatasetName = Literal["emotic", "caers"]

LABELS: dict[DatasetName, int] = {"emotic": 26, "caers": 7}
_TITLES = {"emotic": "EMOTIC", "caers": "CAER-S"}
_FILES = {"emotic": "emotic", "caer": "caers"}
"""How the authors' command line calls the data sets."""
_NO_FUSION = 0
_BLOCKS = {6: "resnet50", 23: "resnet101"}
"""By how many blocks the third stage has."""

_ATTENTION = r"(sampling_offsets|attention_weights|value_proj|output_proj)\.(weight|bias)"
_RULES = [
    (r"backbone\.0\.body\.(.+)", r"backbone.body.\1"),
    (r"input_proj\.(.+)", r"projections.\1"),
    (r"transformer\.level_embed", r"level_embeddings"),
    (r"transformer\.reference_points\.(.+)", r"reference_points.\1"),
    (r"query_embed\.weight", r"contexts"),
    (r"query_embed_dsct\.weight", r"subjects"),
    (rf"transformer\.encoder\.layers\.(\d+)\.self_attn\.{_ATTENTION}", r"encoder.\1.self_attn.\2.\3"),
    (r"transformer\.encoder\.layers\.(\d+)\.norm1\.(.+)", r"encoder.\1.self_attn_layer_norm.\2"),
    (r"transformer\.encoder\.layers\.(\d+)\.linear([12])\.(.+)", r"encoder.\1.mlp.fc\2.\3"),
    (r"transformer\.encoder\.layers\.(\d+)\.norm2\.(.+)", r"encoder.\1.final_layer_norm.\2"),
    (rf"transformer\.decoder\.layers\.(\d+)\.cross_attn\.{_ATTENTION}", r"decoder.\1.cross_attention.\2.\3"),
    (r"transformer\.decoder\.layers\.(\d+)\.norm1\.(.+)", r"decoder.\1.cross_norm.\2"),
    (r"transformer\.decoder\.layers\.(\d+)\.self_attn\.out_proj\.(.+)", r"decoder.\1.self_attention.o_proj.\2"),
    (r"transformer\.decoder\.layers\.(\d+)\.norm2\.(.+)", r"decoder.\1.self_norm.\2"),
    (r"transformer\.decoder\.layers\.(\d+)\.linear([12])\.(.+)", r"decoder.\1.feed_forward.fc\2.\3"),
    (r"transformer\.decoder\.layers\.(\d+)\.norm3\.(.+)", r"decoder.\1.last_norm.\2"),
]
"""One entry of theirs is one of ours."""
_JOINED = re.compile(r"transformer\.decoder\.layers\.(\d+)\.self_attn\.in_proj_(weight|bias)")
"""Queries, keys and values in one."""
_CLASSES = re.compile(r"class_embed_dsct\.\d+\.(weight|bias)")
_BOXES = re.compile(r"bbox_embed_dsct\.\d+\.layers\.([012])\.(weight|bias)")
"""One head for all layers, which a file holds once for each."""


class Converted(NamedTuple):
    """A checkpoint as a network of ours."""

    config: DsctConfig
    tensors: dict[str, Tensor]
    """The whole state_dict of ``Dsct(config, LABELS[dataset])``."""
    left_over: list[str]
    """Entries of the file that the network has no place for."""


def convert(entries: Entries, backbone: BackboneName, dataset: DatasetName) -> Converted:
    """A checkpoint of the authors' as a network of ours.

    How many subject queries there are is read from the file. How many context queries are fused stands in no tensor: it
    is what the file's own command line says, if it holds that, or else what the authors ran the data set with.

    Args:
        entries: the file.
        backbone: its ResNet.
        dataset: what it was trained on.

    Raises:
        ImporterError: the file is of another network, backbone, data set or variant, or lacks entries.
    """
    path = entries.path
    _check_variant(entries, backbone, dataset)
    tensors, left_over = renamed(entries.tensors, path)
    config = _config(entries, tensors, backbone, dataset)
    expected = _expected(config, LABELS[dataset])
    check_shapes(tensors, expected, path)
    if missing := [name for name in expected if name not in tensors]:
        raise ImporterError(
            f"{path} lacks {len(missing)} of the {len(expected)} entries of a DSCT, such as {missing[0]}: is it whole?"
        )
    left_over += [name for name in tensors if name not in expected]
    return Converted(config, {name: tensors[name] for name in expected}, left_over)


def renamed(theirs: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Entries by the names of ours, and the names of those that have no counterpart.

    Raises:
        ImporterError: a head differs between the layers.
    """
    ours: dict[str, Tensor] = {}
    left_over = []
    for name, value in theirs.items():
        if found := _JOINED.fullmatch(name):
            for part, block in zip("qkv", value.chunk(3), strict=True):
                ours[f"decoder.{found[1]}.self_attention.{part}_proj.{found[2]}"] = block.clone()
        elif new := _head(name):
            if new in ours and not torch.equal(ours[new], value):
                raise ImporterError(
                    f"{path}: {name} differs from the first layer's; the published checkpoints share their heads"
                )
            ours[new] = value
        elif new := _plain(name):
            ours[new] = value
        else:
            left_over.append(name)
    return ours, left_over


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Are the entries that both have of one shape?

    Raises:
        ImporterError: one is not; names it.
    """
    for name, value in tensors.items():
        if name in expected and value.shape != expected[name].shape:
            raise ImporterError(
                f"{path}: {name} is {list(value.shape)} where the network has {list(expected[name].shape)}: it is of "
                "another backbone or size"
            )


def _plain(name: str) -> str | None:
    for pattern, new in _RULES:
        if found := re.fullmatch(pattern, name):
            return found.expand(new)
    return None


def _head(name: str) -> str | None:
    if found := _CLASSES.fullmatch(name):
        return f"class_head.{found[1]}"
    if found := _BOXES.fullmatch(name):
        return f"box_head.{2 * int(found[1])}.{found[2]}"  # ReLUs between
    return None


def _check_variant(entries: Entries, backbone: BackboneName, dataset: DatasetName) -> None:
    """By names and numbers, so that a user reads what his file is rather than what it lacks."""
    path, names = entries.path, entries.tensors
    if "transformer.level_embed" not in names:
        raise ImporterError(f"{path} is no DSCT: it lacks transformer.level_embed; name a checkpoint of DSCT's authors")
    if "query_embed_dsct.weight" not in names:
        raise ImporterError(
            f"{path} is a Deformable DETR without subject queries, such as COCO's, which only initialises a training "
            "(it lacks query_embed_dsct.weight); name a checkpoint of DSCT's authors"
        )
    if any(name.startswith(("transformer.decoder.bbox_embed", "transformer.enc_output")) for name in names):
        raise ImporterError(f"{path} refines its boxes or has two stages; the published checkpoints do neither")
    blocks = len({name.split(".")[4] for name in names if name.startswith("backbone.0.body.layer3.")})
    if (found := _BLOCKS.get(blocks, f"network with {blocks} blocks in its third stage")) != backbone:
        hint = f"; give --backbone {found}" if blocks in _BLOCKS else ""
        raise ImporterError(f"{path} has the backbone of a {found}, not of a {backbone}{hint}")
    classes = names.get("class_embed_dsct.0.weight")
    if classes is not None and len(classes) != LABELS[dataset] + 1:
        other = next((key for key, number in LABELS.items() if number + 1 == len(classes)), None)
        hint = f"; give --dataset {other}" if other else ""
        raise ImporterError(
            f"{path} has {len(classes)} classes, and {_TITLES[dataset]} {LABELS[dataset]} and the subject{hint}"
        )
    named = _FILES.get(str(entries.settings.get("dataset_file")), dataset)
    if named != dataset:
        raise ImporterError(f"{path} says that it was trained on {_TITLES[named]}; give --dataset {named}")


def _config(
    entries: Entries, tensors: Mapping[str, Tensor], backbone: BackboneName, dataset: DatasetName
) -> DsctConfig:
    plain = DsctConfig()
    fused = (plain.spatial, plain.semantic) if dataset == "emotic" else (_NO_FUSION, _NO_FUSION)
    spatial, semantic = (
        _fused(entries, name, usual) for name, usual in zip(("dec_n_sp", "dec_n_sm"), fused, strict=True)
    )
    if not (spatial > 0 and semantic > 0):  # the authors' code then fuses nothing
        spatial = semantic = _NO_FUSION
    for name, usual in (("nheads", plain.heads), ("enc_n_points", plain.points), ("dec_n_points", plain.points)):
        if (value := entries.settings.get(name, usual)) != usual:
            raise ImporterError(f"{entries.path} has {name} {value}; the published checkpoints have {usual}")
    return DsctConfig(
        backbone=backbone,
        subjects=len(tensors["subjects"]),
        contexts=len(tensors["contexts"]) if "contexts" in tensors else plain.contexts,
        spatial=spatial,
        semantic=semantic,
    )


def _fused(entries: Entries, name: str, usual: int) -> int:
    """How many context queries the file's settings fuse; ``usual`` where these do not tell.

    None tells nothing: the authors' command line gives integers alone, and their network does not run with a None.
    """
    value = entries.settings.get(name)
    if value is None:
        return usual
    if not isinstance(value, int):
        raise ImporterError(
            f"{entries.path} has {name} {value!r} in its settings, where the authors' code takes an integer; name a "
            "checkpoint of DSCT's authors"
        )
    return value


def _expected(config: DsctConfig, labels: int) -> dict[str, Tensor]:
    """The network's entries, with shapes but no values."""
    from caer_ros.offline.systems.dsct.network import Dsct

    with torch.device("meta"):
        return Dsct(config, labels).state_dict()
