"""Tables 5 to 9 of DSCT's paper: how many subject queries, fusion and its parts, and the backbone.

Source: Li et al., "Two in One Go: Single-stage Emotion Recognition with Decoupled Subject-context Transformer", ACM MM
2024. What two tables have in common is trained once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from caer_ros.offline.reproduction.grids import CHANCE, Column, Grid
from caer_ros.offline.reproduction.laboratory import ReproductionError, published_numbers
from caer_ros.perception.person import BoxKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from caer_ros.offline.reproduction.laboratory import Laboratory, Scores
    from caer_ros.offline.reproduction.scales import DsctScale
    from caer_ros.offline.systems.dsct.config import DsctConfig, DsctRecipe, DsctTraining
    from caer_ros.recordings.annotations.sample import Dataset

    Change = Callable[[DsctConfig], DsctConfig]

SUBJECTS = {"emotic": 4, "caer_s": 9}
"""N of the published networks (Table 5)."""
LOCATIONS = {"first_to_sixth": 1, "second_to_sixth": 2, "fourth_to_sixth": 4, "sixth": 6}
"""The first of the layers that fuse (Table 8)."""
BACKBONES = {"r18": "resnet18", "r50": "resnet50", "r101": "resnet101"}
"""Backbones of Table 9 that there are here."""
WEIGHTINGS = ("semantic", "equal", "spatial", "attentive")
HEADS = {"emotic": BoxKind.HEAD, "caer_s": BoxKind.FACE}
"""What the published numbers' boxes surround."""
HOW_TO_GET = {
    "emotic": "give a folder with the CVPR'17 release (emotic_train_bi.json, ...) and without Annotations.mat",
    "caer_s": "give a folder with lists of faces (train.txt and test.txt)",
}

READING = (
    "Emotions are read from the query with the highest IoU to an annotated box, however low: nobody is ever missed. "
    "Not to be compared with numbers of BENet or KA."
)
BOXES = {
    "emotic": "Published: head boxes, labels of the CVPR'17 release",
    "caer_s": "Published: boxes of faces",
}
CHOICE = {
    "emotic": "the epoch of the lowest validation loss; published: the best on test of epochs 35 to 49.",
    "caer_s": "the last epoch, since CAER-S has no validation split; published: the best on test of epochs 35 to 49.",
}
START = (
    "Ours begin with random queries and encoders; the paper begins with Deformable DETR's COCO weights, which its "
    "authors publish: --weights FILE."
)
DRAWN = "Ours: drawn people, boxes of their bodies, the epoch of the lowest validation loss."


@dataclass(frozen=True, slots=True)
class Definition:
    """What one table is made of."""

    title: str
    data: tuple[str, ...]
    rows: dict[str, tuple[str, Change]]
    """Rows by name: in words, and how the network differs from the data set's own."""
    reference: dict[str, str]
    """The row that all others are compared with, by data set."""
    notes: tuple[str, ...] = ()


def _with(**changes: Any) -> Change:
    return lambda network: replace(network, **changes)


def _decoupled(network: DsctConfig) -> DsctConfig:
    """All context queries are fused, none selected."""
    return replace(network, spatial=network.contexts, semantic=0)


_BOTH = ("emotic", "caer_s")
DEFINITIONS = {
    5: Definition(
        "number of subject queries",
        _BOTH,
        {str(number): (str(number), _with(subjects=number)) for number in range(1, 11)},
        {data: str(number) for data, number in SUBJECTS.items()},
    ),
    6: Definition(
        "components",
        ("emotic",),
        {
            "baseline": ("baseline: subject queries alone", _with(contexts=0, spatial=0, semantic=0)),
            "decouple_fuse": ("decouple-fuse: all contexts", _decoupled),
            "spatial": ("spatial relation", _with(semantic=0)),
            "semantic": ("semantic relation", _with(spatial=0)),
            "both": ("both", _with()),
        },
        {"emotic": "baseline"},
        ("The public code fuses by both relations or not at all: the rows between are our reading of the paper.",),
    ),
    7: Definition(
        "re-weighting of context queries",
        ("emotic",),
        {name: (name, _with(weighting=name)) for name in WEIGHTINGS},
        {"emotic": "semantic"},
        ("The paper has a formula for semantic weights alone: spatial and attentive ones are our reading.",),
    ),
    8: Definition(
        "where queries are fused, of six decoder layers",
        ("emotic",),
        {name: (name.replace("_", " "), _with(layers=6, first_fusion=first)) for name, first in LOCATIONS.items()},
        {"emotic": "first_to_sixth"},
        ("The paper has 37.01 here for what is 37.26 in its other tables.",),
    ),
    9: Definition(
        "backbone",
        _BOTH,
        {name: (name.upper(), _with(backbone=backbone)) for name, backbone in BACKBONES.items()},
        dict.fromkeys(_BOTH, "r50"),
        ("R18 begins without COCO weights, which are of a larger network; R101 takes of R50's what fits.",),
    ),
}
TABLES = {number: definition.data for number, definition in DEFINITIONS.items()}
"""The tables that can be made, and of which data sets."""


def grid(number: int, data: str, synthetic: bool) -> Grid:
    """One table on one data set; ``number`` is a key of ``TABLES``."""
    definition = DEFINITIONS[number]
    measure, title = ("er", "mAP") if data == "emotic" else ("accuracy", "accuracy")
    paper = {row: {measure: value} for row, value in published(number, data).items()}
    protocol = DRAWN if synthetic else f"{BOXES[data]}. Ours: {CHOICE[data]}"
    return Grid(
        number,
        f"DSCT, {definition.title}",
        data,
        {row: words for row, (words, _) in definition.rows.items()},
        definition.reference[data],
        (Column(measure, title),),
        paper,
        (READING, protocol, *definition.notes),
    )


