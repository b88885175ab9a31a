"""What a bundle says about itself: ``model.yaml`` for programs, a README for people."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from caer_ros import __version__
from caer_ros.offline import systems
from caer_ros.offline.export.graph import ExportError
from caer_ros.perception.bundle.bundle import Readability

if TYPE_CHECKING:
    from caer_ros.offline.export.graph import SingleShotGraph
    from caer_ros.offline.export.parity import Parity
    from caer_ros.offline.training.checkpoint_card import CheckpointCard
    from caer_ros.perception.imaging.resizing import Resize

WEIGHTS = {
    "float32": "float32",
    "float16": "matrices and kernels stored as float16, everything computed as float32",
    "int8": "convolutions in 8 bits but for the last of each path (weights in 7 bits), everything else in float32",
}
"""How a bundle's weights can be, and what the card says of it."""


_READABILITY = Readability(readable=0.5, face=0.5, small=64)


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What the checkpoint does not know."""

    name: str = ""
    """Name of the bundle; "" takes the output folder's."""
    version: str = "1.0.0"
    weights: str = "float16"
    """One of ``WEIGHTS``: "float16" halves the file and computes in float32 all the same."""
    max_persons: int | None = None
    """K; None takes what suits the network."""
    person: float = 0.3
    """Lowest detection score of a person."""
    uncertain: float = 0.4
    """A top emotion score below it is UNCERTAIN."""
    predictable: tuple[str, ...] | None = None
    """Labels that are published; None: all that were taught. The others still compete with them."""
    readability: Readability = _READABILITY
    """When a person can be read; of networks that say so."""
    licence: str = "LicenseRef-unknown"
    """SPDX expression."""
    commercial_use: bool | None = None
    """None: unknown."""
    note: str = ""
    """Put at the top of the card, in Markdown."""
    published: tuple[dict[str, Any], ...] = ()
    """Scores that others published for these weights, not measured here: name, value and protocol."""


