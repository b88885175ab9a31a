"""From an authors' file of weights to a checkpoint of our own with its card, and on to a bundle."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from caer_ros import __version__
from caer_ros.offline.export.card import ExportSettings
from caer_ros.offline.export.export import Exported, export
from caer_ros.offline.export.graph import ExportError
from caer_ros.offline.importers import published
from caer_ros.offline.importers.entries import Entries, ImporterError, read
from caer_ros.offline.systems.benet import weights as benet_entries
from caer_ros.offline.systems.benet.config import BenetConfig
from caer_ros.offline.systems.benet.network import Benet
from caer_ros.offline.systems.dsct import weights as dsct_entries
from caer_ros.offline.systems.system import LONGEST
from caer_ros.offline.training.checkpoint import PREFIX, CheckpointCard, plain_card, save
from caer_ros.perception.imaging.resizing import Resize, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from caer_ros.offline.importers.published import Published
    from caer_ros.offline.systems.dsct.config import DsctConfig
    from caer_ros.offline.systems.dsct.weights import BackboneName, DatasetName

SUFFIX = ".ckpt"
"""Of a checkpoint, by which `caer evaluate` tells one from a bundle."""
_BENET_SHORT, _BENET_MULTIPLE = 512, 64
_DSCT_SHORT, _DSCT_LONGEST = 800, 1333
"""The coarsest of DSCT's levels is 1/64 of the input."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A network of ours with the weights of an authors' file, not yet written."""

    path: Path
    """The authors' file."""
    card: CheckpointCard
    content: dict[str, Any]
    """Of our checkpoint."""
    settings: ExportSettings
    """For the bundle."""
    left_over: tuple[str, ...]
    """Entries of the file that the network has no place for."""
    remarks: tuple[str, ...]
    """What was found in the file, for a person to read."""
    terms: str
    """What the authors say of its use, for a person to read."""


def benet(path: Path, short: int = _BENET_SHORT) -> Imported:
    """The BENet of an authors' file.

    A head that is in the file but was never trained, as in the paper's smaller variants, is left out.

    Args:
        path: ``model_best.pth.tar``, ``final_state0.pth.tar`` or ``checkpoint.pth.tar``.
        short: the input's shorter side in pixels, a multiple of 64; the authors' is 512.

    Raises:
        ImporterError: the file cannot be read, is no BENet's, or its BENet cannot find persons.
    """
    if short % _BENET_MULTIPLE or not short:
        raise ImporterError(f"--short {short}: BENet's input is a multiple of {_BENET_MULTIPLE} pixels, such as 512")
    entries = read(path)
    try:
        config, state, left_over = benet_entries.convert(entries.tensors)
    except ImporterError as error:
        raise ImporterError(f"{path}: {error}") from error
    known = published.benet(config)
    _check_published(config, state, len(known.labels), path)
    whole = Benet(config, len(known.labels))
    _fill(whole, state, path)
    config, dropped = _trained(whole, config, path)
    network = Benet(config, len(known.labels))
    _fill(network, {name: state[name] for name in network.state_dict()}, path)
    rule = Resize("short_side", short=short, longest=LONGEST * short, multiple=_BENET_MULTIPLE)
    return _imported(entries, network, {"benet": asdict(config)}, published.benet(config), rule, left_over, dropped)


def dsct(path: Path, backbone: BackboneName, dataset: DatasetName, short: int = _DSCT_SHORT) -> Imported:
    """The DSCT of an authors' file.

    Args:
        path: ``checkpoint.pth`` or ``checkpointNNNN.pth``.
        backbone: "resnet50" or "resnet101".
        dataset: "emotic" or "caers", on which it was trained.
        short: the input's shorter side in pixels, the longer at most 5/3 of it; the authors' is 800.

    Raises:
        ImporterError: the file cannot be read, or is no DSCT's of that backbone and data set.
    """
    from caer_ros.offline.systems.dsct.graph import DsctGraph
    from caer_ros.offline.systems.dsct.network import Dsct  # it imports transformers, which takes seconds

    longest = max(short, round(short * _DSCT_LONGEST / _DSCT_SHORT))
    rule = Resize("short_side", short=short, longest=longest, multiple=DsctGraph.multiple)
    if min(plan(rule, 9, 16).canvas) < DsctGraph.smallest:  # before minutes of work
        raise ImporterError(f"--short {short}: too few pixels for DSCT's coarsest level; take 128 or more")
    entries = read(path)
    config, state, left_over = dsct_entries.convert(entries, backbone, dataset)
    known = published.dsct(config, dataset)
    network = Dsct(config, len(known.labels))
    _fill(network, state, path)
    return _imported(entries, network, {"dsct": asdict(config)}, known, rule, left_over, _fusion(config, dataset))