def published(number: int, data: str) -> dict[str, float]:
    """The paper's numbers in percent, by row."""
    numbers = published_numbers("dsct")
    column: Mapping[str | int, float] = {
        5: numbers["subject_queries"]["emotic" if data == "emotic" else "caers"],
        6: numbers["ablation_emotic"],
        7: numbers["reweighting"],
        8: numbers["fusion_layers"],
        9: numbers["emotic_map" if data == "emotic" else "caers_acc"],
    }[number]
    plain = {str(name): float(value) for name, value in column.items()}
    return {row: plain[row] for row in DEFINITIONS[number].rows}


def scores(laboratory: Laboratory[DsctScale], number: int, row: str, data: str, seed: int) -> Scores:
    """Train one row of a table and measure it on the test split."""
    base, config = own(laboratory, data), training(laboratory, number, row, data)
    folder = laboratory.output / data / _name(config.dsct, base.dsct) / f"seed{seed}"

    def work() -> Scores:
        test = laboratory.load(data, "test")
        if not laboratory.synthetic:
            _check_boxes(test, data)
        from caer_ros.offline.training.run import train

        root, epochs = laboratory.root(data), laboratory.scale.epochs
        trained = train(laboratory.here(replace(config, output=str(folder)), data, root, seed, epochs))
        has_val = laboratory.synthetic or data != "caer_s"
        return measure(trained.best if has_val else trained.last, test, laboratory.device)

    return laboratory.scores(folder, work)


def training(laboratory: Laboratory[DsctScale], number: int, row: str, data: str) -> DsctTraining:
    """The training of a row: the data set's own, with the row's network."""
    base = own(laboratory, data)
    _, change = DEFINITIONS[number].rows[row]
    network, recipe = change(base.dsct), base.dsct_recipe
    if network.backbone == "resnet18" != base.dsct.backbone:
        recipe = replace(recipe, weights=None)  # no shape of a larger network's fits
    return replace(base, dsct=network, dsct_recipe=recipe)


def own(laboratory: Laboratory[DsctScale], data: str) -> DsctTraining:
    """The data set's training: that of config/train, of this scale's size and length."""
    from caer_ros.offline.systems.dsct.config import BackboneConfig, DsctTraining
    from caer_ros.offline.training.configuration import read

    scale = laboratory.scale
    base = read(f"dsct_{data}")
    assert isinstance(base, DsctTraining)
    network, recipe = base.dsct, base.dsct_recipe
    # What sets the data sets apart: the number of subjects, and no fusion on CAER-S.
    fused = network.spatial or network.semantic
    network = replace(
        scale.network,
        subjects=network.subjects,
        spatial=scale.network.spatial if fused else 0,
        semantic=scale.network.semantic if fused else 0,
    )
    optimiser = base.optimiser
    if scale.learning_rate is not None:
        optimiser = replace(optimiser, learning_rate=scale.learning_rate, schedule=scale.schedule)
    return replace(
        base,
        data=replace(base.data, val="val" if laboratory.synthetic else base.data.val),
        model=BackboneConfig(scale.weights),
        dsct=network,
        dsct_recipe=replace(sized(recipe, scale.size), weights=str(laboratory.start) if laboratory.start else None),
        optimiser=optimiser,
    )


def sized(recipe: DsctRecipe, short: int) -> DsctRecipe:
    """The recipe for images whose shorter side is ``short`` in the test: all its sizes in proportion."""

    def scaled(*sides: int) -> tuple[int, ...]:
        return tuple(round(side * short / recipe.val_short) for side in sides)

    least, most = scaled(*recipe.crop)
    (longest,) = scaled(recipe.longest)
    return replace(
        recipe,
        short_sides=scaled(*recipe.short_sides),
        val_short=short,
        longest=longest,
        crop_short_sides=scaled(*recipe.crop_short_sides),
        crop=(least, most),
    )


def measure(checkpoint: Path, test: Dataset, device: str) -> Scores:
    """MAP of several labels a person, or accuracy of single ones, in percent."""
    from caer_ros.offline.evaluation.predict import predict_checkpoint
    from caer_ros.offline.metrics.emotion_recognition import classification, er
    from caer_ros.offline.metrics.joined import join

    joined = join(test.samples, predict_checkpoint(checkpoint, test.samples, device))
    recognition = er(joined)
    if test.multi_label:
        found = {"er": recognition.mean_average_precision, CHANCE: recognition.chance}
    else:
        found = {"accuracy": classification(joined).top1, CHANCE: float(recognition.prevalence.max())}
    return {name: 100 * float(value) for name, value in found.items()}


def _name(network: DsctConfig, base: DsctConfig) -> str:
    """Folder of a training, named by what it changes, such as "subjects-3"; so equal trainings share one."""
    before, after = asdict(base), asdict(network)
    changes = [f"{field}-{value}" for field, value in after.items() if value != before[field]]
    return "_".join(changes) or "published"


def _check_boxes(test: Dataset, data: str) -> None:
    kind = next((sample.box_kind for sample in test.samples if sample.box_kind != HEADS[data]), None)
    if kind is not None:
        raise ReproductionError(
            f"{test.root}: annotated are {kind.name.lower()} boxes, but DSCT's tables are about "
            f"{HEADS[data].name.lower()} boxes: {HOW_TO_GET[data]}"
        )
