"""From an authors' file of weights to a checkpoint of our own with its card, and on to a bundle."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros import __version__
from caer_ros.offline.export.card import ExportSettings
from caer_ros.offline.export.export import Exported, export
from caer_ros.offline.export.graph import ExportError
from caer_ros.offline.importers.refused import ImporterError
from caer_ros.offline.training.checkpoint import PREFIX, save
from caer_ros.offline.training.checkpoint_card import CheckpointCard, plain_card
from caer_ros.taxonomy import LABEL_SETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from caer_ros.offline.importers.entries import Entries
    from caer_ros.perception.imaging.resizing import Resize
    from caer_ros.perception.person import BoxKind

SUFFIX = ".ckpt"
"""Suffix of a checkpoint, by which `caer evaluate` tells one from a bundle."""


@dataclass(frozen=True, slots=True)
class Published:
    """What is known about published weights beside their entries."""

    label_set: str
    box_kind: BoxKind
    multi_label: bool
    source: str
    """Paper and repository."""
    data: str
    """What it was trained on."""
    licence: str
    """SPDX expression, as the authors state it."""
    terms: str
    """A sentence for the user about licence and data."""
    person: float
    """Lowest score of a person."""
    uncertain: float
    """A top emotion score below it is uncertain."""
    thresholds: str
    """Where both are from."""
    scores: tuple[dict[str, Any], ...]
    """Name, value and protocol of what the authors published; () where nothing is published for this variant."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the network's outputs."""
        return LABEL_SETS[self.label_set]


@dataclass(frozen=True, slots=True)
class Imported:
    """A network of ours with the weights of an authors' file, not yet written."""

    path: Path
    """The authors' file."""
    card: CheckpointCard
    content: dict[str, Any]
    """Content of our checkpoint."""
    settings: ExportSettings
    """Settings for the bundle."""
    left_over: tuple[str, ...]
    """Entries of the file that the network has no place for."""
    remarks: tuple[str, ...]
    """What was found in the file, for a person to read."""
    terms: str
    """What the authors say of its use, for a person to read."""


def imported(
    entries: Entries,
    network: nn.Module,
    config: dict[str, Any],
    known: Published,
    rule: Resize,
    left_over: Sequence[str],
    remarks: Sequence[str],
) -> Imported:
    """A filled network as what ``write`` writes.

    Args:
        entries: of the authors' file.
        network: with their weights.
        config: one section, named as the task: what the network is built of.
        known: what the authors say of these weights.
        rule: how the robot shall bring images to the network's input.
        left_over: entries that the network has no place for.
        remarks: what was found in the file, for a person to read.
    """
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
    """Check, before minutes of work, that the results may be written. Raises ImporterError."""
    if checkpoint is not None and checkpoint.suffix != SUFFIX:
        raise ImporterError(f"--checkpoint {checkpoint}: expected a name that ends in {SUFFIX}")
    for path in filter(None, (output, checkpoint)):
        if path.exists() and not overwrite:
            raise ImporterError(f"{path} exists; give another name, or --overwrite")


def grouped(names: Sequence[str]) -> str:
    """Entries by the first part of their names: "fusion (4), fusion_mixed (2)"."""
    groups = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{group} ({count})" for group, count in groups.items())


def fill(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load all entries; that names and shapes fit was checked in converting them."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise ImporterError(f"{path}: its entries do not fit the network that they say: {said[:300]}") from error
