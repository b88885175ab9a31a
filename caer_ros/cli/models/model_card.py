"""What the card of a model bundle says, as plain data and as text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caer_ros.perception.bundle.bundle import Bundle

CAMERAS = ((480, 640), (720, 1280), (1080, 1920))
"""Height and width of images of which the card says to what size they are brought."""


def summary(bundle: Bundle) -> dict[str, Any]:
    """What the list shows of a bundle; ``size`` is the sum of its files in bytes."""
    return {
        "name": bundle.name,
        "kind": bundle.kind,
        "version": bundle.version,
        "model_version": bundle.model_version,
        "label_set": bundle.label_set,
        "labels": len(bundle.labels),
        "box_kind": bundle.box_kind.name.lower(),
        "licence": bundle.licence,
        "commercial_use": bundle.commercial_use,
        "size": sum(file.size for file in bundle.files.values()),
        "path": str(bundle.path),
    }


def details(bundle: Bundle) -> dict[str, Any]:
    """The whole model card."""
    from dataclasses import asdict

    return summary(bundle) | {
        "labels": dict(zip(bundle.labels, bundle.predictable, strict=True)),
        "score_type": bundle.score_type.name.lower(),
        "max_persons": bundle.max_persons,
        "person_score": bundle.person_score,
        "pooling": bundle.pooling,
        "resize": asdict(bundle.resize) if bundle.resize else None,
        "inputs": inputs(bundle),
        "thresholds": asdict(bundle.thresholds),
        "calibrated": bundle.calibration is not None,
        "faces": asdict(bundle.faces) if bundle.faces else None,
        "expression": asdict(bundle.expression) if bundle.expression else None,
        "provenance": asdict(bundle.provenance),
        "files": {
            name: {"path": file.path.name, "size": file.size, "sha256": file.sha256}
            for name, file in bundle.files.items()
        },
    }


def inputs(bundle: Bundle) -> dict[str, list[int]]:
    """Width and height of the network's input by those of a camera's image; of a composed bundle nothing is known."""
    from caer_ros.perception.imaging.resizing import plan

    if bundle.resize is None:
        return {}
    sizes = {camera: plan(bundle.resize, *camera).canvas for camera in CAMERAS}
    return {f"{width}x{height}": [w, h] for (height, width), (h, w) in sizes.items()}


def lines(card: dict[str, Any]) -> list[str]:
    """``details`` as text."""
    labels = card["labels"]
    cannot = [label for label, possible in labels.items() if not possible]
    provenance = card["provenance"]
    text = [
        f"{card['name']} {card['version']} ({card['model_version']}), {card['kind']}",
        f"  folder          {card['path']}",
        f"  labels          {', '.join(labels)} ({card['label_set']}, {card['score_type']})",
        f"  cannot predict  {', '.join(cannot) or 'none of them: all are predictable'}",
        f"  boxes           {card['box_kind']}, at most {card['max_persons']} persons",
        f"  input           {_input(card)}",
        f"  licence         {card['licence']}; commercial use: {commercial(card['commercial_use'])}",
    ]
    for name in ("data", "recipe", "commit"):
        wrapped = textwrap.wrap(provenance[name], 100) or ["—"]
        text += [f"  {name if not i else '':<15} {line}" for i, line in enumerate(wrapped)]
    text += [f"  score           {m['name']} {m['value']:g} ({m['protocol']})" for m in provenance["metrics"]]
    text += [
        f"  file            {file['path']}, {file['size'] / 1e6:.1f} MB, sha256 {file['sha256']}"
        for file in card["files"].values()
    ]
    return text


def _input(card: dict[str, Any]) -> str:
    """The sizes of the input in words."""
    sizes = {camera: f"{width}x{height}" for camera, (width, height) in card["inputs"].items()}
    if not sizes:
        return "each network has its own" + _face_input(card["expression"])
    mode = card["resize"]["mode"]
    if len(set(sizes.values())) == 1:
        return f"{next(iter(sizes.values()))} pixels ({mode})"
    return f"{', '.join(f'{size} from {camera}' for camera, size in sizes.items())} pixels ({mode})"


def _face_input(expression: dict[str, Any] | None) -> str:
    """What the one expression network gets of a face, in words; "" where there is the carried pair."""
    if expression is None:
        return ""
    size, channels, crop = expression["size"], expression["channels"], expression["crop"]
    return f"; that for expressions {size}x{size} pixels, {channels}, of {crop:g} times the face's box"


def commercial(allowed: bool | None) -> str:
    """Whether commercial use is allowed, in words; None is unknown."""
    return {True: "allowed", False: "not allowed", None: "unknown"}[allowed]
