"""A comparison of models as JSON, as tables, and as one page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from caer_ros.cli.bench.figures import Table
from caer_ros.cli.models.agreement import INSIDE, IOU
from caer_ros.pages.page import render
from caer_ros.pages.parts import Picture
from caer_ros.pages.words import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from caer_ros.cli.models.compare_run import Comparison, Contender

    Json = dict[str, Any]

FORMAT = "caer models compare"
FORMAT_VERSION = 1
"""Raised when a field changes its meaning or goes away; new fields may appear at any time."""
CAVEAT = (
    "This is agreement, not accuracy: where two models disagree either may be right, and where they agree both may be "
    "wrong. Only annotated images tell: caer evaluate."
)
_LISTED = 10
"""Frames in the table."""


def as_json(comparison: Comparison) -> Json:
    """The models, the agreement of each with the first, and every frame, where they disagree most first.

    Times end in ``_s`` or ``ms``; shares are 0..1; what cannot be said is None.
    """
    first, *others = comparison.contenders
    return {
        "models": [_model(contender, first) for contender in comparison.contenders],
        "agreement": [
            {
                "first": first.name,
                "second": other.name,
                "matched_by": matched_by(first, other),
                "shared_labels": [list(names) for names in shared.names],
                **{name: _rounded(getattr(agreement, name)) for name in agreement.__slots__},
            }
            for other, shared, agreement in zip(others, comparison.shared, comparison.agreements, strict=True)
        ],
        "frames": [
            {
                "name": look.name,
                "disagreements": look.disagreements,
                "persons": [len(persons) for persons in look.persons],
                "with_first": [
                    {
                        "pairs": len(agreement.matched),
                        "only_first": len(agreement.only_first),
                        "only_second": len(agreement.only_second),
                        "another_top": int((~agreement.same_top).sum()),
                        "difference": _rounded(agreement.difference),
                    }
                    for agreement in look.agreements
                ],
            }
            for look in comparison.ranked
        ],
    }


def _model(contender: Contender, first: Contender) -> Json:
    bundle = contender.bundle
    return {
        "name": contender.name,
        "version": bundle.version,
        "model_version": bundle.model_version,
        "path": str(bundle.path),
        "kind": bundle.kind,
        "provider": contender.provider,
        "label_set": bundle.label_set,
        "box_kind": bundle.box_kind.name.lower(),
        "size": sum(file.size for file in bundle.files.values()),
        "inputs": [list(size) for size, _ in contender.inputs.most_common()],
        "load_s": _rounded(contender.load_seconds),
        "ms": {"inference": _times(contender.inference), "whole": _times(contender.whole)},
        "to_first": _rounded(float(np.median(contender.whole) / np.median(first.whole))),
        "persons": {
            "total": sum(contender.persons),
            "mean": _rounded(float(np.mean(contender.persons))),
            "most": max(contender.persons),
            "read": contender.read,
            "uncertain": contender.uncertain,
        },
        "frames_without_persons": contender.persons.count(0),
        "frames_saturated": contender.saturated,
    }


def matched_by(first: Contender, second: Contender) -> str:
    """How their persons are matched, in words; exactly: ``agreement.pairs``."""
    kinds = sorted({first.bundle.box_kind, second.bundle.box_kind})
    if len(kinds) == 1:
        return f"IoU of at least {IOU:g}"
    large, small = (kind.name.lower() for kind in kinds)
    half = f", its centre in the {large}'s upper half" if large == "body" else ""
    return f"at least {INSIDE:.0%} of the {small} inside the {large}{half}"


def _times(seconds: Sequence[float]) -> Json:
    median, p90 = np.percentile(np.array(seconds) * 1e3, (50, 90))
    return {"median": _rounded(float(median)), "p90": _rounded(float(p90))}


def _rounded(value: float) -> float | int | None:
    return value if isinstance(value, int) else None if math.isnan(value) else round(value, 4)


# --- For people ----------------------------------------------------------------------------------------------------


def tables(report: Json) -> list[Table]:
    """Speed and size, agreement, and the frames on which the models disagree most."""
    made = [_model_table(report), _agreement_table(report)]
    return [*made, _frame_table(report)] if any(frame["disagreements"] for frame in report["frames"]) else made


def _model_table(report: Json) -> Table:
    models = report["models"]
    frames = report["source"]["looked_at"]
    ms = [(m["ms"]["whole"], m["ms"]["inference"]) for m in models]
    rows = [
        ("version", *(f"{m['version']} ({m['model_version'][:8]})" for m in models)),
        ("labels", *(m["label_set"] for m in models)),
        ("boxes of", *(m["box_kind"] for m in models)),
        ("files (MB)", *(f"{m['size'] / 1e6:.1f}" for m in models)),
        ("input (width × height)", *(_inputs(m) for m in models)),
        ("runs on", *(m["provider"].removesuffix("ExecutionProvider") for m in models)),
        ("loading, with one run (s)", *(f"{m['load_s']:.2f}" for m in models)),
        ("an image, whole: median (ms)", *(f"{whole['median']:.1f}" for whole, _ in ms)),
        ("an image, whole: 90 % (ms)", *(f"{whole['p90']:.1f}" for whole, _ in ms)),
        ("in the networks: median (ms)", *(f"{inside['median']:.1f}" for _, inside in ms)),
        ("in the networks: 90 % (ms)", *(f"{inside['p90']:.1f}" for _, inside in ms)),
        (f"time, to {models[0]['name']}", *(f"{m['to_first']:.2f} ×" for m in models)),
        ("persons found", *(str(m["persons"]["total"]) for m in models)),
        ("persons an image: mean, most", *(f"{m['persons']['mean']:.2f}, {m['persons']['most']}" for m in models)),
        ("persons with scores", *(str(m["persons"]["read"]) for m in models)),
        ("of those uncertain", *(str(m["persons"]["uncertain"]) for m in models)),
        ("images without anybody", *(f"{m['frames_without_persons']} of {frames}" for m in models)),
        ("images with a full list (saturated)", *(f"{m['frames_saturated']} of {frames}" for m in models)),
    ]
    return Table("Speed, size and persons", ("", *(m["name"] for m in models)), rows)


def _inputs(model: Json) -> str:
    (height, width), *others = model["inputs"]
    several = f" and {len(others)} other sizes" if others else ""
    then = ", then faces" if model["kind"] == "composed" else ""
    return f"{width} × {height}{several}{then}"


def _agreement_table(report: Json) -> Table:
    found = report["agreement"]
    rows = [
        ("the same person by", *(a["matched_by"] for a in found)),
        ("persons whom both found", *(str(a["pairs"]) for a in found)),
        (f"only {found[0]['first']} found", *(str(a["only_first"]) for a in found)),
        ("only the other found", *(str(a["only_second"]) for a in found)),
        ("share whom only one found", *(_percent(a["only_one_share"]) for a in found)),
        ("labels that both can predict", *(shared_labels(a) for a in found)),
        ("found and read by both", *(str(a["read"]) for a in found)),
        ("of those, the same of these labels on top", *(_percent(a["same_top_share"]) for a in found)),
        ("correlation of their scores, mean of the labels", *(_number(a["correlation"]) for a in found)),
        ("mean absolute difference of their scores", *(_number(a["difference"]) for a in found)),
    ]
    return Table(f"Agreement with {found[0]['first']}", ("", *(a["second"] for a in found)), rows)


def shared_labels(agreement: Json) -> str:
    """The labels that two models share; a label that has two names with both."""
    names = [a if a == b else f"{a} = {b}" for a, b in agreement["shared_labels"]]
    return ", ".join(names) or "none"


def _frame_table(report: Json) -> Table:
    rows = [
        (
            frame["name"],
            str(frame["disagreements"]),
            *map(str, frame["persons"]),
            str(sum(pair["only_first"] + pair["only_second"] for pair in frame["with_first"])),
            str(sum(pair["another_top"] for pair in frame["with_first"])),
        )
        for frame in report["frames"][:_LISTED]
        if frame["disagreements"]
    ]
    header = ("image", "disagreements", *(m["name"] for m in report["models"]), "only one found", "another top label")
    return Table("Images on which they disagree most (persons by model)", header, rows)


def notes(report: Json) -> list[str]:
    """What the tables must be read with."""
    source, models = report["source"], report["models"]
    said = [
        CAVEAT,
        f"{source['looked_at']} of {source['available']} images of {source['path']}"
        + (f", {source['topic']}" if source["topic"] else "")
        + "; each image by itself, without tracks and smoothing, with the thresholds and the calibration of each "
        "bundle. The models took turns, image by image.",
    ]
    providers = {model["provider"] for model in models}
    if len(providers) > 1:
        said.append(f"They ran on different devices ({', '.join(sorted(providers))}): their times do not compare.")
    if len({model["box_kind"] for model in models}) > 1:
        said.append("They box different things, so IoU says nothing: whose head or face lies where tells who is who.")
    full = [model["name"] for model in models if model["frames_saturated"]]
    if full:
        said.append(f"The list of {' and '.join(full)} was full on some images: there may be more persons.")
    return said + [f"Left out: {problem}" for problem in source["problems"]]


def page(report: Json, facts: Mapping[str, Mapping[str, str]], pictures: Sequence[tuple[str, str, bytes]]) -> str:
    """The whole document; ``pictures`` are (relative path, caption, JPEG), in the order in which they are shown."""
    caveat, *others = notes(report)
    return render(
        "compare.html.j2",
        title=f"{' and '.join(model['name'] for model in report['models'])} on the same images",
        caveat=caveat,
        notes=others,
        tables=tables(report),
        pictures=[Picture(jpeg, caption, path) for path, caption, jpeg in pictures],
        facts=facts,
    )


def _percent(share: float | None) -> str:
    return percent(math.nan if share is None else share)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
