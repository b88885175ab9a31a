"""BENets of its authors: their files read into our network, and what they say about them.

What they say about source, terms, scores and protocols does not stand in the files, and was not measured by us.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from caer_ros.offline.importers.entries import read
from caer_ros.offline.importers.imported import Imported, Published, fill, imported
from caer_ros.offline.importers.refused import ImporterError
from caer_ros.offline.systems.benet import weights
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.benet.network import Benet
from caer_ros.offline.systems.benet.system import MULTIPLE, input_rule
from caer_ros.perception.person import BoxKind

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

SHORT = 512
"""Pixels of the input's shorter side, in the authors' runs."""
_READ = (
    "published by the authors for this variant, not measured here, and not of this file if it is one that you trained: "
    "EMOTIC test with PAMI's body boxes, short side 512, flip; whether of the epoch of lowest validation loss or of "
    "the last is not said"
)
_EVALUATOR = (
    "; by the authors' evaluator, which reads x1y1x2y2 boxes as x, y, width and height and so finds overlap where "
    "there is less: no number of another evaluator compares"
)
_SCORES = {
    (False, False, False): (27.22, 49.66, 23.67),
    (True, False, False): (27.49, 49.16, 24.15),
    (True, True, False): (27.73, 51.49, 24.10),
    (True, True, True): (28.75, 51.71, 24.73),
}
"""ER, PD and OER in % by person-centric head, background head and extra data: Tables 1 to 3 of the paper."""


def published(config: BenetConfig) -> Published:
    """What is published of the variant with the heads that were trained."""
    trained = config.person_centric, config.background, config.extra_labels > 0
    values = _SCORES.get(trained, ())
    names = ("ER mAP in %", "PD AP in %", "OER mAP in %")
    protocols = (
        f"{_READ}; emotions read at the centres of the ground-truth boxes",
        f"{_READ}; 15 persons at most{_EVALUATOR}",
        f"{_READ}; mean over IoU 0.50 to 0.95{_EVALUATOR}",
    )
    extra = " and HECO, through an adaptor that the robot does not need" if config.extra_labels else ""
    return Published(
        label_set="emotic",
        box_kind=BoxKind.BODY,
        multi_label=True,
        source="Cladière et al., BENet, ACIVS 2023, https://github.com/TristanCladiere/BENet",
        data=f"EMOTIC train (PAMI, body boxes){extra}; backbone initialised on COCO's poses",
        licence="LicenseRef-unknown",
        terms=(
            "BENet's authors give no licence for their weights, and EMOTIC and HECO are given out for research: ask "
            "them before you use the weights"
        ),
        person=0.1,
        uncertain=0.4,
        thresholds=(
            "A person from 0.1 on is the authors' threshold; an emotion is certain from 0.4 on as in their README's "
            "example, not by a measurement"
        ),
        scores=tuple(
            {"name": name, "value": value, "protocol": protocol}
            for name, value, protocol in zip(names, values, protocols, strict=bool(values))
        ),
    )


def load(path: Path, short: int = SHORT) -> Imported:
    """The BENet of an authors' file.

    A head that is in the file but was never trained, as in the paper's smaller variants, is left out.

    Args:
        path: ``model_best.pth.tar``, ``final_state0.pth.tar`` or ``checkpoint.pth.tar``.
        short: the input's shorter side in pixels, a multiple of 64; the authors' is 512.

    Raises:
        ImporterError: the file cannot be read, is no BENet's, or its BENet cannot find persons.
    """
    if short % MULTIPLE or not short:
        raise ImporterError(f"--short {short}: BENet's input is a multiple of {MULTIPLE} pixels, such as 512")
    entries = read(path)
    try:
        config, state, left_over = weights.convert(entries.tensors)
    except ImporterError as error:
        raise ImporterError(f"{path}: {error}") from error
    known = published(config)
    _check_published(config, state, len(known.labels), path)
    whole = Benet(config, len(known.labels))
    fill(whole, state, path)
    config, dropped = _trained(whole, config, path)
    network = Benet(config, len(known.labels))
    fill(network, {name: state[name] for name in network.state_dict()}, path)
    known, section = published(config), {"benet": asdict(config)}
    return imported(entries, network, section, known, input_rule(short), left_over, dropped)


def _trained(network: Any, config: BenetConfig, path: Path) -> tuple[BenetConfig, tuple[str, ...]]:
    """The configuration without heads that were never trained: every BENet's file has all of them."""
    if not config.detection or _is_new(network.heatmap_head) or _is_new(network.sizes_head):
        raise ImporterError(
            f"{path}: its detection head was never trained (the paper's variant BU), so it finds no persons; take a "
            "variant with Det"
        )
    dropped = []
    for field, title in (("person_centric", "person-centric"), ("background", "background")):
        head = {"person_centric": network.person_head, "background": network.background_head}[field]
        if getattr(config, field) and _is_new(head):
            config = replace(config, **{field: False})
            dropped.append(f"its {title} head was never trained, so it is left out")
    return config, tuple(dropped)


def _is_new(head: nn.Module | None) -> bool:
    """Are all its batch normalisations as initialised? One step of training changes them."""
    norms = [] if head is None else [module for module in head.modules() if isinstance(module, nn.BatchNorm2d)]
    return all(bool((norm.weight == 1).all()) and bool((norm.bias == 0).all()) for norm in norms)


def _check_published(config: BenetConfig, state: dict[str, Tensor], labels: int, path: Path) -> None:
    """Is it of the paper's size, and of EMOTIC's emotions?"""
    usual = BenetConfig()
    for field, title in (("width", "channels"), ("modules", "modules"), ("blocks", "blocks")):
        if getattr(config, field) != getattr(usual, field):
            raise ImporterError(
                f"{path}: a BENet of {getattr(config, field)} {title} where the published ones have "
                f"{getattr(usual, field)}; only those of the paper's Table 1 can be imported"
            )
    if (found := weights.labels_of(state)) != labels:
        raise ImporterError(f"{path}: has {found} outputs where EMOTIC has {labels} emotions; take another file")