def manifest(
    card: CheckpointCard, graph: SingleShotGraph, settings: ExportSettings, name: str, content: bytes
) -> dict[str, Any]:
    """The fields of ``model.yaml`` for the ONNX file ``content``."""
    return {
        "name": name,
        "version": settings.version,
        "kind": "single_shot",
        "label_set": card.label_set,
        "labels": list(card.labels),
        "predictable": list(published(card, settings)),
        "score_type": "sigmoid" if card.multi_label else "softmax",
        "box_kind": card.box_kind.name.lower(),
        "max_persons": graph.max_persons,
        "person_score": graph.person_score,
        "pooling": graph.pooling,
        "resize": _resize(graph.resize),
        "thresholds": {"person": settings.person, "uncertain": settings.uncertain},
        **({"readability": asdict(settings.readability)} if graph.judges_readability else {}),
        "provenance": {
            "data": card.data,
            "recipe": card.recipe,
            "commit": card.commit or "unknown",
            "metrics": [*_metrics(card), *settings.published],
        },
        "licence": settings.licence,
        "commercial_use": "unknown" if settings.commercial_use is None else settings.commercial_use,
        "files": {"model": {"path": "model.onnx", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
    }


def published(card: CheckpointCard, settings: ExportSettings) -> tuple[str, ...]:
    """The labels that the bundle predicts, in the order of the set.

    Raises:
        ExportError: one of ``settings.predictable`` was not taught.
    """
    if settings.predictable is None:
        return card.known
    for name in settings.predictable:
        if name not in card.known:
            raise ExportError(f"predictable: {name!r} was not taught; there are {', '.join(card.known)}")
    return tuple(label for label in card.labels if label in settings.predictable)


def _resize(rule: Resize) -> dict[str, Any]:
    if rule.mode == "short_side":
        sizes: dict[str, Any] = {"short": rule.short, "max": rule.longest, "multiple": rule.multiple}
    else:
        sizes = {"size": list(rule.size)}
    return {"mode": rule.mode, **sizes, "interpolation": rule.interpolation}


def _metrics(card: CheckpointCard) -> list[dict[str, Any]]:
    """What training measured, as the manifest wants it: finite numbers, each with its protocol."""
    protocol = f"while training, on the validation split, epoch {card.epoch}"
    measured = {name: value for name, value in card.metrics.items() if name.startswith("val/")}
    finite = {name: float(value) for name, value in measured.items() if np.isfinite(value)}
    return [{"name": name, "value": value, "protocol": protocol} for name, value in sorted(finite.items())]


def as_yaml(fields: dict[str, Any], settings: ExportSettings) -> str:
    """The text of ``model.yaml``."""
    head = f"# Written by caer export, caer_ros {__version__}. Weights: {WEIGHTS[settings.weights]}.\n"
    return head + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


_README = """# {name}: persons and their apparent emotions in one pass

{note}{kind}, version {version}: one run of one network finds every person of an image and
gives a score for each emotion, at a cost that does not grow with the persons. Written by caer_ros; `model.yaml`
holds the same facts for programs.

| | |
|---|---|
| network | {network}, {parameters:.2f} million parameters |
| input | {input} |
| boxes | {box_kind}, at most {max_persons}, from a detection score of {person:g} on |
| labels | {label_set}: {labels} |
| scores | {scores} |
| weights | {weights}, {size:.1f} MB |
| trained on | {data} |
| recipe | {recipe} |
| epoch | {epoch} |
| code | caer_ros {trained_by}, commit {commit} |

**Licence: {licence}. Commercial use: {commercial}.** {commercial_note}

## Scores

Each by its protocol; a number without the same protocol does not compare.

{metrics}

## Is it still the network that was trained?

ONNX Runtime against PyTorch, on the pictures that it was checked with: the largest differences, slot by slot, whether
there is a person in it or not. *Elsewhere* are slots whose box is at another place, as happens where two places are
equally likely. Beyond a limit nothing is written.

- the graph in float32: {exact}
- with the weights as stored: {stored}

Apparent emotion is not inner state. Not for decisions about people, and not for work or school, where the EU AI Act
(Regulation 2024/1689, article 5) forbids inferring emotions, other than for medical or safety reasons.
"""
_COMMERCIAL = {
    None: ("unknown", "It is not settled what the terms of weights and data allow. Ask before you ship it."),
    True: ("allowed", ""),
    False: ("not allowed", "The terms of the training data, or of what it was distilled from, forbid it."),
}


def readme(
    card: CheckpointCard,
    graph: SingleShotGraph,
    fields: dict[str, Any],
    settings: ExportSettings,
    exact: Parity,
    stored: Parity,
) -> str:
    """The card for people, Markdown."""
    rows = [f"| {m['name']} | {m['value']:.4g} | {m['protocol']} |" for m in fields["provenance"]["metrics"]]
    table = "\n".join(["| metric | value | protocol |", "|---|---|---|", *rows])
    told = fields["predictable"]
    untaught = ", ".join(label for label in card.labels if label not in card.known)
    kept = ", ".join(label for label in card.known if label not in told)
    commercial, commercial_note = _COMMERCIAL[settings.commercial_use]
    kind, network = systems.of(card.task).description(card)
    return _README.format(
        name=fields["name"],
        note=f"{settings.note.strip()}\n\n" if settings.note else "",
        kind=kind,
        version=settings.version,
        network=network,
        parameters=sum(parameter.numel() for parameter in graph.parameters()) / 1e6,
        input=_input(graph.resize),
        box_kind=card.box_kind.name.lower(),
        max_persons=graph.max_persons,
        person=settings.person,
        label_set=card.label_set,
        labels=", ".join(told)
        + (f"; not taught, so never predicted: {untaught}" if untaught else "")
        + (f"; taught, but not well enough to be said: {kept}" if kept else ""),
        scores="independent probabilities (sigmoid)" if card.multi_label else "they add up to 1 (softmax)",
        weights=WEIGHTS[settings.weights],
        size=fields["files"]["model"]["size"] / 1e6,
        data=card.data,
        recipe=card.recipe,
        epoch=card.epoch or "unknown",
        trained_by=card.version,
        commit=card.commit or "unknown",
        licence=settings.licence,
        commercial=commercial,
        commercial_note=commercial_note,
        metrics=table if rows else "Nothing yet: run `caer evaluate dataset`.",
        exact=exact,
        stored=stored,
    )


def _input(rule: Resize) -> str:
    if rule.mode == "short_side":
        return (
            f"shorter side {rule.short} pixels, longer at most {rule.longest}, both to multiples of {rule.multiple}, "
            "aspect kept"
        )
    height, width = rule.size
    how = {"stretch": "whatever the aspect", "letterbox": "aspect kept, black below or to the right"}[rule.mode]
    return f"{height}×{width} pixels, {how}"