def write(
    imported: Imported,
    output: Path,
    checkpoint: Path | None = None,
    *,
    weights: str = "float32",
    overwrite: bool = False,
) -> Exported:
    """Writes the bundle, and the checkpoint where a path is given, both or neither.

    Raises:
        ExportError: ONNX Runtime does not answer as PyTorch does, or the folder exists.
    """
    with tempfile.TemporaryDirectory(prefix="caer-import-") as folder:
        whole = Path(folder) / f"{imported.path.name}{SUFFIX}"
        save(imported.content, whole)
        try:
            exported = export(whole, output, replace(imported.settings, weights=weights), overwrite=overwrite)
        except ExportError as error:
            raise ExportError(str(error).replace(str(whole), str(imported.path))) from error
    if checkpoint is not None:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        save(imported.content, checkpoint)
    return exported


def check_free(output: Path, checkpoint: Path | None, overwrite: bool) -> None:
    """Before minutes of work: may the results be written? Raises ImporterError."""
    if checkpoint is not None and checkpoint.suffix != SUFFIX:
        raise ImporterError(f"--checkpoint {checkpoint}: expected a name that ends in {SUFFIX}")
    for path in filter(None, (output, checkpoint)):
        if path.exists() and not overwrite:
            raise ImporterError(f"{path} exists; give another name, or --overwrite")


def grouped(names: Sequence[str]) -> str:
    """Entries by the first part of their names: "fusion (4), fusion_mixed (2)"."""
    groups = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{group} ({count})" for group, count in groups.items())


def _fill(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load all entries; that names and shapes fit was checked in converting them."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise ImporterError(f"{path}: its entries do not fit the network that they say: {said[:300]}") from error


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
    if (found := benet_entries.labels_of(state)) != labels:
        raise ImporterError(f"{path}: has {found} outputs where EMOTIC has {labels} emotions; take another file")


def _fusion(config: DsctConfig, dataset: str) -> tuple[str, ...]:
    """How many context queries are fused stands in the file's own settings, and may be another than published."""
    usual = (100, 50) if dataset == "emotic" else (0, 0)
    found = config.spatial, config.semantic
    if found == usual:
        return ()
    said = "its settings fuse {} near and {} related context queries, where the published runs fuse {} and {}"
    return (said.format(*found, *usual),)


def _imported(
    entries: Entries,
    network: nn.Module,
    config: dict[str, Any],
    known: Published,
    rule: Resize,
    left_over: Sequence[str],
    remarks: Sequence[str],
) -> Imported:
    (task,) = config
    epoch = 0 if entries.epoch is None else entries.epoch + 1
    source = f"{known.source}; {entries.path.name}, sha256 {entries.sha256}"
    card = CheckpointCard(
        task=task,
        config=config,
        labels=known.labels,
        known=known.labels,
        label_set=known.label_set,
        multi_label=known.multi_label,
        box_kind=known.box_kind,
        resize=rule,
        version=__version__,
        commit="",
        data=known.data,
        recipe=f"trained by its authors, imported from {source}",
        epoch=epoch,
        metrics={},
    )
    note = f"Weights: {source}. {known.terms}. {known.thresholds}."
    settings = ExportSettings(
        person=known.person, uncertain=known.uncertain, licence=known.licence, note=note, published=known.scores
    )
    state = {PREFIX + name: value for name, value in network.state_dict().items()}
    content = {"caer": plain_card(card), "state_dict": state}
    remarks = (*entries.remarks, *remarks)
    return Imported(entries.path, card, content, settings, tuple(left_over), remarks, known.terms)
